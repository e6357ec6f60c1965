use std::{
    collections::BTreeSet,
    fmt::Display,
    fs::{self, File, OpenOptions, TryLockError},
    io::Write as _,
    ops::Range,
    path::{Path, PathBuf},
};

use probity_core::{
    Digest,
    log::{
        Checkpoint, ConsistencyProof, EntryBundle, InclusionProof, MAX_ENTRY_BYTES, SignerKey,
        TILE_WIDTH, Tile, TileReader, TileTree, Tree, encode_bundle, encode_tile, leaf_hash,
        root_at,
    },
};

use super::{LogError, LogFolder, LogReport, journal::Journal};
use crate::files;

/// The most bytes one append can take.
pub const MAX_BATCH_BYTES: usize = 64 << 20;

const WIDTH: usize = TILE_WIDTH as usize;

/// A log that this process writes. One writer at a time; reading needs only [`LogFolder`].
#[derive(Debug)]
pub struct LogStore {
    folder: LogFolder,
    origin: String,
    tree: Tree,
    journal: Journal,
    /// Full tiles of entries that are in the journal and not yet in files.
    unwritten: Vec<(Tile, Vec<Digest>)>,
    _lock: Lock,
}

/// The lock of the one writer.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing the file is not enough while another thread is starting a process: until that
        // process is running, it holds a copy of the file, and with it the lock.
        drop(self.0.unlock());
    }
}

impl LogStore {
    /// Opens the log `origin` in `dir`, or begins it there. Recovers to the last acknowledged
    /// append and checks that the log still is the one its checkpoint was signed for.
    pub fn open(dir: impl AsRef<Path>, origin: &str) -> Result<Self, LogError> {
        let dir = dir.as_ref();
        // The origin must be able to stand in a checkpoint.
        Checkpoint::new(origin, 0, Digest::default()).map_err(LogError::Sign)?;
        files::create_folder(dir).map_err(LogError::io(dir))?;
        let lock = lock(dir)?;
        let folder = LogFolder::new(dir);
        let journal = open_journal(&folder, origin)?;
        let tree = Tree::resume(journal.base(), &FullTiles(&folder))?;
        let unwritten = Vec::new();
        let origin = origin.to_owned();
        let mut log = Self { folder, origin, tree, journal, unwritten, _lock: lock };
        for position in 0..log.journal.entries().len() {
            if let Some(leaf) = log.journal.entries().get(position).map(|entry| leaf_hash(entry)) {
                log.unwritten.extend(log.tree.push(leaf)?);
            }
        }
        log.check_checkpoint()?;
        log.write_full()?;
        Ok(log)
    }

    /// The log's identity.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The public files.
    pub fn folder(&self) -> &LogFolder {
        &self.folder
    }

    /// The number of entries.
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The Merkle tree hash over all entries.
    pub fn root(&self) -> Digest {
        self.tree.root()
    }

