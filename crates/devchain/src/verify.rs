//! Proving the stored chain: re-executing it from the genesis and comparing everything.

use alloy::consensus::{Header, Sealed};
use alloy_primitives::B256;
use redb::{Key, ReadableTable, TableDefinition, Value};

use crate::chain::read_genesis;
use crate::commit::{state_change, write_block, write_genesis};
use crate::db::{HEADERS, LOG_INDEX, LOGS, RECEIPTS, Snapshot, Store, TRANSACTIONS};
use crate::execute::ChainRules;
use crate::recovery::rebuild;
use crate::state::CodeCache;
use crate::{DevChain, Error};

/// So many blocks share one write of the copy's state.
const GENERATION: u64 = 1_000;

/// What [`DevChain::verify`] found to be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Number of the newest block; as many were re-executed.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Hash of the newest block.
    pub head: B256,
    /// State root of the newest block.
    pub state_root: B256,
}

impl DevChain {
    /// Re-executes every stored block from the genesis, in memory, and compares each header (so
    /// the state, transaction and receipt roots too) and at the end every table. `progress` is
    /// told the number of each block done, and of the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] names the first block or table that differs.
    pub fn verify(&self, mut progress: impl FnMut(u64, u64)) -> Result<Report, Error> {
        let stored = self.inner().store.snapshot()?;
        let (genesis, rules) = read_genesis(&stored)?;
        let head = stored.head()?;
        let copy = Store::in_memory()?;
        compare_header(&expected_header(&stored, 0)?, &write_genesis(&copy, &genesis)?)?;
        let codes = CodeCache::default();
        let mut transactions = 0;
        for number in 1..=head.number {
            transactions += replay(&stored, &copy, &codes, &rules, number)?;
            if number % GENERATION == 0 || number == head.number {
                copy.sync()?;
                copy.freeze();
                copy.save()?;
            }
            progress(number, head.number);
        }
        let copy = copy.snapshot()?;
        compare_tables(&stored, &copy)?;
        compare_state(&stored, &copy)?;
        let (hash, state_root) = (head.hash(), head.state_root);
        Ok(Report { blocks: head.number, transactions, head: hash, state_root })
    }
}

fn expected_header(stored: &Snapshot<'_>, number: u64) -> Result<Sealed<Header>, Error> {
    stored.header(number)?.ok_or_else(|| Error::corrupt(format!("block {number} is missing")))
}

/// Re-executes one block on the copy. Returns its number of transactions.
fn replay(
    stored: &Snapshot<'_>,
    copy: &Store,
    codes: &CodeCache,
    rules: &ChainRules,
    number: u64,
) -> Result<u64, Error> {
    let header = expected_header(stored, number)?;
    let mut block = rebuild(stored, &copy.snapshot()?, codes, rules, &header)?;
    compare_header(&header, &block.header)?;
    let change = state_change(&mut block);
    copy.write(Some(change), |transaction| write_block(transaction, &block, &[]))?;
    Ok(block.transactions.len() as u64)
}

fn compare_header(stored: &Sealed<Header>, computed: &Sealed<Header>) -> Result<(), Error> {
    if stored.hash() == computed.hash() && stored.inner() == computed.inner() {
        return Ok(());
    }
    let (old, new) = (stored.inner(), computed.inner());
    let field = if old.state_root != new.state_root {
        "state root"
    } else if old.receipts_root != new.receipts_root {
        "receipts root"
    } else if old.transactions_root != new.transactions_root {
        "transactions root"
    } else {
        "header"
    };
    Err(Error::corrupt(format!("block {}: the {field} does not re-derive", old.number)))
}

fn compare_tables(stored: &Snapshot<'_>, copy: &Snapshot<'_>) -> Result<(), Error> {
    compare(stored, copy, HEADERS)?;
    compare(stored, copy, TRANSACTIONS)?;
    compare(stored, copy, RECEIPTS)?;
    compare(stored, copy, LOGS)?;
    compare(stored, copy, LOG_INDEX)
}

fn compare_state(stored: &Snapshot<'_>, copy: &Snapshot<'_>) -> Result<(), Error> {
    let mut count = 0;
    copy.for_each_saved(|key, value| {
        count += 1;
        let same = stored.state(key)?.as_deref() == Some(value);
        if same { Ok(()) } else { Err(Error::corrupt("the state does not re-derive")) }
    })?;
    if stored.state_len()? == count {
        Ok(())
    } else {
        Err(Error::corrupt("the state holds more than re-derives"))
    }
}

fn compare<K: Key + 'static, V: Value + 'static>(
    stored: &Snapshot<'_>,
    copy: &Snapshot<'_>,
    table: TableDefinition<'static, K, V>,
) -> Result<(), Error> {
    let (old_table, new_table) = (stored.table(table)?, copy.table(table)?);
    let (mut left, mut right) = (old_table.iter()?, new_table.iter()?);
    loop {
        let same = match (left.next().transpose()?, right.next().transpose()?) {
            (None, None) => return Ok(()),
            (Some((old_key, old)), Some((new_key, new))) => {
                K::as_bytes(&old_key.value()).as_ref() == K::as_bytes(&new_key.value()).as_ref()
                    && V::as_bytes(&old.value()).as_ref() == V::as_bytes(&new.value()).as_ref()
            }
            _ => false,
        };
        if !same {
            return Err(differs(table));
        }
    }
}

fn differs<K: Key + 'static, V: Value + 'static>(table: TableDefinition<'static, K, V>) -> Error {
    Error::corrupt(format!("table `{}` does not re-derive", redb::TableHandle::name(&table)))
}
