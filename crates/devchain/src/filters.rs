//! Installed filters (`eth_newFilter` and its kin). Kept in memory; they end with the process.

use std::collections::BTreeMap;

use alloy::rpc::types::Filter;

/// How many can be installed at once. One more drops the oldest, which its owner learns from
/// "filter not found" and answers by installing it again.
const CAPACITY: usize = 1_024;

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Blocks,
    /// Nothing is ever pending here, so this never reports anything.
    PendingTransactions,
    Logs(Box<Filter>),
}

#[derive(Debug, Default)]
pub(crate) struct Filters {
    installed: BTreeMap<u64, (Kind, u64)>,
    last_id: u64,
}

impl Filters {
    /// Installs a filter that reports what comes after block `head`.
    pub(crate) fn install(&mut self, kind: Kind, head: u64) -> u64 {
        if self.installed.len() >= CAPACITY {
            self.installed.pop_first();
        }
        self.last_id += 1;
        self.installed.insert(self.last_id, (kind, head));
        self.last_id
    }

    pub(crate) fn get(&self, id: u64) -> Option<&(Kind, u64)> {
        self.installed.get(&id)
    }

    /// Everything up to block `head` has been reported.
    pub(crate) fn reported(&mut self, id: u64, head: u64) {
        if let Some((_, reported)) = self.installed.get_mut(&id) {
            *reported = head.max(*reported);
        }
    }

    pub(crate) fn remove(&mut self, id: u64) -> bool {
        self.installed.remove(&id).is_some()
    }
}
