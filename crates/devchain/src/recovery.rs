//! Bringing the database up to what the journal holds.

use crate::Error;
use crate::commit::{write_block, write_queue};
use crate::db::Store;
use crate::execute::{BlockBuilder, ChainRules, NotIncluded};
use crate::journal::Entry;
use crate::state::CodeCache;
use crate::transaction::Signed;

/// Executes again what the database lacks, and holds it to the recorded block hashes.
pub(crate) fn replay(
    store: &Store,
    codes: &CodeCache,
    rules: &ChainRules,
    entries: &[Entry],
) -> Result<(), Error> {
    entries.iter().try_for_each(|entry| replay_one(store, codes, rules, entry))
}

fn replay_one(
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
        let head = snapshot.head_number()?;
        if entry.number <= head {
            None
        } else if entry.number > head + 1 {
            let what = format!("journal goes on at block {} after block {head}", entry.number);
            return Err(Error::corrupt(what));
        } else {
            let mut builder =
                BlockBuilder::new(&snapshot, codes, rules, entry.timestamp, usize::MAX)?;
            for raw in &entry.transactions {
                builder.push(&accept(raw)?).map_err(|refused| match refused {
                    NotIncluded::Failed(error) => error,
                    other => Error::corrupt(format!("journal: block {}: {other:?}", entry.number)),
                })?;
            }
            Some(builder.seal(&store.unwritten())?)
        }
    };
    match block {
        None if queue.is_empty() => Ok(()),
        None => store.write(false, Vec::new(), |transaction| write_queue(transaction, &queue)),
        Some(mut block) if block.header.hash() == entry.hash => {
            let nodes = std::mem::take(&mut block.nodes);
            store.write(false, nodes, |transaction| write_block(transaction, &block, &queue))
        }
        Some(block) => {
            let number = block.header.number;
            Err(Error::corrupt(format!("journal: block {number} does not re-derive")))
        }
    }
}
