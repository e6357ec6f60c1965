//! Any bytes are a model's signature or are refused, and whatever a key's holder signed is read or
//! refused.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use probity_core::{
    dsse::Envelope,
    keys::{KeyType, PublicKey, SecretKey},
    statement::PAYLOAD_TYPE,
};
use probity_provenance::model_signing::{MEDIA_TYPE, open};

static KEY: LazyLock<SecretKey> =
    LazyLock::new(|| SecretKey::generate(KeyType::P256).expect("a key"));
static PUBLIC: LazyLock<PublicKey> = LazyLock::new(|| KEY.public().expect("its public half"));

fuzz_target!(|bytes: &[u8]| {
    assert!(open(bytes, &PUBLIC).is_err(), "nobody signed this");
    let envelope = Envelope::sign(PAYLOAD_TYPE, bytes.to_vec(), &[&KEY]).expect("a signature");
    let dsse = String::from_utf8(envelope.to_json().expect("JSON")).expect("text");
    let bundle = format!(
        r#"{{"mediaType":"{MEDIA_TYPE}","verificationMaterial":{{"publicKey":{{}}}},"dsseEnvelope":{dsse}}}"#
    );
    if let Ok(signed) = open(bundle.as_bytes(), &PUBLIC) {
        assert_eq!(signed.compare(&[]).len(), signed.files.len());
    }
});
