//! Kills a writing process hundreds of times and looks at what is left.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::TryStreamExt as _;
use probity_core::Digest;
use probity_store::{
    index::{Batch, Cursor, Index, Record},
    log::LogStore,
    objects::Objects,
};
use tempfile::TempDir;

use crate::{
    Numbers,
    log::{ORIGIN, append, entry, key},
    runtime,
};

const FOLDER: &str = "PROBITY_TEST_KILL_FOLDER";
const SEED: &str = "PROBITY_TEST_KILL_SEED";
const WHAT: &str = "PROBITY_TEST_KILL_WHAT";
const ROUNDS: u64 = 300;
/// After so many rounds the log is begun anew, so that checking it stays quick.
const ROUNDS_A_LOG: u64 = 10;

/// What the killed process does; without its folder it is no process to kill.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut numbers = Numbers(std::env::var(SEED).unwrap().parse().unwrap());
    if std::env::var_os(WHAT).is_some_and(|what| what == "rows") {
        runtime().block_on(write_rows(Path::new(&folder)));
    }
    let mut log = LogStore::open(folder, ORIGIN).unwrap();
    acknowledge(log.size());
    loop {
        let batch = match numbers.below(12) {
            0 => numbers.below(600),
            _ => 1 + numbers.below(20),
        };
        append(&mut log, batch);
        acknowledge(log.size());
        if numbers.below(4) == 0 {
            log.checkpoint(&key()).unwrap();
        }
    }
}

fn acknowledge(number: u64) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nacknowledged {number}").unwrap();
    out.flush().unwrap();
}

fn blob(block: u64) -> Vec<u8> {
    entry(block).repeat(100)
}

fn cursor(block: u64) -> Cursor {
    Cursor { block, block_hash: format!("0xb{block}"), log_size: block }
}

/// Three records and the object they name, for each block.
fn rows_of(block: u64) -> Batch {
    let mut batch = Batch::to(block.checked_sub(1).map(cursor), cursor(block));
    batch.records = (0..3)
        .map(|log_index| Record {
            id: format!("0x{block:04x}{log_index}"),
            kind: "content".to_owned(),
            author: "0xa1".to_owned(),
            block,
            log_index,
            time: block,
            body: serde_json::json!({ "object": Digest::of(&blob(block)) }),
        })
        .collect();
    batch
}

async fn write_rows(folder: &Path) -> ! {
    let objects = Objects::folder(folder).unwrap();
    let index = Index::open_file(&folder.join("index.db")).await.unwrap();
    let mut next = index.cursor().await.unwrap().map_or(0, |cursor| cursor.block + 1);
    acknowledge(next);
    loop {
        objects.put(blob(next)).await.unwrap();
        index.apply(&rows_of(next)).await.unwrap();
        next += 1;
        acknowledge(next);
    }
}

fn spawn(folder: &Path, what: &str, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(WHAT, what)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Lets the child write for a while, kills it, and returns the last number it acknowledged.
fn run_and_kill(folder: &Path, what: &str, numbers: &mut Numbers) -> u64 {
    let mut child = spawn(folder, what, 1 + numbers.below(u64::MAX));
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = None;
    let mut left = 1 + numbers.below(12);
    let mut note = |line: std::io::Result<String>| {
        let size = line.unwrap_or_default().strip_prefix("acknowledged ").map(str::to_owned);
        last = size.and_then(|size| size.parse().ok()).or(last);
        last
    };
    while left > 0 {
        let before = note(lines.next().expect("the writer ends only when it is killed"));
        left -= u64::from(before.is_some());
    }
    let pause = Duration::from_micros(numbers.below(3000));
    let start = Instant::now();
    while start.elapsed() < pause {
        std::hint::spin_loop();
    }
    // SIGKILL on Unix.
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines {
        note(line);
    }
    last.unwrap()
}

/// In memory where there is such a folder: a kill, unlike a power cut, does not ask what the disk has,
/// and without waiting for it there are more kills a second.
fn new_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_half_written_stays() {
    let mut numbers = Numbers(42);
    let mut folder = new_folder();
    let mut largest = 0;
    for round in 0..ROUNDS {
        if round % ROUNDS_A_LOG == 0 {
            folder = new_folder();
        }
        let acknowledged = run_and_kill(folder.path(), "log", &mut numbers);
        let log = LogStore::open(folder.path(), ORIGIN).unwrap();
        assert!(log.size() >= acknowledged, "{} of {acknowledged}", log.size());
        log.verify().unwrap();
        for (index, found) in (0..).zip(log.read(0..log.size()).unwrap()) {
            assert_eq!(found, entry(index), "round {round}");
        }
        if log.folder().checkpoint_bytes().unwrap().is_some() {
            log.folder().verify(key().verifier()).unwrap();
        }
        largest = largest.max(log.size());
    }
    assert!(largest > 1000, "the logs stayed small: {largest}");
}

#[test]
fn no_acknowledged_object_or_row_is_lost_and_no_batch_is_split() {
    let mut numbers = Numbers(43);
    let mut folder = new_folder();
    for round in 0..ROUNDS / 3 {
        if round % ROUNDS_A_LOG == 0 {
            folder = new_folder();
        }
        let acknowledged = run_and_kill(folder.path(), "rows", &mut numbers);
        runtime().block_on(async {
            let objects = Objects::folder(folder.path()).unwrap();
            let index = Index::open_file(&folder.path().join("index.db")).await.unwrap();
            let blocks = index.cursor().await.unwrap().map_or(0, |cursor| cursor.block + 1);
            assert!(blocks >= acknowledged, "{blocks} of {acknowledged}");
            for block in 0..blocks {
                assert_eq!(objects.get(&Digest::of(&blob(block))).await.unwrap(), blob(block));
            }
            let records = index.records("content", None, u32::MAX).await.unwrap();
            let expected: Vec<_> = (0..blocks).flat_map(|block| rows_of(block).records).collect();
            assert!(records == expected, "round {round}");
            // What was being written when the process died is no blob.
            let blobs: Vec<_> = objects.list().try_collect().await.unwrap();
            for digest in blobs {
                objects.get(&digest).await.unwrap();
            }
            objects.sweep().await.unwrap();
            index.close().await;
        });
    }
}
