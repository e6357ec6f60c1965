//! The program as people use it, and other people's programs beside it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on stops")]

mod datasets;
mod desk;
mod input;
mod model_signing;
mod models;
mod peers;
mod privacy;
mod reservations;
mod signing;
mod story;
mod tool;
mod training;
mod workflow;
mod zk;
