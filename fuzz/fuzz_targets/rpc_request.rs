//! Any bytes posted to the embedded chain's JSON-RPC endpoint get a well-formed answer.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use probity_core::SystemClock;
use probity_devchain::{DevChain, Genesis};

struct World {
    chain: DevChain,
    runtime: tokio::runtime::Runtime,
    _dir: tempfile::TempDir,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let chain = DevChain::create(dir.path(), &Genesis::default(), Arc::new(SystemClock));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    World { chain: chain.expect("a new chain"), runtime: runtime.expect("a runtime"), _dir: dir }
});

fuzz_target!(|request: &[u8]| {
    let answer = WORLD.runtime.block_on(WORLD.chain.handle_bytes(request));
    if !answer.is_empty() {
        let answer: serde_json::Value = serde_json::from_slice(&answer).expect("JSON");
        assert!(answer.is_object() || answer.is_array());
    }
});
