use std::{fs, os::unix::fs::MetadataExt as _};

use probity_core::log::{
    Checkpoint, EntryBundle, MemoryTree, SignerKey, TILE_WIDTH, Tile, TileTree, decode_bundle,
    leaf_hash,
};
use probity_store::log::{LogError, LogFolder, LogStore, MAX_BATCH_BYTES};
use tempfile::TempDir;

use crate::Numbers;

pub(crate) const ORIGIN: &str = "log.example/statements";

pub(crate) fn key() -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[7; 32]).unwrap()
}

/// What entry `index` holds in every test.
pub(crate) fn entry(index: u64) -> Vec<u8> {
    format!("entry {index} ").repeat(usize::try_from(index % 5).unwrap()).into_bytes()
}

pub(crate) fn append(log: &mut LogStore, number: u64) {
    let first = log.size();
    let entries: Vec<_> = (first..first + number).map(entry).collect();
    assert_eq!(log.append(&entries).unwrap(), first..first + number);
}

/// A log of `size` entries with a checkpoint over them.
pub(crate) fn log_of(size: u64) -> (TempDir, LogStore) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path(), ORIGIN).unwrap();
    append(&mut log, size);
    log.checkpoint(&key()).unwrap();
    (dir, log)
}

#[test]
fn grows_like_the_tree_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path(), ORIGIN).unwrap();
    let mut numbers = Numbers(1);
    for batch in [0, 1, 2, 252, 1, 1, 255, 256, 257, 700, 3, 65_000, 1000] {
        append(&mut log, batch);
        let size = log.size();
        let tree: MemoryTree = (0..size).map(|index| leaf_hash(&entry(index))).collect();
        assert_eq!(log.root(), tree.root(), "size {size}");
        for _ in 0..20 {
            let size = 1 + numbers.below(size.max(1)).min(size.saturating_sub(1));
            if size > log.size() {
                continue;
            }
            let (index, old) = (numbers.below(size), numbers.below(size));
            let root = log.root_at(size).unwrap();
            let leaf = leaf_hash(&log.entry(index).unwrap());
            assert_eq!(leaf, leaf_hash(&entry(index)));
            log.prove_inclusion(index, size).unwrap().verify(&leaf, &root).unwrap();
            let growth = log.prove_consistency(old, size).unwrap();
            growth.verify(&log.root_at(old).unwrap(), &root).unwrap();
        }
    }
    let report = log.verify().unwrap();
    assert_eq!((report.size, report.root, report.checkpoint), (log.size(), log.root(), None));
    let all: Vec<_> = (0..log.size()).map(entry).collect();
    assert_eq!(log.read(0..log.size()).unwrap(), all);
    assert_eq!(log.read(250..600).unwrap(), all[250..600]);
}

#[test]
fn opens_as_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut root = None;
    let mut size = 0;
    for batch in [0, 1, 254, 1, 1, 300, 256, 70_000, 5] {
        let mut log = LogStore::open(dir.path(), ORIGIN).unwrap();
        assert_eq!((log.size(), root.unwrap_or(log.root())), (size, log.root()));
        append(&mut log, batch);
        if size % 2 == 0 {
            log.checkpoint(&key()).unwrap();
        }
        (size, root) = (log.size(), Some(log.root()));
    }
}

/// Reads the files as any tlog client does, knowing nothing but the specification.
#[test]
fn writes_the_layout_of_tlog_tiles() {
    let (dir, log) = log_of(70_000);
    for (name, bytes) in [
        ("tile/0/000", 8192),
        ("tile/0/272", 8192),
        ("tile/0/273.p/112", 112 * 32),
        ("tile/1/000", 8192),
        ("tile/1/001.p/17", 17 * 32),
        ("tile/2/000.p/1", 32),
    ] {
        assert_eq!(fs::metadata(dir.path().join(name)).unwrap().len(), bytes, "{name}");
    }
    let bundle = EntryBundle::new(273, 112).unwrap();
    let bytes = fs::read(dir.path().join(bundle.to_string())).unwrap();
    let entries = decode_bundle(&bytes, 112).unwrap();
    assert_eq!(entries[111], entry(69_999));
    let note = fs::read(dir.path().join("checkpoint")).unwrap();
    let checkpoint = Checkpoint::verify(&note, key().verifier()).unwrap();
    assert_eq!((checkpoint.size(), *checkpoint.root()), (70_000, log.root()));

    let folder = LogFolder::new(dir.path());
    let tree = TileTree::new(&folder, checkpoint.size());
    let proof = probity_core::log::InclusionProof::prove(&tree, 69_999, 70_000).unwrap();
    proof.verify(&leaf_hash(&entry(69_999)), checkpoint.root()).unwrap();
    folder.verify(key().verifier()).unwrap();
}

