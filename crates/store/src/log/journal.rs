//! The entries that are in no full bundle yet, in one synced file.
//!
//! ```text
//! header  "probity-journal-1\n" || first entry's index: u64 || origin: u16 length, bytes || SHA-256
//! frame   "PJF1" || count: u32 || length: u32 || index: u64 || bundle of the entries || SHA-256
//! ```
//!
//! One frame is one append. A frame is begun only after the one before is on disk, so a bad last
//! frame is an append that was never acknowledged and is dropped, while a bad frame with a good
//! one behind it is damage.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use probity_core::{
    Digest,
    log::{TILE_WIDTH, encode_bundle},
};

use super::{LogError, MAX_BATCH_BYTES};
use crate::files;

const MAGIC: &[u8] = b"probity-journal-1\n";
const FRAME: &[u8; 4] = b"PJF1";
const FRAME_HEADER: usize = 20;
const CHECKSUM: usize = 32;
/// Four appends of the largest size between two rolls; a roll follows each append.
const MAX_JOURNAL_BYTES: u64 = 4 * MAX_BATCH_BYTES as u64;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The length up to the last good frame.
    length: u64,
    base: u64,
    entries: Vec<Vec<u8>>,
    stopped: bool,
}

impl Journal {
    /// A new journal of a log with `base` entries in full bundles, holding `entries`.
    pub(super) fn create(
        path: &Path,
        origin: &str,
        base: u64,
        entries: Vec<Vec<u8>>,
    ) -> Result<Self, LogError> {
        let mut bytes = header(origin, base);
        if !entries.is_empty() {
            bytes.extend(frame(base, &entries)?);
        }
        files::replace_durably(path, &bytes).map_err(LogError::io(path))?;
        Self::over(path, bytes.len() as u64, base, entries)
    }

    fn over(path: &Path, length: u64, base: u64, entries: Vec<Vec<u8>>) -> Result<Self, LogError> {
        let file = OpenOptions::new().write(true).open(path).map_err(LogError::io(path))?;
        Ok(Self { path: path.to_owned(), file, length, base, entries, stopped: false })
    }

    /// Reads the journal at `path`; `None` where there is none.
    pub(super) fn open(path: &Path, origin: &str) -> Result<Option<Self>, LogError> {
        let length = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::io(path)(error)),
        };
        if length > MAX_JOURNAL_BYTES {
            return Err(LogError::damaged(path, format!("{length} bytes are too many")));
        }
        let bytes = fs::read(path).map_err(LogError::io(path))?;
        let (base, got, mut rest) =
            parse_header(&bytes).ok_or_else(|| LogError::damaged(path, "the header"))?;
        if got != origin {
            let (expected, path) = (origin.to_owned(), path.to_owned());
            return Err(LogError::Origin { path, expected, got: got.to_owned() });
        }
        let mut entries = Vec::new();
        while let Some(Frame { index, entries: found, behind }) = parse_frame(rest) {
            if index != base + entries.len() as u64 {
                return Err(LogError::damaged(path, format!("a frame starts at entry {index}")));
            }
            entries.extend(found);
            rest = behind;
        }
        let good = bytes.len() - rest.len();
        if has_frame(rest) {
            return Err(LogError::damaged(path, format!("the frame at byte {good}")));
        }
        let mut journal = Self::over(path, good as u64, base, entries)?;
        if !rest.is_empty() {
            journal.cut_back()?;
        }
        Ok(Some(journal))
    }

    /// The index of the first entry held, and the number of entries in full bundles.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn entries(&self) -> &[Vec<u8>] {
        &self.entries
    }

    /// Adds entries; they are on disk when this returns, or not there at all.
    pub(super) fn append(&mut self, entries: &[&[u8]]) -> Result<(), LogError> {
        if self.stopped {
            return Err(LogError::Stopped { path: self.path.clone() });
        }
        let index = self.base + self.entries.len() as u64;
        let frame = frame(index, entries)?;
        let written = self
            .file
            .seek(SeekFrom::Start(self.length))
            .and_then(|_| self.file.write_all(&frame))
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            self.cut_back()?;
            return Err(LogError::Io { path: self.path.clone(), source });
        }
        self.length += frame.len() as u64;
        self.entries.extend(entries.iter().map(|entry| entry.to_vec()));
        Ok(())
    }

    /// Refuses further appends.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    /// Drops what was written after the last good frame.
    fn cut_back(&mut self) -> Result<(), LogError> {
        let cut = self.file.set_len(self.length).and_then(|()| self.file.sync_all());
        // After a failed sync nobody knows what is on disk: reading it again is the way to tell.
        self.stopped = cut.is_err();
        cut.map_err(LogError::io(&self.path))
    }
}

fn header(origin: &str, base: u64) -> Vec<u8> {
    let length = u16::try_from(origin.len()).unwrap_or(u16::MAX);
    let mut bytes = MAGIC.to_vec();
    bytes.extend(base.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(origin.as_bytes().iter().take(usize::from(length)));
    let checksum = Digest::of(&bytes);
    bytes.extend(checksum.as_bytes());
    bytes
}

fn parse_header(bytes: &[u8]) -> Option<(u64, &str, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (base, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<2>()?;
    let (origin, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let (checksum, behind) = rest.split_first_chunk::<CHECKSUM>()?;
    let covered = bytes.get(..bytes.len() - rest.len())?;
    let base = u64::from_be_bytes(*base);
    if Digest::of(covered).as_bytes() != checksum || base % u64::from(TILE_WIDTH) != 0 {
        return None;
    }
    Some((base, std::str::from_utf8(origin).ok()?, behind))
}

fn frame<E: AsRef<[u8]>>(index: u64, entries: &[E]) -> Result<Vec<u8>, LogError> {
    let too_large = |_| LogError::BatchTooLarge { got: usize::MAX };
    let payload = encode_bundle(entries).map_err(|error| LogError::Sizes(error.to_string()))?;
    let count = u32::try_from(entries.len()).map_err(too_large)?;
    let length = u32::try_from(payload.len()).map_err(too_large)?;
    let mut bytes = FRAME.to_vec();
    bytes.extend(count.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(index.to_be_bytes());
    bytes.extend(payload);
    let checksum = Digest::of(&bytes);
    bytes.extend(checksum.as_bytes());
    Ok(bytes)
}

struct Frame<'a> {
    /// The first entry's index.
    index: u64,
    entries: Vec<Vec<u8>>,
    /// What follows the frame.
    behind: &'a [u8],
}

fn parse_frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let rest = bytes.strip_prefix(FRAME)?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (index, rest) = rest.split_first_chunk::<8>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (mut payload, rest) = rest.split_at_checked(length)?;
    let (checksum, behind) = rest.split_first_chunk::<CHECKSUM>()?;
    let covered = bytes.get(..FRAME_HEADER + length)?;
    if Digest::of(covered).as_bytes() != checksum {
        return None;
    }
    let mut entries = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (length, after) = payload.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
        entries.push(entry.to_vec());
        payload = after;
    }
    let index = u64::from_be_bytes(*index);
    payload.is_empty().then_some(Frame { index, entries, behind })
}

/// Whether a whole frame stands anywhere in `bytes`.
fn has_frame(bytes: &[u8]) -> bool {
    let starts = bytes.windows(FRAME.len()).enumerate().filter(|(_, window)| window == FRAME);
    starts.filter_map(|(at, _)| bytes.get(at..)).any(|rest| parse_frame(rest).is_some())
}
