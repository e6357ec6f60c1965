use std::{
    fmt::Display,
    fs::File,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
};

use probity_core::{
    Digest,
    log::{
        Checkpoint, EntryBundle, MAX_ENTRY_BYTES, TILE_WIDTH, Tile, TileReader, Tree, VerifierKey,
        decode_bundle, leaf_hash,
    },
};

use super::LogError;

const CHECKPOINT: &str = "checkpoint";
/// A full bundle of the longest entries; no public file is larger.
const MAX_FILE_BYTES: u64 = (2 + MAX_ENTRY_BYTES as u64) * TILE_WIDTH as u64;

/// What a check of a whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// The number of entries, each of which was hashed.
    pub size: u64,
    /// The Merkle tree hash over them.
    pub root: Digest,
    /// The size of the checkpoint that the entries were compared with, if there is one.
    pub checkpoint: Option<u64>,
}

/// The public files of a log, read only: one's own, or a copy of another's.
#[derive(Debug, Clone)]
pub struct LogFolder {
    dir: PathBuf,
}

impl LogFolder {
    /// The log files in `dir`. Nothing is read yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The path of a tile, a bundle or the checkpoint.
    pub(super) fn path(&self, name: impl Display) -> PathBuf {
        self.dir.join(name.to_string())
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn checkpoint_path(&self) -> PathBuf {
        self.path(CHECKPOINT)
    }

    pub(super) fn read(&self, name: impl Display) -> Result<Option<Vec<u8>>, LogError> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io(path)(error)),
        };
        let mut bytes = Vec::new();
        let read = file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes);
        if read.map_err(LogError::io(&path))? as u64 > MAX_FILE_BYTES {
            return Err(LogError::damaged(path, format!("more than {MAX_FILE_BYTES} bytes")));
        }
        Ok(Some(bytes))
    }

    /// The bytes of the signed checkpoint, as they are; `None` before the first.
    pub fn checkpoint_bytes(&self) -> Result<Option<Vec<u8>>, LogError> {
        self.read(CHECKPOINT)
    }

    /// The checkpoint, verified with the log's key.
    pub fn checkpoint(&self, key: &VerifierKey) -> Result<Checkpoint, LogError> {
        let bytes = self.checkpoint_bytes()?;
        let bytes = bytes.ok_or_else(|| LogError::NoCheckpoint { path: self.dir.clone() })?;
        Checkpoint::verify(&bytes, key)
            .map_err(|source| LogError::Checkpoint { path: self.checkpoint_path(), source })
    }

    /// The entries of the bundle at `index` in a log of `size` entries, unchecked, and their file.
    fn bundle(&self, index: u64, size: u64) -> Result<(Vec<Vec<u8>>, PathBuf), LogError> {
        let width = Tile::of_tree(0, index, size).map_or(0, |tile| tile.width());
        let full = EntryBundle::new(index, TILE_WIDTH).map_err(LogError::tile(&self.dir))?;
        let (bundle, bytes) = if let Some(bytes) = self.read(full)? {
            (full, bytes)
        } else {
            let bundle = EntryBundle::new(index, width).map_err(LogError::tile(&self.dir))?;
            let missing = || LogError::Missing { path: self.path(bundle) };
            (bundle, self.read(bundle)?.ok_or_else(missing)?)
        };
        let path = self.path(bundle);
        let entries = decode_bundle(&bytes, bundle.width()).map_err(LogError::tile(&path))?;
        Ok((entries.into_iter().take(width.into()).map(<[u8]>::to_vec).collect(), path))
    }

    /// Entries `index * 256 ..` of one bundle, each checked against the tile of its hashes.
    pub(super) fn checked_bundle(&self, index: u64, size: u64) -> Result<Vec<Vec<u8>>, LogError> {
        let (entries, path) = self.bundle(index, size)?;
        let Some(tile) = Tile::of_tree(0, index, size) else { return Ok(entries) };
        let hashes = self.read_tile(tile)?;
        for (position, (entry, hash)) in entries.iter().zip(&hashes).enumerate() {
            if leaf_hash(entry) != *hash {
                let what = format!("entry {position} does not hash to its place in `{tile}`");
                return Err(LogError::damaged(path, what));
            }
        }
        Ok(entries)
    }

    /// Checks the whole log against its checkpoint: the signature, every entry, every tile.
    pub fn verify(&self, key: &VerifierKey) -> Result<LogReport, LogError> {
        let checkpoint = self.checkpoint(key)?;
        let tree = self.rebuild(checkpoint.size(), None)?;
        self.compare_root(&checkpoint, tree.root())?;
        for (tile, hashes) in tree.partial_tiles() {
            self.compare_tile(tile, hashes)?;
        }
        let (size, root) = (tree.size(), tree.root());
        Ok(LogReport { size, root, checkpoint: Some(size) })
    }

    /// Hashes the first `size` entries and compares every full tile on the way. Compares the root
    /// with `checkpoint` when its size is passed.
    pub(super) fn rebuild(
        &self,
        size: u64,
        checkpoint: Option<&Checkpoint>,
    ) -> Result<Tree, LogError> {
        let mut tree = Tree::default();
        let mut bundle = 0;
        while tree.size() < size {
            for entry in self.checked_bundle(bundle, size)? {
                self.compare_at(checkpoint, &tree)?;
                for (tile, hashes) in tree.push(leaf_hash(&entry))? {
                    self.compare_tile(tile, &hashes)?;
                }
            }
            bundle += 1;
        }
        Ok(tree)
    }

    pub(super) fn compare_at(
        &self,
        checkpoint: Option<&Checkpoint>,
        tree: &Tree,
    ) -> Result<(), LogError> {
        match checkpoint {
            Some(checkpoint) if checkpoint.size() == tree.size() => {
                self.compare_root(checkpoint, tree.root())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn compare_root(
        &self,
        checkpoint: &Checkpoint,
        got: Digest,
    ) -> Result<(), LogError> {
        if *checkpoint.root() == got {
            return Ok(());
        }
        let (size, expected) = (checkpoint.size(), *checkpoint.root());
        Err(LogError::Diverged { path: self.checkpoint_path(), size, expected, got })
    }

    fn compare_tile(&self, tile: Tile, hashes: &[Digest]) -> Result<(), LogError> {
        let found = self.read_tile(tile)?;
        let differs = hashes.iter().zip(&found).position(|(hash, found)| hash != found);
        match differs {
            Some(position) => {
                let what = format!("hash {position} is not that of the entries");
                Err(LogError::damaged(self.path(tile), what))
            }
            None => Ok(()),
        }
    }
}

impl TileReader for LogFolder {
    type Error = LogError;

    /// The tile's own file, or that of the full tile it grew into.
    fn read_tile(&self, tile: Tile) -> Result<Vec<Digest>, LogError> {
        let full =
            Tile::new(tile.level(), tile.index(), TILE_WIDTH).map_err(LogError::tile(&self.dir))?;
        for candidate in [full, tile] {
            if let Some(bytes) = self.read(candidate)? {
                return candidate.decode(&bytes).map_err(LogError::tile(self.path(candidate)));
            }
        }
        Err(LogError::Missing { path: self.path(tile) })
    }
}
