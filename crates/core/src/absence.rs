//! Proofs that a key is, or is not, in a published set: the opt-out list.
//!
//! The set is sorted, without duplicates, and committed as an RFC 6962 Merkle tree:
//!
//! ```text
//! leaf       = SHA-256(0x00 || "probity/absence/v1" || key)
//! node       = SHA-256(0x01 || left || right)
//! commitment = SHA-256(0x02 || "probity/absence/v1" || count as 8 bytes, big-endian || root)
//! ```
//!
//! The count is part of the commitment, so "the first leaf", "the last leaf" and "no leaf at all"
//! are facts and not claims. Absence is shown by the two neighbours the key would stand between.
//!
//! A proof relies on the publisher having sorted the list. Whoever holds the list can check that
//! by rebuilding the commitment; and a membership and an absence proof of one key under one
//! commitment together convict the publisher.
//!
//! ```
//! use probity_core::{Digest, absence::SortedSet};
//! let set: SortedSet = [Digest::of(b"a"), Digest::of(b"b")].into_iter().collect();
//! let commitment = set.commitment();
//! let proof = set.prove_absence(&Digest::of(b"c"))?;
//! proof.verify(&Digest::of(b"c"), &commitment)?;
//! assert!(proof.verify(&Digest::of(b"a"), &commitment).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    Digest,
    log::{
        InclusionProof, MemoryTree, OutOfTree, ProofError, ProveError, Tree, TreeTooLarge,
        empty_root, leaf_hash,
    },
};

const DOMAIN: &[u8] = b"probity/absence/v1";

/// Why a proof about a set could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// The key is in the set: its absence cannot be shown.
    #[error("expected a key outside the set, `{0}` is in it")]
    Present(Digest),
    /// The key is not in the set: its membership cannot be shown.
    #[error("expected a key of the set, `{0}` is not in it")]
    Absent(Digest),
    /// The tree over the set could not be read.
    #[error(transparent)]
    Tree(#[from] ProveError<OutOfTree>),
    /// Keys that come one by one are in ascending order, each once.
    #[error("expected keys in ascending order, got `{0}` after one that is not less")]
    Order(Digest),
    /// More keys than a tree has leaves.
    #[error(transparent)]
    TooLarge(#[from] TreeTooLarge),
}

/// Why a proof about a set does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AbsenceError {
    /// A neighbour's path does not fit the tree.
    #[error("the path of the neighbour at `{index}`")]
    Path {
        /// The neighbour's index.
        index: u64,
        /// What is wrong with it.
        #[source]
        source: ProofError,
    },
    /// The two neighbours are of different trees.
    #[error("the neighbours lead to different roots")]
    Neighbours,
    /// The neighbours do not enclose the key, or there is a neighbour missing at this place.
    #[error("expected neighbours that enclose the key `{0}`")]
    Order(Digest),
    /// The proof is of another set.
    #[error("expected the commitment `{expected}`, got `{got}`")]
    Commitment {
        /// The commitment to prove against.
        expected: Digest,
        /// The commitment the proof leads to.
        got: Digest,
    },
}

impl AbsenceError {
    /// A stable name for findings and exit reports.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Path { .. } => "absence.path",
            Self::Neighbours => "absence.neighbours",
            Self::Order(_) => "absence.order",
            Self::Commitment { .. } => "absence.commitment",
        }
    }
}

/// A set of keys with the tree over it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SortedSet {
    keys: Vec<Digest>,
    tree: MemoryTree,
}

impl FromIterator<Digest> for SortedSet {
    /// Sorts the keys and drops duplicates.
    fn from_iter<I: IntoIterator<Item = Digest>>(keys: I) -> Self {
        let mut keys: Vec<Digest> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        let tree = keys.iter().map(leaf).collect();
        Self { keys, tree }
    }
}

impl SortedSet {
    /// The keys in order.
    pub fn keys(&self) -> &[Digest] {
        &self.keys
    }

    /// What is published: binds the keys and their number.
    pub fn commitment(&self) -> Digest {
        commitment(self.tree.size(), &self.tree.root())
    }

    /// Shows that `key` is in the set.
    pub fn prove_membership(&self, key: &Digest) -> Result<MembershipProof, SetError> {
        let position = self.keys.binary_search(key).map_err(|_| SetError::Absent(*key))?;
        let InclusionProof { index, size, path } = self.path(position)?;
        Ok(MembershipProof { count: size, index, path })
    }

    /// Shows that `key` is not in the set.
    pub fn prove_absence(&self, key: &Digest) -> Result<AbsenceProof, SetError> {
        let Err(position) = self.keys.binary_search(key) else {
            return Err(SetError::Present(*key));
        };
        let left = position.checked_sub(1).map(|left| self.neighbour(left)).transpose()?.flatten();
        let right = self.neighbour(position)?;
        Ok(AbsenceProof { count: self.tree.size(), left, right })
    }

