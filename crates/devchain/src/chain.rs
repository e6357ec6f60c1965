//! The chain: creating, opening, closing, and the handle to it.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use alloy_primitives::{B256, Bytes};
use probity_core::Clock;
use tokio::sync::oneshot;

use crate::commit::write_genesis;
use crate::db::{GENESIS_KEY, Places, Store};
use crate::execute::ChainRules;
use crate::filters::Filters;
use crate::genesis::Genesis;
use crate::journal::Journal;
use crate::lock::Lock;
use crate::queue::Queue;
use crate::recovery::recover;
use crate::sealer::{Sealer, Submission};
use crate::state::CodeCache;
use crate::transaction::{Rejection, Signed};
use crate::{Error, Transport};

const FILE_NAME: &str = "chain.redb";
/// Written first under this name, so that a chain is either whole or absent.
const NEW_FILE_NAME: &str = "chain.redb.new";
const STATE_NAME: &str = "state.redb";
const JOURNAL_NAME: &str = "chain.journal";
/// Groups of submissions that may wait for the sealer.
const INBOX: usize = 16_384;

/// How an open chain behaves; none of it is stored. The default suits everyone.
#[derive(Debug, Clone)]
pub struct Options {
    /// The most transactions in one block, beside the gas limit.
    pub max_block_transactions: usize,
    /// Flush at every nth block only. With anything but 1 a crash may lose the last
    /// acknowledged blocks (never tear one): for building large test chains.
    pub sync_every: NonZeroU32,
    /// The most gas between two checkpoints. A crash can make the next opening execute twice as
    /// much again.
    pub checkpoint_gas: u64,
    /// Memory for database pages, in bytes.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_block_transactions: usize::MAX,
            sync_every: NonZeroU32::MIN,
            checkpoint_gas: 500_000_000,
            cache_bytes: 512 * 1024 * 1024,
        }
    }
}

/// A handle to an open chain. Cheap to clone; the chain closes with its last handle (transports
/// and running servers hold one each).
#[derive(Debug, Clone)]
pub struct DevChain {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    sender: Option<SyncSender<Vec<Submission>>>,
    sealer: Option<JoinHandle<()>>,
    pub(crate) store: Arc<Store>,
    pub(crate) codes: Arc<CodeCache>,
    pub(crate) rules: ChainRules,
    pub(crate) genesis: Genesis,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) filters: Mutex<Filters>,
    // Last: the folder is free only once the database is closed.
    _lock: Lock,
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.sender.take());
        if let Some(sealer) = self.sealer.take() {
            // A sealer that panicked has nothing left to settle.
            drop(sealer.join());
        }
    }
}

impl DevChain {
    /// Starts a new chain in the folder, which is created if needed.
    ///
    /// # Errors
    /// [`Error::Exists`] if the folder holds a chain, [`Error::Locked`] if it is in use,
    /// [`Error::Genesis`] if no chain can start like this.
    pub fn create(dir: &Path, genesis: &Genesis, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        genesis.check()?;
        fs::create_dir_all(dir).map_err(|source| Error::file(dir, source))?;
        let lock = Lock::acquire(dir)?;
        let (path, new) = (dir.join(FILE_NAME), dir.join(NEW_FILE_NAME));
        if path.exists() {
            return Err(Error::Exists(dir.to_owned()));
        }
        // Left by a creation that was cut short.
        let state = dir.join(STATE_NAME);
        for stale in [&new, &state, &dir.join(JOURNAL_NAME)] {
            if stale.exists() {
                fs::remove_file(stale).map_err(|source| Error::file(stale, source))?;
            }
        }
        let cache_bytes = Options::default().cache_bytes;
        let store = Store::create(Places { chain: new.clone(), state, cache_bytes })?;
        write_genesis(&store, genesis)?;
        drop(store);
        Journal::open(&dir.join(JOURNAL_NAME))?;
        fs::rename(&new, &path).map_err(|source| Error::file(&path, source))?;
        sync_folder(dir)?;
        Self::start(dir, lock, clock, Options::default())
    }

    /// Opens the chain in the folder.
    ///
    /// # Errors
    /// [`Error::Absent`] if there is none, [`Error::Locked`] naming the holder if it is in use,
    /// [`Error::Database`] or [`Error::Corrupt`] if it cannot be read.
    pub fn open(dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_with(dir, clock, Options::default())
    }

