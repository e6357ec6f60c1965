//! Finding logs: an index range scan over the blocks that can match, then the exact filter.

use alloy::rpc::types::Filter;
use alloy_primitives::{Address, B256, hex};
use redb::{Range, ReadOnlyTable};

use crate::Error;
use crate::db::{ADDRESS_PLACE, LOG_INDEX, LOGS, Position, Snapshot, index_key};
use crate::records::StoredLog;

/// The most logs one query returns.
pub(crate) const MAX_RESULTS: usize = 20_000;
/// The most logs one query looks at: a block can match a filter without any one log matching it.
const MAX_EXAMINED: usize = 2_000_000;
/// The most addresses and topics in one filter.
const MAX_VALUES: usize = 4_096;

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogsError {
    #[error("query returned more than {MAX_RESULTS} results: narrow the block range or the filter")]
    TooMany,
    #[error("query examines more than {MAX_EXAMINED} logs: narrow the block range or the filter")]
    TooMuchWork,
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

/// The logs of blocks `first..=last` that match, oldest first, as a JSON array.
pub(crate) fn find(
    snapshot: &Snapshot<'_>,
    filter: &Filter,
    first: u64,
    last: u64,
) -> Result<String, LogsError> {
    let table = snapshot.table(LOGS)?;
    let mut search = Search {
        filter,
        rows: Rows { table: &table, last, range: None, at: None },
        json: String::from("["),
        found: 0,
        examined: 0,
    };
    let index = snapshot.table(LOG_INDEX)?;
    let mut places = places(&index, filter, last)?;
    if places.is_empty() {
        search.scan(first, last)?;
    } else {
        let mut next = first;
        while let Some(number) = common_block(&mut places, next)? {
            search.scan(number, number)?;
            let Some(after) = number.checked_add(1).filter(|after| *after <= last) else { break };
            next = after;
        }
    }
    search.json.push(']');
    Ok(search.json)
}

/// One cursor set per constrained place of the filter.
fn places<'t>(
    index: &'t IndexTable,
    filter: &Filter,
    last: u64,
) -> Result<Vec<Union<'t>>, LogsError> {
    let addresses: Vec<B256> = filter.address.iter().map(Address::into_word).collect();
    let mut sets = vec![(ADDRESS_PLACE, addresses)];
    for (place, topics) in (0u8..).zip(&filter.topics) {
        sets.push((place, topics.iter().copied().collect()));
    }
    let count = sets.iter().map(|(_, values)| values.len()).sum();
    if count > MAX_VALUES {
        return Err(LogsError::TooManyValues(count));
    }
    sets.retain(|(_, values)| !values.is_empty());
    let union = |(place, values): (u8, Vec<B256>)| {
        let posting = |value| Posting { index, place, value, last, range: None, at: None };
        Union(values.into_iter().map(posting).collect())
    };
    Ok(sets.into_iter().map(union).collect())
}

/// The first block from `next` on that occurs at every place (a leapfrog join).
fn common_block(places: &mut [Union<'_>], mut next: u64) -> Result<Option<u64>, LogsError> {
    loop {
        let start = next;
        for place in &mut *places {
            match place.seek(next)? {
                Some(number) => next = number,
                None => return Ok(None),
            }
        }
        if next == start {
            return Ok(Some(next));
        }
    }
}

type IndexTable = ReadOnlyTable<&'static [u8; 41], ()>;

/// The blocks in which any of several values occurs at one place.
struct Union<'t>(Vec<Posting<'t>>);

impl Union<'_> {
    fn seek(&mut self, next: u64) -> Result<Option<u64>, LogsError> {
        let mut nearest = None;
        for posting in &mut self.0 {
            let number = posting.seek(next)?;
            nearest = [nearest, number].into_iter().flatten().min();
        }
        Ok(nearest)
    }
}

/// The blocks in which one value occurs, in order: a cursor over its part of the index.
struct Posting<'t> {
    index: &'t IndexTable,
    place: u8,
    value: B256,
    last: u64,
    range: Option<Range<'static, &'static [u8; 41], ()>>,
    at: Option<u64>,
}

impl Posting<'_> {
    /// Steps before a new descent into the tree is cheaper.
    const STEPS: usize = 8;

    fn seek(&mut self, next: u64) -> Result<Option<u64>, LogsError> {
        if let Some(at) = self.at.filter(|at| *at >= next) {
            return Ok(Some(at));
        }
        if let Some(range) = &mut self.range {
            for _ in 0..Self::STEPS {
                self.at = block_of(range.next())?;
                match self.at {
                    Some(at) if at < next => {}
                    found => return Ok(found),
                }
            }
        }
        let key = |number| index_key(self.place, self.value, number);
        let mut range = self.index.range::<&[u8; 41]>(&key(next)..=&key(self.last.max(next)))?;
        self.at = block_of(range.next())?;
        self.range = Some(range);
        Ok(self.at)
    }
}

type IndexRow<'a> = (redb::AccessGuard<'a, &'static [u8; 41]>, redb::AccessGuard<'a, ()>);

fn block_of(
    row: Option<Result<IndexRow<'_>, redb::StorageError>>,
) -> Result<Option<u64>, LogsError> {
    let Some((key, ())) = row.transpose()?.map(|(key, _)| (key, ())) else { return Ok(None) };
    let number = key.value().last_chunk::<8>().copied().unwrap_or_default();
    Ok(Some(u64::from_be_bytes(number)))
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
    /// Moves to the first log of block `number` or a later one.
    fn seek(&mut self, number: u64) -> Result<(), LogsError> {
        for _ in 0..Posting::STEPS {
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
    json: String,
    found: usize,
    examined: usize,
}

impl Search<'_> {
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
                write_json(&mut self.json, (number, index), &stored);
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
