//! OpenZeppelin's standard Merkle tree: what the contracts prove items and payouts against.
//!
//! A leaf is `keccak256(keccak256(abi.encode(values)))`; pairs are sorted before hashing, so a
//! proof needs no directions; leaves are sorted by hash. Compatible with npm's
//! `@openzeppelin/merkle-tree` `StandardMerkleTree` and Solidity's `MerkleProof`.
//!
//! ```
//! use alloy_primitives::{Address, U256};
//! use probity_core::merkle::{StandardTree, leaf, verify};
//!
//! let leaves = [1u64, 2, 3].map(|n| leaf(&(Address::with_last_byte(n as u8), U256::from(n))));
//! let tree = StandardTree::new(leaves.to_vec()).unwrap();
//! let proof = tree.proof(&leaves[1]).unwrap();
//! assert!(verify(&proof, &tree.root(), &leaves[1]));
//! ```

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use alloy_sol_types::SolValue;

/// Longest proof any verifier of ours looks at: trees of up to 2^64 leaves.
pub const MAX_PROOF_LENGTH: usize = 64;

/// The double-hashed leaf of ABI-encoded values of static types (a tuple of words).
pub fn leaf<V: SolValue>(values: &V) -> B256 {
    keccak256(keccak256(values.abi_encode()))
}

/// Hashes a pair of nodes in sorted order.
fn hash_pair(a: &B256, b: &B256) -> B256 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    let mut pair = [0; 64];
    let (left, right) = pair.split_at_mut(32);
    left.copy_from_slice(low.as_slice());
    right.copy_from_slice(high.as_slice());
    keccak256(pair)
}

/// Whether `proof` leads from `leaf` to `root`.
pub fn verify(proof: &[B256], root: &B256, leaf: &B256) -> bool {
    proof.len() <= MAX_PROOF_LENGTH
        && proof.iter().fold(*leaf, |node, sibling| hash_pair(&node, sibling)) == *root
}

/// A tree without leaves has no root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Merkle tree needs at least one leaf")]
pub struct EmptyTree;

/// A whole tree, kept to produce proofs.
#[derive(Debug, Clone)]
pub struct StandardTree {
    /// Heap order: node 0 is the root, children of `i` are `2i + 1` and `2i + 2`.
    nodes: Vec<B256>,
    leaves: usize,
}

impl StandardTree {
    /// Builds the tree over hashed leaves, in any order. Time O(n log n), memory 64 bytes a leaf.
    pub fn new(mut leaves: Vec<B256>) -> Result<Self, EmptyTree> {
        if leaves.is_empty() {
            return Err(EmptyTree);
        }
        leaves.sort_unstable();
        let count = leaves.len();
        let mut nodes = vec![B256::ZERO; count - 1];
        // The reference places sorted leaves from the end of the array backwards.
        nodes.extend(leaves.into_iter().rev());
        for i in (0..count - 1).rev() {
            nodes[i] = hash_pair(&nodes[2 * i + 1], &nodes[2 * i + 2]);
        }
        Ok(Self { nodes, leaves: count })
    }

    /// The root.
    pub fn root(&self) -> B256 {
        self.nodes[0]
    }

    /// Number of leaves.
    pub fn len(&self) -> usize {
        self.leaves
    }

    /// Never: a tree has at least one leaf.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The proof of a leaf, or `None` if it is not in the tree.
    pub fn proof(&self, leaf: &B256) -> Option<Vec<B256>> {
        let first = self.nodes.len() - self.leaves;
        let position = self.nodes[first..].binary_search_by(|node| leaf.cmp(node)).ok()?;
        let mut index = first + position;
        let mut proof = Vec::new();
        while index > 0 {
            let sibling = if index % 2 == 1 { index + 1 } else { index - 1 };
            proof.push(self.nodes[sibling]);
            index = (index - 1) / 2;
        }
        Some(proof)
    }
}

/// Why leaves that come one by one have no root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Leaves are pushed in ascending order.
    #[error("leaf {at} is `{got}`, less than the one before")]
    Order {
        /// Its position, from 0.
        at: u64,
        /// The leaf.
        got: B256,
    },
    /// The shape of the tree follows from the number of leaves that was announced.
    #[error("expected `{expected}` leaves, got `{got}`")]
    Count {
        /// Announced.
        expected: u64,
        /// Pushed.
        got: u64,
    },
}

/// The root of a [`StandardTree`] over leaves that come one by one in ascending order. It keeps
/// O(log n) nodes, so that the leaves may be more than memory holds.
///
/// In the reference's layout the lowest leaves stand in pairs in the deepest row. With `w` the
/// largest power of two that is not above the number of leaves `n`, the first `2(n - w)` leaves are
/// those pairs, and the row above them has `w` nodes: the other leaves, and then the pairs.
///
/// ```
/// use alloy_primitives::B256;
/// use probity_core::merkle::{StandardTree, StreamedRoot};
///
/// let leaves: Vec<B256> = (1..=5).map(B256::with_last_byte).collect();
/// let mut root = StreamedRoot::new(5).unwrap();
/// for leaf in &leaves {
///     root.push(*leaf).unwrap();
/// }
/// assert_eq!(root.finish(), Ok(StandardTree::new(leaves).unwrap().root()));
/// ```
#[derive(Debug, Clone)]
pub struct StreamedRoot {
    leaves: u64,
    pushed: u64,
    last: B256,
    /// The first leaf of a pair in the deepest row.
    unpaired: Option<B256>,
    /// Nodes whose sibling has not come yet, by height over the row of `w` nodes and position.
    /// INVARIANT: what was placed are two runs of the row, so at most two nodes wait at a height.
    waiting: BTreeMap<(u32, u64), B256>,
}

