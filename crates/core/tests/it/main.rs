//! The core against published vectors, its own properties, and forged or random bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    reason = "a test that cannot go on stops"
)]

mod absence;
mod log;
mod notes;
mod tiles;
mod vectors;
