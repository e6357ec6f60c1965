//! Fixtures shared by the rooms' tests.

mod authority;
mod python;
mod small_disk;

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use probity_core::{Clock, SystemClock};

pub use authority::{Authority, Issued};
pub use python::python;
pub use small_disk::SmallDisk;

/// An error and its causes in one line, as people see them.
pub fn chain_of(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// A clock that tells what it was told.
#[derive(Debug, Default)]
pub struct FakeClock(AtomicU64);

impl FakeClock {
    /// A clock at a time, in Unix seconds.
    pub fn at(seconds: u64) -> Self {
        Self(AtomicU64::new(seconds))
    }

    /// Lets time pass.
    pub fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for FakeClock {
    fn unix_seconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// A clock that runs some times as fast as the machine's: what it times is as late as on a machine
/// that is as many times slower.
#[derive(Debug)]
pub struct SwiftClock {
    started: Instant,
    at: u64,
    times: u64,
}

impl SwiftClock {
    /// A clock that shows the time and runs `times` as fast.
    pub fn new(times: u64) -> Self {
        Self { started: Instant::now(), at: SystemClock.unix_seconds(), times }
    }
}

impl Clock for SwiftClock {
    fn unix_seconds(&self) -> u64 {
        let passed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.at.saturating_add(passed.saturating_mul(self.times) / 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_when_told() {
        let clock = FakeClock::at(5);
        clock.advance(2);
        assert_eq!(clock.unix_seconds(), 7);
    }
}
