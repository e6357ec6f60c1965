//! The database: two files, reading both from a snapshot, and writing one block per transaction.
//!
//! `chain.redb` holds what is appended block by block. `state.redb` holds what is found by a hash or
//! an address; it follows in generations (see [`recent`](crate::recent)) and can lag behind after a
//! crash, when executing the stored blocks again brings it up to date.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use alloy::consensus::{Header, Sealed};
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_rlp::Decodable;
use alloy_trie::TrieAccount;
use redb::{
    Builder, Database, Durability, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, ReadableTableMetadata, TableDefinition, Value, WriteTransaction,
    backends::InMemoryBackend,
};

use crate::Error;
use crate::recent::{Latest, Reader, Readers, Recent, StateChange};
use crate::records::{ReceiptRecord, StoredLog, TransactionRecord};
use crate::trie::NodeSource;

/// Block number and index in the block: of a transaction, or of a log.
pub(crate) type Position = (u64, u32);

type Table<K, V> = TableDefinition<'static, K, V>;

pub(crate) const META: Table<&str, &[u8]> = TableDefinition::new("meta");
/// Number → hash (32 bytes), then header RLP.
pub(crate) const HEADERS: Table<u64, &[u8]> = TableDefinition::new("headers");
pub(crate) const TRANSACTIONS: Table<Position, &[u8]> = TableDefinition::new("transactions");
pub(crate) const RECEIPTS: Table<Position, &[u8]> = TableDefinition::new("receipts");
pub(crate) const LOGS: Table<Position, &[u8]> = TableDefinition::new("logs");
/// Of each run of [`RUN`] blocks, which have a topic at places 0 to 3, or logs of a contract at place
/// [`ADDRESS_PLACE`]: [`index_key`] → for each its place in the run (2 bytes, big-endian), in order.
pub(crate) const LOG_INDEX: Table<&[u8; 40], &[u8]> = TableDefinition::new("log_index");
/// Longer runs would take fewer lookups for a range of blocks, and scatter what a block adds more.
pub(crate) const RUN: u64 = 1024;
pub(crate) const ADDRESS_PLACE: u8 = 4;
/// Sender and nonce → raw transaction that waits for an earlier nonce.
pub(crate) const QUEUE: Table<&[u8; 28], &[u8]> = TableDefinition::new("queue");

/// The one table of the state file; [`StateKey`] and [`trie::node_key`](crate::trie::node_key) say
/// what is in it.
pub(crate) const STATE: Table<&[u8], &[u8]> = TableDefinition::new("state");

pub(crate) const GENESIS_KEY: &str = "genesis";
/// In the state file: the block whose state it holds, big-endian.
const BLOCK_KEY: &str = "block";

/// Keys of the state file beside those of trie nodes, which begin with 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(crate) enum StateKey {
    /// → account RLP, as in the state trie.
    Account(Address),
    /// → value, big-endian without leading zeros.
    Slot(Address, U256),
    /// Hash of code → the code.
    Code(B256),
    /// Hash of a block → its number, big-endian.
    Block(B256),
    /// Hash of a transaction → its position, big-endian.
    Transaction(B256),
}

impl StateKey {
    pub(crate) fn bytes(self) -> Vec<u8> {
        let slot;
        let (tag, parts): (u8, [&[u8]; 2]) = match &self {
            Self::Account(address) => (2, [address.as_slice(), &[]]),
            Self::Slot(address, index) => {
                slot = index.to_be_bytes::<32>();
                (3, [address.as_slice(), &slot])
            }
            Self::Code(hash) => (4, [hash.as_slice(), &[]]),
            Self::Block(hash) => (5, [hash.as_slice(), &[]]),
            Self::Transaction(hash) => (6, [hash.as_slice(), &[]]),
        };
        [&[tag], parts[0], parts[1]].concat()
    }
}

/// Where the two files are, and how much memory their pages may take.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) chain: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) cache_bytes: usize,
}

#[derive(Debug)]
struct Files {
    chain: Database,
    state: Database,
}

