//! Proving inference: import and quantisation of models, set-up, witness, prover.
//!
//! The protocol and its verifier are in `probity-zk`. Nothing here does I/O.
//!
//! ```
//! use probity_zk::{ModelKey, verify};
//! use probity_zk_prover::{Graph, ProvingKey, graph::{Kind, Node}, prove, quantise};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let kind = Kind::Dense { input: 0, kept: 0, weights: vec![0.5, -0.25, 1.0, 2.0], bias: vec![0.0, 1.0] };
//! let graph = Graph { input: vec![2], nodes: vec![Node { name: "fc".into(), shape: vec![2], kind }] };
//! let quantised = quantise(&graph, &[vec![1.0, -1.0]])?;
//! let key = ProvingKey::new(quantised.model.clone())?;
//!
//! let input = quantised.encode(&[0.5, 0.5]);
//! let (statement, proof) = prove(&key, [0; 32], &input)?;
//!
//! let published = ModelKey::decode(&key.model_key().encode())?;
//! assert_eq!(verify(&published, &statement, &proof), Ok(()));
//! # Ok(())
//! # }
//! ```

pub mod ceremony;
mod fold;
pub mod function;
mod fuse;
pub mod graph;
mod hiding;
mod import;
mod lookup;
mod masks;
mod opening;
mod operations;
mod outgoing;
mod product;
mod prove;
mod quantise;
mod range;
mod setup;
#[cfg(test)]
mod soundness;
mod sumcheck;
mod witness;

pub use graph::Graph;
pub use hiding::{InputOpening, prove_hiding};
pub use import::{ImportError, SUPPORTED};
pub use masks::Seed;
pub use prove::{ProveError, prove};
pub use quantise::{PROCEDURE, QuantiseError, Quantised, quantise};
pub use range::prove_range;
pub use setup::ProvingKey;
