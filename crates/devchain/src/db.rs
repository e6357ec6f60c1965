//! The database: its tables, reading from a snapshot, and writing one block per transaction.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use alloy::consensus::{Header, Sealed};
use alloy_primitives::map::HashMap as FastMap;
use alloy_primitives::{Address, B256, Bytes, Log, U256};
use alloy_rlp::Decodable;
use alloy_trie::TrieAccount;
use redb::{
    Builder, Database, Durability, Key, ReadOnlyTable, ReadTransaction, ReadableDatabase,
    ReadableTable, ReadableTableMetadata, TableDefinition, Value, WriteTransaction,
    backends::InMemoryBackend,
};

use crate::Error;
use crate::records::{ReceiptRecord, StoredLog, TransactionRecord};
use crate::trie::{NodeSource, NodeWrite};

/// Block number and index in the block: of a transaction, or of a log.
pub(crate) type Position = (u64, u32);

type Table<K, V> = TableDefinition<'static, K, V>;

pub(crate) const META: Table<&str, &[u8]> = TableDefinition::new("meta");
/// Number → hash (32 bytes), then header RLP.
pub(crate) const HEADERS: Table<u64, &[u8]> = TableDefinition::new("headers");
pub(crate) const NUMBERS: Table<&[u8; 32], u64> = TableDefinition::new("numbers");
pub(crate) const TRANSACTIONS: Table<Position, &[u8]> = TableDefinition::new("transactions");
pub(crate) const POSITIONS: Table<&[u8; 32], Position> = TableDefinition::new("positions");
pub(crate) const RECEIPTS: Table<Position, &[u8]> = TableDefinition::new("receipts");
pub(crate) const LOGS: Table<Position, &[u8]> = TableDefinition::new("logs");
/// Place, value, block number (big-endian): the blocks with a topic at places 0 to 3, or with logs
/// of a contract at place [`ADDRESS_PLACE`].
pub(crate) const LOG_INDEX: Table<&[u8; 41], ()> = TableDefinition::new("log_index");
pub(crate) const ADDRESS_PLACE: u8 = 4;
/// Address → account RLP, as in the state trie.
pub(crate) const ACCOUNTS: Table<&[u8; 20], &[u8]> = TableDefinition::new("accounts");
/// Address and slot → value, big-endian without leading zeros.
pub(crate) const STORAGE: Table<&[u8; 52], &[u8]> = TableDefinition::new("storage");
pub(crate) const CODE: Table<&[u8; 32], &[u8]> = TableDefinition::new("code");
pub(crate) const TRIE: Table<&[u8], &[u8]> = TableDefinition::new("trie");
/// Sender and nonce → raw transaction that waits for an earlier nonce.
pub(crate) const QUEUE: Table<&[u8; 28], &[u8]> = TableDefinition::new("queue");

pub(crate) const GENESIS_KEY: &str = "genesis";

/// Trie nodes of committed blocks that are not in the database yet; `None` is a node that is gone.
///
/// A block changes the upper nodes of a trie every time and the lower ones at random, and nobody
/// but the next block and proofs reads them. So they are written when the database is flushed, each
/// once and in order: with a million token holders this is most of what a block has to write. What a
/// crash takes away, the journal's blocks bring back.
pub(crate) type UnwrittenNodes = FastMap<Vec<u8>, Option<Vec<u8>>>;

/// The open database. A failed write makes `redb` refuse everything until it is opened anew, so
/// the handle can be replaced; readers hold it through [`Snapshot`] and are waited for.
#[derive(Debug)]
pub(crate) struct Store {
    database: RwLock<Option<Database>>,
    unwritten: RwLock<UnwrittenNodes>,
    path: PathBuf,
    cache_bytes: usize,
}

impl Store {
    pub(crate) fn create(path: &Path, cache_bytes: usize) -> Result<Self, Error> {
        let database = Builder::new().set_cache_size(cache_bytes).create(path)?;
        Ok(Self::new(database, path.to_owned(), cache_bytes))
    }

    pub(crate) fn open(path: &Path, cache_bytes: usize) -> Result<Self, Error> {
        let database = Builder::new().set_cache_size(cache_bytes).open(path)?;
        Ok(Self::new(database, path.to_owned(), cache_bytes))
    }

    /// A database that is gone when dropped, for re-execution.
    pub(crate) fn in_memory() -> Result<Self, Error> {
        let database = Builder::new().create_with_backend(InMemoryBackend::new())?;
        Ok(Self::new(database, PathBuf::new(), 0))
    }

    fn new(database: Database, path: PathBuf, cache_bytes: usize) -> Self {
        let database = RwLock::new(Some(database));
        Self { database, unwritten: RwLock::default(), path, cache_bytes }
    }

