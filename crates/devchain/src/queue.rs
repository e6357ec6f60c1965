//! Transactions that wait for an earlier nonce of their sender. Bounded, and durable: changes are
//! written together with the block (or alone), before the sender is told.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes};
use redb::ReadableTable;

use crate::Error;
use crate::commit::QueueWrite;
use crate::db::{QUEUE, Snapshot};
use crate::execute::ChainRules;
use crate::transaction::{Rejection, Signed};

/// How far ahead of the next nonce a transaction may be, and so how many one sender may have here.
pub(crate) const MAX_GAP: u64 = 256;
/// How many may wait in all.
pub(crate) const MAX_QUEUED: usize = 8_192;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: BTreeMap<Address, BTreeMap<u64, Signed>>,
    count: usize,
    unwritten: Vec<QueueWrite>,
}

impl Queue {
    pub(crate) fn load(snapshot: &Snapshot<'_>, rules: &ChainRules) -> Result<Self, Error> {
        let mut queue = Self::default();
        for row in snapshot.table(QUEUE)?.iter()? {
            let raw = Bytes::copy_from_slice(row?.1.value());
            let signed = Signed::accept(raw, rules)
                .map_err(|rejection| Error::corrupt(format!("queued transaction: {rejection}")))?;
            queue.put(signed);
        }
        Ok(queue)
    }

    /// Takes in a transaction whose nonce is beyond `next`.
    pub(crate) fn insert(&mut self, signed: &Signed, next: u64) -> Result<(), Rejection> {
        let nonce = signed.nonce();
        if nonce.saturating_sub(next) > MAX_GAP {
            return Err(Rejection::NonceGapTooLarge { next, nonce, limit: MAX_GAP });
        }
        match self.get(signed.sender, nonce) {
            Some(waiting) if waiting.hash == signed.hash => return Err(Rejection::AlreadyKnown),
            Some(waiting) if !signed.outbids(waiting) => {
                return Err(Rejection::ReplacementUnderpriced);
            }
            None if self.count >= MAX_QUEUED => {
                return Err(Rejection::QueueFull { limit: MAX_QUEUED });
            }
            _ => {}
        }
        self.unwritten.push(((signed.sender, nonce), Some(signed.raw.clone())));
        self.put(signed.clone());
        Ok(())
    }

    fn put(&mut self, signed: Signed) {
        let of_sender = self.waiting.entry(signed.sender).or_default();
        if of_sender.insert(signed.nonce(), signed).is_none() {
            self.count += 1;
        }
    }

    pub(crate) fn get(&self, sender: Address, nonce: u64) -> Option<&Signed> {
        self.waiting.get(&sender)?.get(&nonce)
    }

    pub(crate) fn remove(&mut self, sender: Address, nonce: u64) {
        let Some(of_sender) = self.waiting.get_mut(&sender) else { return };
        if of_sender.remove(&nonce).is_some() {
            self.count -= 1;
            self.unwritten.push(((sender, nonce), None));
        }
        if of_sender.is_empty() {
            self.waiting.remove(&sender);
        }
    }

    pub(crate) fn senders(&self) -> BTreeSet<Address> {
        self.waiting.keys().copied().collect()
    }

    pub(crate) fn unwritten(&self) -> &[QueueWrite] {
        &self.unwritten
    }

    /// The changes are on disk.
    pub(crate) fn written(&mut self) {
        self.unwritten.clear();
    }
}

/// The hash under which a waiting transaction is found again.
pub(crate) fn find(snapshot: &Snapshot<'_>, hash: B256) -> Result<Option<Bytes>, Error> {
    for row in snapshot.table(QUEUE)?.iter()? {
        let value = row?.1;
        if alloy_primitives::keccak256(value.value()) == hash {
            return Ok(Some(Bytes::copy_from_slice(value.value())));
        }
    }
    Ok(None)
}
