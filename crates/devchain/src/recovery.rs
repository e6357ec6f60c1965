//! Bringing the database up to date after a crash: the state to the blocks in the chain file, then
//! both to what the journal holds.

use alloy::consensus::{Header, Sealed};

use crate::Error;
use crate::commit::{state_change, write_block, write_queue};
use crate::db::{Snapshot, Store};
use crate::execute::{Block, BlockBuilder, ChainRules, NotIncluded};
use crate::journal::Entry;
use crate::state::CodeCache;
use crate::transaction::Signed;

/// Executes again what the database lacks, and holds it to the recorded block hashes.
pub(crate) fn recover(
    store: &Store,
    codes: &CodeCache,
    rules: &ChainRules,
    entries: &[Entry],
) -> Result<(), Error> {
    catch_up(store, codes, rules)?;
    entries.iter().try_for_each(|entry| replay(store, codes, rules, entry))
}

/// The state file follows the chain file, and may have been left behind.
fn catch_up(store: &Store, codes: &CodeCache, rules: &ChainRules) -> Result<(), Error> {
    let (saved, last) = {
        let snapshot = store.snapshot()?;
        (snapshot.head_number(), snapshot.last_stored()?)
    };
    if saved > last {
        let what = format!("the state is of block {saved}, after the last block, {last}");
        return Err(Error::corrupt(what));
    }
    for number in saved + 1..=last {
        let mut block = {
            let snapshot = store.snapshot()?;
            let header = snapshot.header(number)?;
            let header =
                header.ok_or_else(|| Error::corrupt(format!("block {number} is missing")))?;
            let block = rebuild(&snapshot, &snapshot, codes, rules, &header)?;
            if block.header.hash() != header.hash() {
                return Err(Error::corrupt(format!("block {number} does not re-derive")));
            }
            block
        };
        store.write(Some(state_change(&mut block)), |_| Ok(()))?;
    }
    Ok(())
}

/// Executes a stored block again, on the state that `parent` has.
pub(crate) fn rebuild(
    stored: &Snapshot<'_>,
    parent: &Snapshot<'_>,
    codes: &CodeCache,
    rules: &ChainRules,
    header: &Sealed<Header>,
) -> Result<Block, Error> {
    let number = header.number;
    let mut builder = BlockBuilder::new(parent, codes, rules, header.timestamp, usize::MAX)?;
    for record in stored.transactions(number)? {
        let signed = Signed::accept(record.raw.clone(), rules).map_err(|rejection| {
            Error::corrupt(format!("block {number}: transaction `{}`: {rejection}", record.hash))
        })?;
        if (signed.hash, signed.sender) != (record.hash, record.sender) {
            let what = format!("block {number}: record of transaction `{}` is wrong", record.hash);
            return Err(Error::corrupt(what));
        }
        push(&mut builder, &signed, number)?;
    }
    builder.seal()
}

/// Executes a transaction that was in the block before.
fn push(builder: &mut BlockBuilder<'_>, signed: &Signed, number: u64) -> Result<(), Error> {
    builder.push(signed).map_err(|refused| match refused {
        NotIncluded::Failed(error) => error,
        other => Error::corrupt(format!("block {number}: `{}`: {other:?}", signed.hash)),
    })
}

fn replay(
    store: &Store,
    codes: &CodeCache,
    rules: &ChainRules,
    entry: &Entry,
) -> Result<(), Error> {
    let accept = |raw: &_| {
        Signed::accept(Clone::clone(raw), rules)
            .map_err(|rejection| Error::corrupt(format!("journal: {rejection}")))
    };
    let queue = entry.queue_writes(|raw| {
        let signed = accept(raw)?;
        Ok((signed.sender, signed.nonce()))
    })?;
    let block = {
        let snapshot = store.snapshot()?;
        let head = snapshot.head_number();
        if entry.number <= head {
            None
        } else if entry.number > head + 1 {
            let what = format!("journal goes on at block {} after block {head}", entry.number);
            return Err(Error::corrupt(what));
        } else {
            let mut builder =
                BlockBuilder::new(&snapshot, codes, rules, entry.timestamp, usize::MAX)?;
            for raw in &entry.transactions {
                push(&mut builder, &accept(raw)?, entry.number)?;
            }
            Some(builder.seal()?)
        }
    };
    match block {
        None if queue.is_empty() => Ok(()),
        None => store.write(None, |transaction| write_queue(transaction, &queue)),
        Some(mut block) if block.header.hash() == entry.hash => {
            let change = state_change(&mut block);
            store.write(Some(change), |transaction| write_block(transaction, &block, &queue))
        }
        Some(block) => {
            let number = block.header.number;
            Err(Error::corrupt(format!("journal: block {number} does not re-derive")))
        }
    }
}
