//! The chain through its public interface: in process, over HTTP, by real clients, killed, on a
//! full disk.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail and report like the tests themselves"
)]

mod clients;
mod common;
mod disk;
mod durability;
mod evm;
mod logs;
mod protocol;
mod rules;
mod snapshots;
mod tools;
