//! Any bytes are an author's statement about a work, or leave no claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_core::Digest;
use probity_provenance::sidecar;

fuzz_target!(|bytes: &[u8]| {
    let inspection = sidecar::inspect(bytes, Digest::of(b"work"));
    assert!(inspection.holds() || inspection.claims.is_empty());
});
