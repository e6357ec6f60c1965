//! The rules of provenance: what creators, curators, trainers and accountants state, and what
//! follows from it. Pure: everything here can be recomputed by anybody from the same bytes.
//!
//! | Module | Subject |
//! |---|---|
//! | [`content`] | works, their licences and splits, registered in batches |
//! | [`optout`] | the deny list and its proofs of absence |
//! | [`sidecar`], [`media_type`] | an author's statement that comes with one work |
//! | [`reservation`] | reservations in other people's formats, and what follows from them |
//! | [`dataset`] | which contents enter a dataset, and why others do not |
//! | [`training`] | runs committed beforehand, and the checkpoints that came out |
//! | [`payout`] | who gets what of a model's revenue, line by line |
//! | [`challenge`], [`pool`] | the contracts' state machines, in Rust |
//! | [`state_proof`], [`ledger`] | contract storage proved against a block header, and what it says |
//! | [`bundle`], [`audit`] | evidence that anybody can check offline, and the check |

pub mod audit;
pub mod bundle;
pub mod challenge;
pub mod content;
pub mod dataset;
pub mod ledger;
pub mod media_type;
pub mod optout;
pub mod payout;
pub mod pool;
pub mod reservation;
pub mod sidecar;
pub mod state_proof;
pub mod training;
mod trie;
