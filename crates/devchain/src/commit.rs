//! Writing a block: one database transaction holds all of it, or none.

use alloy::consensus::{Header, Sealed};
use alloy_primitives::{Address, Bytes, U256};
use redb::WriteTransaction;
use revm::bytecode::Bytecode;

use crate::Error;
use crate::db::{
    self, ACCOUNTS, ADDRESS_PLACE, CODE, GENESIS_KEY, HEADERS, LOG_INDEX, LOGS, META, NUMBERS,
    Nodes, POSITIONS, QUEUE, RECEIPTS, STORAGE, Store, TRANSACTIONS, TRIE,
};
use crate::execute::Block;
use crate::genesis::Genesis;
use crate::records::{LogRecord, StoredLog};
use crate::state::Changes;

/// One change to the durable queue of transactions that wait for an earlier nonce: `None` removes.
pub(crate) type QueueWrite = ((Address, u64), Option<Bytes>);

/// Writes block 0 and returns its header.
pub(crate) fn write_genesis(store: &Store, genesis: &Genesis) -> Result<Sealed<Header>, Error> {
    genesis.check()?;
    // An empty database has no tables yet; reading needs them.
    store.write(false, Vec::new(), create_tables)?;
    let mut changes = genesis_state(genesis);
    let (state_root, nodes) =
        changes.settle(&Nodes::new(&store.snapshot()?, &store.unwritten()))?;
    let header = genesis.header(state_root);
    let json = serde_json::to_vec(genesis)
        .map_err(|error| Error::corrupt(format!("genesis does not serialise: {error}")))?;
    store.write(true, nodes, |transaction| {
        transaction.open_table(META)?.insert(GENESIS_KEY, json.as_slice())?;
        write_header(transaction, &header)?;
        write_state(transaction, &changes)
    })?;
    Ok(header)
}

fn create_tables(transaction: &WriteTransaction) -> Result<(), Error> {
    transaction.open_table(META)?;
    transaction.open_table(HEADERS)?;
    transaction.open_table(NUMBERS)?;
    transaction.open_table(TRANSACTIONS)?;
    transaction.open_table(POSITIONS)?;
    transaction.open_table(RECEIPTS)?;
    transaction.open_table(LOGS)?;
    transaction.open_table(LOG_INDEX)?;
    transaction.open_table(ACCOUNTS)?;
    transaction.open_table(STORAGE)?;
    transaction.open_table(CODE)?;
    transaction.open_table(TRIE)?;
    transaction.open_table(QUEUE)?;
    Ok(())
}

fn genesis_state(genesis: &Genesis) -> Changes {
    let mut changes = Changes::default();
    for (address, balance) in &genesis.alloc {
        let account = changes.accounts.entry(*address).or_default().get_or_insert_default();
        account.balance = account.balance.saturating_add(*balance);
    }
    for contract in genesis.all_contracts() {
        let code = Bytecode::new_legacy(contract.code);
        let account = changes.accounts.entry(contract.address).or_default().get_or_insert_default();
        // EIP-161: a contract's nonce starts at 1.
        account.nonce = 1;
        account.code_hash = code.hash_slow();
        changes.code.insert(account.code_hash, code);
        let slots = contract.storage.into_iter().filter(|(_, value)| !value.is_zero());
        changes.storage.entry(contract.address).or_default().extend(slots);
    }
    changes.accounts.retain(|_, account| {
        account.as_ref().is_some_and(|account| account.nonce > 0 || !account.balance.is_zero())
    });
    changes
}

/// Writes a block and the queue changes that come with it.
pub(crate) fn write_block(
    transaction: &WriteTransaction,
    block: &Block,
    queue: &[QueueWrite],
) -> Result<(), Error> {
    write_header(transaction, &block.header)?;
    write_transactions(transaction, block)?;
    write_logs(transaction, block)?;
    write_state(transaction, &block.changes)?;
    write_queue(transaction, queue)
}

