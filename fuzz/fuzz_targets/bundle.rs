//! Any bytes are a bundle or are refused, and no bundle makes the audit stop: neither as it is, nor
//! when its exporter signs it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use probity_core::keys::{KeyType, SecretKey};
use probity_node::{archive, audit_bundle};
use probity_provenance::bundle::{Files, INDEX, Index, SIGNATURE, seal};
use tokio::runtime::{Builder, Runtime};

static KEY: LazyLock<SecretKey> =
    LazyLock::new(|| SecretKey::generate(KeyType::Secp256k1).expect("a key"));
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

fn check(files: &Files) {
    RUNTIME.block_on(audit_bundle(files, None)).expect("no chain is asked");
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut files) = archive::decode(bytes) else { return };
    check(&files);
    files.remove(SIGNATURE);
    let Some(index) = files.remove(INDEX) else { return };
    if let Ok(index) = serde_json::from_slice::<Index>(&index) {
        check(&seal(index, files, &KEY).expect("an index that was read can be written"));
    }
});
