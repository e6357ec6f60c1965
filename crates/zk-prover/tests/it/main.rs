//! Tests of the prover against the verifier.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod cases;
mod ceremony;
mod networks;
mod random;
mod vectors;
