//! The state a block is executed on: a snapshot, and above it what the block changed so far.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::map::{AddressMap, B256Map, HashMap as FastMap};
use alloy_primitives::{Address, B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount};
use revm::bytecode::Bytecode;
use revm::state::{Account, AccountInfo};
use revm::{Database, DatabaseCommit};

use crate::Error;
use crate::db::{Snapshot, StateKey};
use crate::recent::StateWrite;
use crate::trie::{self, Change, NodeSource};

/// Analysed bytecode by hash, shared by all executions: analysing takes longer than a token
/// transfer. Emptied when full; contracts in use come back at their next call.
#[derive(Debug, Default)]
pub(crate) struct CodeCache(Mutex<HashMap<B256, Bytecode>>);

impl CodeCache {
    const CAPACITY: usize = 1024;

    fn get(&self, hash: B256) -> Option<Bytecode> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&hash).cloned()
    }

    fn insert(&self, hash: B256, code: Bytecode) {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= Self::CAPACITY {
            cache.clear();
        }
        cache.insert(hash, code);
    }
}

/// What changed against the snapshot.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// `None` is an account that no longer exists. Storage roots are brought up to date by
    /// [`Changes::settle`].
    pub(crate) accounts: AddressMap<Option<TrieAccount>>,
    pub(crate) storage: AddressMap<FastMap<U256, U256>>,
    pub(crate) code: B256Map<Bytecode>,
}

impl Changes {
    /// Brings the tries up to date, and returns the state root with everything to write.
    pub(crate) fn settle<S: NodeSource>(
        mut self,
        nodes: &S,
    ) -> Result<(B256, Vec<StateWrite>), Error> {
        let mut writes = Vec::new();
        for (address, slots) in &self.storage {
            // EIP-6780: only an account created in the same transaction can vanish, and its
            // storage was never written.
            let Some(Some(account)) = self.accounts.get_mut(address) else { continue };
            let changes = slots.iter().map(|(slot, value)| storage_change(*slot, *value));
            let (root, nodes) = trie::update(nodes, Some(*address), changes.collect())?;
            account.storage_root = root;
            writes.extend(nodes);
            writes.extend(slots.iter().map(|(slot, value)| {
                let key = StateKey::Slot(*address, *slot).bytes();
                (key, (!value.is_zero()).then(|| value.to_be_bytes_trimmed_vec()))
            }));
        }
        let changes = self.accounts.iter().map(|(address, account)| {
            (trie::hashed_path(address), account.as_ref().map(alloy_rlp::encode))
        });
        let (root, nodes) = trie::update(nodes, None, changes.collect())?;
        writes.extend(nodes);
        writes.extend(self.accounts.iter().map(|(address, account)| {
            (StateKey::Account(*address).bytes(), account.as_ref().map(alloy_rlp::encode))
        }));
        writes.extend(self.code.iter().map(|(hash, code)| {
            (StateKey::Code(*hash).bytes(), Some(code.original_byte_slice().to_vec()))
        }));
        Ok((root, writes))
    }
}

fn storage_change(slot: U256, value: U256) -> Change {
    let path = trie::hashed_path(slot.to_be_bytes::<32>());
    (path, (!value.is_zero()).then(|| alloy_rlp::encode(value)))
}

/// A snapshot with changes on top, as revm sees it.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) snapshot: &'a Snapshot<'a>,
    pub(crate) codes: &'a CodeCache,
    pub(crate) changes: Changes,
    /// Accounts read from the snapshot so far.
    loaded: AddressMap<Option<TrieAccount>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot<'a>, codes: &'a CodeCache) -> Self {
        Self { snapshot, codes, changes: Changes::default(), loaded: AddressMap::default() }
    }

    pub(crate) fn account(&mut self, address: Address) -> Result<Option<TrieAccount>, Error> {
        if let Some(known) = self.known(address) {
            return Ok(*known);
        }
        let account = self.snapshot.account(address)?;
        self.loaded.insert(address, account);
        Ok(account)
    }

    fn known(&self, address: Address) -> Option<&Option<TrieAccount>> {
        self.changes.accounts.get(&address).or_else(|| self.loaded.get(&address))
    }

    pub(crate) fn nonce(&mut self, address: Address) -> Result<u64, Error> {
        Ok(self.account(address)?.map_or(0, |account| account.nonce))
    }

    /// Takes over what one transaction left of an account.
    fn commit_account(&mut self, address: Address, account: Account) {
        // EIP-161: an account that is touched and empty is removed.
        if account.is_selfdestructed() || account.is_empty() {
            self.changes.accounts.insert(address, None);
            return;
        }
        let info = account.info;
        if let Some(code) = info.code.filter(|code| !code.is_empty()) {
            self.changes.code.entry(info.code_hash).or_insert(code);
        }
        let changed = account.storage.into_iter().filter(|(_, slot)| slot.is_changed());
        let changed: Vec<_> = changed.map(|(slot, value)| (slot, value.present_value())).collect();
        if !changed.is_empty() {
            self.changes.storage.entry(address).or_default().extend(changed);
        }
        // Executing it has loaded the account, so its root so far is known.
        let storage_root = self.known(address).copied().flatten();
        let storage_root = storage_root.map_or(EMPTY_ROOT_HASH, |known| known.storage_root);
        let AccountInfo { nonce, balance, code_hash, .. } = info;
        let record = TrieAccount { nonce, balance, storage_root, code_hash };
        self.changes.accounts.insert(address, Some(record));
    }
}

impl Database for View<'_> {
    type Error = Error;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Error> {
        let Some(account) = self.account(address)? else { return Ok(None) };
        let code = match account.code_hash {
            KECCAK_EMPTY => Some(Bytecode::default()),
            _ => None,
        };
        let TrieAccount { balance, nonce, code_hash, .. } = account;
        Ok(Some(AccountInfo { balance, nonce, code_hash, account_id: None, code }))
    }

    fn code_by_hash(&mut self, hash: B256) -> Result<Bytecode, Error> {
        if hash == KECCAK_EMPTY {
            return Ok(Bytecode::default());
        }
        if let Some(code) = self.changes.code.get(&hash) {
            return Ok(code.clone());
        }
        if let Some(code) = self.codes.get(hash) {
            return Ok(code);
        }
        let Some(bytes) = self.snapshot.code(hash)? else {
            return Err(Error::corrupt(format!("code `{hash}` is missing")));
        };
        let code = Bytecode::new_raw_checked(bytes)
            .map_err(|error| Error::corrupt(format!("code `{hash}`: {error}")))?;
        self.codes.insert(hash, code.clone());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Error> {
        match self.changes.storage.get(&address).and_then(|slots| slots.get(&slot)) {
            Some(value) => Ok(*value),
            None => self.snapshot.storage(address, slot),
        }
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Error> {
        Ok(self.snapshot.header(number)?.map_or(B256::ZERO, |header| header.hash()))
    }
}

impl DatabaseCommit for View<'_> {
    fn commit(&mut self, changes: AddressMap<Account>) {
        for (address, account) in changes {
            if account.is_touched() {
                self.commit_account(address, account);
            }
        }
    }
}
