//! A full disk: the client is told, nothing is half-done, and it goes on when there is room.

use std::sync::Arc;

use alloy::consensus::TxEip1559;
use alloy_primitives::{Address, TxKind, U256};
use probity_core::SystemClock;
use probity_devchain::DevChain;
use probity_testkit::SmallDisk;
use serde_json::json;

use crate::common::{World, genesis, key, number, rpc, sign};

#[tokio::test]
async fn a_full_disk_is_reported_and_survived() {
    let Some(disk) = SmallDisk::mount(24) else { return };
    let folder = disk.path().join("chain");
    let start = probity_devchain::Genesis { timestamp: 1_700_000_000, ..genesis() };
    let chain = DevChain::create(&folder, &start, Arc::new(SystemClock)).unwrap();
    let world = World::new();
    let send = async |nonce| {
        let call = TxEip1559 {
            chain_id: chain.chain_id(),
            to: TxKind::Call(Address::repeat_byte(1)),
            value: U256::ZERO,
            gas_limit: 6_000_000,
            input: vec![1; 100_000].into(),
            ..world.transfer(nonce)
        };
        rpc(&chain, "eth_sendRawTransaction", json!([sign(call, &key(0))])).await
    };
    let mut nonce = 0;
    let error = loop {
        match send(nonce).await {
            Ok(_) => nonce += 1,
            Err(error) => break error,
        }
        assert!(nonce < 400, "24 MiB cannot hold this much");
    };
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("block was not sealed:"), "{message}");
    assert!(message.contains("No space left") || message.contains("unavailable"), "{message}");

    // It stays full for a while; reading goes on.
    let again = send(nonce).await.unwrap_err();
    assert!(again["message"].as_str().unwrap().starts_with("block was not sealed:"), "{again}");
    let head = rpc(&chain, "eth_blockNumber", json!([])).await.unwrap();
    assert_eq!(number(&head), nonce, "what was acknowledged, and no more");

    // The administrator makes room.
    disk.grow(64).unwrap();
    send(nonce).await.unwrap();
    let head = rpc(&chain, "eth_blockNumber", json!([])).await.unwrap();
    assert_eq!(number(&head), nonce + 1);
    assert_eq!(chain.verify(|_, _| ()).unwrap().transactions, nonce + 1);
    drop(chain);
    let chain = DevChain::open(&folder, Arc::new(SystemClock)).unwrap();
    assert_eq!(chain.verify(|_, _| ()).unwrap().blocks, nonce + 1);
}

#[test]
fn a_chain_is_not_created_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount(1) else { return };
    disk.fill().unwrap();
    let folder = disk.path().join("chain");
    assert!(DevChain::create(&folder, &genesis(), Arc::new(SystemClock)).is_err());
    disk.free().unwrap();
    disk.grow(32).unwrap();
    let chain = DevChain::create(&folder, &genesis(), Arc::new(SystemClock)).unwrap();
    chain.verify(|_, _| ()).unwrap();
}
