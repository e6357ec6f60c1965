//! A full disk: the client is told, nothing is half-done, and it goes on when there is room.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use alloy::consensus::TxEip1559;
use alloy_primitives::{Address, TxKind, U256};
use probity_core::SystemClock;
use probity_devchain::DevChain;
use serde_json::json;

use crate::common::{World, genesis, key, number, rpc, sign};

/// A small file system in memory, unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(mebibytes: u32) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={mebibytes}m");
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        done.then_some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_is_reported_and_survived() {
    let Some(disk) = SmallDisk::mount(24) else {
        println!("skipped: a tmpfs cannot be mounted here (needs root)");
        return;
    };
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
    let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(disk.path()).status();
    assert!(grown.unwrap().success());
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
    let Some(disk) = SmallDisk::mount(1) else {
        println!("skipped: a tmpfs cannot be mounted here (needs root)");
        return;
    };
    let mut filler = File::create(disk.path().join("filler")).unwrap();
    while filler.write(&[0; 4096]).is_ok_and(|written| written > 0) {}
    let folder = disk.path().join("chain");
    assert!(DevChain::create(&folder, &genesis(), Arc::new(SystemClock)).is_err());
    std::fs::remove_file(disk.path().join("filler")).unwrap();
    let full = Command::new("mount").args(["-o", "remount,size=32m"]).arg(disk.path()).status();
    assert!(full.unwrap().success());
    let chain = DevChain::create(&folder, &genesis(), Arc::new(SystemClock)).unwrap();
    chain.verify(|_, _| ()).unwrap();
}
