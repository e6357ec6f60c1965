//! The contracts' Rust twins against the vectors that forge reads too; reservations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

mod merkle_tree;
mod pools;
mod reservations;
