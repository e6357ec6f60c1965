//! Tests of the verifier's room from bytes alone: the committed vectors, and hostile bytes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod hostile;
mod vectors;
