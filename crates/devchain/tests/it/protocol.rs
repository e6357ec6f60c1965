//! JSON-RPC itself: every request gets a well-formed answer.

use std::sync::OnceLock;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::common::{World, key, sign};

async fn raw(world: &World, request: &[u8]) -> Value {
    let answer = world.chain.handle_bytes(request).await;
    if answer.is_empty() { Value::Null } else { serde_json::from_slice(&answer).unwrap() }
}

async fn code(world: &World, request: &str) -> i64 {
    raw(world, request.as_bytes()).await["error"]["code"].as_i64().unwrap()
}

#[tokio::test]
async fn malformed_requests_get_the_standard_codes() {
    let world = World::new();
    assert_eq!(code(&world, "").await, -32700);
    assert_eq!(code(&world, "{").await, -32700);
    assert_eq!(code(&world, "[1,").await, -32700);
    assert_eq!(code(&world, "\u{0}").await, -32700);
    assert_eq!(code(&world, "1").await, -32600);
    assert_eq!(code(&world, "[]").await, -32600);
    assert_eq!(code(&world, r#"{"id":1}"#).await, -32600);
    assert_eq!(code(&world, r#"{"id":1,"jsonrpc":"1.0","method":"eth_chainId"}"#).await, -32600);
    assert_eq!(code(&world, r#"{"id":{},"method":"eth_chainId"}"#).await, -32600);
    // Found by fuzzing: ids that no reader of the answer could read.
    assert_eq!(code(&world, r#"{"id":1e999,"method":"eth_chainId"}"#).await, -32600);
    assert_eq!(code(&world, r#"{"id":"\ud800","method":"eth_chainId"}"#).await, -32600);
    assert_eq!(code(&world, r#"{"id":1,"method":"eth_getBalance","params":{}}"#).await, -32602);
    assert_eq!(code(&world, r#"{"id":1,"method":"eth_getBalance","params":[]}"#).await, -32602);
    assert_eq!(
        code(&world, r#"{"id":1,"method":"eth_getBalance","params":["0x1"]}"#).await,
        -32602
    );
    for method in ["eth_mining", "eth_sendTransaction", "debug_traceTransaction", "eth_subscribe"] {
        let error = world.rpc(method, json!([])).await.unwrap_err();
        assert_eq!(error["code"], -32601);
        let expected = format!("the method {method} does not exist/is not available");
        assert_eq!(error["message"], json!(expected));
    }
    let deep = "[".repeat(100_000);
    assert_eq!(code(&world, &deep).await, -32700);
    let big = vec![b' '; probity_devchain::MAX_REQUEST_BYTES + 1];
    assert_eq!(raw(&world, &big).await["error"]["code"], -32600);
}

#[tokio::test]
async fn batches_answer_in_order_and_skip_notifications() {
    let world = World::new();
    let transfer = |nonce| sign(world.transfer(nonce), &key(0));
    let batch = json!([
        {"jsonrpc": "2.0", "id": "a", "method": "eth_blockNumber"},
        {"jsonrpc": "2.0", "id": null, "method": "eth_sendRawTransaction", "params": [transfer(0)]},
        {"jsonrpc": "2.0", "method": "eth_sendRawTransaction", "params": [transfer(1)]},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_sendRawTransaction", "params": ["0x00"]},
        7,
        {"jsonrpc": "2.0", "id": 1.5, "method": "eth_blockNumber"},
    ]);
    let answers = raw(&world, batch.to_string().as_bytes()).await;
    let answers = answers.as_array().unwrap();
    let ids: Vec<&Value> = answers.iter().map(|answer| &answer["id"]).collect();
    assert_eq!(ids, [&json!("a"), &json!(null), &json!(3), &json!(null), &json!(1.5)]);
    assert_eq!(answers[0]["result"], "0x0");
    assert!(answers[1]["result"].is_string());
    assert_eq!(answers[2]["error"]["code"], -32000);
    assert_eq!(answers[3]["error"]["code"], -32600);
    assert_eq!(answers[4]["result"], "0x1", "both went into one block");
    let count = world.ok("eth_getBlockTransactionCountByNumber", json!(["latest"])).await;
    assert_eq!(count, "0x2");
    let notification = br#"{"jsonrpc":"2.0","method":"eth_blockNumber"}"#;
    assert_eq!(world.chain.handle_bytes(notification).await, b"");
    let many = vec![json!({"id": 1, "method": "eth_chainId"}); probity_devchain::MAX_BATCH + 1];
    assert_eq!(raw(&world, json!(many).to_string().as_bytes()).await["error"]["code"], -32600);
}

#[tokio::test]
async fn what_does_not_exist_is_null() {
    let world = World::new();
    let nothing = alloy_primitives::B256::repeat_byte(1);
    for (method, params) in [
        ("eth_getTransactionByHash", json!([nothing])),
        ("eth_getTransactionReceipt", json!([nothing])),
        ("eth_getBlockByHash", json!([nothing, false])),
        ("eth_getBlockByNumber", json!(["0xffff", true])),
        ("eth_getBlockReceipts", json!(["0xffff"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", "0x0"])),
    ] {
        assert_eq!(world.ok(method, params).await, Value::Null, "{method}");
    }
    assert_eq!(world.ok("eth_accounts", json!([])).await, json!([]));
    assert_eq!(world.ok("eth_syncing", json!([])).await, json!(false));
}

#[tokio::test]
async fn sending_can_return_the_receipt() {
    let world = World::new();
    let later = sign(world.transfer(1), &key(0));
    let error = world.rpc("eth_sendRawTransactionSync", json!([later])).await.unwrap_err();
    assert_eq!(error["code"], 4, "EIP-7966: accepted, not yet in a block");
    let first = sign(world.transfer(0), &key(0));
    let receipt = world.ok("eth_sendRawTransactionSync", json!([first])).await;
    assert_eq!(receipt["blockNumber"], "0x1");
}

/// One chain for all cases: nothing that is sent here can change it.
fn shared() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(World::new)
}

fn answer(request: &[u8]) -> Vec<u8> {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap());
    runtime.block_on(shared().chain.handle_bytes(request))
}

const METHODS: [&str; 24] = [
    "eth_getBalance",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getLogs",
    "eth_call",
    "eth_estimateGas",
    "eth_getProof",
    "eth_getStorageAt",
    "eth_feeHistory",
    "eth_newFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_sendRawTransaction",
    "eth_createAccessList",
    "eth_getTransactionByHash",
    "eth_getBlockReceipts",
    "eth_sendRawTransactionSync",
    "web3_sha3",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getCode",
    "eth_getTransactionCount",
    "eth_getRawTransactionByHash",
    "eth_uninstallFilter",
    "eth_nothing",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        prop_oneof![
            "latest",
            "pending",
            "earliest",
            "safe",
            "0xffffffffffffffff",
            "0x0",
            "\\PC{0,9}"
        ]
        .prop_map(Value::from),
        Just(json!("0x0101010101010101010101010101010101010101")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let name = prop_oneof![
            "fromBlock",
            "toBlock",
            "blockHash",
            "address",
            "topics",
            "from",
            "to",
            "gas",
            "value",
            "data",
            "input",
            "gasPrice",
            "maxFeePerGas",
            "accessList",
            "authorizationList",
            "type"
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(name, inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_get_an_answer(request in prop::collection::vec(any::<u8>(), 0..200)) {
        let answer = answer(&request);
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        prop_assert!(answer["error"]["code"].is_i64());
    }

    #[test]
    fn any_parameters_get_an_answer(
        method in prop::sample::select(METHODS.to_vec()),
        params in prop::collection::vec(value(), 0..5),
    ) {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let answer: Value = serde_json::from_slice(&answer(request.to_string().as_bytes())).unwrap();
        prop_assert_eq!(&answer["id"], 1);
        prop_assert!(answer.get("result").is_some() != answer["error"]["code"].is_i64());
    }
}
