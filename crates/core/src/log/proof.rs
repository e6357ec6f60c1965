use serde::{Deserialize, Serialize};

use super::tree::{empty_root, node_hash};
use crate::Digest;

/// Reads hashes of full subtrees.
pub trait NodeReader {
    /// Why a node could not be had.
    type Error: std::error::Error + 'static;

    /// The hash of the full subtree over leaves `index * 2^height .. (index + 1) * 2^height`.
    fn node(&self, height: u32, index: u64) -> Result<Digest, Self::Error>;
}

/// Why a proof could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProveError<E> {
    /// The leaf is not in the tree.
    #[error("expected an index below the tree size {size}, got `{index}`")]
    Index {
        /// The leaf asked for.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The old tree is larger than the new one.
    #[error("expected an old size of at most {new_size}, got `{old_size}`")]
    Shrinks {
        /// The old size asked for.
        old_size: u64,
        /// The new size asked for.
        new_size: u64,
    },
    /// A node could not be read.
    #[error("reading the tree")]
    Read(#[source] E),
}

/// Why a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf is outside the tree.
    #[error("expected an index below the tree size {size}, got `{index}`")]
    Index {
        /// The leaf's index.
        index: u64,
        /// The tree's size.
        size: u64,
    },
    /// The proof is for a tree of another size.
    #[error("expected a proof for {expected} leaves, got one for {got}")]
    Size {
        /// The size of the checkpoint.
        expected: u64,
        /// The size in the proof.
        got: u64,
    },
    /// The path has too few or too many hashes for these sizes.
    #[error("expected another number of hashes in the proof, got {got}")]
    PathLength {
        /// The number of hashes.
        got: usize,
    },
    /// The new tree is smaller than the old one.
    #[error("expected a tree that grows, got sizes `{old_size}` then `{new_size}`")]
    Shrinks {
        /// The old size.
        old_size: u64,
        /// The new size.
        new_size: u64,
    },
    /// The path leads to another root.
    #[error("expected the root `{expected}`, got `{got}`")]
    Root {
        /// The root to prove against.
        expected: Digest,
        /// The root the path leads to.
        got: Digest,
    },
    /// The path starts from another old root.
    #[error("expected the old root `{expected}`, got `{got}`")]
    OldRoot {
        /// The old root to prove against.
        expected: Digest,
        /// The root the path leads to.
        got: Digest,
    },
}

impl ProofError {
    /// A stable name for findings and exit reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Index { .. } => "log.proof.index",
            Self::Size { .. } => "log.proof.size",
            Self::PathLength { .. } => "log.proof.length",
            Self::Shrinks { .. } => "log.proof.shrinks",
            Self::Root { .. } => "log.proof.root",
            Self::OldRoot { .. } => "log.proof.old_root",
        }
    }
}

/// Shows that a leaf is at an index of a tree (RFC 6962 §2.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The leaf's index, from 0.
    pub index: u64,
    /// The size of the tree.
    pub size: u64,
    /// The audit path, from the leaf's sibling up.
    pub path: Vec<Digest>,
}

impl InclusionProof {
    /// Makes the proof for leaf `index` of the first `size` leaves.
    pub fn prove<R: NodeReader>(
        tree: &R,
        index: u64,
        size: u64,
    ) -> Result<Self, ProveError<R::Error>> {
        if index >= size {
            return Err(ProveError::Index { index, size });
        }
        let (mut low, mut high) = (0, size);
        let mut path = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                path.push(range(tree, middle, high)?);
                high = middle;
            } else {
                path.push(range(tree, low, middle)?);
                low = middle;
            }
        }
        path.reverse();
        Ok(Self { index, size, path })
    }

    /// The root that the path leads to from `leaf`, a leaf's hash (RFC 9162 §2.1.3.2).
    pub fn root(&self, leaf: &Digest) -> Result<Digest, ProofError> {
        if self.index >= self.size {
            return Err(ProofError::Index { index: self.index, size: self.size });
        }
        let wrong_length = ProofError::PathLength { got: self.path.len() };
        let (mut node, mut last) = (self.index, self.size - 1);
        let mut root = *leaf;
        for sibling in &self.path {
            if last == 0 {
                return Err(wrong_length);
            }
            if node & 1 == 1 || node == last {
                root = node_hash(sibling, &root);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                root = node_hash(&root, sibling);
            }
            node >>= 1;
            last >>= 1;
        }
        if last == 0 { Ok(root) } else { Err(wrong_length) }
    }

    /// Checks that `leaf`, a leaf's hash, is at this place under `root`. That `root` is over
    /// `self.size` leaves is for the caller to know, or for
    /// [`Checkpoint::verify_inclusion`](super::Checkpoint::verify_inclusion) to check.
    pub fn verify(&self, leaf: &Digest, root: &Digest) -> Result<(), ProofError> {
        let got = self.root(leaf)?;
        if got == *root { Ok(()) } else { Err(ProofError::Root { expected: *root, got }) }
    }
}