    fn neighbour(&self, position: usize) -> Result<Option<Neighbour>, SetError> {
        let Some(key) = self.keys.get(position) else { return Ok(None) };
        let InclusionProof { index, path, .. } = self.path(position)?;
        Ok(Some(Neighbour { key: *key, index, path }))
    }

    fn path(&self, position: usize) -> Result<InclusionProof, SetError> {
        Ok(InclusionProof::prove(&self.tree, position as u64, self.tree.size())?)
    }
}

/// The commitment of a [`SortedSet`] whose keys come one by one in ascending order. It keeps O(log n)
/// hashes, so that the keys may be more than memory holds.
///
/// ```
/// use probity_core::{Digest, absence::{SortedSet, StreamedSet}};
/// let set: SortedSet = [Digest::of(b"a"), Digest::of(b"b")].into_iter().collect();
/// let mut streamed = StreamedSet::default();
/// for key in set.keys() {
///     streamed.push(*key)?;
/// }
/// assert_eq!(streamed.commitment(), set.commitment());
/// # Ok::<(), probity_core::absence::SetError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct StreamedSet {
    last: Option<Digest>,
    tree: Tree,
}

impl StreamedSet {
    /// Takes the next key.
    pub fn push(&mut self, key: Digest) -> Result<(), SetError> {
        if self.last.is_some_and(|last| key <= last) {
            return Err(SetError::Order(key));
        }
        self.last = Some(key);
        self.tree.push(leaf(&key))?;
        Ok(())
    }

    /// The commitment to the keys so far.
    pub fn commitment(&self) -> Digest {
        commitment(self.tree.size(), &self.tree.root())
    }
}

/// Shows that a key is in a committed set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipProof {
    /// The number of keys in the set.
    pub count: u64,
    /// The key's rank.
    pub index: u64,
    /// The audit path.
    pub path: Vec<Digest>,
}

impl MembershipProof {
    /// Checks that `key` is in the set of `expected`.
    pub fn verify(&self, key: &Digest, expected: &Digest) -> Result<(), AbsenceError> {
        let root = root(key, self.index, self.count, &self.path)?;
        compare(self.count, &root, expected)
    }
}

/// A key of the set with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Neighbour {
    /// The key.
    pub key: Digest,
    /// Its rank.
    pub index: u64,
    /// Its audit path.
    pub path: Vec<Digest>,
}

/// Shows that a key is not in a committed set, by the keys next to its place: none on the left of
/// the first, none on the right of the last, none at all for the empty set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbsenceProof {
    /// The number of keys in the set.
    pub count: u64,
    /// The greatest key below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Neighbour>,
    /// The smallest key above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<Neighbour>,
}

impl AbsenceProof {
    /// Checks that `key` is not in the set of `expected`.
    pub fn verify(&self, key: &Digest, expected: &Digest) -> Result<(), AbsenceError> {
        let (left, right) = (self.left.as_ref(), self.right.as_ref());
        // The rank of the first key above: one past the left neighbour, and the count if the left
        // neighbour is the last.
        let rank = left.map_or(Some(0), |left| left.index.checked_add(1));
        let adjacent = rank.is_some_and(|rank| match right {
            Some(right) => right.index == rank,
            None => self.count == rank,
        });
        let enclosed =
            left.is_none_or(|left| left.key < *key) && right.is_none_or(|right| *key < right.key);
        if !adjacent || !enclosed {
            return Err(AbsenceError::Order(*key));
        }
        let root_of = |n: &Neighbour| root(&n.key, n.index, self.count, &n.path);
        let root = match (left.map(root_of).transpose()?, right.map(root_of).transpose()?) {
            (Some(left), Some(right)) if left != right => return Err(AbsenceError::Neighbours),
            (Some(root), _) | (None, Some(root)) => root,
            (None, None) => empty_root(),
        };
        compare(self.count, &root, expected)
    }
}

fn leaf(key: &Digest) -> Digest {
    leaf_hash(&[DOMAIN, key.as_bytes()].concat())
}

fn root(key: &Digest, index: u64, count: u64, path: &[Digest]) -> Result<Digest, AbsenceError> {
    let proof = InclusionProof { index, size: count, path: path.to_vec() };
    proof.root(&leaf(key)).map_err(|source| AbsenceError::Path { index, source })
}

fn commitment(count: u64, root: &Digest) -> Digest {
    Digest::of_parts(&[&[2], DOMAIN, &count.to_be_bytes(), root.as_bytes()])
}

fn compare(count: u64, root: &Digest, expected: &Digest) -> Result<(), AbsenceError> {
    let got = commitment(count, root);
    if got == *expected {
        Ok(())
    } else {
        Err(AbsenceError::Commitment { expected: *expected, got })
    }
}
