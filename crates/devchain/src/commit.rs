//! Writing a block: one transaction of the chain file holds all of it, or none; what it changed of the
//! state goes along.

use alloy::consensus::{Header, Sealed};
use alloy_primitives::{Address, Bytes};
use redb::{ReadableTable, WriteTransaction};
use revm::bytecode::Bytecode;

use crate::Error;
use crate::db::{
    self, ADDRESS_PLACE, GENESIS_KEY, HEADERS, LOG_INDEX, LOGS, META, QUEUE, RECEIPTS, StateKey,
    Store, TRANSACTIONS,
};
use crate::execute::Block;
use crate::genesis::Genesis;
use crate::recent::{StateChange, StateWrite};
use crate::records::{LogRecord, StoredLog};
use crate::state::Changes;

/// One change to the durable queue of transactions that wait for an earlier nonce: `None` removes.
pub(crate) type QueueWrite = ((Address, u64), Option<Bytes>);

/// Writes block 0, on disk when this returns, and returns its header.
pub(crate) fn write_genesis(store: &Store, genesis: &Genesis) -> Result<Sealed<Header>, Error> {
    genesis.check()?;
    // Empty files have no tables yet; reading needs them.
    store.create_tables()?;
    let (state_root, mut writes) = genesis_state(genesis).settle(&store.snapshot()?)?;
    let header = genesis.header(state_root);
    writes.push(number_write(&header));
    let json = serde_json::to_vec(genesis)
        .map_err(|error| Error::corrupt(format!("genesis does not serialise: {error}")))?;
    store.write(Some(StateChange { block: 0, writes }), |transaction| {
        transaction.open_table(META)?.insert(GENESIS_KEY, json.as_slice())?;
        write_header(transaction, &header)
    })?;
    store.sync()?;
    store.freeze();
    store.save()?;
    Ok(header)
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
    write_queue(transaction, queue)
}

/// What the block changes of all that is found by hash or address; takes it out of the block.
pub(crate) fn state_change(block: &mut Block) -> StateChange {
    let number = block.header.number;
    let mut writes = std::mem::take(&mut block.state);
    writes.push(number_write(&block.header));
    writes.extend((0u32..).zip(&block.transactions).map(|(index, record)| {
        let key = StateKey::Transaction(record.hash).bytes();
        (key, Some(db::encode_position((number, index))))
    }));
    StateChange { block: number, writes }
}

fn number_write(header: &Sealed<Header>) -> StateWrite {
    (StateKey::Block(header.hash()).bytes(), Some(header.number.to_be_bytes().to_vec()))
}

fn write_header(transaction: &WriteTransaction, header: &Sealed<Header>) -> Result<(), Error> {
    let value = db::encode_header(header);
    transaction.open_table(HEADERS)?.insert(header.number, value.as_slice())?;
    Ok(())
}

fn write_transactions(transaction: &WriteTransaction, block: &Block) -> Result<(), Error> {
    let number = block.header.number;
    let mut bodies = transaction.open_table(TRANSACTIONS)?;
    let mut receipts = transaction.open_table(RECEIPTS)?;
    for (index, (record, receipt)) in (0u32..).zip(block.transactions.iter().zip(&block.receipts)) {
        bodies.insert((number, index), alloy_rlp::encode(record).as_slice())?;
        receipts.insert((number, index), alloy_rlp::encode(receipt).as_slice())?;
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
    let place_in_run = u16::try_from(number % db::RUN).unwrap_or(u16::MAX).to_be_bytes();
    for (place, value) in entries {
        let key = db::index_key(number / db::RUN, place, value);
        let earlier = index.get(&key)?.map(|blocks| blocks.value().to_vec()).unwrap_or_default();
        index.insert(&key, [earlier.as_slice(), &place_in_run].concat().as_slice())?;
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
