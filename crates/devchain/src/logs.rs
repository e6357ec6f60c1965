//! Finding logs: an index of the blocks that can match, then the exact filter.

use alloy::rpc::types::Filter;
use alloy_primitives::{Address, B256, Uint, hex};
use redb::{Range, ReadOnlyTable};

use crate::Error;
use crate::db::{ADDRESS_PLACE, LOG_INDEX, LOGS, Position, RUN, Snapshot, index_key};
use crate::records::StoredLog;

/// The most logs one query returns.
pub(crate) const MAX_RESULTS: usize = 20_000;
/// The most logs one query looks at: a block can match a filter without any one log matching it.
const MAX_EXAMINED: usize = 2_000_000;
/// The most lookups in the index for one query: some seconds. One address and one topic reach over
/// 500 million blocks.
const MAX_LOOKUPS: u64 = 1_000_000;
/// The most addresses and topics in one filter.
const MAX_VALUES: usize = 4_096;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    #[error("query returned more than {MAX_RESULTS} results: narrow the block range or the filter")]
    TooMany,
    #[error("query examines more than {MAX_EXAMINED} logs: narrow the block range or the filter")]
    TooMuchWork,
    #[error("query takes more than {MAX_LOOKUPS} lookups: narrow the block range or the filter")]
    TooManyLookups,
    #[error("filter has {0} addresses and topics, more than {MAX_VALUES}")]
    TooManyValues(usize),
    #[error(transparent)]
    Chain(#[from] Error),
}

impl From<redb::StorageError> for LogsError {
    fn from(error: redb::StorageError) -> Self {
        Self::Chain(error.into())
    }
}

/// Writes the logs of blocks `first..=last` that match, oldest first, as a JSON array.
pub(crate) fn find(
    snapshot: &Snapshot<'_>,
    filter: &Filter,
    first: u64,
    last: u64,
    json: &mut String,
) -> Result<(), LogsError> {
    json.push('[');
    let table = snapshot.table(LOGS)?;
    let mut search = Search {
        filter,
        rows: Rows { table: &table, last, range: None, at: None },
        json,
        found: 0,
        examined: 0,
    };
    let places = places(filter)?;
    if first > last {
        // Nothing is new since the last poll.
    } else if places.is_empty() {
        search.scan(first, last)?;
    } else {
        check_lookups(&places, first, last)?;
        let index = snapshot.table(LOG_INDEX)?;
        for run in first / RUN..=last / RUN {
            let blocks = blocks_of_run(&index, &places, run)? & within(run, first, last);
            search.scan_blocks(run, blocks)?;
        }
    }
    search.json.push(']');
    Ok(())
}

/// The values of which a log must have one, at each constrained place of the filter.
type Places = Vec<(u8, Vec<B256>)>;

fn places(filter: &Filter) -> Result<Places, LogsError> {
    let addresses: Vec<B256> = filter.address.iter().map(Address::into_word).collect();
    let mut places = vec![(ADDRESS_PLACE, addresses)];
    for (place, topics) in (0u8..).zip(&filter.topics) {
        places.push((place, topics.iter().copied().collect()));
    }
    places.retain(|(_, values)| !values.is_empty());
    let count = places.iter().map(|(_, values)| values.len()).sum();
    if count > MAX_VALUES {
        return Err(LogsError::TooManyValues(count));
    }
    // Later topics tell more than the event and the contract: often nothing else is looked up.
    places.sort_by_key(|(place, _)| (*place == ADDRESS_PLACE, std::cmp::Reverse(*place)));
    Ok(places)
}

fn check_lookups(places: &Places, first: u64, last: u64) -> Result<(), LogsError> {
    let values: usize = places.iter().map(|(_, values)| values.len()).sum();
    let runs = last / RUN - first / RUN + 1;
    let lookups = runs.saturating_mul(u64::try_from(values).unwrap_or(u64::MAX));
    if lookups > MAX_LOOKUPS { Err(LogsError::TooManyLookups) } else { Ok(()) }
}

type IndexTable = ReadOnlyTable<&'static [u8; 40], &'static [u8]>;

/// Blocks of a run, a bit each.
type Blocks = Uint<1024, 16>;

/// Reading so few blocks is cheaper than another lookup.
const FEW: usize = 8;

/// The blocks of a run that may have some value at every place.
fn blocks_of_run(index: &IndexTable, places: &Places, run: u64) -> Result<Blocks, LogsError> {
    let mut all = Blocks::MAX;
    for (place, values) in places {
        let mut any = Blocks::ZERO;
        for value in values {
            if let Some(blocks) = index.get(&index_key(run, *place, *value))? {
                let (blocks, _) = blocks.value().as_chunks::<2>();
                for at in blocks {
                    any.set_bit(u16::from_be_bytes(*at).into(), true);
                }
            }
        }
        all &= any;
        if all.count_ones() <= FEW {
            break;
        }
    }
    Ok(all)
}

/// The blocks of a run that are in `first..=last`.
fn within(run: u64, first: u64, last: u64) -> Blocks {
    let start = run * RUN;
    let (from, to) = (first.max(start) - start, last.min(start + RUN - 1) - start);
    (Blocks::MAX << from) & (Blocks::MAX >> (RUN - 1 - to))
}

type LogRow<'a> = (redb::AccessGuard<'a, Position>, redb::AccessGuard<'a, &'static [u8]>);

/// The logs in order: a cursor that is moved forward.
struct Rows<'t> {
    table: &'t ReadOnlyTable<Position, &'static [u8]>,
    last: u64,
    range: Option<Range<'static, Position, &'static [u8]>>,
    at: Option<LogRow<'static>>,
}

