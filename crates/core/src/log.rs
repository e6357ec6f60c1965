//! The statement log: an append-only Merkle tree that anyone can check.
//!
//! | Part | Source |
//! |---|---|
//! | [`leaf_hash`], [`node_hash`], [`Tree`] | RFC 6962 §2.1 |
//! | [`InclusionProof`] | RFC 6962 §2.1.1, verified by RFC 9162 §2.1.3.2 |
//! | [`ConsistencyProof`] | RFC 6962 §2.1.2, verified by RFC 9162 §2.1.4.2 |
//! | [`Tile`], [`EntryBundle`], [`TileTree`] | C2SP tlog-tiles |
//! | [`SignedNote`], [`VerifierKey`], [`SignerKey`] | C2SP signed-note |
//! | [`Checkpoint`] | C2SP tlog-checkpoint |
//!
//! Everything here is pure. Verifiers and decoders are total: any bytes give an answer.
//!
//! ```
//! use probity_core::log::{self, InclusionProof, MemoryTree};
//!
//! let entries = [b"first".as_slice(), b"second", b"third"];
//! let tree: MemoryTree = entries.iter().map(|entry| log::leaf_hash(entry)).collect();
//! let proof = InclusionProof::prove(&tree, 1, 3)?;
//! proof.verify(&log::leaf_hash(b"second"), &tree.root())?;
//! assert!(proof.verify(&log::leaf_hash(b"forged"), &tree.root()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod memory;
mod note;
mod proof;
mod tile;
mod tree;

pub use checkpoint::{Checkpoint, CheckpointError};
pub use memory::{MemoryTree, OutOfTree};
pub use note::{KeyError, NoteError, NoteSignature, SignedNote, SignerKey, VerifierKey};
pub use proof::{ConsistencyProof, InclusionProof, NodeReader, ProofError, ProveError, root_at};
pub use tile::{
    EntryBundle, MAX_ENTRY_BYTES, TILE_WIDTH, Tile, TileError, TileReadError, TileReader, TileTree,
    decode_bundle, encode_bundle, encode_tile,
};
pub use tree::{Tree, TreeTooLarge, empty_root, leaf_hash, node_hash};

/// The largest tree this log handles: the last integer that every JSON reader holds exactly
/// (RFC 8785 §3.2.2.3), far beyond what can be appended.
pub const MAX_TREE_SIZE: u64 = (1 << 53) - 1;
