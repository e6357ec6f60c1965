//! Tests of the verifier's room.