impl Files {
    fn open_by(
        places: &Places,
        open: impl Fn(&Builder, &Path) -> Result<Database, redb::DatabaseError>,
    ) -> Result<Self, Error> {
        let database = |path: &Path, cache_bytes| {
            Ok::<_, Error>(open(Builder::new().set_cache_size(cache_bytes), path)?)
        };
        // Execution reads the state at random; of the chain mostly the end is read.
        let for_chain = places.cache_bytes / 4;
        Ok(Self {
            state: database(&places.state, places.cache_bytes - for_chain)?,
            chain: database(&places.chain, for_chain)?,
        })
    }

    fn state_block(&self) -> Result<u64, Error> {
        let block = self.state.begin_read()?.open_table(META)?.get(BLOCK_KEY)?;
        let block = block.ok_or_else(|| Error::corrupt("the state file names no block"))?;
        decode_number(block.value())
    }
}

/// The open database. A failed write makes `redb` refuse everything until it is opened anew, so
/// the files can be replaced; readers hold them through [`Snapshot`] and are waited for.
#[derive(Debug)]
pub(crate) struct Store {
    files: RwLock<Option<Files>>,
    recent: RwLock<Recent>,
    readers: Readers,
    places: Places,
}

impl Store {
    pub(crate) fn create(places: Places) -> Result<Self, Error> {
        let files = Files::open_by(&places, |builder, path| builder.create(path))?;
        Ok(Self::new(files, 0, places))
    }

    /// The files as they are: the state may lag behind the chain.
    pub(crate) fn open(places: Places) -> Result<Self, Error> {
        let files = Files::open_by(&places, |builder, path| builder.open(path))?;
        let block = files.state_block()?;
        Ok(Self::new(files, block, places))
    }

    /// A database that is gone when dropped, for re-execution.
    pub(crate) fn in_memory() -> Result<Self, Error> {
        let none = Places { chain: PathBuf::new(), state: PathBuf::new(), cache_bytes: 0 };
        let files = Files::open_by(&none, |builder, _| {
            builder.create_with_backend(InMemoryBackend::new())
        })?;
        Ok(Self::new(files, 0, none))
    }

    fn new(files: Files, block: u64, places: Places) -> Self {
        Self {
            files: RwLock::new(Some(files)),
            recent: RwLock::new(Recent::after(block)),
            readers: Readers::default(),
            places,
        }
    }

    /// Makes the tables of empty files, which cannot be read before.
    pub(crate) fn create_tables(&self) -> Result<(), Error> {
        self.write(None, |transaction| {
            transaction.open_table(META)?;
            transaction.open_table(HEADERS)?;
            transaction.open_table(TRANSACTIONS)?;
            transaction.open_table(RECEIPTS)?;
            transaction.open_table(LOGS)?;
            transaction.open_table(LOG_INDEX)?;
            transaction.open_table(QUEUE)?;
            Ok(())
        })?;
        let guard = self.files();
        let transaction = begin_write(&opened(&guard)?.state, Durability::None)?;
        transaction.open_table(STATE)?;
        transaction.open_table(META)?;
        Ok(transaction.commit()?)
    }