    /// Like [`DevChain::open`], with options.
    ///
    /// # Errors
    /// As [`DevChain::open`].
    pub fn open_with(dir: &Path, clock: Arc<dyn Clock>, options: Options) -> Result<Self, Error> {
        if !dir.join(FILE_NAME).is_file() {
            return Err(Error::Absent(dir.to_owned()));
        }
        let lock = Lock::acquire(dir)?;
        Self::start(dir, lock, clock, options)
    }

    fn start(
        dir: &Path,
        lock: Lock,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, Error> {
        let (chain, state) = (dir.join(FILE_NAME), dir.join(STATE_NAME));
        // Said by name, as the database would not.
        fs::metadata(&state).map_err(|source| Error::file(&state, source))?;
        let places = Places { chain, state, cache_bytes: options.cache_bytes };
        let store = Arc::new(Store::open(places)?);
        let codes = Arc::new(CodeCache::default());
        let (genesis, rules) = read_genesis(&store.snapshot()?)?;
        let (journal, entries) = Journal::open(&dir.join(JOURNAL_NAME))?;
        recover(&store, &codes, &rules, &entries)?;
        let queue = Queue::load(&store.snapshot()?, &rules)?;
        let (sender, inbox) = sync_channel(INBOX);
        let sealer = Sealer {
            store: Arc::clone(&store),
            codes: Arc::clone(&codes),
            rules: rules.clone(),
            clock: Arc::clone(&clock),
            options,
            inbox,
            queue,
            ready: std::collections::VecDeque::new(),
            unfinished: std::collections::BTreeSet::new(),
            stalled: std::collections::BTreeSet::new(),
            journal,
            broken: false,
            unsaved: true,
            unsaved_gas: 0,
            saving: None,
            unflushed: 0,
        };
        let sealer = std::thread::Builder::new()
            .name("devchain-sealer".to_owned())
            .spawn(move || sealer.run())
            .map_err(|source| Error::file(dir, source))?;
        let inner = Inner {
            sender: Some(sender),
            sealer: Some(sealer),
            store,
            codes,
            rules,
            genesis,
            clock,
            filters: Mutex::new(Filters::default()),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// EIP-155 chain id, derived from the genesis.
    pub fn chain_id(&self) -> u64 {
        self.inner.rules.chain_id
    }

    /// What the chain was created from.
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// An alloy transport that calls this chain in process.
    pub fn transport(&self) -> Transport {
        Transport::new(self.clone())
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Decodes a raw transaction and recovers its sender.
    pub(crate) fn accept(&self, raw: Bytes) -> Result<Signed, Rejection> {
        Signed::accept(raw, &self.inner.rules)
    }

    /// Hands the transactions to the sealer as one group, and returns for each its hash once it is
    /// on disk: in a block, or in the queue for an earlier nonce.
    pub(crate) async fn submit(&self, group: Vec<Signed>) -> Vec<Result<B256, Rejection>> {
        let (submissions, replies): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|signed| {
                let (reply, answer) = oneshot::channel();
                let hash = signed.hash;
                (Submission { signed, reply }, (hash, answer))
            })
            .unzip();
        let sent = match &self.inner.sender {
            Some(sender) => sender.try_send(submissions),
            None => Err(TrySendError::Disconnected(submissions)),
        };
        let stopped = match sent {
            Err(TrySendError::Full(_)) => "too many transactions are waiting".to_owned(),
            Ok(()) | Err(TrySendError::Disconnected(_)) => Error::Stopped.to_string(),
        };
        let mut results = Vec::with_capacity(replies.len());
        for (hash, answer) in replies {
            let answer = answer.await;
            let result = answer.unwrap_or_else(|_| Err(Rejection::NotSealed(stopped.clone())));
            results.push(result.map(|()| hash));
        }
        results
    }
}

/// The genesis, and the rules that follow from it and the stored block 0.
pub(crate) fn read_genesis(
    snapshot: &crate::db::Snapshot<'_>,
) -> Result<(Genesis, ChainRules), Error> {
    let json = snapshot.meta(GENESIS_KEY)?.ok_or_else(|| Error::corrupt("no genesis"))?;
    let genesis: Genesis = serde_json::from_slice(&json)
        .map_err(|error| Error::corrupt(format!("genesis does not decode: {error}")))?;
    let header = snapshot.header(0)?.ok_or_else(|| Error::corrupt("no block 0"))?;
    let rules = ChainRules::new(&genesis, header.hash());
    Ok((genesis, rules))
}

/// Makes the renaming itself durable.
fn sync_folder(dir: &Path) -> Result<(), Error> {
    fs::File::open(dir)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::file(dir, source))
}
