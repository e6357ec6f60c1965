//! Tests of the prover against the verifier.

mod networks;
mod random;
