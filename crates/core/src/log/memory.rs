use super::{
    NodeReader,
    tree::{empty_root, node_hash},
};
use crate::Digest;

/// A node that the tree does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a node inside the tree, got height {height} index `{index}`")]
pub struct OutOfTree {
    /// The node's height over the leaves.
    pub height: u32,
    /// The node's index within that height.
    pub index: u64,
}

/// A whole tree in memory, for sets that fit: proofs in O(log n) without hashing anything again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryTree {
    /// Full subtrees by height; the leaf hashes first.
    levels: Vec<Vec<Digest>>,
}

impl MemoryTree {
    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The Merkle tree hash (RFC 6962 §2.1).
    pub fn root(&self) -> Digest {
        // The full subtrees that no higher one covers are the odd ones out, at most one a height.
        let rest =
            self.levels.iter().filter(|level| level.len() % 2 == 1).map(|level| level.last());
        rest.flatten()
            .fold(None, |right, left| Some(right.map_or(*left, |right| node_hash(left, &right))))
            .unwrap_or_else(empty_root)
    }
}

impl FromIterator<Digest> for MemoryTree {
    /// The tree over these leaf hashes, in order.
    fn from_iter<I: IntoIterator<Item = Digest>>(leaves: I) -> Self {
        let mut levels = Vec::new();
        let mut level: Vec<Digest> = leaves.into_iter().collect();
        while !level.is_empty() {
            let (pairs, _) = level.as_chunks::<2>();
            let above = pairs.iter().map(|[left, right]| node_hash(left, right)).collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        Self { levels }
    }
}

impl NodeReader for MemoryTree {
    type Error = OutOfTree;

    fn node(&self, height: u32, index: u64) -> Result<Digest, OutOfTree> {
        let level = usize::try_from(height).ok().and_then(|height| self.levels.get(height));
        let node = usize::try_from(index).ok().and_then(|index| level?.get(index));
        node.copied().ok_or(OutOfTree { height, index })
    }
}
