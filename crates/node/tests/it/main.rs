//! The main job end to end, and what happens to a bundle that was tampered with.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should stop")]

mod bound_keys;
mod checkpoints;
mod faults;
mod hostile_exporter;
mod inferences;
mod loop_test;
mod parties;
mod runs;
mod twins;
mod world;
