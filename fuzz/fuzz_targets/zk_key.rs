//! Any bytes are a model key with that very encoding, or none.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_zk::ModelKey;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(key) = ModelKey::decode(bytes) {
        assert_eq!(key.encode(), bytes);
    }
});
