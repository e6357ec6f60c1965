//! What changed from one version to another.

use std::collections::HashMap;

use alloy_primitives::B256;
use serde::Serialize;

use super::{Exclusion, Item, Manifest};

/// What changed from one version to another. Items are told by their contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Items of the second only.
    pub added: Vec<Item>,
    /// Items of the first only, each with why the second excludes it, if it names it.
    pub removed: Vec<(Item, Option<Exclusion>)>,
    /// Items with another weight: content, before, after.
    pub reweighted: Vec<(B256, u64, u64)>,
    /// Whether the policy is another.
    pub policy_changed: bool,
    /// Whether another opt-out list was checked.
    pub deny_list_changed: bool,
}

impl Difference {
    /// From one version to another.
    pub fn between(before: &Manifest, after: &Manifest) -> Self {
        let by_content = |manifest: &Manifest| -> HashMap<B256, u64> {
            manifest.items.iter().map(|item| (item.content, item.weight)).collect()
        };
        let (old, new) = (by_content(before), by_content(after));
        let why: HashMap<B256, &Exclusion> =
            after.excluded.iter().map(|e| (e.content, &e.exclusion)).collect();
        let removed = before.items.iter().filter(|item| !new.contains_key(&item.content));
        let kept = before.items.iter().filter_map(|item| {
            let weight = *new.get(&item.content)?;
            (weight != item.weight).then_some((item.content, item.weight, weight))
        });
        Self {
            added: (after.items.iter())
                .filter(|item| !old.contains_key(&item.content))
                .cloned()
                .collect(),
            removed: removed
                .map(|item| (item.clone(), why.get(&item.content).map(|why| (*why).clone())))
                .collect(),
            reweighted: kept.collect(),
            policy_changed: before.policy != after.policy,
            deny_list_changed: before.deny_list != after.deny_list,
        }
    }

    /// Whether the items are the same, with the same weights.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.reweighted.is_empty()
    }
}
