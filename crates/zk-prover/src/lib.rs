//! Proving inference: import and quantisation of models, set-up, witness, prover.
//!
//! The protocol and its verifier are in `probity-zk`. Nothing here does I/O.

pub mod ceremony;
mod fold;
mod lookup;
mod opening;
mod operations;
mod outgoing;
mod prove;
mod setup;
mod sumcheck;
mod witness;

pub use prove::{ProveError, prove};
pub use setup::ProvingKey;
