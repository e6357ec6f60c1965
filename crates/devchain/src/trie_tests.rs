use std::collections::BTreeMap;

use alloy_primitives::{U256, b256};
use alloy_trie::proof::verify_proof;
use alloy_trie::root::storage_root_unhashed;
use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Memory(BTreeMap<Vec<u8>, Vec<u8>>);

impl NodeSource for Memory {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(key).cloned())
    }
}

impl Memory {
    fn update(&mut self, changes: Vec<Change>) -> B256 {
        let (root, writes) = update(self, None, changes).unwrap();
        for (key, node) in writes {
            match node {
                Some(node) => self.0.insert(key, node),
                None => self.0.remove(&key),
            };
        }
        root
    }
}

fn slot(index: u16) -> B256 {
    B256::from(U256::from(index))
}

fn change(index: u16, value: u64) -> Change {
    let value = (value != 0).then(|| alloy_rlp::encode(U256::from(value)));
    (hashed_path(slot(index)), value)
}

fn expected(model: &BTreeMap<u16, u64>) -> B256 {
    storage_root_unhashed(model.iter().map(|(index, value)| (slot(*index), U256::from(*value))))
}

/// Sorts, as `HashBuilder` requires, and builds from scratch over raw (unhashed) keys.
fn root_of_raw(model: &BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = alloy_trie::HashBuilder::default();
    for (key, value) in model {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    builder.root()
}

#[test]
fn an_empty_trie_has_the_empty_root() {
    let mut memory = Memory::default();
    assert_eq!(memory.update(vec![]), EMPTY_ROOT_HASH);
    memory.update(vec![change(1, 7)]);
    assert_eq!(memory.update(vec![change(1, 0)]), EMPTY_ROOT_HASH);
    assert!(memory.0.is_empty(), "no node is left behind");
}

#[test]
fn one_leaf_has_a_known_root() {
    // The storage root of {0: 1} that Ethereum's state tests know.
    let known = b256!("821e2556a290c86405f8160a2d662042a431ba456b9db265c79bb837c04be5f0");
    assert_eq!(Memory::default().update(vec![change(0, 1)]), known);
}

/// Keys that share long prefixes reach embedded nodes and deep extensions, which hashed keys do
/// only after billions of entries.
fn crowded_key() -> impl Strategy<Value = B256> {
    (0..4u8, 0..3u8, prop::collection::vec(0..3u8, 3)).prop_map(|(start, middle, end)| {
        let mut key = [0; 32];
        key[0] = start << 4;
        key[15] = middle;
        key[29..].copy_from_slice(&end);
        B256::from(key)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_equal_those_built_from_scratch(
        batches in prop::collection::vec(
            prop::collection::btree_map(0..400u16, 0..4u64, 0..60), 1..12),
    ) {
        let mut memory = Memory::default();
        let mut model = BTreeMap::new();
        for batch in batches {
            for (index, value) in &batch {
                if *value == 0 { model.remove(index); } else { model.insert(*index, *value); }
            }
            let root = memory.update(batch.into_iter().map(|(i, v)| change(i, v)).collect());
            prop_assert_eq!(root, expected(&model));
        }
        for index in 0..40 {
            let key = hashed_path(slot(index));
            let proof = proof(&memory, None, &key).unwrap();
            let proof: Vec<_> = proof.into_iter().map(alloy_primitives::Bytes::from).collect();
            let value = model.get(&index).map(|value| alloy_rlp::encode(U256::from(*value)));
            verify_proof(expected(&model), key, value, &proof).unwrap();
        }
    }

    #[test]
    fn crowded_keys_too(
        batches in prop::collection::vec(
            prop::collection::btree_map(crowded_key(), 0..5usize, 0..12), 1..14),
    ) {
        let mut memory = Memory::default();
        let mut model = BTreeMap::new();
        for batch in batches {
            let changes = batch.iter().map(|(key, length)| {
                let value = (*length > 0).then(|| vec![7; *length]);
                (Nibbles::unpack(key), value)
            });
            let root = memory.update(changes.collect());
            for (key, length) in &batch {
                if *length == 0 { model.remove(key); } else { model.insert(*key, vec![7; *length]); }
            }
            prop_assert_eq!(root, root_of_raw(&model));
            for key in batch.keys() {
                let path = Nibbles::unpack(key);
                let proof = proof(&memory, None, &path).unwrap();
                let proof: Vec<_> = proof.into_iter().map(alloy_primitives::Bytes::from).collect();
                verify_proof(root, path, model.get(key).cloned(), &proof).unwrap();
            }
        }
    }
}