    /// A consistent view of the last committed block.
    pub(crate) fn snapshot(&self) -> Result<Snapshot<'_>, Error> {
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match guard.as_ref() {
            Some(database) => Ok(Snapshot::new(database.begin_read()?, guard)),
            None => Err(Error::Unavailable("it is being reopened".to_owned())),
        }
    }

    /// The nodes to read a trie with. Take them before a snapshot: no block is committed while they
    /// are held.
    pub(crate) fn unwritten(&self) -> RwLockReadGuard<'_, UnwrittenNodes> {
        self.unwritten.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `write` in one transaction, which leaves these trie nodes. Nothing of it is visible
    /// before the commit, and with `durable` it is on disk when this returns.
    pub(crate) fn write(
        &self,
        durable: bool,
        nodes: Vec<NodeWrite>,
        write: impl FnOnce(&WriteTransaction) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut unwritten = self.unwritten.write().unwrap_or_else(PoisonError::into_inner);
        let guard = self.database.read().unwrap_or_else(PoisonError::into_inner);
        let Some(database) = guard.as_ref() else {
            return Err(Error::Unavailable("it is being reopened".to_owned()));
        };
        let mut transaction = database.begin_write()?;
        let durability = if durable { Durability::Immediate } else { Durability::None };
        transaction
            .set_durability(durability)
            .map_err(|error| Error::corrupt(format!("durability: {error}")))?;
        write(&transaction)?;
        if durable {
            write_nodes(&transaction, &unwritten, &nodes)?;
        }
        transaction.commit()?;
        if durable {
            unwritten.clear();
        } else {
            unwritten.extend(nodes);
        }
        Ok(())
    }

    /// Opens the file anew after a failed write, and lets `prepare` bring it up to date before
    /// anybody else sees it. Waits for readers; meanwhile, and after a failure, the chain is
    /// unavailable.
    pub(crate) fn reopen(
        &self,
        prepare: impl FnOnce(&Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.put(None);
        let fresh = Self::open(&self.path, self.cache_bytes)
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        prepare(&fresh)?;
        let nodes = fresh.unwritten.into_inner().unwrap_or_else(PoisonError::into_inner);
        *self.unwritten.write().unwrap_or_else(PoisonError::into_inner) = nodes;
        self.put(fresh.database.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }

    fn put(&self, database: Option<Database>) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = database;
    }
}

/// A consistent read-only view. Tables are opened at first use.
pub(crate) struct Snapshot<'a> {
    headers: OnceCell<ReadOnlyTable<u64, &'static [u8]>>,
    accounts: OnceCell<ReadOnlyTable<&'static [u8; 20], &'static [u8]>>,
    storage: OnceCell<ReadOnlyTable<&'static [u8; 52], &'static [u8]>>,
    trie: OnceCell<ReadOnlyTable<&'static [u8], &'static [u8]>>,
    transaction: ReadTransaction,
    // Last, so that the tables are closed when the guard lets a reopening go ahead.
    _guard: RwLockReadGuard<'a, Option<Database>>,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Snapshot")
    }
}

impl<'a> Snapshot<'a> {
    fn new(transaction: ReadTransaction, guard: RwLockReadGuard<'a, Option<Database>>) -> Self {
        Self {
            headers: OnceCell::new(),
            accounts: OnceCell::new(),
            storage: OnceCell::new(),
            trie: OnceCell::new(),
            transaction,
            _guard: guard,
        }
    }

