//! The rules of provenance: what creators, curators, trainers and accountants state, and what
//! follows from it. Pure: everything here can be recomputed by anybody from the same bytes.
//!
//! | Module | Subject |
//! |---|---|
//! | [`content`] | works, their licences and splits, registered in batches |
//! | [`optout`] | the deny list and its proofs of absence |
//! | [`sidecar`], [`media_type`] | an author's statement that comes with one work |
//! | [`reservation`] | reservations in other people's formats, and what follows from them |
//! | [`erasure`] | works that are gone, while proofs over them stay |
//! | [`dataset`] | which contents enter a dataset, and why others do not |
//! | [`table`], [`croissant`], [`folder`] | a dataset as a Parquet table with a Croissant description |
//! | [`tables`] | what a dataset is built from, as Parquet tables |
//! | [`near`] | which works resemble each other, with evidence |
//! | [`weights`] | what the items of a dataset weigh |
//! | [`training`] | runs committed beforehand, and the checkpoints that came out |
//! | [`command`], [`run_log`] | runs of any command, and what it wrote while it ran |
//! | [`model_signing`] | a checkpoint's signature as OpenSSF Model Signing has it |
//! | [`lineage`], [`bom`] | where a model comes from, as text, picture and bill of materials |
//! | [`inference`] | keys of quantised models, and proofs of what they compute |
//! | [`payout`] | who gets what of a model's revenue, line by line |
//! | [`claim`] | what one account is owed, provable by itself |
//! | [`permission`] | whether a use is permitted by everything a model was made from |
//! | [`challenge`], [`pool`] | the contracts' state machines, in Rust |
//! | [`state_proof`], [`ledger`] | contract storage proved against a block header, and what it says |
//! | [`bundle`], [`audit`] | evidence that anybody can check offline, and the check |

pub mod audit;
pub mod bom;
pub mod bundle;
pub mod challenge;
pub mod claim;
mod columns;
pub mod command;
pub mod content;
pub mod croissant;
pub mod dataset;
pub mod erasure;
pub mod folder;
pub mod inference;
pub mod ledger;
pub mod lineage;
pub mod media_type;
pub mod model_signing;
pub mod near;
pub mod optout;
pub mod payout;
pub mod permission;
pub mod pool;
pub mod reservation;
pub mod run_log;
pub mod sidecar;
pub mod state_proof;
pub mod table;
pub mod tables;
pub mod training;
mod trie;
pub mod weights;
