//! Any bytes are a bundle or are refused, and no bundle makes the audit stop: neither as it is, nor
//! when its exporter signs it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use probity_chain::Contracts;
use probity_core::keys::{KeyType, SecretKey};
use probity_node::archive;
use probity_provenance::{
    audit::{Context, audit},
    bundle::{Files, INDEX, Index, SIGNATURE, seal},
};

static KEY: LazyLock<SecretKey> =
    LazyLock::new(|| SecretKey::generate(KeyType::Secp256k1).expect("a key"));

fn check(files: &Files) {
    let contracts = Contracts::deterministic();
    let vault_of = |model, token| contracts.vault(model, token);
    audit(files, Context { contracts: contracts.all(), vault_of: &vault_of, chain: None });
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
