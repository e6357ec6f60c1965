//! The one thread that writes: it seals what has arrived into a block, waits until the block is on
//! disk, answers the senders, and starts over with whatever arrived meanwhile. A lone transaction
//! is sealed at once; under load the block grows to what one disk flush takes (group commit).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use alloy_primitives::{Address, B256};
use probity_core::Clock;
use tokio::sync::oneshot;

use crate::commit::{state_change, write_block, write_queue};
use crate::db::Store;
use crate::execute::{Block, BlockBuilder, ChainRules, NotIncluded};
use crate::journal::{Entry, Journal};
use crate::queue::Queue;
use crate::recovery::recover;
use crate::state::CodeCache;
use crate::transaction::{Rejection, Signed};
use crate::{Error, Options};

/// A transaction and where to say what became of it.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) signed: Signed,
    pub(crate) reply: oneshot::Sender<Result<(), Rejection>>,
}

/// How many transactions one round takes up at most.
const MAX_ROUND: usize = 20_000;

#[derive(Debug)]
pub(crate) struct Sealer {
    pub(crate) store: Arc<Store>,
    pub(crate) codes: Arc<CodeCache>,
    pub(crate) rules: ChainRules,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) options: Options,
    pub(crate) inbox: Receiver<Vec<Submission>>,
    pub(crate) queue: Queue,
    pub(crate) ready: VecDeque<Submission>,
    /// Senders whose queued transactions did not fit into the last block.
    pub(crate) unfinished: BTreeSet<Address>,
    /// Senders whose next transaction offers less than the base fee, which may yet fall.
    pub(crate) stalled: BTreeSet<Address>,
    pub(crate) journal: Journal,
    /// After a failed write the database has to be reopened.
    pub(crate) broken: bool,
    /// Whether there are rounds that only the journal has on disk, or state not yet being saved.
    pub(crate) unsaved: bool,
    /// Gas that executing those again would take.
    pub(crate) unsaved_gas: u64,
    /// Writes the frozen generation of state.
    pub(crate) saving: Option<JoinHandle<Result<(), Error>>>,
    /// Rounds since the journal was flushed.
    pub(crate) unflushed: u32,
}

/// After so long without work everything is saved, so that opening it has nothing to execute.
const IDLE: Duration = Duration::from_millis(500);

struct Settled {
    hash: B256,
    reply: oneshot::Sender<Result<(), Rejection>>,
    result: Result<(), Rejection>,
}

impl Sealer {
    /// Runs until every sender is gone and everything received is settled.
    pub(crate) fn run(mut self) {
        // Queued transactions may have become ready while a previous process went down.
        self.unfinished = self.queue.senders();
        while self.gather() {
            self.round();
        }
        // Nobody is left to be told of a failure, and what is on disk is enough.
        drop(self.checkpoint().and_then(|()| self.finish_saving()));
    }