impl Rows<'_> {
    /// Steps before a new descent into the tree is cheaper.
    const STEPS: usize = 8;

    /// Moves to the first log of block `number` or a later one.
    fn seek(&mut self, number: u64) -> Result<(), LogsError> {
        for _ in 0..Self::STEPS {
            match &self.at {
                Some((position, _)) if position.value().0 >= number => return Ok(()),
                Some(_) => self.step()?,
                None => break,
            }
        }
        self.range = Some(self.table.range((number, 0)..=(self.last.max(number), u32::MAX))?);
        self.step()
    }

    fn step(&mut self) -> Result<(), LogsError> {
        self.at = match &mut self.range {
            Some(range) => range.next().transpose()?,
            None => None,
        };
        Ok(())
    }
}

struct Search<'a> {
    filter: &'a Filter,
    rows: Rows<'a>,
    json: &'a mut String,
    found: usize,
    examined: usize,
}

impl Search<'_> {
    /// Adds the matching logs of the blocks of a run whose bits are set.
    fn scan_blocks(&mut self, run: u64, mut blocks: Blocks) -> Result<(), LogsError> {
        while !blocks.is_zero() {
            let first = blocks.trailing_zeros();
            let count = (blocks >> first).trailing_ones();
            let number = run * RUN + first as u64;
            self.scan(number, number + count as u64 - 1)?;
            let done = first + count;
            blocks = if done < Blocks::BITS { (blocks >> done) << done } else { Blocks::ZERO };
        }
        Ok(())
    }

    /// Adds the matching logs of a run of blocks.
    fn scan(&mut self, first: u64, last: u64) -> Result<(), LogsError> {
        self.rows.seek(first)?;
        while let Some((position, value)) = &self.rows.at {
            let (number, index) = position.value();
            if number > last {
                break;
            }
            self.examined += 1;
            if self.examined > MAX_EXAMINED {
                return Err(LogsError::TooMuchWork);
            }
            let stored = StoredLog::decode(value.value())?;
            if matches(self.filter, &stored) {
                if self.found >= MAX_RESULTS {
                    return Err(LogsError::TooMany);
                }
                if self.found > 0 {
                    self.json.push(',');
                }
                self.found += 1;
                write_json(self.json, (number, index), &stored);
            }
            self.rows.step()?;
        }
        Ok(())
    }
}

/// Ethereum JSON-RPC's `Log`, written without values between: answers go to megabytes.
fn write_json(json: &mut String, (number, index): Position, log: &StoredLog<'_>) {
    json.reserve(480 + 70 * log.topics.len() + 2 * log.data.len());
    json.push_str("{\"address\":\"0x");
    json.push_str(hex::Buffer::<20>::new().format(log.address));
    json.push_str("\",\"topics\":[");
    for (place, topic) in log.topics.iter().enumerate() {
        push_hash(json, if place == 0 { "\"0x" } else { ",\"0x" }, topic);
        json.push('"');
    }
    json.push_str("],\"data\":\"0x");
    for chunk in log.data.chunks(32) {
        match chunk.try_into() {
            Ok(word) => push_hash(json, "", word),
            Err(_) => json.push_str(&hex::encode(chunk)),
        }
    }
    push_hash(json, "\",\"blockHash\":\"0x", log.block_hash);
    push_hash(json, "\",\"transactionHash\":\"0x", log.transaction_hash);
    push_quantity(json, "\",\"blockNumber\":\"0x", number);
    push_quantity(json, "\",\"blockTimestamp\":\"0x", log.timestamp);
    push_quantity(json, "\",\"transactionIndex\":\"0x", log.transaction.into());
    push_quantity(json, "\",\"logIndex\":\"0x", index.into());
    json.push_str("\",\"removed\":false}");
}

fn push_hash(json: &mut String, before: &str, hash: &[u8; 32]) {
    json.push_str(before);
    json.push_str(hex::Buffer::<32>::new().format(hash));
}

fn push_quantity(json: &mut String, before: &str, value: u64) {
    json.push_str(before);
    // Without leading zeros; zero itself has one digit.
    let skipped = (value.leading_zeros() / 4).min(15) as usize;
    let mut digits = hex::Buffer::<8>::new();
    json.push_str(digits.format(&value.to_be_bytes()).get(skipped..).unwrap_or("0"));
}

/// Ethereum JSON-RPC `eth_getLogs`: any of the addresses, and at each constrained place any of the
/// topics.
fn matches(filter: &Filter, log: &StoredLog<'_>) -> bool {
    let topics = filter.topics.iter().enumerate().all(|(place, wanted)| {
        wanted.is_empty()
            || log.topics.get(place).is_some_and(|topic| wanted.contains(&B256::from(topic)))
    });
    topics && (filter.address.is_empty() || filter.address.contains(&Address::from(log.address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_keeps_its_own_blocks_of_each_run() {
        for (first, last) in [(0, 0), (5, 1023), (1023, 1024), (1, 3000), (2048, 2048)] {
            for number in 0..4096 {
                let (run, at) = (number / RUN, usize::try_from(number % RUN).unwrap());
                let kept =
                    (first / RUN..=last / RUN).contains(&run) && within(run, first, last).bit(at);
                assert_eq!(kept, (first..=last).contains(&number), "{number} of {first}..={last}");
            }
        }
    }

    #[test]
    fn a_query_of_too_many_lookups_is_refused() {
        let places = vec![(ADDRESS_PLACE, vec![B256::ZERO]), (0, vec![B256::ZERO; 3])];
        let most = MAX_LOOKUPS / 4 * RUN;
        assert!(check_lookups(&places, 7, most - 1).is_ok());
        let refused = check_lookups(&places, 7, most).unwrap_err().to_string();
        assert!(refused.contains("narrow the block range"), "{refused}");
        assert!(check_lookups(&places, 0, u64::MAX).is_err());
    }
}
