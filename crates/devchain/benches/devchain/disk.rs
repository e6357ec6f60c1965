//! What the disk allows: the time of a flush, the physical limit of one durable commit.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::Outcome;

/// Median times to write and flush so many bytes into an existing file.
pub(crate) struct Disk {
    pub(crate) small: Duration,
    pub(crate) large: Duration,
}

pub(crate) const SMALL: usize = 4 * 1024;
pub(crate) const LARGE: usize = 1024 * 1024;

pub(crate) fn measure() -> Outcome<Disk> {
    settle()?;
    let dir = tempfile::tempdir()?;
    let file = File::create(dir.path().join("flush"))?;
    file.write_all_at(&vec![1; 16 * LARGE], 0)?;
    file.sync_all()?;
    Ok(Disk { small: median(&file, SMALL)?, large: median(&file, LARGE)? })
}

/// Lets the disk finish with what the previous measurement left.
pub(crate) fn settle() -> Outcome {
    std::process::Command::new("sync").status()?;
    Ok(())
}

fn median(file: &File, bytes: usize) -> Outcome<Duration> {
    let mut times = Vec::new();
    for round in 0..101_u64 {
        let data = vec![round.to_le_bytes()[0]; bytes];
        let start = Instant::now();
        file.write_all_at(&data, round % 16 * bytes as u64)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}