/// Shows that a tree grew from another by appending only (RFC 6962 §2.1.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsistencyProof {
    /// The size of the old tree.
    pub old_size: u64,
    /// The size of the new tree.
    pub new_size: u64,
    /// The hashes that rebuild both roots.
    pub path: Vec<Digest>,
}

impl ConsistencyProof {
    /// Makes the proof from the first `old_size` leaves to the first `new_size`.
    pub fn prove<R: NodeReader>(
        tree: &R,
        old_size: u64,
        new_size: u64,
    ) -> Result<Self, ProveError<R::Error>> {
        if old_size > new_size {
            return Err(ProveError::Shrinks { old_size, new_size });
        }
        let mut path = Vec::new();
        let (mut low, mut high) = (0, if old_size == 0 { 0 } else { new_size });
        while old_size < high {
            let middle = low + split(high - low);
            if old_size <= middle {
                path.push(range(tree, middle, high)?);
                high = middle;
            } else {
                path.push(range(tree, low, middle)?);
                low = middle;
            }
        }
        // RFC 6962 leaves the old root itself out where the verifier has it.
        if low > 0 {
            path.push(range(tree, low, high)?);
        }
        path.reverse();
        Ok(Self { old_size, new_size, path })
    }

    /// Checks that the tree under `new_root` begins with the whole tree under `old_root`
    /// (RFC 9162 §2.1.4.2). Every tree grows from the empty one.
    pub fn verify(&self, old_root: &Digest, new_root: &Digest) -> Result<(), ProofError> {
        let Self { old_size, new_size, ref path } = *self;
        if old_size > new_size {
            return Err(ProofError::Shrinks { old_size, new_size });
        }
        let wrong_length = ProofError::PathLength { got: path.len() };
        if old_size == 0 || old_size == new_size {
            if !path.is_empty() {
                return Err(wrong_length);
            }
            return compare_trivial(old_size, new_size, old_root, new_root);
        }
        let (mut node, mut last) = (old_size - 1, new_size - 1);
        while node & 1 == 1 {
            node >>= 1;
            last >>= 1;
        }
        let mut hashes = path.iter();
        let first = if old_size.is_power_of_two() { Some(old_root) } else { hashes.next() };
        let Some(first) = first else { return Err(wrong_length) };
        let (mut old, mut new) = (*first, *first);
        for hash in hashes {
            if last == 0 {
                return Err(wrong_length);
            }
            if node & 1 == 1 || node == last {
                old = node_hash(hash, &old);
                new = node_hash(hash, &new);
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                new = node_hash(&new, hash);
            }
            node >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(wrong_length);
        }
        compare(&old, &new, old_root, new_root)
    }
}

fn compare_trivial(
    old_size: u64,
    new_size: u64,
    old_root: &Digest,
    new_root: &Digest,
) -> Result<(), ProofError> {
    let old = if old_size == 0 { empty_root() } else { *old_root };
    let new = if old_size == new_size { old } else { *new_root };
    compare(&old, &new, old_root, new_root)
}

fn compare(
    old: &Digest,
    new: &Digest,
    old_root: &Digest,
    new_root: &Digest,
) -> Result<(), ProofError> {
    if old != old_root {
        return Err(ProofError::OldRoot { expected: *old_root, got: *old });
    }
    if new != new_root {
        return Err(ProofError::Root { expected: *new_root, got: *new });
    }
    Ok(())
}

/// The root of the first `size` leaves of a tree.
pub fn root_at<R: NodeReader>(tree: &R, size: u64) -> Result<Digest, ProveError<R::Error>> {
    if size == 0 { Ok(empty_root()) } else { range(tree, 0, size) }
}

/// The Merkle tree hash of leaves `low..high`, of which there is at least one and which start at a
/// multiple of the largest power of two that is no more than their number.
fn range<R: NodeReader>(tree: &R, low: u64, high: u64) -> Result<Digest, ProveError<R::Error>> {
    // The full subtrees from left to right, each smaller than the one before; then folded from the
    // right, as the split at the largest power of two has it.
    let mut parts = Vec::new();
    let mut from = low;
    while from < high {
        let height = (high - from).ilog2();
        parts.push(tree.node(height, from >> height).map_err(ProveError::Read)?);
        from += 1 << height;
    }
    let folded = parts.into_iter().rev().reduce(|right, left| node_hash(&left, &right));
    Ok(folded.unwrap_or_else(empty_root))
}

/// The largest power of two smaller than `n`, for `n` of at least two (RFC 6962 §2.1).
const fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}
