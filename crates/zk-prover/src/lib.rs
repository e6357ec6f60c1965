//! Proving inference: import and quantisation of models, set-up, witness, prover.
//!
//! The protocol and its verifier are in `probity-zk`. Nothing here does I/O.

pub mod ceremony;
mod fold;
pub mod graph;
mod import;
mod lookup;
mod opening;
mod operations;
mod outgoing;
mod prove;
mod quantise;
mod setup;
#[cfg(test)]
mod soundness;
mod sumcheck;
mod witness;

pub use graph::Graph;
pub use import::{ImportError, SUPPORTED};
pub use prove::{ProveError, prove};
pub use quantise::{QuantiseError, Quantised, quantise};
pub use setup::ProvingKey;
