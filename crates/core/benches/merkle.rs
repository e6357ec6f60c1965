//! A Merkle tree of ten million leaves, beside the hashing that no tree can do without and another
//! library's tree. Writes `bench/merkle/RESULTS.md`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a measurement that cannot go on stops, and its figures are rounded"
)]

use std::{
    fmt::Write as _,
    fs,
    time::{Duration, Instant},
};

use alloy_primitives::{B256, keccak256};
use probity_core::{
    merkle::{StandardTree, StreamedRoot, verify},
    records::DatasetItem,
};
use rs_merkle::{Hasher, MerkleTree};

const LEAVES: u64 = 10_000_000;
const PROOFS: usize = 10_000;

/// OpenZeppelin's rule for pairs, for the other library.
#[derive(Clone)]
struct SortedPairs;

impl Hasher for SortedPairs {
    type Hash = [u8; 32];

    fn hash(data: &[u8]) -> [u8; 32] {
        keccak256(data).0
    }

    fn concat_and_hash(left: &[u8; 32], right: Option<&[u8; 32]>) -> [u8; 32] {
        let Some(right) = right else { return *left };
        let (low, high) = if left < right { (left, right) } else { (right, left) };
        let mut pair = [0; 64];
        pair[..32].copy_from_slice(low);
        pair[32..].copy_from_slice(high);
        keccak256(pair).0
    }
}

fn main() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let mut page = format!(
        "# Merkle trees\n\nWritten by `cargo bench -p probity-core` on {}, one thread, {}.\n\n\
         Load average when it began, of everything else on the machine: {load}. Processor time is what \
         other programs change less.\n\n{LEAVES} leaves of dataset items (index, content, weight).\n\n\
         | | s | processor s | M hashes per processor s |\n|---|--:|--:|--:|\n",
        processor(),
        if cfg!(debug_assertions) {
            "in the dev profile (level 2, with checks)"
        } else {
            "release"
        },
    );
    let mut row = |what: &str, hashes: u64, (wall, spent): (Duration, Duration)| {
        let rate = hashes as f64 / spent.as_secs_f64().max(0.01) / 1e6;
        let rate = if hashes > 0 { format!("{rate:.2}") } else { "–".to_owned() };
        let (wall, spent) = (wall.as_secs_f64(), spent.as_secs_f64());
        writeln!(page, "| {what} | {wall:.2} | {spent:.2} | {rate} |").unwrap();
    };
    let item = |index| DatasetItem {
        index,
        content: B256::from(alloy_primitives::U256::from(index)),
        weight: 1,
    };
    let (mut leaves, took) = timed(|| (0..LEAVES).map(|n| item(n).leaf()).collect::<Vec<B256>>());
    row("leaves, hashed twice", 2 * LEAVES, took);
    // What every tree of pairs costs at least: a hash of 64 bytes for each inner node.
    let (_, limit) = timed(|| {
        let mut block = [7; 64];
        for _ in 1..LEAVES {
            let hash = keccak256(block);
            block[..32].copy_from_slice(hash.as_slice());
        }
        block
    });
    row("inner nodes' hashing alone (Keccak-256 of 64 bytes)", LEAVES - 1, limit);
    let (tree, ours) = timed(|| StandardTree::new(leaves.clone()).unwrap());
    row("`StandardTree`: sorted, built, all nodes kept", LEAVES - 1, ours);
    let ((), proved) = timed(|| {
        for leaf in leaves.iter().step_by(leaves.len() / PROOFS) {
            assert!(verify(&tree.proof(leaf).unwrap(), &tree.root(), leaf));
        }
    });
    let root = tree.root();
    drop(tree);
    let ((), sorted) = timed(|| leaves.sort_unstable());
    row("sorting alone", 0, sorted);
    let (streamed, took) = timed(|| {
        let mut root = StreamedRoot::new(LEAVES).unwrap();
        for leaf in &leaves {
            root.push(*leaf).unwrap();
        }
        root.finish().unwrap()
    });
    assert_eq!(streamed, root);
    row("`StreamedRoot`: of sorted leaves, O(log n) nodes kept", LEAVES - 1, took);
    let leaves: Vec<[u8; 32]> = leaves.into_iter().map(|leaf| leaf.0).collect();
    let (other, theirs) = timed(|| MerkleTree::<SortedPairs>::from_leaves(&leaves));
    assert!(other.root().is_some());
    row("`rs_merkle`, of sorted leaves (another layout), all nodes kept", LEAVES - 1, theirs);
    let built = ours.1.saturating_sub(sorted.1).as_secs_f64();
    writeln!(
        page,
        "\nBuilding without sorting takes {:.2} times the hashing alone, and {:.2} times as long as \
         `rs_merkle` (processor time). {PROOFS} proofs made and verified: {:.2} s of processor time. \
         Peak memory: {} MiB, the leaves' copies for the comparison included.",
        built / limit.1.as_secs_f64(),
        built / theirs.1.as_secs_f64(),
        proved.1.as_secs_f64(),
        peak(),
    )
    .unwrap();
    fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/../../bench/merkle/RESULTS.md"), page).unwrap();
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, (Duration, Duration)) {
    let (start, before) = (Instant::now(), processor_time());
    let done = work();
    (done, (start.elapsed(), processor_time().saturating_sub(before)))
}

/// User and system time of this process so far.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name"));
    name.map_or("unknown", |name| name.trim_start_matches(['\t', ' ', ':'])).to_owned()
}

/// Peak resident memory so far, in MiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}
