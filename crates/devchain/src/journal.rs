//! The journal: what makes a block durable with one small write.
//!
//! A database commit dirties dozens of scattered pages for a single transaction, and flushing them
//! takes several times as long as flushing one. So a block is first appended here (its raw
//! transactions and its hash, a few hundred bytes) and flushed; then it goes into the database in
//! one transaction that is not flushed. Once in a while a *checkpoint* flushes the chain file and
//! starts the journal over; the state file follows beside further blocks. After a crash the chain
//! file is at the last checkpoint or the one before, and what the journal holds beyond it is executed
//! again, and must come to the same block hashes.
//!
//! The file has a fixed size, so that appending never needs more disk, and flushing no metadata.
//! An entry is: generation (8 bytes), payload length (4), keccak-256 of both and the payload (32),
//! payload. Entries of one generation follow each other from the start of the file; anything else
//! is what an earlier generation, or a crash in the middle of writing, has left.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};

use crate::Error;
use crate::commit::QueueWrite;
use crate::execute::Block;

/// Some thousand transactions, which take about a second to execute again.
const SIZE: usize = 2 * 1024 * 1024;
const HEADER: usize = 8 + 4 + 32;

/// What one round of the sealer did.
#[derive(Debug, Default, RlpEncodable, RlpDecodable)]
pub(crate) struct Entry {
    /// Number of the block, or 0 if only the queue changed.
    pub(crate) number: u64,
    pub(crate) timestamp: u64,
    /// Hash of the block.
    pub(crate) hash: B256,
    /// Its transactions, EIP-2718.
    pub(crate) transactions: Vec<Bytes>,
    queued: Vec<Bytes>,
    unqueued: Vec<Place>,
}

#[derive(Debug, RlpEncodable, RlpDecodable)]
struct Place {
    sender: Address,
    nonce: u64,
}

impl Entry {
    pub(crate) fn new(block: Option<&Block>, queue: &[QueueWrite]) -> Self {
        let mut entry = Self::default();
        if let Some(block) = block {
            entry.number = block.header.number;
            entry.timestamp = block.header.timestamp;
            entry.hash = block.header.hash();
            entry.transactions = block.transactions.iter().map(|tx| tx.raw.clone()).collect();
        }
        // A nonce that has left the queue never comes back, so additions go first.
        for ((sender, nonce), raw) in queue {
            match raw {
                Some(raw) => entry.queued.push(raw.clone()),
                None => entry.unqueued.push(Place { sender: *sender, nonce: *nonce }),
            }
        }
        entry
    }

    /// The queue changes, with the additions placed by the given function.
    pub(crate) fn queue_writes(
        &self,
        place: impl Fn(&Bytes) -> Result<(Address, u64), Error>,
    ) -> Result<Vec<QueueWrite>, Error> {
        let added = self.queued.iter().map(|raw| Ok((place(raw)?, Some(raw.clone()))));
        let removed = self.unqueued.iter().map(|gone| Ok(((gone.sender, gone.nonce), None)));
        added.chain(removed).collect()
    }
}

#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    generation: u64,
    /// Where the next entry goes.
    end: usize,
    /// Where the last one begins.
    last: usize,
}

