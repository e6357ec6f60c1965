//! A reader sees one block, whatever is sealed and saved meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy::consensus::TxEip1559;
use alloy::rpc::types::EIP1186AccountProofResponse;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex, keccak256};
use alloy_trie::Nibbles;
use alloy_trie::proof::verify_proof;
use probity_devchain::{DevChain, Options};
use serde_json::json;

use crate::common::{World, creation_code, key, rpc, sign};

const WRITES: u64 = 300;

/// With calldata: sets slots 0 to 63 to the block's number. Without: returns the `or` of every slot's
/// `xor` with slot 0.
fn equal_slots() -> Bytes {
    creation_code(&hex!(
        // calldatasize; jumpi write
        "36602257"
        // acc = i = 0; do { acc |= sload(i) ^ sload(0) } while (64 > ++i); return acc
        "5f5f5b80545f5418918217915060010180604011600657505f5260205ff3"
        // write: i = 0; do { sstore(i, number) } while (64 > ++i); stop
        "5b5f5b4381556001018060401160245700"
    ))
}

#[test]
fn readers_see_one_block_while_others_are_sealed_and_saved() {
    let World { chain, clock, dir } = World::new();
    drop(chain);
    // A checkpoint every few blocks.
    let options = Options { checkpoint_gas: 2_000_000, ..Options::default() };
    let opened =
        DevChain::open_with(dir.path(), Arc::<crate::common::TestClock>::clone(&clock), options);
    let world = World { chain: opened.unwrap(), clock, dir };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let contract = runtime.block_on(world.deploy(9, 0, equal_slots()));
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|threads| {
        let readers = [(); 2].map(|()| threads.spawn(|| read_until(&done, &world.chain, contract)));
        runtime.block_on(write(&world, contract));
        done.store(true, Ordering::SeqCst);
        readers.map(|reader| reader.join().unwrap())
    });
    assert!(reads.iter().all(|count| *count > 3), "{reads:?}");
    world.chain.verify(|_, _| ()).unwrap();
}

async fn write(world: &World, contract: Address) {
    for nonce in 0..WRITES {
        let call = TxEip1559 {
            to: TxKind::Call(contract),
            value: U256::ZERO,
            gas_limit: 2_000_000,
            input: vec![1].into(),
            ..world.transfer(nonce)
        };
        world.send(&sign(call, &key(0))).await.unwrap();
    }
}

/// Calls and asks for proofs until told to stop; returns how often.
fn read_until(done: &AtomicBool, chain: &DevChain, contract: Address) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let slot = B256::with_last_byte(63);
    let mut count = 0;
    while !done.load(Ordering::SeqCst) {
        let call = json!([{"to": contract}, "latest"]);
        let differences = runtime.block_on(rpc(chain, "eth_call", call)).unwrap();
        assert_eq!(differences, json!(B256::ZERO), "slots of different blocks");
        let asked = json!([contract, [slot], "latest"]);
        let proof = runtime.block_on(rpc(chain, "eth_getProof", asked)).unwrap();
        let proof: EIP1186AccountProofResponse = serde_json::from_value(proof).unwrap();
        let shown = &proof.storage_proof[0];
        let value = (!shown.value.is_zero()).then(|| alloy_rlp::encode(shown.value));
        let path = Nibbles::unpack(keccak256(slot));
        verify_proof(proof.storage_hash, path, value, &shown.proof).unwrap();
        count += 1;
    }
    count
}