fn write_header(transaction: &WriteTransaction, header: &Sealed<Header>) -> Result<(), Error> {
    let number = header.number;
    transaction.open_table(HEADERS)?.insert(number, db::encode_header(header).as_slice())?;
    transaction.open_table(NUMBERS)?.insert(&header.hash().0, number)?;
    Ok(())
}

fn write_transactions(transaction: &WriteTransaction, block: &Block) -> Result<(), Error> {
    let number = block.header.number;
    let mut bodies = transaction.open_table(TRANSACTIONS)?;
    let mut receipts = transaction.open_table(RECEIPTS)?;
    let mut positions = transaction.open_table(POSITIONS)?;
    for (index, (record, receipt)) in (0u32..).zip(block.transactions.iter().zip(&block.receipts)) {
        bodies.insert((number, index), alloy_rlp::encode(record).as_slice())?;
        receipts.insert((number, index), alloy_rlp::encode(receipt).as_slice())?;
        positions.insert(&record.hash.0, (number, index))?;
    }
    Ok(())
}

fn write_logs(transaction: &WriteTransaction, block: &Block) -> Result<(), Error> {
    if block.logs.is_empty() {
        return Ok(());
    }
    let (number, block_hash) = (block.header.number, block.header.hash());
    let mut table = transaction.open_table(LOGS)?;
    let mut entries = Vec::with_capacity(4 * block.logs.len());
    for (index, LogRecord { transaction, log }) in (0u32..).zip(&block.logs) {
        let sent = block.transactions.get(*transaction as usize);
        let sent = sent.ok_or_else(|| Error::corrupt("a log belongs to no transaction"))?;
        let topics: Vec<[u8; 32]> = log.topics().iter().map(|topic| topic.0).collect();
        let stored = StoredLog {
            transaction: *transaction,
            timestamp: block.header.timestamp,
            block_hash: &block_hash.0,
            transaction_hash: &sent.hash.0,
            address: &log.address.0.0,
            topics: &topics,
            data: &log.data.data,
        };
        table.insert((number, index), stored.encode().as_slice())?;
        entries.push((ADDRESS_PLACE, log.address.into_word()));
        entries.extend((0u8..).zip(log.topics().iter().copied()));
    }
    entries.sort_unstable();
    entries.dedup();
    let mut index = transaction.open_table(LOG_INDEX)?;
    for (place, value) in entries {
        index.insert(&db::index_key(place, value, number), ())?;
    }
    Ok(())
}

fn write_state(transaction: &WriteTransaction, changes: &Changes) -> Result<(), Error> {
    let mut accounts = transaction.open_table(ACCOUNTS)?;
    for (address, account) in &changes.accounts {
        match account {
            Some(account) => {
                accounts.insert(&address.0.0, alloy_rlp::encode(account).as_slice())?
            }
            None => accounts.remove(&address.0.0)?,
        };
    }
    let mut storage = transaction.open_table(STORAGE)?;
    for (address, slots) in &changes.storage {
        for (slot, value) in slots {
            write_slot(&mut storage, *address, *slot, *value)?;
        }
    }
    let mut codes = transaction.open_table(CODE)?;
    for (hash, code) in &changes.code {
        codes.insert(&hash.0, code.original_byte_slice())?;
    }
    Ok(())
}

fn write_slot(
    storage: &mut redb::Table<'_, &'static [u8; 52], &'static [u8]>,
    address: Address,
    slot: U256,
    value: U256,
) -> Result<(), Error> {
    let key = db::storage_key(address, slot);
    if value.is_zero() {
        storage.remove(&key)?;
    } else {
        storage.insert(&key, value.to_be_bytes_trimmed_vec().as_slice())?;
    }
    Ok(())
}

/// Writes queue changes alone or as part of a block.
pub(crate) fn write_queue(
    transaction: &WriteTransaction,
    changes: &[QueueWrite],
) -> Result<(), Error> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut queue = transaction.open_table(QUEUE)?;
    for ((sender, nonce), raw) in changes {
        let key = db::queue_key(*sender, *nonce);
        match raw {
            Some(raw) => queue.insert(&key, raw.as_ref())?,
            None => queue.remove(&key)?,
        };
    }
    Ok(())
}
