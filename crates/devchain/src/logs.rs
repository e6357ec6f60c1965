//! Finding logs: an index range scan over the blocks that can match, then the exact filter.

use alloy::rpc::types::{Filter, Log as RpcLog};
use alloy_primitives::{Address, B256};
use redb::{Range, ReadOnlyTable};

use crate::Error;
use crate::db::{ADDRESS_PLACE, LOG_INDEX, LOGS, Snapshot, index_key};
use crate::records::LogRecord;

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

/// The logs of blocks `first..=last` that match, oldest first.
pub(crate) fn find(
    snapshot: &Snapshot<'_>,
    filter: &Filter,
    first: u64,
    last: u64,
) -> Result<Vec<RpcLog>, LogsError> {
    let mut search =
        Search { snapshot, filter, logs: snapshot.table(LOGS)?, found: Vec::new(), examined: 0 };
    let index = snapshot.table(LOG_INDEX)?;
    let mut places = places(&index, filter, last)?;
    if places.is_empty() {
        search.scan(first, last)?;
        return Ok(search.found);
    }
    let mut next = first;
    while let Some(number) = common_block(&mut places, next)? {
        search.scan(number, number)?;
        let Some(after) = number.checked_add(1).filter(|after| *after <= last) else { break };
        next = after;
    }
    Ok(search.found)
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

struct Search<'a> {
    snapshot: &'a Snapshot<'a>,
    filter: &'a Filter,
    logs: ReadOnlyTable<(u64, u32), &'static [u8]>,
    found: Vec<RpcLog>,
    examined: usize,
}

impl Search<'_> {
    /// Adds the matching logs of a run of blocks.
    fn scan(&mut self, first: u64, last: u64) -> Result<(), LogsError> {
        let mut block: Option<(u64, B256, u64)> = None;
        let mut transaction: Option<((u64, u32), B256)> = None;
        for row in self.logs.range((first, 0)..=(last, u32::MAX))? {
            let (position, value) = row?;
            let (number, index) = position.value();
            self.examined += 1;
            if self.examined > MAX_EXAMINED {
                return Err(LogsError::TooMuchWork);
            }
            let mut rlp = value.value();
            let record: LogRecord = alloy_rlp::Decodable::decode(&mut rlp).map_err(Error::from)?;
            if !matches(self.filter, &record) {
                continue;
            }
            if self.found.len() >= MAX_RESULTS {
                return Err(LogsError::TooMany);
            }
            let (hash, time) = match block {
                Some((known, hash, time)) if known == number => (hash, time),
                _ => self.block(number)?,
            };
            block = Some((number, hash, time));
            let place = (number, record.transaction);
            let transaction_hash = match transaction {
                Some((known, hash)) if known == place => hash,
                _ => self.transaction_hash(place)?,
            };
            transaction = Some((place, transaction_hash));
            self.found.push(RpcLog {
                block_hash: Some(hash),
                block_number: Some(number),
                block_timestamp: Some(time),
                transaction_hash: Some(transaction_hash),
                transaction_index: Some(u64::from(record.transaction)),
                log_index: Some(u64::from(index)),
                removed: false,
                inner: record.into_log(),
            });
        }
        Ok(())
    }

    fn block(&self, number: u64) -> Result<(B256, u64), Error> {
        let header = self.snapshot.header(number)?;
        let header = header.ok_or_else(|| Error::corrupt(format!("no block {number}")))?;
        Ok((header.hash(), header.timestamp))
    }

    fn transaction_hash(&self, position: (u64, u32)) -> Result<B256, Error> {
        let record = self.snapshot.transaction(position)?;
        Ok(record.ok_or_else(|| Error::corrupt(format!("no transaction {position:?}")))?.hash)
    }
}

/// Ethereum JSON-RPC `eth_getLogs`: any of the addresses, and at each constrained place any of the
/// topics.
fn matches(filter: &Filter, log: &LogRecord) -> bool {
    let topics = filter.topics.iter().enumerate().all(|(place, wanted)| {
        wanted.is_empty() || log.topics.get(place).is_some_and(|topic| wanted.contains(topic))
    });
    topics && (filter.address.is_empty() || filter.address.contains(&log.address))
}