    /// Appends entries and returns their indices. They are all on disk when this returns; after an
    /// error none is in the log.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<Range<u64>, LogError> {
        let entries: Vec<&[u8]> = entries.iter().map(AsRef::as_ref).collect();
        check_batch(&entries)?;
        let first = self.size();
        if entries.is_empty() {
            return Ok(first..first);
        }
        if !self.unwritten.is_empty() {
            self.write_full()?;
        }
        self.journal.append(&entries)?;
        for entry in entries {
            self.unwritten.extend(self.tree.push(leaf_hash(entry))?);
        }
        // The entries are safe in the journal. If their tiles cannot be written now, the next
        // append, checkpoint or open writes them.
        drop(self.write_full());
        Ok(first..self.size())
    }

    /// Writes the full bundles and tiles that are due, then rolls the journal over.
    fn write_full(&mut self) -> Result<(), LogError> {
        let base = self.journal.base();
        let (bundles, rest) = self.journal.entries().as_chunks::<WIDTH>();
        if bundles.is_empty() {
            return Ok(());
        }
        let sealed = base + (bundles.len() * WIDTH) as u64;
        let mut folders = BTreeSet::new();
        for (bundle, index) in bundles.iter().zip(base / WIDTH as u64..) {
            let name = EntryBundle::new(index, TILE_WIDTH).map_err(LogError::tile(""))?;
            let bytes = encode_bundle(bundle).map_err(LogError::tile(self.folder.path(name)))?;
            self.write_once(name, &bytes, &mut folders)?;
        }
        for (tile, hashes) in &self.unwritten {
            self.write_once(tile, &encode_tile(hashes), &mut folders)?;
        }
        sync_all(&folders)?;
        let path = self.folder.path(JOURNAL);
        match Journal::create(&path, &self.origin, sealed, rest.to_vec()) {
            Ok(journal) => self.journal = journal,
            Err(error) => {
                // The name may be that of another file by now.
                self.journal.stop();
                return Err(error);
            }
        }
        for (tile, _) in std::mem::take(&mut self.unwritten) {
            self.drop_partials(tile);
        }
        Ok(())
    }

    /// Writes a file that never changes afterwards.
    fn write_once(
        &self,
        name: impl Display,
        bytes: &[u8],
        folders: &mut BTreeSet<PathBuf>,
    ) -> Result<(), LogError> {
        let path = self.folder.path(&name);
        match self.folder.read(&name)? {
            Some(found) if found == bytes => {}
            Some(_) => return Err(LogError::damaged(path, "it differs from the journal")),
            None => {
                let parent = path.parent().unwrap_or(self.folder.dir());
                files::create_folder(parent).map_err(LogError::io(parent))?;
                files::replace(&path, bytes).map_err(LogError::io(&path))?;
            }
        }
        folders.extend(path.parent().map(Path::to_owned));
        Ok(())
    }

    /// Removes the partial files of a full tile, as tlog-tiles allows. Losing this costs space.
    fn drop_partials(&self, tile: Tile) {
        let mut names = vec![format!("{tile}.p")];
        if tile.level() == 0 {
            names.extend(EntryBundle::new(tile.index(), TILE_WIDTH).map(|b| format!("{b}.p")));
        }
        for name in names {
            drop(fs::remove_dir_all(self.folder.path(name)));
        }
    }

    /// Signs the log as it is and publishes the checkpoint, with the partial tiles it needs before
    /// it.
    pub fn checkpoint(&mut self, key: &SignerKey) -> Result<Checkpoint, LogError> {
        self.write_full()?;
        let checkpoint =
            Checkpoint::new(&self.origin, self.size(), self.root()).map_err(LogError::Sign)?;
        let note = checkpoint.sign(key).map_err(LogError::Sign)?;
        let mut folders = BTreeSet::new();
        for (tile, hashes) in self.tree.partial_tiles() {
            self.write_once(tile, &encode_tile(hashes), &mut folders)?;
        }
        let entries = self.journal.entries();
        if let Ok(width @ 1..) = u16::try_from(entries.len()) {
            let index = self.journal.base() / WIDTH as u64;
            let name = EntryBundle::new(index, width).map_err(LogError::tile(""))?;
            let bytes = encode_bundle(entries).map_err(LogError::tile(self.folder.path(name)))?;
            self.write_once(name, &bytes, &mut folders)?;
        }
        sync_all(&folders)?;
        let path = self.folder.checkpoint_path();
        files::replace_durably(&path, note.as_bytes()).map_err(LogError::io(&path))?;
        Ok(checkpoint)
    }

    /// The entry at `index`, checked against its hash.
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, LogError> {
        let entry = self.read(index..index.saturating_add(1))?.pop();
        entry.ok_or(LogError::OutOfRange { got: index, size: self.size() })
    }

    /// The entries in `range`, each checked against its hash.
    pub fn read(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, LogError> {
        let (size, base) = (self.size(), self.journal.base());
        if range.end > size {
            return Err(LogError::OutOfRange { got: range.end, size });
        }
        let mut entries = Vec::new();
        let mut next = range.start;
        while next < range.end.min(base) {
            let (index, offset) = (next / WIDTH as u64, next % WIDTH as u64);
            let bundle = self.folder.checked_bundle(index, base)?;
            let wanted = range.end - next;
            let part = bundle.into_iter().skip(count(offset)).take(count(wanted));
            let before = entries.len();
            entries.extend(part);
            next += (entries.len() - before) as u64;
        }
        let tail = self.journal.entries().iter().skip(count(next.saturating_sub(base)));
        entries.extend(tail.take(count(range.end.saturating_sub(next))).cloned());
        Ok(entries)
    }

    /// The Merkle tree hash over the first `size` entries.
    pub fn root_at(&self, size: u64) -> Result<Digest, LogError> {
        Ok(root_at(&self.at(size)?, size)?)
    }

    /// Shows that entry `index` is in the first `size` entries.
    pub fn prove_inclusion(&self, index: u64, size: u64) -> Result<InclusionProof, LogError> {
        Ok(InclusionProof::prove(&self.at(size)?, index, size)?)
    }

    /// Shows that the first `new_size` entries begin with the first `old_size`.
    pub fn prove_consistency(
        &self,
        old_size: u64,
        new_size: u64,
    ) -> Result<ConsistencyProof, LogError> {
        Ok(ConsistencyProof::prove(&self.at(new_size)?, old_size, new_size)?)
    }

    fn at(&self, size: u64) -> Result<TileTree<'_, Self>, LogError> {
        if size > self.size() {
            return Err(LogError::OutOfRange { got: size, size: self.size() });
        }
        Ok(TileTree::new(self, size))
    }

    /// Reads every entry and tile again and compares them with each other, with the log in memory
    /// and with the checkpoint. The checkpoint's signature is checked by [`LogFolder::verify`].
    pub fn verify(&self) -> Result<LogReport, LogError> {
        let checkpoint = self.read_checkpoint()?;
        let checkpoint = checkpoint.as_ref();
        let mut tree = self.folder.rebuild(self.journal.base(), checkpoint)?;
        for entry in self.journal.entries() {
            self.folder.compare_at(checkpoint, &tree)?;
            tree.push(leaf_hash(entry))?;
        }
        self.folder.compare_at(checkpoint, &tree)?;
        if tree != self.tree {
            return Err(LogError::damaged(self.folder.dir(), "the files are not those opened"));
        }
        let checkpoint = checkpoint.map(Checkpoint::size);
        Ok(LogReport { size: tree.size(), root: tree.root(), checkpoint })
    }

    fn read_checkpoint(&self) -> Result<Option<Checkpoint>, LogError> {
        let Some(bytes) = self.folder.checkpoint_bytes()? else { return Ok(None) };
        let path = self.folder.checkpoint_path();
        let checkpoint = match Checkpoint::parse_unverified(&bytes) {
            Ok(checkpoint) => checkpoint,
            Err(source) => return Err(LogError::Checkpoint { path, source }),
        };
        if checkpoint.origin() != self.origin {
            let (expected, got) = (self.origin.clone(), checkpoint.origin().to_owned());
            return Err(LogError::Origin { path, expected, got });
        }
        Ok(Some(checkpoint))
    }

    /// A log that signed a checkpoint must never grow from anything else.
    fn check_checkpoint(&self) -> Result<(), LogError> {
        let Some(checkpoint) = self.read_checkpoint()? else { return Ok(()) };
        let (expected, got) = (checkpoint.size(), self.size());
        if expected > got {
            return Err(LogError::Short { path: self.folder.checkpoint_path(), expected, got });
        }
        self.folder.compare_root(&checkpoint, self.root_at(expected)?)
    }
}

