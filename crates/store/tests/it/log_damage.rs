//! Whatever happens to the files is noticed and named, or undone.

use std::{
    fs,
    path::{Path, PathBuf},
};

use probity_core::log::{SignerKey, leaf_hash};
use probity_store::log::{LogError, LogFolder, LogStore};
use proptest::{prelude::*, sample::Index};

use crate::log::{ORIGIN, append, entry, key, log_of};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// The public files alone: `folder` against its checkpoint.
fn check_folder(dir: &Path) -> Result<(), LogError> {
    LogFolder::new(dir).verify(key().verifier()).map(drop)
}

/// Everything: opening, and reading the whole log.
fn check_store(dir: &Path) -> Result<(), LogError> {
    LogStore::open(dir, ORIGIN)?.verify().map(drop)
}

#[test]
fn every_changed_public_file_is_noticed_and_named() {
    let (dir, log) = log_of(600);
    drop(log);
    check_folder(dir.path()).unwrap();
    let names = files(&dir.path().join("tile"));
    assert_eq!(names.len(), 2 + 1 + 1 + 2 + 1, "{names:?}");
    for path in names.into_iter().chain([dir.path().join("checkpoint")]) {
        let good = fs::read(&path).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        let longer = [good.as_slice(), b"x"].concat();
        for bad in [&flipped[..], &good[..good.len() - 1], b"", &longer] {
            fs::write(&path, bad).unwrap();
            let error = check_folder(dir.path()).unwrap_err();
            // An entry and its hash contradict each other: either may be the one that changed.
            let twin = path.to_string_lossy().replace("tile/0", "tile/entries");
            let text = format!("{error:?}");
            let named = text.contains(&*path.to_string_lossy()) || text.contains(&*twin);
            assert!(named, "{}: {error:?}", path.display());
        }
        fs::remove_file(&path).unwrap();
        let error = check_folder(dir.path()).unwrap_err();
        assert!(
            matches!(error, LogError::Missing { .. } | LogError::NoCheckpoint { .. }),
            "{error}"
        );
        fs::write(&path, good).unwrap();
        check_folder(dir.path()).unwrap();
    }
}

#[test]
fn the_store_notices_changed_full_tiles() {
    let (dir, log) = log_of(600);
    drop(log);
    for name in ["tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001", "checkpoint"] {
        let path = dir.path().join(name);
        let good = fs::read(&path).unwrap();
        for change in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[change] ^= 1;
            fs::write(&path, bad).unwrap();
            assert!(
                check_store(dir.path()).is_err() || check_folder(dir.path()).is_err(),
                "{name}"
            );
        }
        fs::remove_file(&path).unwrap();
        let missing = check_store(dir.path());
        assert!(missing.is_err() || name == "checkpoint", "{name}");
        fs::write(&path, good).unwrap();
        check_store(dir.path()).unwrap();
    }
}

#[test]
fn an_unfinished_append_is_dropped() {
    let (dir, mut log) = log_of(300);
    append(&mut log, 10);
    let journal = dir.path().join("journal");
    let before = fs::read(&journal).unwrap();
    append(&mut log, 7);
    drop(log);
    let after = fs::read(&journal).unwrap();
    for cut in before.len()..after.len() {
        fs::write(&journal, &after[..cut]).unwrap();
        let log = LogStore::open(dir.path(), ORIGIN).unwrap();
        assert_eq!(log.size(), 310, "cut at {cut}");
        drop(log);
        assert_eq!(fs::read(&journal).unwrap(), before, "cut at {cut}");
    }
    // A power cut may leave the length without the content.
    let mut blank = before.clone();
    blank.resize(after.len(), 0);
    fs::write(&journal, blank).unwrap();
    assert_eq!(LogStore::open(dir.path(), ORIGIN).unwrap().size(), 310);
}

#[test]
fn damage_before_the_last_append_is_not_taken_for_an_unfinished_one() {
    let (dir, mut log) = log_of(300);
    append(&mut log, 10);
    append(&mut log, 7);
    drop(log);
    let journal = dir.path().join("journal");
    let good = fs::read(&journal).unwrap();
    // From the first byte to the second append's last frame.
    let last = good.windows(4).rposition(|window| window == b"PJF1").unwrap();
    for at in 0..last {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        fs::write(&journal, bad).unwrap();
        let error = LogStore::open(dir.path(), ORIGIN).unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("journal"), "byte {at}: {text}");
    }
    fs::write(&journal, good).unwrap();
    check_store(dir.path()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the journal holds, opening the log gives an error or a log that is whole.
    #[test]
    fn no_journal_makes_the_log_panic(
        noise: Vec<u8>,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        cut: Index,
    ) {
        let (dir, mut log) = log_of(260);
        append(&mut log, 3);
        drop(log);
        let path = dir.path().join("journal");
        let mut journal = fs::read(&path).unwrap();
        for (at, byte) in changes {
            let at = at.index(journal.len());
            journal[at] = byte;
        }
        let cut = cut.index(journal.len());
        let spliced = [&journal[..cut], &noise, &journal[cut..]].concat();
        for bytes in [&noise, &journal, &journal[..cut].to_vec(), &spliced] {
            fs::write(&path, bytes).unwrap();
            if let Ok(log) = LogStore::open(dir.path(), ORIGIN) {
                prop_assert!((260..=263).contains(&log.size()));
                log.verify().unwrap();
            }
        }
    }

    /// The same for every public file, read by who does not trust the log.
    #[test]
    fn no_public_file_makes_a_reader_panic(noise: Vec<u8>, at: Index, cut: Index, byte: u8) {
        let (dir, log) = log_of(260);
        drop(log);
        let files = files(dir.path());
        let path = at.get(&files);
        let good = fs::read(path).unwrap();
        if good.is_empty() {
            return Ok(());
        }
        let cut = cut.index(good.len());
        let mut changed = good.clone();
        changed[cut] = byte;
        for bytes in [&noise, &changed, &good[..cut].to_vec()] {
            fs::write(path, bytes).unwrap();
            let checked = LogFolder::new(dir.path()).verify(key().verifier());
            let public = !path.ends_with("journal") && !path.ends_with("lock");
            prop_assert!(checked.is_err() || !public || *bytes == good, "{}", path.display());
        }
    }
}

