//! Datasets by SQL are those that are built in memory.

#![allow(clippy::unwrap_used, reason = "a test's fixtures stop it where they fail")]

mod cluster;
mod local;
mod world;
