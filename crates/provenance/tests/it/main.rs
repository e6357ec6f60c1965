//! The contracts' Rust twins against the vectors that forge reads too; reservations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

mod datasets;
mod iscc_core;
mod merkle_tree;
mod near;
mod pools;
mod reservations;