#[test]
fn lost_files_are_not_taken_for_a_new_log() {
    let (dir, log) = log_of(600);
    drop(log);
    let journal = dir.path().join("journal");
    let good = fs::read(&journal).unwrap();
    fs::remove_file(&journal).unwrap();
    let error = LogStore::open(dir.path(), ORIGIN).unwrap_err();
    assert!(matches!(&error, LogError::Missing { path } if *path == journal), "{error}");
    fs::write(&journal, good).unwrap();
    let bundle = dir.path().join("tile/entries/001");
    fs::remove_file(&bundle).unwrap();
    let error = LogStore::open(dir.path(), ORIGIN).unwrap_err();
    assert!(matches!(&error, LogError::Missing { path } if *path == bundle), "{error}");
}

/// A log that signed a checkpoint must not be grown from an older copy of itself: the two would
/// contradict each other.
#[test]
fn a_rolled_back_log_does_not_open() {
    let (dir, mut log) = log_of(300);
    let old = fs::read(dir.path().join("journal")).unwrap();
    append(&mut log, 5);
    log.checkpoint(&key()).unwrap();
    drop(log);
    fs::write(dir.path().join("journal"), old).unwrap();
    let error = LogStore::open(dir.path(), ORIGIN).unwrap_err();
    assert!(matches!(error, LogError::Short { expected: 305, got: 300, .. }), "{error}");
}

#[test]
fn a_checkpoint_of_another_history_stops_the_log() {
    let (dir, log) = log_of(300);
    drop(log);
    let other = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(other.path(), ORIGIN).unwrap();
    log.append(&["another history"]).unwrap();
    log.checkpoint(&key()).unwrap();
    fs::copy(other.path().join("checkpoint"), dir.path().join("checkpoint")).unwrap();
    let error = LogStore::open(dir.path(), ORIGIN).unwrap_err();
    assert!(matches!(error, LogError::Diverged { size: 1, .. }), "{error}");
    let stranger = SignerKey::from_seed(ORIGIN, &[8; 32]).unwrap();
    let error = log.folder().verify(stranger.verifier()).unwrap_err();
    assert!(matches!(error, LogError::Checkpoint { .. }), "{error}");
}

/// The journal is rolled over last, so a crash anywhere before leaves the old one beside any part of
/// the new files.
#[test]
fn a_crash_while_full_files_are_written_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = LogStore::open(dir.path(), ORIGIN).unwrap();
    append(&mut log, 250);
    // A file where a folder belongs: nothing but the journal can be written.
    let obstacle = dir.path().join("tile");
    fs::write(&obstacle, "").unwrap();
    append(&mut log, 300);
    let (size, root) = (log.size(), log.root());
    assert_eq!(log.read(200..300).unwrap().len(), 100);
    let proof = log.prove_inclusion(3, size).unwrap();
    proof.verify(&leaf_hash(&entry(3)), &root).unwrap();
    assert!(log.append(&["too much"]).is_err());
    assert!(log.checkpoint(&key()).is_err());
    let journal = fs::read(dir.path().join("journal")).unwrap();

    fs::remove_file(&obstacle).unwrap();
    append(&mut log, 1);
    log.verify().unwrap();
    assert!(fs::read(dir.path().join("journal")).unwrap().len() < journal.len());
    drop(log);

    let full = ["tile/entries/000", "tile/entries/001", "tile/0/000", "tile/0/001"];
    for kept in 0..16_u32 {
        let copy = tempfile::tempdir().unwrap();
        fs::create_dir_all(copy.path().join("tile/entries")).unwrap();
        fs::create_dir_all(copy.path().join("tile/0")).unwrap();
        fs::write(copy.path().join("journal"), &journal).unwrap();
        for (_, name) in (0..).zip(full).filter(|(bit, _)| kept & (1 << bit) != 0) {
            fs::copy(dir.path().join(name), copy.path().join(name)).unwrap();
        }
        let mut log = LogStore::open(copy.path(), ORIGIN).unwrap();
        assert_eq!((log.size(), log.root()), (size, root), "kept {kept:04b}");
        append(&mut log, 300);
        log.verify().unwrap();
        log.checkpoint(&key()).unwrap();
        log.folder().verify(key().verifier()).unwrap();
    }
}
