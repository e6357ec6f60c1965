//! Walking a Merkle-Patricia proof (Yellow paper appendix D), total on any bytes.
//!
//! Of our own, because the library we build proofs with stops the program on nodes whose paths add up
//! to more than a key.

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::Header;

/// Hash of the empty trie: of the RLP of the empty string.
pub(crate) const EMPTY_ROOT: B256 = alloy_trie::EMPTY_ROOT_HASH;

/// A child of a node: nothing, a hash, or a node short enough to stand there itself.
enum Child<'a> {
    Nothing,
    Hash(B256),
    Node(&'a [u8]),
}

/// Where a node leads.
enum Step<'a> {
    /// The key has this value, or none.
    End(Option<&'a [u8]>),
    /// Further down, with so many nibbles of the key used up.
    Down(Child<'a>, usize),
}

/// What a proof shows of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// It has this value.
    Value(Vec<u8>),
    /// It is not in the trie.
    Absent,
}

/// What `proof` shows of `key` in the trie of `root`; `None` where the proof is wrong. All nodes must
/// be used.
pub(crate) fn prove(root: B256, key: B256, proof: &[Bytes]) -> Option<Shown> {
    if proof.is_empty() {
        return (root == EMPTY_ROOT).then_some(Shown::Absent);
    }
    let nibbles: Vec<u8> = key.iter().flat_map(|byte| [byte >> 4, byte & 15]).collect();
    let (mut rest, mut nodes) = (nibbles.as_slice(), proof.iter().peekable());
    let mut child = Child::Hash(root);
    loop {
        let node: &[u8] = match child {
            Child::Nothing => return nodes.next().is_none().then_some(Shown::Absent),
            Child::Hash(hash) => nodes.next().filter(|node| keccak256(node) == hash)?,
            Child::Node(node) => {
                // Some provers repeat a node that stands in its parent.
                nodes.next_if(|next| next.as_ref() == node);
                node
            }
        };
        match step(node, rest)? {
            Step::End(value) => {
                let shown = value.map_or(Shown::Absent, |value| Shown::Value(value.to_vec()));
                return nodes.next().is_none().then_some(shown);
            }
            Step::Down(next, used) => {
                // Each node uses up a nibble at least, so that the walk ends.
                rest = rest.get(used..).filter(|_| used > 0)?;
                child = next;
            }
        }
    }
}

fn step<'a>(node: &'a [u8], rest: &[u8]) -> Option<Step<'a>> {
    let items = items(node)?;
    match items.as_slice() {
        [path, value] => two(path.string()?, *value, rest),
        branch if branch.len() == 17 => {
            // Keys are of one length, so that none ends at a branch.
            let nibble = rest.first()?;
            Some(Step::Down(child(*branch.get(usize::from(*nibble))?)?, 1))
        }
        _ => None,
    }
}

/// A leaf or an extension, by its hex-prefix path (appendix C).
fn two<'a>(path: &[u8], value: Item<'a>, rest: &[u8]) -> Option<Step<'a>> {
    let first = path.first()?;
    let (is_leaf, is_odd) = match first >> 4 {
        0 => (false, false),
        1 => (false, true),
        2 => (true, false),
        3 => (true, true),
        _ => return None,
    };
    let tail = path.get(1..)?.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let path: Vec<u8> = is_odd.then_some(first & 15).into_iter().chain(tail).collect();
    if path.len() > 64 {
        return None;
    }
    if is_leaf {
        let value = value.string()?;
        return Some(Step::End((path == rest).then_some(value)));
    }
    if rest.starts_with(&path) {
        Some(Step::Down(child(value)?, path.len()))
    } else {
        Some(Step::End(None))
    }
}