    /// A consistent view as of the last committed block.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        let guard = self.files();
        let files = opened(&guard)?;
        // Held until all is taken, so that no block comes between.
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let reader = self.readers.enter(recent.block);
        let (chain, state) = (files.chain.begin_read()?, files.state.begin_read()?);
        let recent = Recent::clone(&recent);
        Ok(Snapshot {
            headers: OnceCell::new(),
            state_table: OnceCell::new(),
            chain,
            state,
            recent,
            _reader: reader,
            _guard: guard,
        })
    }

    /// Runs `write` in one transaction on the chain file, which comes with these changes of the
    /// state. Nothing of it is visible before the commit, and on disk only with [`Store::sync`].
    pub(crate) fn write(
        &self,
        change: Option<StateChange>,
        write: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let guard = self.files();
        let transaction = begin_write(&opened(&guard)?.chain, Durability::None)?;
        write(&transaction)?;
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        transaction.commit()?;
        if let Some(change) = change {
            recent.apply(change, self.readers.oldest());
        }
        Ok(())
    }

    /// Flushes the chain file.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let guard = self.files();
        begin_write(&opened(&guard)?.chain, Durability::Immediate)?.commit()?;
        Ok(())
    }

    /// Ends the generation of state that collects; it is what [`Store::save`] writes next. Only after
    /// the one before was saved, and its blocks have to be on disk.
    pub(crate) fn freeze(&self) {
        self.recent.write().unwrap_or_else(PoisonError::into_inner).freeze();
    }

    /// Writes the frozen generation to the state file and flushes that, beside whatever else goes on.
    pub(crate) fn save(&self) -> Result<(), Error> {
        let guard = self.files();
        let recent = || self.recent.read().unwrap_or_else(PoisonError::into_inner);
        let Some(frozen) = recent().frozen.clone() else { return Ok(()) };
        let transaction = begin_write(&opened(&guard)?.state, Durability::Immediate)?;
        {
            let mut table = transaction.open_table(STATE)?;
            frozen.records.for_each(|key, value| {
                match value {
                    Some(value) => table.insert(key, value)?,
                    None => table.remove(key)?,
                };
                Ok::<_, Error>(())
            })?;
            let block = frozen.block.to_be_bytes();
            transaction.open_table(META)?.insert(BLOCK_KEY, block.as_slice())?;
        }
        transaction.commit()?;
        let saved = self.recent.write().unwrap_or_else(PoisonError::into_inner).frozen.take();
        // Freeing so many records takes its time: after the lock.
        drop(saved);
        Ok(())
    }

    /// Opens the files anew after a failed write, and lets `prepare` bring them up to date before
    /// anybody else sees them. Waits for readers; meanwhile, and after a failure, the chain is
    /// unavailable.
    pub(crate) fn reopen(
        &self,
        prepare: impl FnOnce(&Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.put(None);
        let fresh = Self::open(self.places.clone())
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        prepare(&fresh)?;
        let recent = fresh.recent.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.recent.write().unwrap_or_else(PoisonError::into_inner) = recent;
        self.put(fresh.files.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn files(&self) -> RwLockReadGuard<'_, Option<Files>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, files: Option<Files>) {
        *self.files.write().unwrap_or_else(PoisonError::into_inner) = files;
    }
}

fn opened<'a>(guard: &'a RwLockReadGuard<'_, Option<Files>>) -> Result<&'a Files, Error> {
    guard.as_ref().ok_or_else(|| Error::Unavailable("it is being reopened".to_owned()))
}

fn begin_write(database: &Database, durability: Durability) -> Result<WriteTransaction, Error> {
    let mut transaction = database.begin_write()?;
    transaction
        .set_durability(durability)
        .map_err(|error| Error::corrupt(format!("durability: {error}")))?;
    Ok(transaction)
}

/// A consistent read-only view. Tables are opened at first use.
pub(crate) struct Snapshot<'a> {
    headers: OnceCell<ReadOnlyTable<u64, &'static [u8]>>,
    state_table: OnceCell<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    chain: ReadTransaction,
    state: ReadTransaction,
    recent: Recent,
    _reader: Reader<'a>,
    // Last, so that the tables are closed when the guard lets a reopening go ahead.
    _guard: RwLockReadGuard<'a, Option<Files>>,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Snapshot")
    }
}