impl TileReader for LogStore {
    type Error = LogError;

    fn read_tile(&self, tile: Tile) -> Result<Vec<Digest>, LogError> {
        let place = (tile.level(), tile.index());
        let held = self.unwritten.iter().map(|(tile, hashes)| (*tile, hashes.as_slice()));
        let mut held = held.chain(self.tree.partial_tiles());
        match held.find(|(tile, _)| (tile.level(), tile.index()) == place) {
            Some((_, hashes)) => Ok(hashes.to_vec()),
            None => self.folder.read_tile(tile),
        }
    }
}

/// Reads partial tiles through the full ones below: all there is for certain after a crash.
struct FullTiles<'a>(&'a LogFolder);

impl TileReader for FullTiles<'_> {
    type Error = LogError;

    fn read_tile(&self, tile: Tile) -> Result<Vec<Digest>, LogError> {
        let Some(below) = tile.level().checked_sub(1) else { return self.0.read_tile(tile) };
        let first = tile.index().saturating_mul(u64::from(TILE_WIDTH));
        let children = first..first.saturating_add(tile.width().into());
        children.map(|index| self.subtree(below, index)).collect()
    }
}

impl FullTiles<'_> {
    fn subtree(&self, level: u8, index: u64) -> Result<Digest, LogError> {
        let tile = Tile::new(level, index, TILE_WIDTH).map_err(LogError::tile(self.0.dir()))?;
        let hashes = self.0.read_tile(tile)?;
        let mut tree = Tree::default();
        for hash in hashes {
            tree.push(hash)?;
        }
        Ok(tree.root())
    }
}

const JOURNAL: &str = "journal";

fn open_journal(folder: &LogFolder, origin: &str) -> Result<Journal, LogError> {
    let path = folder.path(JOURNAL);
    if let Some(journal) = Journal::open(&path, origin)? {
        if let Some(last) = (journal.base() / WIDTH as u64).checked_sub(1) {
            let last = EntryBundle::new(last, TILE_WIDTH).map_err(LogError::tile(&path))?;
            let path = folder.path(last);
            if !path.exists() {
                return Err(LogError::Missing { path });
            }
        }
        return Ok(journal);
    }
    if folder.checkpoint_path().exists() || folder.path("tile").exists() {
        return Err(LogError::Missing { path });
    }
    Journal::create(&path, origin, 0, Vec::new())
}

fn lock(dir: &Path) -> Result<Lock, LogError> {
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let mut file = file.map_err(LogError::io(&path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = fs::read_to_string(&path).unwrap_or_default();
            let holder = if holder.is_empty() { "another process" } else { holder.trim() };
            return Err(LogError::Locked { path: dir.to_owned(), holder: holder.to_owned() });
        }
        Err(TryLockError::Error(error)) => return Err(LogError::io(path)(error)),
    }
    let note = format!("process {}\n", std::process::id());
    let written = file.set_len(0).and_then(|()| file.write_all(note.as_bytes()));
    written.map_err(LogError::io(path))?;
    Ok(Lock(file))
}

fn check_batch(entries: &[&[u8]]) -> Result<(), LogError> {
    for (position, entry) in entries.iter().enumerate() {
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(LogError::EntryTooLong { position, got: entry.len() });
        }
    }
    let got = entries.iter().map(|entry| entry.len() + 2).sum();
    if got > MAX_BATCH_BYTES { Err(LogError::BatchTooLarge { got }) } else { Ok(()) }
}

fn sync_all(folders: &BTreeSet<PathBuf>) -> Result<(), LogError> {
    folders.iter().try_for_each(|dir| files::sync_folder(dir).map_err(LogError::io(dir)))
}

/// A number of entries in memory; saturates where it could not be held anyway.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