impl Journal {
    /// Opens the journal, or makes an empty one, and returns it with its entries.
    pub(crate) fn open(path: &Path) -> Result<(Self, Vec<Entry>), Error> {
        let failed = |source| Error::file(path, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        let mut bytes = vec![0; SIZE];
        let length = usize::try_from(file.metadata().map_err(failed)?.len()).unwrap_or(SIZE);
        if length < SIZE {
            // Zeros, not a hole: the space has to be there.
            file.write_all_at(&bytes[length..], length as u64).map_err(failed)?;
            file.sync_all().map_err(failed)?;
        }
        file.read_exact_at(&mut bytes, 0).map_err(failed)?;
        let mut journal = Self { file, path: path.to_owned(), generation: 1, end: 0, last: 0 };
        let entries = journal.scan(&bytes)?;
        Ok((journal, entries))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        while let Some((generation, payload)) =
            read_frame(bytes.get(self.end..).unwrap_or_default())
        {
            if self.end == 0 {
                self.generation = generation;
            } else if generation != self.generation {
                break;
            }
            let mut rlp = payload;
            entries.push(Entry::decode(&mut rlp)?);
            self.last = self.end;
            self.end += HEADER + payload.len();
        }
        Ok(entries)
    }

    /// Appends the entry; with `flush` it is on disk when this returns. False if it does not fit,
    /// which calls for a checkpoint.
    pub(crate) fn append(&mut self, entry: &Entry, flush: bool) -> Result<bool, Error> {
        let frame = frame(self.generation, &alloy_rlp::encode(entry));
        if self.end + frame.len() > SIZE {
            return Ok(false);
        }
        self.write(self.end, &frame, flush)?;
        self.last = self.end;
        self.end += frame.len();
        Ok(true)
    }

    /// Takes back the last entry: its block did not get into the database.
    pub(crate) fn undo(&mut self) -> Result<(), Error> {
        self.end = self.last;
        self.write(self.end, &[0; HEADER], true)
    }

    /// Starts over: everything so far is in the database, on disk.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        let empty = frame(self.generation + 1, &alloy_rlp::encode(Entry::default()));
        self.write(0, &empty, true)?;
        self.generation += 1;
        (self.last, self.end) = (0, empty.len());
        Ok(())
    }

    fn write(&self, at: usize, bytes: &[u8], flush: bool) -> Result<(), Error> {
        let write = || -> io::Result<()> {
            self.file.write_all_at(bytes, at as u64)?;
            if flush { self.file.sync_data() } else { Ok(()) }
        };
        write().map_err(|source| Error::file(&self.path, source))
    }
}

fn checksum(head: &[u8], payload: &[u8]) -> B256 {
    let mut hasher = alloy_primitives::Keccak256::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

fn frame(generation: u64, payload: &[u8]) -> Vec<u8> {
    let mut frame = generation.to_le_bytes().to_vec();
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    frame.extend(length.to_le_bytes());
    frame.extend(checksum(&frame, payload));
    frame.extend(payload);
    frame
}

fn read_frame(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<12>()?;
    let (sum, rest) = rest.split_first_chunk::<32>()?;
    let (generation, length) = head.split_first_chunk::<8>()?;
    let length = u32::from_le_bytes(*length.first_chunk()?);
    let payload = rest.get(..usize::try_from(length).ok()?)?;
    let intact = length > 0 && checksum(head, payload) == B256::from(*sum);
    intact.then(|| (u64::from_le_bytes(*generation), payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        Entry { number, transactions: vec![vec![7; 500].into()], ..Entry::default() }
    }

    fn numbers(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, entries) = Journal::open(&path).unwrap();
        assert!(entries.is_empty());
        for number in 1..=3 {
            assert!(journal.append(&entry(number), true).unwrap());
        }
        let (mut journal, entries) = Journal::open(&path).unwrap();
        assert_eq!(numbers(&entries), [1, 2, 3]);
        journal.undo().unwrap();
        assert!(journal.append(&entry(4), false).unwrap());
        assert_eq!(numbers(&Journal::open(&path).unwrap().1), [1, 2, 4]);
        journal.restart().unwrap();
        assert!(journal.append(&entry(5), true).unwrap());
        assert_eq!(numbers(&Journal::open(&path).unwrap().1), [0, 5]);
    }

    #[test]
    fn a_full_journal_says_so_and_a_torn_entry_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let mut count = 0;
        while journal.append(&entry(count + 1), false).unwrap() {
            count += 1;
        }
        assert!(count > 3_500);
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1.len() as u64, count);
        for (cut, left) in [(journal.end - 1, count - 1), (journal.last + 3, count - 1)] {
            let mut torn = whole.clone();
            torn[cut..].fill(0);
            std::fs::write(&path, torn).unwrap();
            assert_eq!(Journal::open(&path).unwrap().1.len() as u64, left);
        }
        let mut flipped = whole;
        flipped[HEADER + 9] ^= 1;
        std::fs::write(&path, flipped).unwrap();
        assert!(Journal::open(&path).unwrap().1.is_empty());
    }
}
