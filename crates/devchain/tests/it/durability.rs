//! Killed at any point, the chain keeps what it acknowledged and shows nothing half-written.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy::consensus::TxEip1559;
use alloy_primitives::{B256, TxKind, U256};
use probity_core::SystemClock;
use probity_devchain::{DevChain, Error, Options};
use serde_json::{Value, json};

use crate::common::{World, creation_code, genesis, key, number, rpc, sign};

const FOLDER: &str = "DEVCHAIN_TEST_FOLDER";
const CHECKPOINT_GAS: &str = "DEVCHAIN_TEST_CHECKPOINT_GAS";
/// In each of two tests, which run side by side.
const KILLS: u32 = 100;
const SENDERS: u64 = 4;

/// Not a test of its own: the process that the tests below start and kill. It puts load on the
/// chain and writes each acknowledged hash to its standard output.
#[test]
fn child() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let checkpoint_gas = std::env::var(CHECKPOINT_GAS).unwrap().parse().unwrap();
    let options = Options { checkpoint_gas, ..Options::default() };
    let chain = DevChain::open_with(Path::new(&folder), Arc::new(SystemClock), options).unwrap();
    say("open");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        futures::future::join_all((0..SENDERS).map(|sender| load(&chain, sender))).await;
    });
}

fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    stdout.flush().unwrap();
}

/// Sends without end: single transactions and groups, with state, logs and gaps in the nonces.
async fn load(chain: &DevChain, sender: u64) {
    let address = key(sender).address();
    let count = rpc(chain, "eth_getTransactionCount", json!([address, "latest"])).await.unwrap();
    let mut nonce = number(&count);
    loop {
        let size = 1 + nonce % 4;
        let mut group: Vec<_> =
            (nonce..nonce + size).map(|n| transaction(chain, sender, n)).collect();
        if nonce.is_multiple_of(3) {
            group.reverse();
        }
        let calls: Vec<Value> = group
            .iter()
            .map(|raw| json!({"id": 1, "method": "eth_sendRawTransaction", "params": [raw]}))
            .collect();
        let answers = chain.handle_bytes(json!(calls).to_string().as_bytes()).await;
        let answers: Vec<Value> = serde_json::from_slice(&answers).unwrap();
        for answer in answers {
            match answer["result"].as_str() {
                Some(hash) => say(&format!("ack {hash}")),
                // Queued before the last kill.
                None => assert_eq!(answer["error"]["message"], "already known", "{answer}"),
            }
        }
        nonce += size;
    }
}

/// Creates a contract that has a storage slot and logs, so that every table is written to.
fn transaction(chain: &DevChain, sender: u64, nonce: u64) -> alloy_primitives::Bytes {
    // sstore(number, timestamp); log1(0, 0, number)
    let mut code = vec![0x42, 0x43, 0x55, 0x43, 0x5f, 0x5f, 0xa1];
    code.extend(creation_code(&nonce.to_be_bytes()));
    // The jumpless prefix shifts the copied part.
    code[7 + 4] += 7;
    let transaction = TxEip1559 {
        chain_id: chain.chain_id(),
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Create,
        value: U256::ZERO,
        access_list: <_>::default(),
        input: code.into(),
    };
    sign(transaction, &key(sender))
}