fn child(item: Item<'_>) -> Option<Child<'_>> {
    match item {
        Item::String([]) => Some(Child::Nothing),
        Item::String(hash) => B256::try_from(hash).ok().map(Child::Hash),
        // A node of 32 bytes or more stands behind its hash.
        Item::List(node) => (node.len() < 32).then_some(Child::Node(node)),
    }
}

/// One RLP item: a string's bytes, or a list with its header.
#[derive(Clone, Copy)]
enum Item<'a> {
    String(&'a [u8]),
    List(&'a [u8]),
}

impl<'a> Item<'a> {
    fn string(self) -> Option<&'a [u8]> {
        match self {
            Self::String(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }
}

/// The items of a list; `None` for anything else, or with bytes to spare.
fn items(node: &[u8]) -> Option<Vec<Item<'_>>> {
    let mut rest = node;
    let header = Header::decode(&mut rest).ok().filter(|header| header.list)?;
    if header.payload_length != rest.len() {
        return None;
    }
    let mut items = Vec::with_capacity(17);
    while !rest.is_empty() && items.len() < 18 {
        let whole = rest;
        let header = Header::decode(&mut rest).ok()?;
        let payload = rest.get(..header.payload_length)?;
        rest = rest.get(header.payload_length..)?;
        items.push(if header.list {
            Item::List(whole.get(..whole.len() - rest.len())?)
        } else {
            Item::String(payload)
        });
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use alloy_trie::{HashBuilder, Nibbles, proof::ProofRetainer};
    use proptest::prelude::*;

    use super::*;

    /// A trie of these keys and the proof of one key, by the library.
    fn trie(keys: &[B256], of: B256) -> (B256, Vec<Bytes>) {
        let retainer = ProofRetainer::new(vec![Nibbles::unpack(of)]);
        let mut builder = HashBuilder::default().with_proof_retainer(retainer);
        for key in keys {
            builder.add_leaf(Nibbles::unpack(key), &value(*key));
        }
        let root = builder.root();
        let nodes = builder.take_proof_nodes().into_nodes_sorted();
        (root, nodes.into_iter().map(|(_, node)| node).collect())
    }

    /// Short ones too, so that leaves stand in their parents.
    fn value(key: B256) -> Vec<u8> {
        alloy_rlp::encode(&key[..usize::from(key[31] % 32)])
    }

    /// Keys that share long prefixes.
    fn keys() -> impl Strategy<Value = std::collections::BTreeSet<B256>> {
        let key = (prop::collection::vec(0..3_u8, 3), any::<u8>(), 0..32_usize).prop_map(
            |(head, last, at)| {
                let mut key = [0; 32];
                key[..3].copy_from_slice(&head);
                key[at] = last;
                key[31] = last;
                B256::new(key)
            },
        );
        prop::collection::btree_set(key, 1..40)
    }

    proptest! {
        #[test]
        fn it_says_what_the_library_built(keys in keys(), other in keys()) {
            let sorted: Vec<B256> = keys.iter().copied().collect();
            for key in keys.iter().chain(&other) {
                let (root, proof) = trie(&sorted, *key);
                let is_there = keys.contains(key);
                let expected = if is_there { Shown::Value(value(*key)) } else { Shown::Absent };
                prop_assert_eq!(prove(root, *key, &proof), Some(expected));
            }
        }

        #[test]
        fn a_changed_proof_proves_nothing_else(
            keys in keys(),
            which in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let sorted: Vec<B256> = keys.iter().copied().collect();
            let key = sorted[which.index(sorted.len())];
            let (root, mut proof) = trie(&sorted, key);
            let node = which.index(proof.len());
            let mut bytes = proof[node].to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            proof[node] = bytes.into();
            prop_assert_eq!(prove(root, key, &proof), None);
        }

        #[test]
        fn a_shortened_proof_proves_nothing(keys in keys(), which in any::<prop::sample::Index>()) {
            let sorted: Vec<B256> = keys.iter().copied().collect();
            let key = sorted[which.index(sorted.len())];
            let (root, mut proof) = trie(&sorted, key);
            // A node that stands in its parent too is not missed.
            if proof.pop().is_some_and(|node| node.len() >= 32) && !proof.is_empty() {
                prop_assert_eq!(prove(root, key, &proof), None);
            }
        }

        #[test]
        fn any_nodes_are_walked_without_panic(nodes in prop::collection::vec(node(), 1..5)) {
            let mut nodes = nodes;
            // Each node behind its hash, from the last to the first.
            for at in (1..nodes.len()).rev() {
                let hash = keccak256(&nodes[at]);
                if let Some(place) = nodes[at - 1].windows(32).position(|part| part == [7; 32]) {
                    nodes[at - 1][place..place + 32].copy_from_slice(hash.as_slice());
                }
            }
            let proof: Vec<Bytes> = nodes.into_iter().map(Bytes::from).collect();
            let root = keccak256(&proof[0]);
            for key in [B256::ZERO, B256::repeat_byte(0x11)] {
                drop(prove(root, key, &proof));
            }
        }
    }

    /// Extensions with paths of any length to a hash, and noise.
    fn node() -> impl Strategy<Value = Vec<u8>> {
        let extension = (0..80_usize, any::<bool>()).prop_map(|(length, leaf)| {
            let mut path = vec![if leaf { 0x20 } else { 0 }];
            path.resize(length + 1, 0);
            let items: Vec<Bytes> = vec![path.into(), vec![7; 32].into()];
            alloy_rlp::encode(&items)
        });
        prop_oneof![4 => extension, 1 => prop::collection::vec(any::<u8>(), 0..60)]
    }
}
