//! Which transactions are accepted, what they cost, and what blocks look like.

use alloy::consensus::{TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy::eips::eip7702::Authorization;
use alloy::signers::SignerSync;
use alloy_primitives::{Address, TxKind, U256, hex};
use serde_json::json;

use crate::common::{START, World, creation_code, ether, genesis, key, number, quantity, sign};

async fn refused(world: &World, transaction: TxEip1559, signer: u64) -> String {
    let before = world.head().await;
    let message = world.send(&sign(transaction, &key(signer))).await.unwrap_err();
    assert_eq!(world.head().await, before, "a refused transaction changes nothing");
    message
}

#[tokio::test]
async fn refusals_say_why_in_the_usual_words() {
    let world = World::new();
    let plain = || world.transfer(0);
    let check = |message: String, expected: &str| {
        assert!(message.starts_with(expected), "`{message}` should start with `{expected}`");
    };
    world.send(&sign(plain(), &key(0))).await.unwrap();
    check(refused(&world, TxEip1559 { value: U256::from(2), ..plain() }, 0).await, "nonce too low");
    check(refused(&world, plain(), 0).await, "already known");
    check(refused(&world, plain(), 50).await, "insufficient funds for gas * price + value");
    let all = TxEip1559 { value: ether(1_000), ..plain() };
    check(refused(&world, all, 1).await, "insufficient funds for gas * price + value");
    check(
        refused(&world, TxEip1559 { gas_limit: 20_999, ..plain() }, 1).await,
        "intrinsic gas too low",
    );
    check(
        refused(&world, TxEip1559 { gas_limit: 60_000_001, ..plain() }, 1).await,
        "exceeds block gas limit",
    );
    let stingy = TxEip1559 { max_fee_per_gas: 6, max_priority_fee_per_gas: 0, ..plain() };
    check(refused(&world, stingy, 1).await, "max fee per gas less than block base fee");
    let twisted = TxEip1559 { max_priority_fee_per_gas: 6_000_000_000, ..plain() };
    check(
        refused(&world, twisted, 1).await,
        "max priority fee per gas higher than max fee per gas",
    );
    check(
        refused(&world, TxEip1559 { chain_id: 1, ..plain() }, 1).await,
        "invalid chain id for signer",
    );
    check(refused(&world, TxEip1559 { nonce: 300, ..plain() }, 1).await, "nonce too high");
    let blobs = TxEip4844 { chain_id: world.chain.chain_id(), ..TxEip4844::default() };
    let blobs = world.send(&sign(blobs, &key(1))).await.unwrap_err();
    check(blobs, "transaction type not supported");
    let unprotected = TxLegacy { gas_limit: 21_000, ..TxLegacy::default() };
    let unprotected = world.send(&sign(unprotected, &key(1))).await.unwrap_err();
    check(unprotected, "only replay-protected (EIP-155) transactions allowed");
    check(world.send(&vec![2; 200_000].into()).await.unwrap_err(), "oversized data");
    check(world.send(&vec![2; 20].into()).await.unwrap_err(), "failed to decode");
    let oversized = TxEip1559 {
        to: TxKind::Create,
        input: vec![0; 49_153].into(),
        gas_limit: 5_000_000,
        ..plain()
    };
    check(refused(&world, oversized, 1).await, "max initcode size exceeded");
}

#[tokio::test]
async fn every_transaction_type_is_executed() {
    let world = World::new();
    let chain_id = world.chain.chain_id();
    let to = TxKind::Call(Address::repeat_byte(0x77));
    let legacy = TxLegacy {
        chain_id: Some(chain_id),
        gas_price: 2_000_000_000,
        gas_limit: 21_000,
        to,
        value: U256::from(1),
        ..TxLegacy::default()
    };
    let listed = TxEip2930 {
        chain_id,
        nonce: 1,
        gas_price: 2_000_000_000,
        gas_limit: 30_000,
        to,
        value: U256::from(1),
        ..TxEip2930::default()
    };
    // Returns 42.
    let code = world.deploy(1, 0, creation_code(&hex!("602a5f5260205ff3"))).await;
    let delegation = Authorization { chain_id: U256::from(chain_id), address: code, nonce: 0 };
    let signature = key(3).sign_hash_sync(&delegation.signature_hash()).unwrap();
    let delegated = TxEip7702 {
        chain_id,
        nonce: 3,
        gas_limit: 100_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 0,
        to: key(3).address(),
        authorization_list: vec![delegation.into_signed(signature)],
        ..TxEip7702::default()
    };
    let signer = key(0);
    let raws = [
        (sign(legacy, &signer), "0x0"),
        (sign(listed, &signer), "0x1"),
        (sign(world.transfer(2), &signer), "0x2"),
        (sign(delegated, &signer), "0x4"),
    ];
    for (raw, kind) in raws {
        let hash = world.send(&raw).await.unwrap();
        let receipt = world.receipt(hash).await;
        assert_eq!((&receipt["status"], &receipt["type"]), (&json!("0x1"), &json!(kind)));
        let transaction = world.ok("eth_getTransactionByHash", json!([hash])).await;
        assert_eq!(transaction["type"], kind);
        assert_eq!(transaction["hash"], json!(hash));
    }
    let call = json!([{"to": key(3).address()}]);
    assert_eq!(quantity(&world.ok("eth_call", call).await), U256::from(42), "EIP-7702 delegation");
    world.chain.verify(|_, _| ()).unwrap();
}

#[tokio::test]
async fn fees_are_charged_burnt_and_paid_out() {
    let beneficiary = Address::repeat_byte(0xbe);
    let world = World::with(&probity_devchain::Genesis { beneficiary, ..genesis() });
    let hash = world.send(&sign(world.transfer(0), &key(0))).await.unwrap();
    let receipt = world.receipt(hash).await;
    let block = world.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    let base_fee = number(&block["baseFeePerGas"]);
    assert_eq!(base_fee, 875_000_000, "EIP-1559: an empty parent lowers it by an eighth");
    assert_eq!(number(&receipt["effectiveGasPrice"]), base_fee + 1_000_000);
    let balance = world.ok("eth_getBalance", json!([key(0).address(), "latest"])).await;
    let spent = U256::from(21_000) * U256::from(base_fee + 1_000_000) + U256::from(1);
    assert_eq!(quantity(&balance), ether(1_000) - spent);
    let tips = world.ok("eth_getBalance", json!([beneficiary, "latest"])).await;
    assert_eq!(number(&tips), 21_000 * 1_000_000, "the priority fee; the base fee is burnt");
}

#[tokio::test]
async fn transactions_wait_for_an_earlier_nonce_even_across_a_restart() {
    let world = World::new();
    let signer = key(0);
    let second = world.send(&sign(world.transfer(1), &signer)).await.unwrap();
    let third = world.send(&sign(world.transfer(2), &signer)).await.unwrap();
    assert_eq!(world.head().await, 0);
    assert!(world.receipt(second).await.is_null());
    let waiting = world.ok("eth_getTransactionByHash", json!([second])).await;
    assert!(waiting["blockHash"].is_null());
    let pending = world.ok("eth_getTransactionCount", json!([signer.address(), "pending"])).await;
    assert_eq!(number(&pending), 0, "the next nonce to use is the gap");
    assert_eq!(world.send(&sign(world.transfer(1), &signer)).await.unwrap_err(), "already known");
    let cheap = TxEip1559 { value: U256::from(9), ..world.transfer(1) };
    let message = world.send(&sign(cheap.clone(), &signer)).await.unwrap_err();
    assert!(message.starts_with("replacement transaction underpriced"), "{message}");
    let better =
        TxEip1559 { max_fee_per_gas: 5_500_000_000, max_priority_fee_per_gas: 1_100_000, ..cheap };
    let replacement = world.send(&sign(better, &signer)).await.unwrap();

    let world = world.reopen();
    let first = world.send(&sign(world.transfer(0), &signer)).await.unwrap();
    for hash in [first, replacement, third] {
        assert_eq!(world.receipt(hash).await["status"], "0x1");
    }
    assert!(world.receipt(second).await.is_null(), "it was replaced");
    world.chain.verify(|_, _| ()).unwrap();
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let world = World::new();
    let mut sent = 0;
    for nonce in 1..=257 {
        match world.send(&sign(world.transfer(nonce), &key(0))).await {
            Ok(_) => sent += 1,
            Err(message) => assert!(message.starts_with("nonce too high"), "{message}"),
        }
    }
    assert_eq!(sent, 256);
}

#[tokio::test]
async fn time_follows_the_clock_and_never_runs_back() {
    let world = World::new();
    let mut times = Vec::new();
    for (nonce, time) in [(0, START + 5), (1, START + 5), (2, START + 3), (3, START + 9)] {
        world.clock.set(time);
        world.send(&sign(world.transfer(nonce), &key(0))).await.unwrap();
        let block = world.ok("eth_getBlockByNumber", json!(["latest", false])).await;
        times.push(number(&block["timestamp"]) - START);
    }
    assert_eq!(times, [5, 5, 5, 9]);
}

#[tokio::test]
async fn blocks_keep_to_the_gas_limit() {
    let world = World::with(&probity_devchain::Genesis { gas_limit: 5_000_000, ..genesis() });
    // An endless loop: uses all its gas.
    let code = world.deploy_with_gas(1, creation_code(&hex!("5b5f56")), 1_000_000).await;
    let raws: Vec<_> = (0..6)
        .map(|nonce| {
            let call = TxEip1559 {
                to: TxKind::Call(code),
                value: U256::ZERO,
                gas_limit: 2_000_000,
                ..world.transfer(nonce)
            };
            sign(call, &key(0))
        })
        .collect();
    let calls: Vec<_> = raws
        .iter()
        .map(|raw| json!({"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": [raw]}))
        .collect();
    let answer = world.chain.handle_bytes(json!(calls).to_string().as_bytes()).await;
    let answers: Vec<serde_json::Value> = serde_json::from_slice(&answer).unwrap();
    assert!(answers.iter().all(|answer| answer["result"].is_string()), "{answers:?}");
    for block in 2..=world.head().await {
        let block = world.ok("eth_getBlockByNumber", json!([format!("{block:#x}"), false])).await;
        assert_eq!(block["transactions"].as_array().unwrap().len(), 2);
        assert!(number(&block["gasUsed"]) <= 5_000_000);
    }
    let receipt =
        world.receipt(serde_json::from_value(answers[0]["result"].clone()).unwrap()).await;
    assert_eq!((&receipt["status"], number(&receipt["gasUsed"])), (&json!("0x0"), 2_000_000));
    let fees: Vec<u64> =
        number_list(&world.ok("eth_feeHistory", json!(["0x3", "latest", []])).await);
    assert!(
        fees.is_sorted() && fees[0] < fees[3],
        "fuller than half raises the base fee: {fees:?}"
    );
    world.chain.verify(|_, _| ()).unwrap();
}

fn number_list(history: &serde_json::Value) -> Vec<u64> {
    history["baseFeePerGas"].as_array().unwrap().iter().map(number).collect()
}

#[tokio::test]
async fn the_chain_id_follows_from_the_genesis() {
    let (one, same) = (World::new(), World::new());
    let other = World::with(&probity_devchain::Genesis {
        extra_data: b"another".to_vec().into(),
        ..genesis()
    });
    assert_eq!(one.chain.chain_id(), same.chain.chain_id());
    assert_ne!(one.chain.chain_id(), other.chain.chain_id());
    // MetaMask's limit.
    assert!((1 << 51..=4_503_599_627_370_476).contains(&one.chain.chain_id()));
    assert_eq!(one.ok("net_version", json!([])).await, json!(one.chain.chain_id().to_string()));
}

impl World {
    async fn deploy_with_gas(&self, from: u64, code: alloy_primitives::Bytes, gas: u64) -> Address {
        let create = TxEip1559 {
            to: TxKind::Create,
            value: U256::ZERO,
            gas_limit: gas,
            input: code,
            ..self.transfer(0)
        };
        let hash = self.send(&sign(create, &key(from))).await.unwrap();
        serde_json::from_value(self.receipt(hash).await["contractAddress"].clone()).unwrap()
    }
}

#[tokio::test]
async fn a_queued_transaction_waits_for_the_base_fee_to_fall() {
    let world = World::new();
    // The base fee starts near 875,000,000 and falls by an eighth with each almost empty block.
    let modest = TxEip1559 {
        max_fee_per_gas: 500_000_000,
        max_priority_fee_per_gas: 0,
        ..world.transfer(1)
    };
    let modest = world.send(&sign(modest, &key(0))).await.unwrap();
    world.send(&sign(world.transfer(0), &key(0))).await.unwrap();
    for (tag, next) in [("latest", 1), ("pending", 2)] {
        let count = world.ok("eth_getTransactionCount", json!([key(0).address(), tag])).await;
        assert_eq!(number(&count), next, "{tag}");
    }
    for nonce in 0..8 {
        world.send(&sign(world.transfer(nonce), &key(1))).await.unwrap();
    }
    let receipt = world.receipt(modest).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    assert!(number(&receipt["effectiveGasPrice"]) <= 500_000_000);
    assert!(number(&receipt["blockNumber"]) > 3);
}
