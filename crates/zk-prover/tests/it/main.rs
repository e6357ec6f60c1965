//! Tests of the prover against the verifier.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod attention;
mod cases;
mod ceremony;
mod models;
mod networks;
mod random;
mod vectors;
