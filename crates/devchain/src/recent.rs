//! State of committed blocks that the state file does not hold yet.
//!
//! A block changes accounts, slots and trie nodes at random places: written at once, each costs a page
//! of 4 KiB, and with a million token holders that is nearly all a block has to write. So they are
//! collected here and written a *generation* at a time, each record once and in order, by a thread
//! of its own, while the next generation collects. What a crash takes away comes back by executing
//! the stored blocks again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use alloy_primitives::map::HashMap;

/// A key of the state file and its value; `None` when it is gone.
pub(crate) type StateWrite = (Vec<u8>, Option<Vec<u8>>);

/// What is known of a key that was written lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Latest {
    Value(Vec<u8>),
    Gone,
}

impl Latest {
    pub(crate) fn value(self) -> Option<Vec<u8>> {
        match self {
            Self::Value(value) => Some(value),
            Self::Gone => None,
        }
    }
}

/// What a block does to the state.
pub(crate) struct StateChange {
    /// Number of the block.
    pub(crate) block: u64,
    pub(crate) writes: Vec<StateWrite>,
}

/// The records that some run of blocks changed.
///
/// Readers see it as of the block they started at, while later blocks are added: so a record keeps
/// the earlier values that a reader may still ask for.
#[derive(Debug, Default)]
pub(crate) struct Generation(RwLock<HashMap<Vec<u8>, Record>>);

#[derive(Debug)]
struct Record {
    block: u64,
    value: Option<Vec<u8>>,
    /// Oldest first.
    earlier: Vec<(u64, Option<Vec<u8>>)>,
}

impl Record {
    fn at(&self, block: u64) -> Option<Latest> {
        let earlier = || self.earlier.iter().rev().find(|(since, _)| *since <= block);
        let value =
            if self.block <= block { &self.value } else { earlier().map(|(_, value)| value)? };
        Some(value.clone().map_or(Latest::Gone, Latest::Value))
    }

    fn replace(&mut self, block: u64, value: Option<Vec<u8>>, oldest_reader: Option<u64>) {
        let since = std::mem::replace(&mut self.block, block);
        let value = std::mem::replace(&mut self.value, value);
        match oldest_reader {
            None => self.earlier.clear(),
            Some(reader) => {
                self.earlier.push((since, value));
                let seen = self.earlier.partition_point(|(since, _)| *since <= reader);
                self.earlier.drain(..seen.saturating_sub(1));
            }
        }
    }
}

impl Generation {
    /// The value as of the block: `None` if nothing up to there is known of the key.
    fn get(&self, key: &[u8], block: u64) -> Option<Latest> {
        let records = self.0.read().unwrap_or_else(PoisonError::into_inner);
        records.get(key)?.at(block)
    }

    fn apply(&self, change: StateChange, oldest_reader: Option<u64>) {
        let StateChange { block, writes } = change;
        let mut records = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            match records.get_mut(&key) {
                Some(record) => record.replace(block, value, oldest_reader),
                None => drop(records.insert(key, Record { block, value, earlier: Vec::new() })),
            }
        }
    }

    /// Hands over the newest values in the order of their keys.
    pub(crate) fn for_each<E>(
        &self,
        mut each: impl FnMut(&[u8], Option<&[u8]>) -> Result<(), E>,
    ) -> Result<(), E> {
        let records = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<_> = records.iter().collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted.into_iter().try_for_each(|(key, record)| each(key, record.value.as_deref()))
    }
}

/// A generation that is being written, and the block it ends with.
#[derive(Debug, Clone)]
pub(crate) struct Frozen {
    pub(crate) block: u64,
    pub(crate) records: Arc<Generation>,
}

/// The generation that collects, and before it the one being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recent {
    /// The newest block whose state is here or in the file.
    pub(crate) block: u64,
    young: Arc<Generation>,
    pub(crate) frozen: Option<Frozen>,
}