impl Snapshot<'_> {
    /// A table of the chain file.
    pub(crate) fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: Table<K, V>,
    ) -> Result<ReadOnlyTable<K, V>, Error> {
        Ok(self.chain.open_table(definition)?)
    }

    fn headers(&self) -> Result<&ReadOnlyTable<u64, &'static [u8]>, Error> {
        if self.headers.get().is_none() {
            // Nobody else can have set it: a cell belongs to one thread.
            drop(self.headers.set(self.table(HEADERS)?));
        }
        self.headers.get().ok_or_else(|| Error::corrupt("no headers"))
    }

    /// The state file's table, which lacks what the newest blocks changed.
    fn saved_state(&self) -> Result<&ReadOnlyTable<&'static [u8], &'static [u8]>, Error> {
        if self.state_table.get().is_none() {
            drop(self.state_table.set(self.state.open_table(STATE)?));
        }
        self.state_table.get().ok_or_else(|| Error::corrupt("no state"))
    }

    /// The value of a key of the state file.
    pub(crate) fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match self.recent.get(key) {
            Some(latest) => Ok(latest.value()),
            None => Ok(self.saved_state()?.get(key)?.map(|value| value.value().to_vec())),
        }
    }

    /// How many keys the state has.
    pub(crate) fn state_len(&self) -> Result<u64, Error> {
        let saved = self.saved_state()?;
        let mut count = saved.len()?;
        for key in self.recent.keys() {
            match (saved.get(key.as_slice())?.is_some(), self.recent.get(&key)) {
                (false, Some(Latest::Value(_))) => count += 1,
                (true, Some(Latest::Gone)) => count -= 1,
                _ => {}
            }
        }
        Ok(count)
    }

    /// Hands over the state file's rows. Of a snapshot of all saved state these are all.
    pub(crate) fn for_each_saved(
        &self,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for row in self.saved_state()?.iter()? {
            let (key, value) = row?;
            each(key.value(), value.value())?;
        }
        Ok(())
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.table(META)?.get(key)?.map(|value| value.value().to_vec()))
    }

    /// The newest block.
    pub(crate) fn head(&self) -> Result<Sealed<Header>, Error> {
        let header = self.header(self.recent.block)?;
        header.ok_or_else(|| Error::corrupt(format!("block {} is missing", self.recent.block)))
    }

    pub(crate) fn head_number(&self) -> u64 {
        self.recent.block
    }

    /// The newest block in the chain file, whether or not its state is known.
    pub(crate) fn last_stored(&self) -> Result<u64, Error> {
        match self.headers()?.last()? {
            Some((number, _)) => Ok(number.value()),
            None => Err(Error::corrupt("the chain has no block")),
        }
    }

    pub(crate) fn header(&self, number: u64) -> Result<Option<Sealed<Header>>, Error> {
        let value = self.headers()?.get(number)?;
        value.map(|value| decode_header(value.value())).transpose()
    }

    pub(crate) fn number(&self, hash: B256) -> Result<Option<u64>, Error> {
        self.state(&StateKey::Block(hash).bytes())?.map(|value| decode_number(&value)).transpose()
    }

    pub(crate) fn position(&self, hash: B256) -> Result<Option<Position>, Error> {
        let value = self.state(&StateKey::Transaction(hash).bytes())?;
        value.map(|value| decode_position(&value)).transpose()
    }

    pub(crate) fn transaction(
        &self,
        position: Position,
    ) -> Result<Option<TransactionRecord>, Error> {
        decode(self.table(TRANSACTIONS)?.get(position)?.map(|value| value.value().to_vec()))
    }

    pub(crate) fn transactions(&self, number: u64) -> Result<Vec<TransactionRecord>, Error> {
        rows(&self.table(TRANSACTIONS)?, number)
    }

    pub(crate) fn receipt(&self, position: Position) -> Result<Option<ReceiptRecord>, Error> {
        decode(self.table(RECEIPTS)?.get(position)?.map(|value| value.value().to_vec()))
    }

    pub(crate) fn receipts(&self, number: u64) -> Result<Vec<ReceiptRecord>, Error> {
        rows(&self.table(RECEIPTS)?, number)
    }

    /// The logs of one transaction.
    pub(crate) fn logs(&self, number: u64, receipt: &ReceiptRecord) -> Result<Vec<Log>, Error> {
        let end = receipt.first_log.saturating_add(receipt.log_count);
        if receipt.log_count == 0 {
            return Ok(Vec::new());
        }
        let rows = self.table(LOGS)?.range((number, receipt.first_log)..(number, end))?;
        rows.map(|row| Ok(StoredLog::decode(row?.1.value())?.log())).collect()
    }

    pub(crate) fn account(&self, address: Address) -> Result<Option<TrieAccount>, Error> {
        decode(self.state(&StateKey::Account(address).bytes())?)
    }

    pub(crate) fn storage(&self, address: Address, slot: U256) -> Result<U256, Error> {
        let value = self.state(&StateKey::Slot(address, slot).bytes())?;
        value.map_or(Ok(U256::ZERO), |value| {
            U256::try_from_be_slice(&value)
                .ok_or_else(|| Error::corrupt(format!("storage of `{address}` is too long")))
        })
    }

    pub(crate) fn is_queued(&self, sender: Address, nonce: u64) -> Result<bool, Error> {
        Ok(self.table(QUEUE)?.get(&queue_key(sender, nonce))?.is_some())
    }

    pub(crate) fn code(&self, hash: B256) -> Result<Option<Bytes>, Error> {
        Ok(self.state(&StateKey::Code(hash).bytes())?.map(Bytes::from))
    }
}

