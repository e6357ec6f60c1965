//! RFC 6962: the tree and its proofs.

use std::path::Path;

use probity_core::{
    Digest,
    log::{
        Checkpoint, ConsistencyProof, InclusionProof, MemoryTree, ProofError, ProveError, Tree,
        empty_root, leaf_hash, root_at,
    },
};
use proptest::prelude::*;
use serde::{Deserialize, de::DeserializeOwned};

/// The vectors of a protocol.
pub(crate) fn vectors<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    alloy_primitives::hex::decode(text).unwrap()
}

#[derive(Deserialize)]
pub(crate) struct Cases<T> {
    pub(crate) cases: Vec<T>,
}

#[derive(Deserialize)]
struct Inclusion {
    name: String,
    leaf: Digest,
    root: Digest,
    proof: InclusionProof,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Consistency {
    name: String,
    old_root: Digest,
    new_root: Digest,
    proof: ConsistencyProof,
    code: Option<String>,
}

#[derive(Deserialize)]
struct Published {
    leaves: Vec<String>,
    roots: Vec<Digest>,
}

fn published() -> (MemoryTree, Published) {
    let published: Published = vectors("log/v1/tree.json");
    (published.leaves.iter().map(|leaf| leaf_hash(&unhex(leaf))).collect(), published)
}

fn hashes(size: u64) -> Vec<Digest> {
    (0..size).map(|index| leaf_hash(&index.to_be_bytes())).collect()
}

#[test]
fn the_published_roots() {
    let (tree, Published { leaves, roots }) = published();
    let mut growing = Tree::default();
    assert_eq!(growing.root(), empty_root());
    for (size, root) in (0_u64..).zip(&roots) {
        assert_eq!(growing.root(), *root, "size {size}");
        assert_eq!(root_at(&tree, size).unwrap(), *root, "size {size}");
        if let Some(leaf) = leaves.get(usize::try_from(size).unwrap()) {
            growing.push(leaf_hash(&unhex(leaf))).unwrap();
        }
    }
    assert_eq!(tree.root(), roots[8]);
}

#[test]
fn the_published_inclusion_proofs() {
    let (tree, _) = published();
    let Cases::<Inclusion> { cases } = vectors("log/v1/inclusion.json");
    assert_eq!(cases.len(), 36);
    for Inclusion { name, leaf, root, proof, .. } in cases {
        let made = InclusionProof::prove(&tree, proof.index, proof.size).unwrap();
        assert_eq!(made, proof, "{name}");
        assert_eq!(proof.verify(&leaf, &root), Ok(()), "{name}");
    }
    let Cases::<Inclusion> { cases } = vectors("log/v1/bad_inclusion.json");
    for Inclusion { name, leaf, root, proof, code } in cases {
        let found = proof.verify(&leaf, &root).map_err(|error| error.code());
        assert_eq!(found.err(), code.as_deref(), "{name}");
    }
}

#[test]
fn the_published_consistency_proofs() {
    let (tree, _) = published();
    let Cases::<Consistency> { cases } = vectors("log/v1/consistency.json");
    assert_eq!(cases.len(), 45);
    for Consistency { name, old_root, new_root, proof, .. } in cases {
        let made = ConsistencyProof::prove(&tree, proof.old_size, proof.new_size).unwrap();
        assert_eq!(made, proof, "{name}");
        assert_eq!(proof.verify(&old_root, &new_root), Ok(()), "{name}");
    }
    let Cases::<Consistency> { cases } = vectors("log/v1/bad_consistency.json");
    for Consistency { name, old_root, new_root, proof, code } in cases {
        let found = proof.verify(&old_root, &new_root).map_err(|error| error.code());
        assert_eq!(found.err(), code.as_deref(), "{name}");
    }
}

fn checkpoint(tree: &MemoryTree, size: u64) -> Checkpoint {
    Checkpoint::new("log.example", size, root_at(tree, size).unwrap()).unwrap()
}

/// Every change of one thing in a path.
fn tampered(path: &[Digest]) -> Vec<Vec<Digest>> {
    let mut all = Vec::new();
    let other = Digest::of(b"not in any tree");
    for at in 0..=path.len() {
        let mut inserted = path.to_vec();
        inserted.insert(at, other);
        all.push(inserted);
        if at == path.len() {
            break;
        }
        let mut changed = path.to_vec();
        changed[at] = other;
        all.push(changed);
        let mut dropped = path.to_vec();
        dropped.remove(at);
        all.push(dropped);
        let mut twice = path.to_vec();
        twice.insert(at, path[at]);
        all.push(twice);
        for with in at + 1..path.len() {
            let mut swapped = path.to_vec();
            swapped.swap(at, with);
            all.push(swapped);
        }
    }
    all
}

#[test]
fn every_inclusion_proof_holds_and_no_changed_one_does() {
    let leaves = hashes(40);
    let tree: MemoryTree = leaves.iter().copied().collect();
    for size in 1..=40 {
        let at = checkpoint(&tree, size);
        for index in 0..size {
            let leaf = leaves[usize::try_from(index).unwrap()];
            let proof = InclusionProof::prove(&tree, index, size).unwrap();
            assert_eq!(at.verify_inclusion(&leaf, &proof), Ok(()));
            for path in tampered(&proof.path) {
                let bad = InclusionProof { path, ..proof.clone() };
                assert!(at.verify_inclusion(&leaf, &bad).is_err(), "{index} of {size}: {bad:?}");
            }
            for other in (0..size + 2).filter(|other| *other != index) {
                let bad = InclusionProof { index: other, ..proof.clone() };
                assert!(at.verify_inclusion(&leaf, &bad).is_err(), "{index} as {other} of {size}");
            }
            for other in (0..=40).filter(|other| *other != size) {
                let bad = InclusionProof { size: other, ..proof.clone() };
                let error = at.verify_inclusion(&leaf, &bad).unwrap_err();
                assert_eq!(error, ProofError::Size { expected: size, got: other });
                // Even where the path would fit, another tree has another root.
                assert!(checkpoint(&tree, other).verify_inclusion(&leaf, &bad).is_err());
            }
        }
        let error = InclusionProof::prove(&tree, size, size).unwrap_err();
        assert_eq!(error, ProveError::Index { index: size, size });
    }
}

#[test]
fn every_consistency_proof_holds_and_no_changed_one_does() {
    let tree: MemoryTree = hashes(36).into_iter().collect();
    for new in 0..=36 {
        for old in 0..=new {
            let (before, after) = (checkpoint(&tree, old), checkpoint(&tree, new));
            let proof = ConsistencyProof::prove(&tree, old, new).unwrap();
            assert_eq!(before.verify_growth(&after, &proof), Ok(()), "{old} to {new}");
            for path in tampered(&proof.path) {
                let bad = ConsistencyProof { path, ..proof.clone() };
                assert!(before.verify_growth(&after, &bad).is_err(), "{old} to {new}: {bad:?}");
            }
            let other = Checkpoint::new("log.example", new, Digest::of(b"x")).unwrap();
            // Every tree grows from the empty one.
            assert_eq!(before.verify_growth(&other, &proof).is_ok(), old == 0 && new > 0);
            if old > 0 {
                let other = Checkpoint::new("log.example", old, Digest::of(b"x")).unwrap();
                assert!(other.verify_growth(&after, &proof).is_err());
            }
            if old < new {
                assert!(after.verify_growth(&before, &proof).is_err());
                let backwards = ConsistencyProof { old_size: new, new_size: old, ..proof };
                assert!(after.verify_growth(&before, &backwards).is_err());
            }
        }
    }
    assert!(ConsistencyProof::prove(&tree, 3, 2).is_err());
    assert!(ConsistencyProof::prove(&tree, 3, 37).is_err());
}

proptest! {
    #[test]
    fn verifiers_are_total(
        numbers in any::<[u64; 4]>(),
        small in 0_u64..70,
        path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        root in any::<[u8; 32]>(),
    ) {
        let path: Vec<_> = path.into_iter().map(Digest::from_bytes).collect();
        let root = Digest::from_bytes(root);
        for (first, second) in [
            (numbers[0], numbers[1]),
            (small, numbers[2]),
            (numbers[3], u64::MAX),
            (u64::MAX - 1, u64::MAX),
            (small, small + 1),
        ] {
            let proof = InclusionProof { index: first, size: second, path: path.clone() };
            prop_assert!(proof.verify(&root, &root).is_err() || (second == 1 && path.is_empty()));
            let proof = ConsistencyProof { old_size: first, new_size: second, path: path.clone() };
            prop_assert!(proof.verify(&root, &root).is_err() || first == second);
        }
    }

    #[test]
    fn random_json_is_no_proof_or_a_false_one(text in ".{0,200}", bytes in any::<Vec<u8>>()) {
        prop_assert!(serde_json::from_str::<InclusionProof>(&text).is_err());
        prop_assert!(serde_json::from_slice::<ConsistencyProof>(&bytes).is_err());
    }
}
