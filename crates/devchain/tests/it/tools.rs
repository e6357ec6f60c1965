//! `cast` and viem, from npm, against the HTTP endpoint.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use alloy_primitives::{B256, hex};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::common::{World, ether, key, token_code};

struct Endpoint {
    url: String,
    server: JoinHandle<()>,
}

impl Endpoint {
    async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let chain = world.chain.clone();
        let server = tokio::spawn(async move { chain.serve(listener).await.unwrap() });
        Self { url, server }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn contracts() -> PathBuf {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"));
    assert!(
        folder.join("node_modules").is_dir(),
        "npm packages are missing\nhint: run `npm ci` in contracts/ (./test does)"
    );
    folder
}

fn private_key() -> String {
    hex::encode_prefixed(key(0).to_bytes())
}

async fn run(mut command: Command) -> String {
    let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let (out, err) =
        (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
    assert!(done.status.success(), "{out}{err}");
    out.trim().to_owned()
}

struct Cast(String);

impl Cast {
    async fn run(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(contracts().join("node_modules/.bin/cast"));
        // Through the environment: what follows `--create CODE` is not read as options.
        command.args(arguments).env("ETH_RPC_URL", &self.0);
        run(command).await
    }

    async fn send(&self, arguments: &[&str]) -> Value {
        let key = private_key();
        let all = [&["send", "--json", "--private-key", &key], arguments].concat();
        let receipt: Value = serde_json::from_str(&self.run(&all).await).unwrap();
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cast_works_unchanged() {
    let world = World::new();
    let endpoint = Endpoint::start(&world).await;
    let cast = Cast(endpoint.url.clone());
    assert_eq!(cast.run(&["chain-id"]).await, world.chain.chain_id().to_string());
    assert!(cast.run(&["client"]).await.starts_with("probity-devchain/"));
    let me = key(0).address().to_string();
    let friend = "0x4242424242424242424242424242424242424242";
    assert_eq!(cast.run(&["balance", &me]).await, ether(1_000).to_string());

    cast.send(&[friend, "--value", "1ether"]).await;
    assert_eq!(cast.run(&["balance", friend]).await, ether(1).to_string());
    assert_eq!(cast.run(&["nonce", &me]).await, "1");
    let code = hex::encode_prefixed(token_code());
    let receipt = cast.send(&["--create", &code]).await;
    let token = receipt["contractAddress"].as_str().unwrap();
    assert!(cast.run(&["code", token]).await.len() > 1_000);

    let receipt = cast.send(&[token, "mint(address,uint256)", friend, "77"]).await;
    let balance = ["call", token, "balanceOf(address)(uint256)", friend];
    assert_eq!(cast.run(&balance).await, "77");
    let legacy = [token, "mint(address,uint256)", friend, "3", "--legacy"];
    assert_eq!(cast.send(&legacy).await["type"], "0x0");
    let gas = cast.run(&["estimate", token, "mint(address,uint256)", friend, "1"]).await;
    assert!(gas.parse::<u64>().unwrap() > 21_000);

    let hash = receipt["transactionHash"].as_str().unwrap();
    assert_eq!(cast.run(&["receipt", hash, "blockNumber"]).await, "3");
    assert_eq!(cast.run(&["tx", hash, "nonce"]).await, "2");
    assert_eq!(cast.run(&["block-number"]).await, "4");
    let stored = cast.run(&["block", "latest", "--json"]).await;
    let block: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(cast.run(&["block", "4", "-f", "hash"]).await, block["hash"].as_str().unwrap());
    let supply: B256 = cast.run(&["storage", token, "2"]).await.parse().unwrap();
    assert_eq!(supply, B256::with_last_byte(80));

    let event = "Transfer(address indexed,address indexed,uint256)";
    let logs = ["logs", "--json", "--from-block", "0", "--address", token, event, "", friend];
    let logs: Value = serde_json::from_str(&cast.run(&logs).await).unwrap();
    assert_eq!(logs.as_array().unwrap().len(), 2);
    let proof: Value = serde_json::from_str(&cast.run(&["proof", token, "2"]).await).unwrap();
    assert_eq!(proof["storageProof"][0]["value"], "0x50");
    cast.run(&["access-list", token, "totalSupply()"]).await;
    assert!(cast.run(&["gas-price"]).await.parse::<u64>().unwrap() > 1_000_000_000);
    cast.run(&["rpc", "eth_feeHistory", "0x3", "latest", "[50]"]).await;
    world.chain.verify(|_, _| ()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn viem_works_unchanged() {
    let world = World::new();
    let endpoint = Endpoint::start(&world).await;
    // Evaluated rather than run as a file, so that imports resolve in contracts/.
    let mut command = Command::new("node");
    command
        .args(["--input-type=module", "--eval", include_str!("viem.mjs")])
        .current_dir(contracts())
        .env("RPC_URL", &endpoint.url)
        .env("CHAIN_ID", world.chain.chain_id().to_string())
        .env("PRIVATE_KEY", private_key())
        .stdin(Stdio::null());
    assert_eq!(run(command).await, "done");
    world.chain.verify(|_, _| ()).unwrap();
}