impl NodeSource for Snapshot<'_> {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.state(key)
    }
}

pub(crate) fn queue_key(sender: Address, nonce: u64) -> [u8; 28] {
    let mut key = [0; 28];
    key[..20].copy_from_slice(sender.as_slice());
    key[20..].copy_from_slice(&nonce.to_be_bytes());
    key
}

/// Key of [`LOG_INDEX`]: run of blocks, place, value. The run comes first, so that a block adds to pages
/// which the blocks before it have touched, and later ones never touch again.
pub(crate) fn index_key(run: u64, place: u8, value: B256) -> [u8; 40] {
    let mut key = [0; 40];
    // The first byte of a number divided by [`RUN`] is zero, and makes room for the place.
    key[..7].copy_from_slice(&run.to_be_bytes()[1..]);
    key[7] = place;
    key[8..].copy_from_slice(value.as_slice());
    key
}

/// Number and header, with the hash kept beside it so that reading does not hash again.
pub(crate) fn encode_header(header: &Sealed<Header>) -> Vec<u8> {
    let mut value = header.hash().to_vec();
    alloy_rlp::Encodable::encode(header.inner(), &mut value);
    value
}

fn decode_header(value: &[u8]) -> Result<Sealed<Header>, Error> {
    let Some((hash, mut rlp)) = value.split_first_chunk::<32>() else {
        return Err(Error::corrupt("a header record is too short"));
    };
    Ok(Sealed::new_unchecked(Header::decode(&mut rlp)?, B256::from(*hash)))
}

fn decode_number(value: &[u8]) -> Result<u64, Error> {
    let number = value.try_into().map_err(|_| Error::corrupt("a block number has not 8 bytes"))?;
    Ok(u64::from_be_bytes(number))
}

pub(crate) fn encode_position((number, index): Position) -> Vec<u8> {
    [number.to_be_bytes().as_slice(), &index.to_be_bytes()].concat()
}

fn decode_position(value: &[u8]) -> Result<Position, Error> {
    let (number, index) = value.split_at_checked(8).unwrap_or((value, &[]));
    let index = index.try_into().map_err(|_| Error::corrupt("a position has not 12 bytes"))?;
    Ok((decode_number(number)?, u32::from_be_bytes(index)))
}

fn decode<T: Decodable>(value: Option<Vec<u8>>) -> Result<Option<T>, Error> {
    Ok(value.map(|value| T::decode(&mut value.as_slice())).transpose()?)
}

fn rows<T: Decodable>(
    table: &ReadOnlyTable<Position, &'static [u8]>,
    number: u64,
) -> Result<Vec<T>, Error> {
    table
        .range((number, 0)..=(number, u32::MAX))?
        .map(|row| Ok(T::decode(&mut row?.1.value())?))
        .collect()
}
