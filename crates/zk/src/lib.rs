//! Proofs of inference: the integer networks they speak about, the proof's format and transcript,
//! and the verifier. Pure, total and panic-free on any bytes.
//!
//! The protocol is `docs/reference/zk-protocol.md`; sections are numbered as there.
//!
//! | Module | Subject |
//! |---|---|
//! | [`network`], [`labels`], [`table`] | shapes, operations, lookup tables (§1) |
//! | [`model`], [`mod@file`] | weights, the interpreter that defines what a network computes (§1), files |
//! | [`key`], [`plan`], [`weights`] | the model key and the places of columns (§2) |
//! | [`transcript`], [`statement`] | Fiat–Shamir with Keccak-256 (§3) |
//! | [`lookup`], [`operations`], [`operands`], [`opening`] | the proof's three parts (§4 to §6) |
//! | [`hiding`], [`value`] | the same under masks (§8) |
//! | [`range`] | that a hiding key's weights are bounded integers (§8.7) |
//! | [`field`], [`curve`], [`sumcheck`] | what they are made of |

mod bounds;
pub mod curve;
pub mod field;
pub mod file;
pub mod hiding;
pub mod key;
pub mod labels;
pub mod lookup;
pub mod model;
pub mod network;
pub mod opening;
pub mod operands;
pub mod operations;
pub mod plan;
pub mod range;
mod rejection;
mod stage;
pub mod statement;
pub mod sumcheck;
pub mod table;
pub mod transcript;
pub mod value;
mod verify;
pub mod weights;

pub use file::ModelFileError;
pub use hiding::verify_hiding;
pub use key::{KeyError, ModelKey};
pub use labels::Labels;
pub use model::{Model, ModelError};
pub use network::{Network, NetworkError, Operation, Shape, Term, Window};
pub use range::verify_range;
pub use rejection::Rejection;
pub use stage::Stage;
pub use statement::{HidingStatement, Statement};
pub use table::Table;
pub use verify::{proof_header, proof_stage, verify};
