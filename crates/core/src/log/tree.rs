use super::{MAX_TREE_SIZE, TILE_WIDTH, Tile, TileReadError, TileReader, tile::read_prefix};
use crate::Digest;

/// The hash of a leaf holding `entry` (RFC 6962 §2.1): SHA-256 of `0x00 || entry`.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], entry])
}

/// The hash of a node over its children (RFC 6962 §2.1): SHA-256 of `0x01 || left || right`.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of the empty tree (RFC 6962 §2.1): SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(&[])
}

/// The Merkle tree hash over leaves that are hashed already; none for no leaves.
///
/// Pairing neighbours and carrying an odd last one up gives the tree of RFC 6962 §2.1, whose left
/// subtree is always the largest full one.
pub(super) fn fold(mut level: Vec<Digest>) -> Option<Digest> {
    while level.len() > 1 {
        level = level
            .chunks(2)
            .filter_map(|pair| match pair {
                [left, right] => Some(node_hash(left, right)),
                rest => rest.first().copied(),
            })
            .collect();
    }
    level.first().copied()
}

/// The tree is at [`MAX_TREE_SIZE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a tree of at most {MAX_TREE_SIZE} leaves, got `{0}`")]
pub struct TreeTooLarge(pub u64);

/// A growing tree that remembers only its right edge: the hashes of the last, partial tile of each
/// level. That is enough to append, to know the root and to write every tile once it is full.
///
/// ```
/// use probity_core::log::{Tree, leaf_hash};
/// let mut tree = Tree::default();
/// tree.push(leaf_hash(b"an entry"))?;
/// assert_eq!(tree.root(), leaf_hash(b"an entry"));
/// # Ok::<(), probity_core::log::TreeTooLarge>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// INVARIANT: `edge[l]` holds `floor(size / 256^l) mod 256` hashes.
    edge: Vec<Vec<Digest>>,
}

impl Tree {
    /// The number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Returns the tiles that became full by it, the lowest level first.
    pub fn push(&mut self, leaf: Digest) -> Result<Vec<(Tile, Vec<Digest>)>, TreeTooLarge> {
        if self.size >= MAX_TREE_SIZE {
            return Err(TreeTooLarge(self.size));
        }
        let index = self.size;
        self.size += 1;
        let mut full = Vec::new();
        let mut hash = leaf;
        for level in 0_u8..8 {
            let Some(hashes) = self.level(level) else { break };
            hashes.push(hash);
            if hashes.len() < usize::from(TILE_WIDTH) {
                break;
            }
            let hashes = std::mem::take(hashes);
            let Some(root) = fold(hashes.clone()) else { break };
            hash = root;
            full.push((Tile::full(level, index >> (8 * (u32::from(level) + 1))), hashes));
        }
        Ok(full)
    }

    fn level(&mut self, level: u8) -> Option<&mut Vec<Digest>> {
        let level = usize::from(level);
        if self.edge.len() <= level {
            self.edge.resize_with(level + 1, Vec::new);
        }
        self.edge.get_mut(level)
    }

    /// The Merkle tree hash (RFC 6962 §2.1).
    pub fn root(&self) -> Digest {
        // A partial subtree stands to the right of the full ones of its level as one more leaf
        // would, because the tree splits at the largest power of two.
        let mut below = None;
        for hashes in &self.edge {
            let level = hashes.iter().copied().chain(below).collect();
            below = fold(level).or(below);
        }
        below.unwrap_or_else(empty_root)
    }

    /// The last, partial tile of each level that has one: what a checkpoint of this size needs
    /// published beside the full tiles.
    pub fn partial_tiles(&self) -> impl Iterator<Item = (Tile, &[Digest])> {
        (0_u8..).zip(&self.edge).filter_map(|(level, hashes)| {
            let width = u16::try_from(hashes.len()).ok()?;
            let index = self.size >> (8 * (u32::from(level) + 1)).min(63);
            Some((Tile::new(level, index, width).ok()?, hashes.as_slice()))
        })
    }

    /// Rebuilds the right edge of a tree of `size` leaves from its tiles.
    pub fn resume<R: TileReader>(size: u64, reader: &R) -> Result<Self, TileReadError<R::Error>> {
        if size > MAX_TREE_SIZE {
            return Err(TileReadError::TooLarge(TreeTooLarge(size)));
        }
        let mut edge = Vec::new();
        for level in 0_u8..7 {
            let count = size >> (8 * u32::from(level));
            if count == 0 {
                break;
            }
            let index = count / u64::from(TILE_WIDTH);
            edge.push(match Tile::of_tree(level, index, size) {
                Some(tile) => read_prefix(reader, tile)?,
                None => Vec::new(),
            });
        }
        Ok(Self { size, edge })
    }
}
