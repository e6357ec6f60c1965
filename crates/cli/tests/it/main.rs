//! The program as people use it, and other people's programs beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

mod input;
mod peers;
mod reservations;
mod signing;
mod story;
mod tool;
mod workflow;
