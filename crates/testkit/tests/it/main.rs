//! The rules of the house, held against what cargo says of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod house;
