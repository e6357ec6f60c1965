//! Any bytes are a keystore or are refused, in bounded time and memory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_core::keystore;

fuzz_target!(|bytes: &[u8]| {
    let _ = keystore::decrypt(bytes, "passphrase");
});
