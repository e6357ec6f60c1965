//! Logs, and installed filters.

use std::sync::PoisonError;

use alloy::consensus::Sealed;
use alloy::rpc::types::{Filter, FilterBlockOption};
use alloy_primitives::{B256, U64};

use super::params::Params;
use super::{Answer, Answered, RpcError, blocks, json};
use crate::DevChain;
use crate::db::Snapshot;
use crate::filters::{Filters, Kind};
use crate::logs;

/// The most block hashes one poll returns; the rest comes with the next.
const MAX_BLOCKS: u64 = 10_000;

impl DevChain {
    pub(super) fn logs(&self, params: &Params) -> Answer {
        let filter: Filter = params.required(0, "filter")?;
        let snapshot = self.inner().store.snapshot()?;
        let (first, last) = range(&snapshot, &filter)?;
        found(&snapshot, &filter, first, last)
    }

    pub(super) fn new_filter(&self, params: &Params) -> Answer {
        let filter: Filter = params.required(0, "filter")?;
        self.install_filter(Kind::Logs(Box::new(filter)))
    }

    pub(super) fn install_filter(&self, kind: Kind) -> Answer {
        let head = self.inner().store.snapshot()?.head_number();
        json(&U64::from(self.filters(|filters| filters.install(kind, head))))
    }

    pub(super) fn uninstall_filter(&self, params: &Params) -> Answer {
        let id: U64 = params.required(0, "filter id")?;
        json(&self.filters(|filters| filters.remove(id.to())))
    }

    pub(super) fn filter_changes(&self, params: &Params) -> Answer {
        let id: u64 = params.required::<U64>(0, "filter id")?.to();
        let (kind, reported) = self.installed(id)?;
        let snapshot = self.inner().store.snapshot()?;
        let head = snapshot.head_number();
        let (answer, upto) = match kind {
            Kind::PendingTransactions => (json::<[B256; 0]>(&[])?, head),
            Kind::Blocks => {
                let upto = head.min(reported.saturating_add(MAX_BLOCKS));
                let headers = (reported + 1..=upto).map(|number| snapshot.header(number));
                let headers: Vec<_> = headers.collect::<Result<_, _>>()?;
                let hashes: Vec<B256> = headers.iter().flatten().map(Sealed::hash).collect();
                (json(&hashes)?, upto)
            }
            Kind::Logs(filter) => {
                let (first, last) = range(&snapshot, &filter)?;
                // Without an upper bound the filter goes on with the chain.
                let last = if is_open(&filter) { head } else { last };
                let first = first_new(&filter, first, reported);
                (found(&snapshot, &filter, first, last)?, head)
            }
        };
        self.filters(|filters| filters.reported(id, upto));
        Ok(answer)
    }

    pub(super) fn filter_logs(&self, params: &Params) -> Answer {
        let id: U64 = params.required(0, "filter id")?;
        let (Kind::Logs(filter), _) = self.installed(id.to())? else {
            return Err(RpcError::params("the filter is not one for logs"));
        };
        let snapshot = self.inner().store.snapshot()?;
        let (first, last) = range(&snapshot, &filter)?;
        found(&snapshot, &filter, first, last)
    }

    fn installed(&self, id: u64) -> Result<(Kind, u64), RpcError> {
        self.filters(|filters| filters.get(id).cloned())
            .ok_or_else(|| RpcError::server("filter not found"))
    }

    fn filters<T>(&self, act: impl FnOnce(&mut Filters) -> T) -> T {
        act(&mut self.inner().filters.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn found(snapshot: &Snapshot<'_>, filter: &Filter, first: u64, last: u64) -> Answer {
    Ok(Answered::write(|response| logs::find(snapshot, filter, first, last, response))?)
}

fn is_open(filter: &Filter) -> bool {
    matches!(
        filter.block_option,
        FilterBlockOption::Range { to_block, .. } if to_block.is_none_or(|to| !to.is_number())
    )
}

/// The first block to report: after what was reported, and not before an explicit start.
fn first_new(filter: &Filter, first: u64, reported: u64) -> u64 {
    match filter.block_option {
        FilterBlockOption::Range { from_block: Some(from), .. } if from.is_number() => {
            first.max(reported + 1)
        }
        _ => reported + 1,
    }
}

/// The filter's blocks that exist.
fn range(snapshot: &Snapshot<'_>, filter: &Filter) -> Result<(u64, u64), RpcError> {
    match filter.block_option {
        FilterBlockOption::AtBlockHash(hash) => match snapshot.number(hash)? {
            Some(number) => Ok((number, number)),
            None => Err(RpcError::server("unknown block")),
        },
        FilterBlockOption::Range { from_block, to_block } => {
            let first = blocks::resolve(snapshot, from_block.unwrap_or_default());
            let last = blocks::resolve(snapshot, to_block.unwrap_or_default());
            if first > last && to_block.is_some_and(|to| to.is_number()) {
                return Err(RpcError::params(format!(
                    "invalid block range: from {first} to {last}"
                )));
            }
            Ok((first, last.min(snapshot.head_number())))
        }
    }
}