impl Recent {
    /// Nothing beyond what the file holds.
    pub(crate) fn after(block: u64) -> Self {
        Self { block, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, change: StateChange, oldest_reader: Option<u64>) {
        self.block = change.block;
        self.young.apply(change, oldest_reader);
    }

    /// Starts a new generation. The one before it has to be written by now.
    pub(crate) fn freeze(&mut self) {
        let records = std::mem::take(&mut self.young);
        self.frozen = Some(Frozen { block: self.block, records });
    }

    /// As [`Generation::get`], as of the block that this was cloned at.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Latest> {
        let frozen = || self.frozen.as_ref()?.records.get(key, self.block);
        self.young.get(key, self.block).or_else(frozen)
    }

    /// The keys known here, each once.
    pub(crate) fn keys(&self) -> std::collections::BTreeSet<Vec<u8>> {
        let frozen = self.frozen.iter().map(|frozen| &frozen.records);
        let keys = |generation: &Arc<Generation>| {
            let records = generation.0.read().unwrap_or_else(PoisonError::into_inner);
            records.keys().cloned().collect::<Vec<_>>()
        };
        std::iter::once(&self.young).chain(frozen).flat_map(keys).collect()
    }
}

/// The blocks at which snapshots are being read, with how many.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<BTreeMap<u64, usize>>);

impl Readers {
    pub(crate) fn enter(&self, block: u64) -> Reader<'_> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(block).or_default() += 1;
        Reader { readers: self, block }
    }

    pub(crate) fn oldest(&self) -> Option<u64> {
        let readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readers.first_key_value().map(|(block, _)| *block)
    }
}

/// Keeps the values of its block readable while it lives.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    readers: &'a Readers,
    block: u64,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut readers = self.readers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = readers.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                readers.remove(&self.block);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(block: u64, value: Option<u8>) -> StateChange {
        StateChange { block, writes: vec![(b"key".to_vec(), value.map(|byte| vec![byte]))] }
    }

    #[test]
    fn a_reader_sees_its_own_block_until_it_leaves() {
        let (mut recent, readers) = (Recent::after(0), Readers::default());
        let before = recent.clone();
        let first = readers.enter(0);
        recent.apply(change(1, Some(1)), readers.oldest());
        let at_one = (recent.clone(), readers.enter(1));
        for block in 2..9 {
            recent.apply(change(block, (block < 8).then_some(2)), readers.oldest());
            assert_eq!(before.get(b"key"), None);
            assert_eq!(at_one.0.get(b"key"), Some(Latest::Value(vec![1])));
        }
        assert_eq!(recent.get(b"key"), Some(Latest::Gone), "block 8 removed it");
        drop((first, at_one));
        assert_eq!(readers.oldest(), None);
        recent.apply(change(9, Some(9)), readers.oldest());
        let records = recent.young.0.read().unwrap();
        assert!(records[b"key".as_slice()].earlier.is_empty(), "nobody can ask for them");
    }

    #[test]
    fn values_nobody_can_ask_for_are_dropped_while_others_read() {
        let (mut recent, readers) = (Recent::after(0), Readers::default());
        for block in 1..100 {
            let reader = readers.enter(block - 1);
            recent.apply(change(block, Some(0)), readers.oldest());
            drop(reader);
            let records = recent.young.0.read().unwrap();
            assert!(records[b"key".as_slice()].earlier.len() <= 1);
        }
    }

    #[test]
    fn a_frozen_generation_is_read_below_the_young_one() {
        let mut recent = Recent::after(4);
        recent.apply(change(5, Some(5)), None);
        recent.freeze();
        assert_eq!(recent.get(b"key"), Some(Latest::Value(vec![5])));
        recent.apply(change(6, None), None);
        assert_eq!(recent.get(b"key"), Some(Latest::Gone));
        assert_eq!(recent.keys().len(), 1);
        let frozen = recent.frozen.clone().unwrap();
        assert_eq!(frozen.block, 5);
        let mut rows = Vec::new();
        let row = |key: &[u8], value: Option<&[u8]>| {
            rows.push((key.to_vec(), value.map(<[u8]>::to_vec)));
            Ok::<(), ()>(())
        };
        frozen.records.for_each(row).unwrap();
        assert_eq!(rows, [(b"key".to_vec(), Some(vec![5]))]);
    }
}
