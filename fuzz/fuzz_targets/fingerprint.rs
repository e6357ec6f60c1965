//! Any bytes under any media type have a fingerprint or none; what resembles itself is accepted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_provenance::near::{NearPolicy, PictureRule, ShingleRule};

fuzz_target!(|bytes: &[u8]| {
    let policy = NearPolicy {
        image: Some(PictureRule { max_distance: 7, max_difference: 180, sample_max: 16 }),
        text: Some(ShingleRule { min_matches: 48 }),
        data: Some(ShingleRule { min_matches: 48 }),
    };
    for media_type in ["image/png", "text/csv", "application/octet-stream"] {
        let Some(print) = policy.fingerprint(media_type, bytes) else { continue };
        if let Some(evidence) = policy.compare(&print, &print) {
            assert!(policy.accepts(&evidence));
        }
    }
});
