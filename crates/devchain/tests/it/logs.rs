//! `eth_getLogs` finds exactly what a scan of every log finds.

use alloy::consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::common::{World, creation_code, key, number, sign};

fn logger() -> Bytes {
    creation_code(&assemble())
}

/// `switch calldata[0] { 1 => log1, 2 => log2, 3 => log3, _ => log0 }` with topics from calldata.
fn assemble() -> Vec<u8> {
    let mut code = Vec::new();
    let bodies = [
        hex!("5f5fa000").to_vec(),
        hex!("6020355f5fa100").to_vec(),
        hex!("6040356020355f5fa200").to_vec(),
        hex!("6060356040356020355f5fa300").to_vec(),
    ];
    let table = 3 * 8;
    let mut at = table + bodies[0].len();
    for (count, body) in (1_u8..).zip(&bodies[1..]) {
        // calldataload(0) == count -> jump
        code.extend([0x5f, 0x35, 0x60, count, 0x14, 0x60, u8::try_from(at).unwrap(), 0x57]);
        at += 1 + body.len();
    }
    code.extend(&bodies[0]);
    for body in &bodies[1..] {
        code.push(0x5b);
        code.extend(body);
    }
    code
}

#[derive(Debug, Clone)]
struct Emission {
    contract: usize,
    topics: Vec<u8>,
}

fn emission() -> impl Strategy<Value = Emission> {
    (0..3_usize, prop::collection::vec(0..4_u8, 0..4))
        .prop_map(|(contract, topics)| Emission { contract, topics })
}

fn places() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    prop::collection::vec(prop::option::of(prop::collection::vec(0..4_u8, 0..3)), 0..4)
}

#[test]
fn queries_find_what_a_scan_finds() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = World::new();
    let mut runner = TestRunner::new(Config { cases: 120, ..Config::default() });
    let blocks = runtime.block_on(emit(&world, &mut runner));
    let all = runtime.block_on(world.ok("eth_getLogs", json!([{"fromBlock": "0x0"}])));
    let all = all.as_array().unwrap().clone();
    assert_eq!(all.len(), blocks.iter().flatten().count());
    let contracts: Vec<Address> = (0..3).map(|nonce| key(9).address().create(nonce)).collect();
    let query = (
        prop::collection::vec(0..3_usize, 0..3),
        places(),
        0..blocks.len() as u64 + 8,
        0..1_100_u64,
    );
    runner
        .run(&query, |(addresses, topics, first, length)| {
            let addresses: Vec<Address> = addresses.iter().map(|index| contracts[*index]).collect();
            let word = |topic: &u8| B256::with_last_byte(*topic);
            let topics: Vec<Option<Vec<B256>>> = topics
                .iter()
                .map(|any_of| any_of.as_ref().map(|list| list.iter().map(word).collect()))
                .collect();
            let last = first + length;
            let filter = json!({
                "fromBlock": format!("{first:#x}"), "toBlock": format!("{last:#x}"),
                "address": addresses, "topics": topics,
            });
            let found = runtime.block_on(world.ok("eth_getLogs", json!([filter])));
            let expected: Vec<&Value> = all
                .iter()
                .filter(|log| (first..=last).contains(&number(&log["blockNumber"])))
                .filter(|log| wanted(log, &addresses, &topics))
                .collect();
            prop_assert_eq!(found.as_array().unwrap().iter().collect::<Vec<_>>(), expected);
            Ok(())
        })
        .unwrap();
    world.chain.verify(|_, _| ()).unwrap();
}

fn wanted(log: &Value, addresses: &[Address], topics: &[Option<Vec<B256>>]) -> bool {
    let address: Address = serde_json::from_value(log["address"].clone()).unwrap();
    let has: Vec<B256> = serde_json::from_value(log["topics"].clone()).unwrap();
    let matches = |(place, any_of): (usize, &Option<Vec<B256>>)| {
        let any_of = any_of.as_deref().unwrap_or_default();
        any_of.is_empty() || has.get(place).is_some_and(|topic| any_of.contains(topic))
    };
    (addresses.is_empty() || addresses.contains(&address)) && topics.iter().enumerate().all(matches)
}

/// Deploys three loggers and has them log at random, several transactions to a block.
async fn emit(world: &World, runner: &mut TestRunner) -> Vec<Vec<Emission>> {
    let mut contracts = Vec::new();
    for nonce in 0..3 {
        contracts.push(world.deploy(9, nonce, logger()).await);
    }
    // Over two runs of the index.
    let strategy = prop::collection::vec(prop::collection::vec(emission(), 0..4), 1_400);
    let blocks = strategy.new_tree(runner).unwrap().current();
    let mut nonce = 0;
    for block in &blocks {
        let mut calls = Vec::new();
        for Emission { contract, topics } in block {
            let mut input = B256::with_last_byte(u8::try_from(topics.len()).unwrap()).to_vec();
            input.extend(topics.iter().flat_map(|topic| B256::with_last_byte(*topic)));
            let call = TxEip1559 {
                to: TxKind::Call(contracts[*contract]),
                value: U256::ZERO,
                gas_limit: 60_000,
                input: input.into(),
                ..world.transfer(nonce)
            };
            nonce += 1;
            let raw = sign(call, &key(0));
            calls.push(json!({"id": 1, "method": "eth_sendRawTransaction", "params": [raw]}));
        }
        if !calls.is_empty() {
            let answers = world.chain.handle_bytes(json!(calls).to_string().as_bytes()).await;
            let answers: Vec<Value> = serde_json::from_slice(&answers).unwrap();
            assert!(answers.iter().all(|answer| answer["result"].is_string()), "{answers:?}");
        }
    }
    blocks
}

#[tokio::test]
async fn bad_ranges_and_unknown_blocks_are_refused() {
    let world = World::new();
    let error = world.rpc("eth_getLogs", json!([{"fromBlock": "0x5", "toBlock": "0x2"}])).await;
    assert_eq!(error.unwrap_err()["code"], -32602);
    let unknown = json!([{"blockHash": B256::repeat_byte(1)}]);
    assert_eq!(world.rpc("eth_getLogs", unknown).await.unwrap_err()["message"], "unknown block");
    let many: Vec<Address> =
        (0..5_000_u64).map(|index| Address::from_word(U256::from(index).into())).collect();
    let error = world.rpc("eth_getLogs", json!([{"address": many}])).await.unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("more than 4096"), "{error}");
    let beyond = json!([{"fromBlock": "0x0", "toBlock": "0xffffffff"}]);
    assert_eq!(world.ok("eth_getLogs", beyond).await, json!([]));
}

#[tokio::test]
async fn log_filters_report_new_logs_once() {
    let world = World::new();
    let logger = world.deploy(9, 0, logger()).await;
    let id = world.ok("eth_newFilter", json!([{"address": logger}])).await;
    let emit = |nonce| {
        let call = TxEip1559 {
            to: TxKind::Call(logger),
            value: U256::ZERO,
            gas_limit: 60_000,
            ..world.transfer(nonce)
        };
        sign(call, &key(0))
    };
    for nonce in 0..3 {
        world.send(&emit(nonce)).await.unwrap();
        let changes = world.ok("eth_getFilterChanges", json!([id])).await;
        assert_eq!(changes.as_array().unwrap().len(), 1);
        assert_eq!(number(&changes[0]["blockNumber"]), nonce + 2);
    }
    assert_eq!(world.ok("eth_getFilterChanges", json!([id])).await, json!([]));
}
