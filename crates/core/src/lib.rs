//! What every Probity room shares: digests, Merkle and log proofs, signed statements, typed data,
//! keys, licence terms, money, time and findings. Pure: no I/O.
//!
//! | Module | Subject | Source |
//! |---|---|---|
//! | [`digest`] | SHA-256 digests | FIPS 180-4 |
//! | [`merkle`] | payout and dataset trees | OpenZeppelin standard Merkle tree |
//! | [`log`] | the statement log | RFC 6962, C2SP tlog-tiles |
//! | [`absence`] | non-membership proofs | sorted Merkle tree |
//! | [`json`] | canonical JSON | RFC 8785 |
//! | [`dsse`], [`statement`] | signed statements | DSSE v1, in-toto Statement v1 |
//! | [`keys`], [`binding`], [`keystore`] | who signs | EIP-191, SEC 1, Web3 Secret Storage |
//! | [`records`] | typed data of the contracts | EIP-712 |
//! | [`salted`] | works that nobody finds by guessing | salted SHA-256 |
//! | [`licence`], [`money`] | terms and splits | SPDX |
//! | [`finding`], [`clock`] | what a check says, and when | |

pub mod absence;
pub mod binding;
pub mod clock;
pub mod digest;
pub mod dsse;
pub mod finding;
pub mod json;
pub mod keys;
pub mod keystore;
pub mod licence;
pub mod log;
pub mod merkle;
pub mod money;
pub mod records;
pub mod salted;
pub mod statement;

pub use clock::{Clock, SystemClock};
pub use digest::Digest;
pub use finding::{Finding, Label, Severity};
