//! Tests of the prover against the verifier.

mod cases;
mod networks;
mod random;
mod vectors;