impl StreamedRoot {
    /// The root of this many leaves.
    pub fn new(leaves: u64) -> Result<Self, EmptyTree> {
        if leaves == 0 {
            return Err(EmptyTree);
        }
        let (last, waiting) = (B256::ZERO, BTreeMap::new());
        Ok(Self { leaves, pushed: 0, last, unpaired: None, waiting })
    }

    /// The largest power of two that is not above the number of leaves.
    fn width(&self) -> u64 {
        1 << self.leaves.ilog2()
    }

    /// Takes the next leaf.
    pub fn push(&mut self, leaf: B256) -> Result<(), StreamError> {
        let at = self.pushed;
        if at >= self.leaves {
            let got = self.pushed.saturating_add(1);
            return Err(StreamError::Count { expected: self.leaves, got });
        }
        if leaf < self.last {
            return Err(StreamError::Order { at, got: leaf });
        }
        self.last = leaf;
        self.pushed += 1;
        let pairs = self.leaves - self.width();
        if at >= 2 * pairs {
            self.place(at - 2 * pairs, leaf);
        } else if let Some(first) = self.unpaired.take() {
            self.place(self.width() - pairs + at / 2, hash_pair(&first, &leaf));
        } else {
            self.unpaired = Some(leaf);
        }
        Ok(())
    }

    /// Puts a node into the row, and joins it with what waits for it.
    fn place(&mut self, mut position: u64, mut node: B256) {
        let mut height = 0;
        while let Some(sibling) = self.waiting.remove(&(height, position ^ 1)) {
            node = hash_pair(&node, &sibling);
            (height, position) = (height + 1, position / 2);
        }
        self.waiting.insert((height, position), node);
    }

    /// The root, once all leaves were pushed.
    pub fn finish(self) -> Result<B256, StreamError> {
        let missing = StreamError::Count { expected: self.leaves, got: self.pushed };
        if self.pushed != self.leaves {
            return Err(missing);
        }
        self.waiting.get(&(self.leaves.ilog2(), 0)).copied().ok_or(missing)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn word(n: u64) -> B256 {
        leaf(&(n,))
    }

    #[test]
    fn a_single_leaf_is_its_own_root() {
        let tree = StandardTree::new(vec![word(7)]).unwrap();
        assert_eq!(tree.root(), word(7));
        assert_eq!(tree.proof(&word(7)), Some(vec![]));
        assert_eq!(StandardTree::new(vec![]).unwrap_err(), EmptyTree);
    }

    fn streamed(leaves: &[B256]) -> Result<B256, StreamError> {
        let mut root = StreamedRoot::new(leaves.len() as u64).unwrap();
        for (at, leaf) in leaves.iter().enumerate() {
            root.push(*leaf)?;
            let bound = 2 * (leaves.len().ilog2() as usize + 1);
            assert!(root.waiting.len() <= bound, "{at} of {}: more than O(log n)", leaves.len());
        }
        root.finish()
    }

    #[test]
    fn a_streamed_root_is_the_trees() {
        for count in 1..600 {
            let mut leaves: Vec<B256> = (0..count).map(|n| word(n / 3)).collect();
            leaves.sort_unstable();
            let tree = StandardTree::new(leaves.clone()).unwrap();
            assert_eq!(streamed(&leaves), Ok(tree.root()), "{count} leaves");
        }
    }

    #[test]
    fn leaves_out_of_order_missing_or_surplus_have_no_root() {
        let mut leaves: Vec<B256> = (0..7).map(word).collect();
        leaves.sort_unstable();
        assert_eq!(StreamedRoot::new(0).unwrap_err(), EmptyTree);
        let mut root = StreamedRoot::new(7).unwrap();
        for leaf in &leaves[1..] {
            root.push(*leaf).unwrap();
        }
        let short = StreamError::Count { expected: 7, got: 6 };
        assert_eq!(root.clone().finish(), Err(short));
        assert_eq!(root.push(leaves[0]), Err(StreamError::Order { at: 6, got: leaves[0] }));
        root.push(leaves[6]).unwrap();
        assert_eq!(root.push(leaves[6]), Err(StreamError::Count { expected: 7, got: 8 }));
        root.finish().unwrap();
    }

    proptest! {
        #[test]
        fn every_leaf_is_provable_and_nothing_else(n in 1u64..200, flip in 0usize..32, absent in 1000u64..2000) {
            let tree = StandardTree::new((0..n).map(word).collect()).unwrap();
            for i in 0..n {
                let proof = tree.proof(&word(i)).unwrap();
                prop_assert!(verify(&proof, &tree.root(), &word(i)));
                prop_assert!(!verify(&proof, &tree.root(), &word(absent)));
                for at in 0..proof.len() {
                    let mut bad = proof.clone();
                    bad[at].0[flip] ^= 1;
                    prop_assert!(!verify(&bad, &tree.root(), &word(i)));
                }
                if !proof.is_empty() {
                    prop_assert!(!verify(&proof[1..], &tree.root(), &word(i)));
                }
            }
            prop_assert_eq!(tree.proof(&word(absent)), None);
        }
    }
}