    /// Waits for work, then takes all there is. False at the end.
    fn gather(&mut self) -> bool {
        while self.ready.is_empty() && self.unfinished.is_empty() {
            let pending = self.broken || self.unsaved || self.saving.is_some();
            let received = if pending {
                self.inbox.recv_timeout(IDLE)
            } else {
                self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            };
            match received {
                Ok(submissions) => self.ready.extend(submissions),
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
        while self.ready.len() < MAX_ROUND {
            match self.inbox.try_recv() {
                Ok(submissions) => self.ready.extend(submissions),
                Err(_) => break,
            }
        }
        true
    }

    fn idle(&mut self) {
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        // Nothing is lost by a failure: what is on disk is enough.
        if self.broken || self.finish_saving().and_then(|()| self.checkpoint()).is_err() {
            self.broken = true;
            drop(self.recover());
        }
    }

    fn round(&mut self) {
        let mut settled = Vec::new();
        if let Err(error) = self.seal(&mut settled) {
            self.broken = true;
            drop(self.recover());
            // The client need not know where the chain lives.
            let failure = Rejection::NotSealed(match error {
                Error::File { source, .. } => source.to_string(),
                other => other.to_string(),
            });
            for entry in settled.iter_mut().filter(|entry| entry.result.is_ok()) {
                entry.result = Err(failure.clone());
            }
        }
        for entry in settled {
            // A client that has gone away does not need its answer.
            drop(entry.reply.send(entry.result));
        }
    }

    /// After a failed write: nothing of that round happened, so go back to the database and the
    /// journal as they are on disk. If this fails too, it is tried again later.
    fn recover(&mut self) -> Result<(), Error> {
        // The reopened files show how far it got.
        drop(self.finish_saving());
        let (journal, entries) = Journal::open(self.journal.path())?;
        self.journal = journal;
        self.store.reopen(|store| recover(store, &self.codes, &self.rules, &entries))?;
        self.queue = Queue::load(&self.store.snapshot()?, &self.rules)?;
        // What was executed again fills a generation: the next round saves it.
        (self.unsaved, self.unsaved_gas) = (true, self.options.checkpoint_gas);
        self.unfinished.clear();
        self.stalled = self.queue.senders();
        self.broken = false;
        Ok(())
    }

    /// Flushes the chain file, starts the journal over, and lets a thread save the state up to here.
    fn checkpoint(&mut self) -> Result<(), Error> {
        if !self.unsaved {
            return Ok(());
        }
        self.finish_saving()?;
        self.store.sync()?;
        self.journal.restart()?;
        self.store.freeze();
        let store = Arc::clone(&self.store);
        let saving = std::thread::Builder::new()
            .name("devchain-saver".to_owned())
            .spawn(move || store.save())
            .map_err(|source| Error::file(self.journal.path(), source))?;
        self.saving = Some(saving);
        (self.unsaved, self.unsaved_gas, self.unflushed) = (false, 0, 0);
        Ok(())
    }

    /// Waits until the state that is being saved is on disk.
    fn finish_saving(&mut self) -> Result<(), Error> {
        let lost = || Error::corrupt("saving the state was cut short");
        self.saving.take().map_or(Ok(()), |saving| saving.join().map_err(|_| lost())?)
    }

    fn seal(&mut self, settled: &mut Vec<Settled>) -> Result<(), Error> {
        let mut block = self.fill(settled)?;
        if block.is_none() && self.queue.unwritten().is_empty() {
            return Ok(());
        }
        let journaled = self.journal(block.as_ref())?;
        let change = block.as_mut().map(state_change);
        let queue = self.queue.unwritten();
        let written = self.store.write(change, |transaction| match &block {
            Some(block) => write_block(transaction, block, queue),
            None => write_queue(transaction, queue),
        });
        if written.is_err() && journaled {
            self.journal.undo()?;
        }
        written?;
        self.unsaved = true;
        self.queue.written();
        if journaled { Ok(()) } else { self.store.sync() }
    }

    /// Puts the round into the journal, after a checkpoint if there is no room. False if it is too
    /// large for that: then the chain file itself has to be flushed.
    fn journal(&mut self, block: Option<&Block>) -> Result<bool, Error> {
        let flush = self.unflushed + 1 >= self.options.sync_every.get();
        let entry = Entry::new(block, self.queue.unwritten());
        let gas = block.map_or(0, |block| block.header.gas_used);
        if self.unsaved_gas.saturating_add(gas) > self.options.checkpoint_gas {
            self.checkpoint()?;
        }
        let mut fits = self.journal.append(&entry, flush)?;
        if !fits {
            self.checkpoint()?;
            fits = self.journal.append(&entry, flush)?;
        }
        self.unflushed = if flush { 0 } else { self.unflushed + 1 };
        self.unsaved_gas = self.unsaved_gas.saturating_add(gas);
        Ok(fits)
    }

    /// Builds the block of everything that is ready. `None` if nothing could be included.
    fn fill(&mut self, settled: &mut Vec<Settled>) -> Result<Option<Block>, Error> {
        if self.broken {
            self.recover().inspect_err(|_| self.give_up(settled))?;
        }
        let (store, codes) = (Arc::clone(&self.store), Arc::clone(&self.codes));
        let snapshot = store.snapshot().inspect_err(|_| self.give_up(settled))?;
        let now = self.clock.unix_seconds();
        let limit = self.options.max_block_transactions;
        let mut builder = BlockBuilder::new(&snapshot, &codes, &self.rules, now, limit)
            .inspect_err(|_| self.give_up(settled))?;
        let mut waiting = std::mem::take(&mut self.unfinished);
        waiting.append(&mut self.stalled);
        for sender in waiting {
            self.promote(&mut builder, sender, settled)?;
        }
        while let Some(submission) = self.ready.pop_front() {
            let result = match self.place(&mut builder, &submission.signed) {
                Ok(()) => Ok(()),
                Err(NotIncluded::BlockFull) => {
                    self.ready.push_front(submission);
                    break;
                }
                Err(NotIncluded::Rejected(rejection)) => Err(rejection),
                Err(NotIncluded::Failed(error)) => Err(Rejection::NotSealed(error.to_string())),
            };
            let Submission { signed, reply } = submission;
            let included = result.is_ok();
            settled.push(Settled { hash: signed.hash, reply, result });
            if included {
                self.promote(&mut builder, signed.sender, settled)?;
            }
        }
        if builder.is_empty() { Ok(None) } else { builder.seal().map(Some) }
    }

    /// Settles everything that is ready, for a round that cannot even begin.
    fn give_up(&mut self, settled: &mut Vec<Settled>) {
        settled.extend(self.ready.drain(..).map(|Submission { signed, reply }| Settled {
            hash: signed.hash,
            reply,
            result: Ok(()),
        }));
    }

    /// Puts the transaction into the block if its turn has come, else into the queue.
    fn place(
        &mut self,
        builder: &mut BlockBuilder<'_>,
        signed: &Signed,
    ) -> Result<(), NotIncluded> {
        let account = builder.view().account(signed.sender).map_err(NotIncluded::Failed)?;
        let account = account.unwrap_or_default();
        let (next, nonce) = (account.nonce, signed.nonce());
        if nonce < next {
            let known = builder.contains(signed.hash).map_err(NotIncluded::Failed)?;
            return Err(NotIncluded::Rejected(if known {
                Rejection::AlreadyKnown
            } else {
                Rejection::NonceTooLow { next, nonce }
            }));
        }
        if account.balance < signed.cost() {
            return Err(NotIncluded::Rejected(Rejection::InsufficientFunds {
                address: signed.sender,
                balance: account.balance,
                cost: signed.cost(),
            }));
        }
        if nonce > next {
            return self.queue.insert(signed, next).map_err(NotIncluded::Rejected);
        }
        // One that waits at the same nonce is stalled by its fee cap.
        let waiting = self.queue.get(signed.sender, nonce);
        if waiting.is_some_and(|waiting| waiting.hash != signed.hash && !signed.outbids(waiting)) {
            return Err(NotIncluded::Rejected(Rejection::ReplacementUnderpriced));
        }
        builder.push(signed)?;
        self.queue.remove(signed.sender, nonce);
        Ok(())
    }

    /// Includes the sender's queued transactions whose turn has come.
    fn promote(
        &mut self,
        builder: &mut BlockBuilder<'_>,
        sender: Address,
        settled: &mut [Settled],
    ) -> Result<(), Error> {
        loop {
            let nonce = builder.view().nonce(sender)?;
            let Some(waiting) = self.queue.get(sender, nonce) else { return Ok(()) };
            let hash = waiting.hash;
            match builder.push(waiting) {
                Ok(()) => self.queue.remove(sender, nonce),
                Err(NotIncluded::BlockFull) => {
                    self.unfinished.insert(sender);
                    return Ok(());
                }
                Err(NotIncluded::Rejected(Rejection::FeeCapTooLow { .. })) => {
                    self.stalled.insert(sender);
                    return Ok(());
                }
                Err(NotIncluded::Rejected(rejection)) => {
                    self.queue.remove(sender, nonce);
                    for entry in settled.iter_mut().filter(|entry| entry.hash == hash) {
                        entry.result = Err(rejection.clone());
                    }
                    return Ok(());
                }
                Err(NotIncluded::Failed(error)) => return Err(error),
            }
        }
    }
}