#[test]
fn a_partial_tile_goes_when_it_is_full() {
    let (dir, mut log) = log_of(200);
    assert!(dir.path().join("tile/0/000.p/200").exists());
    append(&mut log, 56);
    assert!(!dir.path().join("tile/0/000.p").exists());
    assert!(!dir.path().join("tile/entries/000.p").exists());
    // The old checkpoint is served by the full tile.
    let report = log.folder().verify(key().verifier()).unwrap();
    assert_eq!(report.size, 200);
}

#[test]
fn no_full_file_is_written_twice() {
    let (dir, mut log) = log_of(600);
    let modified = |name: &str| {
        let path = dir.path().join(name);
        let file = fs::File::open(&path).unwrap();
        (fs::metadata(&path).unwrap().ino(), file.metadata().unwrap().mtime_nsec())
    };
    let names = ["tile/0/000", "tile/0/001", "tile/entries/000", "tile/entries/001"];
    let before: Vec<_> = names.iter().map(|name| modified(name)).collect();
    append(&mut log, 900);
    drop(log);
    drop(LogStore::open(dir.path(), ORIGIN).unwrap());
    assert_eq!(before, names.iter().map(|name| modified(name)).collect::<Vec<_>>());
}

#[test]
fn one_writer_at_a_time() {
    let (dir, log) = log_of(1);
    let error = LogStore::open(dir.path(), ORIGIN).unwrap_err();
    assert!(matches!(&error, LogError::Locked { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(log);
    LogStore::open(dir.path(), ORIGIN).unwrap();
}

#[test]
fn refuses_what_does_not_fit_and_changes_nothing() {
    let (dir, mut log) = log_of(3);
    let error = log.append(&[vec![0; 0xffff], vec![0; 0x10000]]).unwrap_err();
    assert!(matches!(error, LogError::EntryTooLong { position: 1, got: 0x10000 }), "{error}");
    let error = log.append(&vec![vec![0; 0xffff]; MAX_BATCH_BYTES / 0xffff]).unwrap_err();
    assert!(matches!(error, LogError::BatchTooLarge { .. }), "{error}");
    assert!(matches!(log.entry(3), Err(LogError::OutOfRange { got: 4, size: 3 })));
    assert!(matches!(log.prove_inclusion(3, 3), Err(LogError::OutOfRange { got: 3, size: 3 })));
    assert!(matches!(log.prove_inclusion(0, 4), Err(LogError::OutOfRange { got: 4, size: 3 })));
    assert!(matches!(log.prove_consistency(3, 2), Err(LogError::Sizes(_))));
    assert_eq!(log.size(), 3);
    assert_eq!(log.append(&[vec![1; 0xffff]]).unwrap(), 3..4);
    drop(log);

    let error = LogStore::open(dir.path(), "log.example/other").unwrap_err();
    assert!(matches!(&error, LogError::Origin { got, .. } if got == ORIGIN), "{error}");
    let error = LogStore::open(dir.path(), "two\nlines").unwrap_err();
    assert!(matches!(error, LogError::Sign(_)), "{error}");
}

#[test]
fn a_tile_can_be_read_by_its_name() {
    let (dir, _log) = log_of(300);
    let mut names = Vec::new();
    for folder in ["tile/0", "tile/1", "tile/0/001.p", "tile/1/000.p"] {
        let Ok(files) = fs::read_dir(dir.path().join(folder)) else { continue };
        let files = files.map(Result::unwrap).filter(|file| file.file_type().unwrap().is_file());
        names.extend(files.map(|file| format!("{folder}/{}", file.file_name().display())));
    }
    names.sort();
    assert_eq!(names, ["tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1"]);
    for name in names {
        let tile: Tile = name.parse().unwrap();
        assert!(tile.width() <= TILE_WIDTH);
        tile.decode(&fs::read(dir.path().join(&name)).unwrap()).unwrap();
    }
}
