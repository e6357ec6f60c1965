//! The chain through its public interface: in process, over HTTP, by real clients, killed, on a
//! full disk.

mod clients;
mod common;
mod disk;
mod durability;
mod evm;
mod logs;
mod protocol;
mod rules;
mod tools;
