//! Datasets.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest, Finding, Label,
    records::{Dataset, record_id},
};

use super::{
    Audit,
    signed::{Batches, OptOuts, Statements},
};
use crate::{
    bundle,
    content::Batch,
    dataset::{Exclusion, Inputs, Manifest, RemovedWorks, Resemblances},
    optout::DenyList,
    weights::{Tallies, Tally},
};

/// Checked manifests by dataset record id.
pub(crate) type Manifests = BTreeMap<B256, Manifest>;

/// What a dataset version's policy is applied to again.
struct Known<'a> {
    statements: &'a Statements,
    batches: &'a Batches,
    deny_list: &'a DenyList,
    removed: &'a RemovedWorks,
    authors: &'a BTreeSet<Address>,
}

impl Audit<'_> {
    pub(super) fn check_datasets(
        &mut self,
        statements: &Statements,
        batches: &Batches,
    ) -> Manifests {
        let opt_outs = self.check_opt_outs(statements);
        self.check_evidence(statements);
        let datasets = self.records.datasets.clone();
        let mut manifests = Manifests::new();
        // What challenges removed from each version and from those before it.
        let mut gone: BTreeMap<B256, RemovedWorks> = BTreeMap::new();
        for dataset in &datasets {
            let id = record_id(dataset);
            let Some(manifest) = self.check_manifest(id, dataset) else { continue };
            let mut gone_before = gone.get(&dataset.previous).cloned().unwrap_or_default();
            if let Some(deny_list) = self.check_deny_list(manifest.deny_list, &opt_outs) {
                let removed = self.removed_earlier(&manifest, &gone_before);
                let before = manifests.get(&dataset.previous).map(Manifest::authors);
                let known = Known {
                    statements,
                    batches,
                    deny_list: &deny_list,
                    removed: &removed,
                    authors: &before.unwrap_or_default(),
                };
                self.check_policy(id, &manifest, &known);
                let text = format!(
                    "that the list of {} opted-out works was complete is the curator's word",
                    deny_list.works().count()
                );
                self.claim("opt-outs.complete", Label::Attested, text);
            }
            self.check_opted_out_items(id, &manifest, &opt_outs);
            self.check_removals(id, &manifest);
            let removed = self.records.removed_from(id);
            let items = manifest.items.iter().filter(|item| removed.contains(&item.index));
            gone_before.extend(items.map(|item| (item.author, item.digest)));
            gone.insert(id, gone_before);
            manifests.insert(id, manifest);
        }
        manifests
    }

    /// Items that somebody opted out: before the version was registered is an error, since is a
    /// warning.
    fn check_opted_out_items(&mut self, id: B256, manifest: &Manifest, opt_outs: &OptOuts) {
        let registry = self.sealed.index.chain.registry;
        let built = self.ledger.record(registry, id).map_or(u64::MAX, |record| record.time);
        for item in &manifest.items {
            let Some((time, author)) = opt_outs.get(&item.digest) else { continue };
            if *time < built {
                let text =
                    format!("`{author}` had opted it out when `{}` was built", manifest.name);
                self.broken("dataset.opt-out.ignored", item.content, text);
            } else {
                let text = format!("`{author}` opted it out after `{}` was built", manifest.name);
                let finding = Finding::warning("dataset.opted-out-since", item.content, text);
                self.findings.push(finding);
            }
        }
    }

    fn check_manifest(&mut self, id: B256, dataset: &Dataset) -> Option<Manifest> {
        let digest = Digest::from(dataset.manifest);
        let name = bundle::manifest_name(&digest);
        if self.file(&name).map(Digest::of) != Some(digest) {
            self.broken("dataset.manifest.mismatch", &name, "not the manifest the record names");
            return None;
        }
        let manifest = self.decoded_file(&name, Manifest::from_json)?;
        let root = manifest.tree().map(|tree| tree.root()).unwrap_or_default();
        let matches = root == dataset.root
            && manifest.items.len() as u64 == dataset.items
            && manifest.total_weight() == dataset.totalWeight;
        if !matches {
            self.broken(
                "dataset.root.mismatch",
                id,
                "the record's root, count or weight is another",
            );
            return None;
        }
        let text = format!(
            "dataset `{}`: {} items under root {root}",
            manifest.name,
            manifest.items.len()
        );
        self.claim("dataset.manifest", Label::Verified, text);
        Some(manifest)
    }

    /// Applies the manifest's policy again and compares, so that every exclusion is as it says.
    fn check_policy(&mut self, id: B256, manifest: &Manifest, known: &Known<'_>) {
        let sources: Option<Vec<Batch>> =
            manifest.sources.iter().map(|source| known.batches.get(source).cloned()).collect();
        let Some(sources) = sources else {
            self.broken("dataset.source.missing", id, "a source statement is not in the bundle");
            return;
        };
        let opened = |digest: &Digest| Tally::open(known.statements.get(digest)?).ok();
        let Some(tallies) = manifest.tallies.iter().map(opened).collect::<Option<Vec<_>>>() else {
            self.broken("dataset.tally.missing", id, "votes or usage are not in the bundle");
            return;
        };
        let chosen = manifest.excluded.iter().filter(|e| e.exclusion == Exclusion::NotSelected);
        let inputs = Inputs {
            batches: &sources,
            not_selected: &chosen.map(|excluded| excluded.digest).collect(),
            deny_list: known.deny_list,
            removed: known.removed,
            known_authors: known.authors,
            resemblances: Resemblances::Claimed(&manifest.excluded),
            tallies: &Tallies::count(&manifest.policy.weights, &tallies),
        };
        let again = Manifest::build(&manifest.name, &manifest.policy, &inputs);
        if again.is_ok_and(|again| again == *manifest) {
            let text = format!(
                "policy applied again to {} works gives the same {} items and {} exclusions; none is on the opt-out list",
                manifest.items.len() + manifest.excluded.len(),
                manifest.items.len(),
                manifest.excluded.len()
            );
            self.claim("dataset.policy", Label::Verified, text);
            self.claim_unseen(manifest);
        } else {
            self.broken(
                "dataset.policy.mismatch",
                id,
                "applying its policy again gives another dataset",
            );
        }
    }

    /// What applying the policy again does not show.
    fn claim_unseen(&mut self, manifest: &Manifest) {
        if manifest.policy.near.is_some() {
            let counts = manifest.exclusion_counts();
            let text = format!(
                "{} near duplicates have codes as near as the policy says; that the codes are the works', and that no other work resembles an item, is the curator's word until the works are compared",
                counts.get("near-duplicate").copied().unwrap_or_default()
            );
            self.claim("dataset.near-duplicates", Label::Attested, text);
        }
        if manifest.policy.weights.counts().is_some() {
            let text = format!(
                "weights follow `{}` from {} statements; that none was left out is the curator's word",
                manifest.policy.weights.name(),
                manifest.tallies.len()
            );
            self.claim("dataset.weights", Label::Attested, text);
        }
    }

    /// What challenges removed from a version, each removal proved and together complete.
    fn check_removals(&mut self, id: B256, manifest: &Manifest) {
        let challenges = self.sealed.index.chain.challenges;
        let Some((items, weight)) = self.ledger.removed(challenges, id) else {
            return self.broken("dataset.removals.unproven", id, "no storage proof shows removals");
        };
        let removed = self.records.removed_from(id);
        let gone: Vec<_> =
            manifest.items.iter().filter(|item| removed.contains(&item.index)).collect();
        let shown = gone
            .iter()
            .all(|item| self.ledger.is_removed(challenges, id, &item.record()) == Some(true));
        let shown_weight = gone.iter().fold(0u64, |sum, item| sum.saturating_add(item.weight));
        if !shown
            || gone.len() != removed.len()
            || gone.len() as u64 != items
            || shown_weight != weight
        {
            return self.broken("dataset.removals.mismatch", id, "removals and chain differ");
        }
        let text = if items == 0 {
            format!("no challenge removed anything from `{}`", manifest.name)
        } else {
            format!("challenges removed {items} items of weight {weight} from `{}`", manifest.name)
        };
        if items > 0 {
            self.findings.push(Finding::warning("dataset.tainted", id, &text));
        }
        self.claim("dataset.challenges", self.chain_label, text);
    }

    /// The works a manifest says challenges removed from earlier versions, each shown to be; and a
    /// warning for what it holds although it was removed from one.
    fn removed_earlier(&mut self, manifest: &Manifest, gone: &RemovedWorks) -> RemovedWorks {
        let excluded = manifest.excluded.iter();
        let named: RemovedWorks = excluded
            .filter(|excluded| excluded.exclusion == Exclusion::RemovedByChallenge)
            .map(|excluded| (excluded.author, excluded.digest))
            .collect();
        for (_, work) in named.difference(gone) {
            let text = "no earlier version is shown to have lost it to a challenge";
            self.broken("dataset.removal.unproven", work, text);
        }
        let kept = manifest.items.iter().filter(|item| gone.contains(&(item.author, item.digest)));
        for item in kept {
            let text = format!("a challenge removed it from a version before `{}`", manifest.name);
            self.findings.push(Finding::warning("dataset.removed-before", item.content, text));
        }
        named
    }
}
