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
