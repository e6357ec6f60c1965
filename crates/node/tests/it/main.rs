//! The main job end to end, and what happens to a bundle that was tampered with.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod loop_test;
