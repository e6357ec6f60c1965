//! Payout trees against OpenZeppelin's npm `merkle-tree`: it verifies our proofs, we verify its.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use alloy_primitives::{Address, B256, keccak256};
use probity_core::merkle::{StandardTree, verify};
use probity_provenance::payout::Entry;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Theirs {
    root: B256,
    proofs: Vec<Vec<B256>>,
}

fn entries(count: u64) -> Vec<Entry> {
    let entry = |index: u64| {
        let seed = keccak256(index.to_be_bytes());
        let mut amount = [0; 16];
        amount.copy_from_slice(&seed[..16]);
        // From one unit up to the largest amounts.
        let amount = (u128::from_be_bytes(amount) >> (index % 128)).clamp(1, u128::MAX - 1);
        Entry { account: Address::from_word(seed), cumulative: amount }
    };
    (0..count).map(entry).collect()
}

#[test]
fn openzeppelin_verifies_our_proofs_and_we_verify_its() {
    let all = [1, 2, 3, 7, 64, 1_000].map(entries);
    let ours = all.each_ref().map(|entries| {
        let tree = StandardTree::new(entries.iter().map(Entry::leaf).collect()).unwrap();
        let entry = |entry: &Entry| {
            json!({
                "account": entry.account,
                "amount": entry.cumulative.to_string(),
                "proof": tree.proof(&entry.leaf()).unwrap(),
            })
        };
        json!({"root": tree.root(), "entries": entries.iter().map(entry).collect::<Vec<_>>()})
    });
    let theirs: Vec<Theirs> = serde_json::from_slice(&node(&json!(ours).to_string())).unwrap();
    for ((entries, ours), theirs) in all.iter().zip(&ours).zip(&theirs) {
        assert_eq!(json!(theirs.root), ours["root"]);
        for (entry, proof) in entries.iter().zip(&theirs.proofs) {
            assert!(verify(proof, &theirs.root, &entry.leaf()));
            let more = Entry { cumulative: entry.cumulative + 1, ..*entry };
            assert!(!verify(proof, &theirs.root, &more.leaf()));
        }
    }
}

/// Runs the script beside this file; its imports resolve in `contracts/`.
fn node(input: &str) -> Vec<u8> {
    let mut child = Command::new("node")
        .args(["--input-type=module", "--eval", include_str!("merkle_tree.mjs")])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}
