//! Everything in the bundle belongs to its model. What does not is refused: an exporter must not
//! slip in somebody's true statement about something else.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256};
use probity_core::{
    Digest, Label,
    binding::{KEY_BINDING_TYPE, KeyBinding},
    keys::PublicKey,
    records::record_id,
};

use super::{Audit, answers::Facts, inference, runs, signed::Statements};
use crate::{
    bundle,
    command::PROVENANCE_TYPE,
    dataset::{DATASET_TYPE, DatasetPredicate},
    erasure::ERASURE_TYPE,
    inference::{INFERENCE_TYPE, MODEL_KEY_TYPE, ModelKeyPredicate},
    optout::{OPT_OUT_TYPE, OptOutPredicate},
    payout::PAYOUT_TYPE,
    run_log::RUN_MARK_TYPE,
    training::{CHECKPOINT_TYPE, CheckpointPredicate, MODEL_TYPE, ModelPredicate},
};

impl Audit<'_> {
    /// The model's record is there, and its owner's statement says what the record names.
    pub(super) fn check_model(&mut self, statements: &Statements) {
        let id = self.sealed.index.model;
        let models = self.records.models.clone();
        let [model] = models.as_slice() else {
            return self.broken("model.record.mismatch", id, "expected one model record");
        };
        if record_id(model) != id {
            return self.broken("model.record.mismatch", id, "the record is another model's");
        }
        let Some(signed) = statements.get(&Digest::from(model.statement)) else {
            return self.broken("model.statement.missing", id, "its statement is not there");
        };
        let predicate = signed.statement.predicate::<ModelPredicate>(MODEL_TYPE);
        let good = predicate.is_ok_and(|predicate| {
            predicate.author == model.author
                && probity_core::json::canonical_digest(&predicate).ok()
                    == Some(Digest::from(model.name))
        });
        if good && signed.signers.contains(&PublicKey::Account(model.author)) {
            let text = format!("model {id} is as its owner `{}` describes it", model.author);
            self.claim("model.statement", Label::Verified, text);
        } else {
            self.broken("model.statement.mismatch", id, "record and statement differ");
        }
    }

    /// Each dataset version has its curator's signature over manifest and deny list.
    pub(super) fn check_curators(&mut self, facts: &Facts) {
        let datasets = self.records.datasets.clone();
        for dataset in &datasets {
            let Some(manifest) = facts.manifests.get(&record_id(dataset)) else { continue };
            let signed = facts.statements.values().any(|signed| {
                let predicate = signed.statement.predicate::<DatasetPredicate>(DATASET_TYPE);
                predicate.is_ok_and(|predicate| {
                    predicate.author == dataset.author
                        && predicate.name == manifest.name
                        && predicate.deny_list == manifest.deny_list
                }) && signed.is_about(&dataset.manifest.into())
                    && signed.signers.contains(&PublicKey::Account(dataset.author))
            });
            if signed {
                let text = format!("dataset `{}` is signed by its curator", manifest.name);
                self.claim("dataset.statement", Label::Verified, text);
            } else {
                let message = "its curator's statement is not there";
                self.broken("dataset.statement.missing", record_id(dataset), message);
            }
        }
    }

    /// What the records name is there: leaving a dataset out would hide its taint.
    pub(super) fn check_complete(&mut self) {
        let records = self.records.clone();
        let datasets: BTreeSet<B256> = records.datasets.iter().map(record_id).collect();
        let runs: BTreeSet<B256> = records.runs.iter().map(record_id).collect();
        for checkpoint in records.lineage() {
            let id = record_id(checkpoint);
            if !datasets.contains(&checkpoint.dataset) {
                self.broken("checkpoint.dataset.missing", id, "its dataset is not in the bundle");
            }
            if !runs.contains(&checkpoint.run) {
                self.broken("checkpoint.run.missing", id, "its run is not in the bundle");
            }
        }
        for dataset in records.datasets.iter().filter(|dataset| !dataset.previous.is_zero()) {
            if !datasets.contains(&dataset.previous) {
                let message = "the version before it is not in the bundle";
                self.broken("dataset.previous.missing", record_id(dataset), message);
            }
        }
    }

    /// Nothing in the bundle is about something else.
    pub(super) fn check_relations(&mut self, facts: &Facts) {
        let mut strangers = self.unrelated_records(facts);
        strangers.extend(self.unrelated_statements(facts));
        for (what, id) in strangers {
            self.broken("bundle.unrelated", id, format!("this {what} is not the model's"));
        }
        let known = self.known_files(facts);
        let files: Vec<&String> = self.sealed.files.keys().collect();
        for name in files.into_iter().filter(|name| !known.contains(*name)) {
            self.broken("bundle.file.unused", name, "no claim of the bundle needs it");
        }
    }

    fn unrelated_records(&self, facts: &Facts) -> Vec<(&'static str, B256)> {
        let records = &self.records;
        let model = self.sealed.index.model;
        let mut datasets: BTreeSet<B256> =
            records.lineage().map(|checkpoint| checkpoint.dataset).collect();
        // Versions come oldest first: a version's successor is seen before it.
        for dataset in records.datasets.iter().rev() {
            if datasets.contains(&record_id(dataset)) {
                datasets.insert(dataset.previous);
            }
        }
        let runs: BTreeSet<B256> = records.lineage().map(|checkpoint| checkpoint.run).collect();
        let sources = sources(facts);
        let deny_lists: BTreeSet<B256> =
            facts.manifests.values().map(|manifest| manifest.deny_list.into()).collect();
        let is_source = |statement: B256| sources.contains(&Digest::from(statement));
        let mut found = Vec::new();
        for record in records.checkpoints.iter().filter(|record| record.model != model) {
            found.push(("checkpoint", record_id(record)));
        }
        found.extend(self.unrelated_ancestors().into_iter().map(|id| ("ancestor", id)));
        for id in records.datasets.iter().map(record_id).filter(|id| !datasets.contains(id)) {
            found.push(("dataset", id));
        }
        for id in records.runs.iter().map(record_id).filter(|id| !runs.contains(id)) {
            found.push(("run", id));
        }
        let lineage: BTreeSet<B256> = records.lineage().map(record_id).collect();
        for record in &records.model_keys {
            if !lineage.contains(&record.checkpoint) {
                found.push(("model key", record_id(record)));
            }
        }
        let trainers: BTreeSet<(B256, Address)> =
            records.runs.iter().map(|run| (record_id(run), run.author)).collect();
        for record in &records.anchors {
            let is_data = is_source(record.statement) || deny_lists.contains(&record.root);
            if !is_data && !trainers.contains(&(record.subject, record.author)) {
                found.push(("anchor", record_id(record)));
            }
        }
        for record in records.contents.iter().filter(|record| !is_source(record.statement)) {
            found.push(("content", record_id(record)));
        }
        for removal in records.removals.iter().filter(|r| !datasets.contains(&r.dataset)) {
            found.push(("removal", removal.dataset));
        }
        found
    }

    fn unrelated_statements(&self, facts: &Facts) -> Vec<(&'static str, B256)> {
        let records = &self.records;
        let mut named: BTreeSet<Digest> = sources(facts);
        named.extend(facts.manifests.values().flat_map(|manifest| manifest.tallies.iter()));
        named.extend(records.models.iter().map(|record| Digest::from(record.statement)));
        named.extend(records.runs.iter().map(|record| Digest::from(record.statement)));
        named.extend(records.lineage().map(|record| Digest::from(record.statement)));
        named.extend(records.model_keys.iter().map(|record| Digest::from(record.statement)));
        let manifests: BTreeSet<Digest> =
            records.datasets.iter().map(|record| Digest::from(record.manifest)).collect();
        let works: BTreeSet<Digest> = (facts.batches.values())
            .flat_map(|batch| batch.works.iter().map(|(_, work)| *work))
            .collect();
        let payouts: BTreeSet<Digest> = (self.sealed.files.iter())
            .filter(|(name, _)| name.starts_with(bundle::PAYOUTS))
            .map(|(_, bytes)| Digest::of(bytes))
            .collect();
        let runs_of: BTreeSet<B256> = records.runs.iter().map(record_id).collect();
        let keys_of: BTreeSet<B256> = records.model_keys.iter().map(record_id).collect();
        let is_named = |digest: &Digest| named.contains(digest);
        let others = facts
            .statements
            .values()
            .filter(|signed| signed.statement.predicate_type != KEY_BINDING_TYPE);
        let keys: BTreeSet<String> =
            others.flat_map(|signed| signed.signers.iter().map(PublicKey::key_id)).collect();
        let related = facts.statements.iter().filter(|(digest, signed)| {
            let mut subjects = signed.statement.subject.iter();
            let mut about = |set: &BTreeSet<Digest>| {
                subjects.any(|subject| set.contains(&subject.digest.sha256))
            };
            match signed.statement.predicate_type.as_str() {
                OPT_OUT_TYPE => true,
                ERASURE_TYPE => about(&works),
                DATASET_TYPE => about(&manifests),
                PAYOUT_TYPE => about(&payouts),
                KEY_BINDING_TYPE => {
                    let binding = signed.statement.predicate::<KeyBinding>(KEY_BINDING_TYPE);
                    binding.is_ok_and(|binding| keys.contains(&binding.key))
                }
                PROVENANCE_TYPE | RUN_MARK_TYPE => {
                    runs::run_of(&signed.statement).is_some_and(|run| runs_of.contains(&run))
                }
                INFERENCE_TYPE => {
                    inference::key_of(&signed.statement).is_some_and(|key| keys_of.contains(&key))
                }
                _ => is_named(digest),
            }
        });
        let related: BTreeSet<&Digest> = related.map(|(digest, _)| digest).collect();
        let strangers = facts.statements.keys().filter(|digest| !related.contains(digest));
        strangers.map(|digest| ("statement", B256::from(*digest))).collect()
    }

    /// Whether the newest checkpoint's statement names a signature of its files.
    fn is_signed(&self, facts: &Facts) -> bool {
        let head = self.records.checkpoints.last();
        let signed = head.and_then(|head| facts.statements.get(&Digest::from(head.statement)));
        let said = signed.map(|signed| signed.statement.predicate(CHECKPOINT_TYPE));
        matches!(said, Some(Ok(CheckpointPredicate { signature: Some(_), .. })))
    }

    fn known_files(&self, facts: &Facts) -> BTreeSet<String> {
        let fixed = [
            bundle::INDEX,
            bundle::SIGNATURE,
            bundle::RECORDS,
            bundle::HEADER,
            bundle::STATE,
            bundle::LOG_CHECKPOINT,
        ];
        let mut known: BTreeSet<String> = fixed.map(str::to_owned).into();
        known.extend(bundle::inclusion_files(self.sealed.files));
        let has_files = self.sealed.files.keys().any(|name| name.starts_with(bundle::MODEL));
        known.extend((!has_files).then(|| bundle::LISTING.to_owned()));
        known.extend(self.is_signed(facts).then(|| bundle::MODEL_SIGNATURE.to_owned()));
        let ended = facts.statements.values().filter_map(|signed| runs::run_of(&signed.statement));
        known.extend(ended.map(bundle::run_log_name));
        for (digest, signed) in &facts.statements {
            let said = signed.statement.predicate::<ModelKeyPredicate>(MODEL_KEY_TYPE);
            if let Ok(said) = said {
                known.insert(bundle::model_key_name(said.key.keccak256));
                known.insert(bundle::calibration_name(&said.quantisation.calibration.sha256));
            }
            if signed.statement.predicate_type == INFERENCE_TYPE {
                known.insert(bundle::proof_name(digest));
            }
        }
        for dataset in &self.records.datasets {
            known.insert(bundle::manifest_name(&dataset.manifest.into()));
        }
        for signed in facts.statements.values() {
            let said = signed.statement.predicate::<OptOutPredicate>(OPT_OUT_TYPE);
            let evidence = said.map(|said| said.evidence).unwrap_or_default();
            known.extend(evidence.iter().map(|it| bundle::reservation_name(&it.digest)));
        }
        for manifest in facts.manifests.values() {
            known.insert(bundle::deny_list_name(&manifest.deny_list));
        }
        // Each file in these folders is checked by itself.
        let whole = [bundle::STATEMENTS, bundle::PAYOUTS, bundle::MODEL];
        let checked =
            self.sealed.files.keys().filter(|name| whole.iter().any(|part| name.starts_with(part)));
        known.extend(checked.cloned());
        known
    }
}

fn sources(facts: &Facts) -> BTreeSet<Digest> {
    facts.manifests.values().flat_map(|manifest| manifest.sources.iter().copied()).collect()
}
