//! Kills a writing process hundreds of times and looks at what is left.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use probity_store::log::LogStore;
use tempfile::TempDir;

use crate::{
    Numbers,
    log::{ORIGIN, append, entry, key},
};

const FOLDER: &str = "PROBITY_TEST_KILL_FOLDER";
const SEED: &str = "PROBITY_TEST_KILL_SEED";
const ROUNDS: u64 = 300;
/// After so many rounds the log is begun anew, so that checking it stays quick.
const ROUNDS_A_LOG: u64 = 10;

/// What the killed process does; without its folder it is no process to kill.
#[test]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut numbers = Numbers(std::env::var(SEED).unwrap().parse().unwrap());
    let mut log = LogStore::open(folder, ORIGIN).unwrap();
    let acknowledge = |size: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {size}").unwrap();
        out.flush().unwrap();
    };
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

fn spawn(folder: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "log_kill::writer", "--nocapture"])
        .env(FOLDER, folder)
        .env(SEED, seed.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets the child write for a while, kills it, and returns the last size it acknowledged.
fn run_and_kill(folder: &Path, numbers: &mut Numbers) -> u64 {
    let mut child = spawn(folder, 1 + numbers.below(u64::MAX));
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
        let acknowledged = run_and_kill(folder.path(), &mut numbers);
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