fn start_child(folder: &Path, checkpoint_gas: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["durability::child", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(CHECKPOINT_GAS, checkpoint_gas.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Numbers that look random and are the same in every run (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Runs a child until it has acknowledged so many transactions and some more time has passed,
/// kills it, and returns everything it had acknowledged.
fn run_and_kill(folder: &Path, checkpoint_gas: u64, random: &mut Random) -> Vec<B256> {
    let mut child = start_child(folder, checkpoint_gas);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let wanted = random.below(30);
    let delay = Duration::from_micros(random.below(6_000));
    let mut acknowledged = Vec::new();
    let take = |line: String, all: &mut Vec<B256>| {
        // A line cut off by the kill was not fully said.
        if let Some(hash) = line.strip_prefix("ack ").and_then(|hash| hash.parse().ok()) {
            all.push(hash);
        }
    };
    // One in eight dies while it is still opening.
    if !wanted.is_multiple_of(8) {
        for line in lines.by_ref() {
            take(line.unwrap(), &mut acknowledged);
            if acknowledged.len() as u64 >= wanted {
                break;
            }
        }
    }
    let start = Instant::now();
    while start.elapsed() < delay {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines.map_while(Result::ok) {
        take(line, &mut acknowledged);
    }
    acknowledged
}

#[test]
fn killed_a_hundred_times_it_keeps_every_acknowledged_transaction() {
    kill_again_and_again(1, Options::default().checkpoint_gas);
}

/// There is nearly always a checkpoint going on that the kill cuts short.
#[test]
fn killed_a_hundred_times_at_checkpoints_it_keeps_every_acknowledged_transaction() {
    kill_again_and_again(2, 500_000);
}

fn kill_again_and_again(seed: u64, checkpoint_gas: u64) {
    let world = World::with(&probity_devchain::Genesis { timestamp: 1_700_000_000, ..genesis() });
    let World { chain, dir, .. } = world;
    drop(chain);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut random = Random(seed);
    let (mut all, mut head) = (Vec::new(), 0);
    for _ in 0..KILLS {
        let fresh = run_and_kill(dir.path(), checkpoint_gas, &mut random);
        let chain = DevChain::open(dir.path(), Arc::new(SystemClock)).unwrap();
        head = runtime.block_on(check(&chain, &fresh, head));
        all.extend(fresh);
    }
    let chain = DevChain::open(dir.path(), Arc::new(SystemClock)).unwrap();
    runtime.block_on(check(&chain, &all, head));
    let report = chain.verify(|_, _| ()).unwrap();
    println!("{KILLS} kills, {} blocks, {} acknowledged", report.blocks, all.len());
    assert_eq!(report.blocks, head);
    assert!(report.transactions >= all.len() as u64 - SENDERS * 4);
    assert!(all.len() as u64 > u64::from(KILLS), "there was load: {}", all.len());
}

/// Every hash is in a block or in the queue; the newest block is whole. Returns its number.
async fn check(chain: &DevChain, acknowledged: &[B256], least: u64) -> u64 {
    for hash in acknowledged {
        let found = rpc(chain, "eth_getTransactionByHash", json!([hash])).await.unwrap();
        assert_eq!(found["hash"], json!(hash), "acknowledged and lost");
        let receipt = rpc(chain, "eth_getTransactionReceipt", json!([hash])).await.unwrap();
        assert_eq!(receipt.is_null(), found["blockHash"].is_null());
    }
    let block = rpc(chain, "eth_getBlockByNumber", json!(["latest", false])).await.unwrap();
    let receipts = rpc(chain, "eth_getBlockReceipts", json!(["latest"])).await.unwrap();
    let hashes: Vec<&Value> =
        receipts.as_array().unwrap().iter().map(|receipt| &receipt["transactionHash"]).collect();
    assert_eq!(hashes, block["transactions"].as_array().unwrap().iter().collect::<Vec<_>>());
    let head = number(&block["number"]);
    assert!(head >= least);
    head
}

#[test]
fn a_second_process_is_told_who_holds_the_folder() {
    let World { chain, dir, .. } =
        World::with(&probity_devchain::Genesis { timestamp: 1_700_000_000, ..genesis() });
    let same = DevChain::open(dir.path(), Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(same, Error::Locked { .. }), "{same}");
    drop(chain);
    let mut child = start_child(dir.path(), 1_000_000);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "open"));
    let error = DevChain::open(dir.path(), Arc::new(SystemClock)).unwrap_err().to_string();
    assert!(error.contains(&format!("(pid {})", child.id())), "{error}");
    child.kill().unwrap();
    child.wait().unwrap();
    DevChain::open(dir.path(), Arc::new(SystemClock)).unwrap();
}

#[test]
fn absent_present_and_damaged_folders_are_told_apart() {
    let world = World::new();
    let exists = DevChain::create(world.dir.path(), &genesis(), Arc::new(SystemClock));
    assert!(matches!(exists.unwrap_err(), Error::Locked { .. }));
    let World { chain, dir, .. } = world;
    drop(chain);
    let exists = DevChain::create(dir.path(), &genesis(), Arc::new(SystemClock));
    assert!(matches!(exists.unwrap_err(), Error::Exists(_)));
    let empty = tempfile::tempdir().unwrap();
    let absent = DevChain::open(empty.path(), Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(absent, Error::Absent(_)));
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is created");
    std::fs::write(empty.path().join("chain.redb"), b"not a database").unwrap();
    let half = DevChain::open(empty.path(), Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(half, Error::File { .. }) && half.to_string().contains("state"), "{half}");
    std::fs::write(empty.path().join("state.redb"), b"not one either").unwrap();
    let damaged = DevChain::open(empty.path(), Arc::new(SystemClock)).unwrap_err();
    assert!(matches!(damaged, Error::Database(_)), "{damaged}");
    let bad = probity_devchain::Genesis { extra_data: vec![0; 33].into(), ..genesis() };
    let refused = DevChain::create(&empty.path().join("new"), &bad, Arc::new(SystemClock));
    assert!(matches!(refused.unwrap_err(), Error::Genesis(_)));
    assert!(!empty.path().join("new").exists());
}

/// After a power failure the disk may hold the database of the last checkpoint and the journal of
/// the last acknowledgement.
#[tokio::test]
async fn a_power_failure_loses_nothing_acknowledged() {
    let world = World::new();
    let file = |name| world.dir.path().join(name);
    let (database, state, journal) =
        (file("chain.redb"), file("state.redb"), file("chain.journal"));
    let genesis_state = std::fs::read(&state).unwrap();
    world.send(&sign(world.transfer(0), &key(0))).await.unwrap();
    let world = world.reopen();
    let checkpoint = std::fs::read(&database).unwrap();
    let saved_state = std::fs::read(&state).unwrap();
    for nonce in [1, 2, 4] {
        world.send(&sign(world.transfer(nonce), &key(0))).await.unwrap();
    }
    let written = std::fs::read(&journal).unwrap();
    let head = world.ok("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(number(&head["number"]), 3);

    let restore = |world: World, state_bytes: &[u8], journal_bytes: &[u8]| {
        let World { chain, clock, dir } = world;
        drop(chain);
        std::fs::write(&database, &checkpoint).unwrap();
        std::fs::write(&state, state_bytes).unwrap();
        std::fs::write(&journal, journal_bytes).unwrap();
        let chain = DevChain::open(dir.path(), Arc::<crate::common::TestClock>::clone(&clock));
        (chain, clock, dir)
    };
    let (chain, clock, dir) = restore(world, &saved_state, &written);
    let world = World { chain: chain.unwrap(), clock, dir };
    assert_eq!(world.ok("eth_getBlockByNumber", json!(["latest", false])).await, head);
    world.chain.verify(|_, _| ()).unwrap();

    // The state is saved after the blocks: it may have been left behind.
    let (chain, clock, dir) = restore(world, &genesis_state, &written);
    let world = World { chain: chain.unwrap(), clock, dir };
    assert_eq!(world.ok("eth_getBlockByNumber", json!(["latest", false])).await, head);
    world.chain.verify(|_, _| ()).unwrap();
    world.send(&sign(world.transfer(3), &key(0))).await.unwrap();
    let count = world.ok("eth_getTransactionCount", json!([key(0).address(), "latest"])).await;
    assert_eq!(number(&count), 5, "the queued transaction was kept too");

    // An entry that was not written to its end counts as not written.
    let end = written.iter().rposition(|byte| *byte != 0).unwrap();
    let (chain, clock, dir) =
        restore(world, &saved_state, &[&written[..end], &vec![0; written.len() - end]].concat());
    let world = World { chain: chain.unwrap(), clock, dir };
    assert_eq!(world.ok("eth_getBlockByNumber", json!(["latest", false])).await, head);
    let queued = world.send(&sign(world.transfer(4), &key(0))).await;
    assert!(queued.is_ok(), "the last entry held the queued transaction: {queued:?}");

    // The journal of another chain is not taken for this one's.
    let other = World::with(&probity_devchain::Genesis { gas_limit: 50_000_000, ..genesis() });
    for nonce in 0..2 {
        other.send(&sign(other.transfer(nonce), &key(0))).await.unwrap();
    }
    let foreign = std::fs::read(other.dir.path().join("chain.journal")).unwrap();
    let (chain, ..) = restore(world, &saved_state, &foreign);
    let error = chain.unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error}");
    assert!(error.to_string().contains("journal"), "{error}");
}