    pub(crate) fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: Table<K, V>,
    ) -> Result<ReadOnlyTable<K, V>, Error> {
        Ok(self.transaction.open_table(definition)?)
    }

    fn cached<'t, K: Key + 'static, V: Value + 'static>(
        &self,
        cell: &'t OnceCell<ReadOnlyTable<K, V>>,
        definition: Table<K, V>,
    ) -> Result<&'t ReadOnlyTable<K, V>, Error> {
        if let Some(table) = cell.get() {
            return Ok(table);
        }
        let table = self.table(definition)?;
        Ok(cell.get_or_init(|| table))
    }

    pub(crate) fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.table(META)?.get(key)?.map(|value| value.value().to_vec()))
    }

    /// The newest block.
    pub(crate) fn head(&self) -> Result<Sealed<Header>, Error> {
        match self.cached(&self.headers, HEADERS)?.last()? {
            Some((_, value)) => decode_header(value.value()),
            None => Err(Error::corrupt("the chain has no block")),
        }
    }

    pub(crate) fn head_number(&self) -> Result<u64, Error> {
        match self.cached(&self.headers, HEADERS)?.last()? {
            Some((number, _)) => Ok(number.value()),
            None => Err(Error::corrupt("the chain has no block")),
        }
    }

    pub(crate) fn header(&self, number: u64) -> Result<Option<Sealed<Header>>, Error> {
        let value = self.cached(&self.headers, HEADERS)?.get(number)?;
        value.map(|value| decode_header(value.value())).transpose()
    }

    pub(crate) fn number(&self, hash: B256) -> Result<Option<u64>, Error> {
        Ok(self.table(NUMBERS)?.get(&hash.0)?.map(|value| value.value()))
    }

    pub(crate) fn position(&self, hash: B256) -> Result<Option<Position>, Error> {
        Ok(self.table(POSITIONS)?.get(&hash.0)?.map(|value| value.value()))
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
        let value = self.cached(&self.accounts, ACCOUNTS)?.get(&address.0.0)?;
        match value {
            None => Ok(None),
            Some(value) => Ok(Some(TrieAccount::decode(&mut value.value())?)),
        }
    }

    pub(crate) fn storage(&self, address: Address, slot: U256) -> Result<U256, Error> {
        let value = self.cached(&self.storage, STORAGE)?.get(&storage_key(address, slot))?;
        value.map_or(Ok(U256::ZERO), |value| {
            U256::try_from_be_slice(value.value())
                .ok_or_else(|| Error::corrupt(format!("storage of `{address}` is too long")))
        })
    }

    pub(crate) fn is_queued(&self, sender: Address, nonce: u64) -> Result<bool, Error> {
        Ok(self.table(QUEUE)?.get(&queue_key(sender, nonce))?.is_some())
    }

    pub(crate) fn code(&self, hash: B256) -> Result<Option<Bytes>, Error> {
        let value = self.table(CODE)?.get(&hash.0)?;
        Ok(value.map(|value| Bytes::copy_from_slice(value.value())))
    }
}

/// The tries of a snapshot: what the database holds, below what it does not hold yet.
pub(crate) struct Nodes<'a> {
    snapshot: &'a Snapshot<'a>,
    unwritten: &'a UnwrittenNodes,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot<'a>, unwritten: &'a UnwrittenNodes) -> Self {
        Self { snapshot, unwritten }
    }

    /// How many nodes there are.
    pub(crate) fn count(&self) -> Result<u64, Error> {
        let table = self.snapshot.table(TRIE)?;
        let mut count = table.len()?;
        for (key, node) in self.unwritten {
            match (table.get(key.as_slice())?.is_some(), node.is_some()) {
                (false, true) => count += 1,
                (true, false) => count -= 1,
                _ => {}
            }
        }
        Ok(count)
    }
}

impl NodeSource for Nodes<'_> {
    fn node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        if let Some(node) = self.unwritten.get(key) {
            return Ok(node.clone());
        }
        let value = self.snapshot.cached(&self.snapshot.trie, TRIE)?.get(key)?;
        Ok(value.map(|value| value.value().to_vec()))
    }
}

/// Writes both, the later over the earlier, in the order of the table.
fn write_nodes(
    transaction: &WriteTransaction,
    earlier: &UnwrittenNodes,
    later: &[NodeWrite],
) -> Result<(), Error> {
    let mut nodes: Vec<(&[u8], Option<&[u8]>)> = Vec::with_capacity(earlier.len() + later.len());
    let overwritten: HashSet<&[u8]> = later.iter().map(|(key, _)| key.as_slice()).collect();
    let earlier = earlier.iter().filter(|(key, _)| !overwritten.contains(key.as_slice()));
    nodes.extend(earlier.map(|(key, node)| (key.as_slice(), node.as_deref())));
    nodes.extend(later.iter().map(|(key, node)| (key.as_slice(), node.as_deref())));
    nodes.sort_unstable_by_key(|(key, _)| *key);
    let mut table = transaction.open_table(TRIE)?;
    for (key, node) in nodes {
        match node {
            Some(node) => table.insert(key, node)?,
            None => table.remove(key)?,
        };
    }
    Ok(())
}

pub(crate) fn storage_key(address: Address, slot: U256) -> [u8; 52] {
    let mut key = [0; 52];
    key[..20].copy_from_slice(address.as_slice());
    key[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    key
}

pub(crate) fn queue_key(sender: Address, nonce: u64) -> [u8; 28] {
    let mut key = [0; 28];
    key[..20].copy_from_slice(sender.as_slice());
    key[20..].copy_from_slice(&nonce.to_be_bytes());
    key
}

pub(crate) fn index_key(place: u8, value: B256, number: u64) -> [u8; 41] {
    let mut key = [0; 41];
    key[0] = place;
    key[1..33].copy_from_slice(value.as_slice());
    key[33..].copy_from_slice(&number.to_be_bytes());
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
