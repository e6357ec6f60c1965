//! Any bytes are an envelope or are refused; what is read is written back and read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use probity_core::{dsse::Envelope, statement};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(envelope) = Envelope::from_json(bytes) {
        envelope.verify();
        let again = envelope.to_json().expect("an envelope that was read can be written");
        assert_eq!(Envelope::from_json(&again).expect("what was written can be read"), envelope);
    }
    let _ = statement::open(bytes);
});
