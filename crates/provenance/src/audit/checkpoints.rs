//! Runs, checkpoints and their files.

use std::collections::BTreeSet;

use alloy_primitives::B256;
use probity_core::{
    Digest, Finding, Label,
    keys::PublicKey,
    records::{Checkpoint, Run, record_id},
};

use super::{Audit, data::Manifests, signed::Statements};
use crate::{
    bundle, ledger, model_signing,
    training::{
        CHECKPOINT_TYPE, CheckpointPredicate, ModelFile, ModelSignature, RUN_TYPE, RunPredicate,
        files_digest,
    },
};

impl Audit<'_> {
    pub(super) fn check_training(&mut self, statements: &Statements, manifests: &Manifests) {
        let (runs, checkpoints) = (self.records.runs.clone(), self.records.checkpoints.clone());
        let lineage: Vec<Checkpoint> = self.records.lineage().cloned().collect();
        for run in &runs {
            self.check_run(run, statements, manifests);
        }
        for checkpoint in &lineage {
            self.check_checkpoint(checkpoint, statements);
        }
        let Some(head) = checkpoints.last() else {
            self.broken(
                "checkpoint.missing",
                self.sealed.index.model,
                "the bundle has no checkpoint",
            );
            return;
        };
        let registry = self.sealed.index.chain.registry;
        let slot = ledger::head_slot(self.sealed.index.model);
        let proved = self.ledger.slot(registry, slot).map(B256::from);
        if proved != Some(record_id(head)) {
            self.broken(
                "model.head.mismatch",
                record_id(head),
                "the chain names another newest checkpoint",
            );
        }
        self.check_inherited_taint(head);
        let said = statements.get(&Digest::from(head.statement)).and_then(|signed| {
            signed.statement.predicate::<CheckpointPredicate>(CHECKPOINT_TYPE).ok()
        });
        if let Some(listing) = self.check_files(head)
            && let Some(signature) = said.and_then(|said| said.signature)
        {
            self.check_signature(record_id(head), &signature, &listing);
        }
    }

    /// What a checkpoint was made from: here and untainted, or said to be missing.
    fn check_parents(&mut self, id: B256, checkpoint: &Checkpoint) {
        for parent in &checkpoint.parents {
            let known = self.records.lineage().find(|known| record_id(*known) == *parent);
            let Some(known) = known else {
                let text = format!(
                    "checkpoint {id} was made from checkpoint {parent}; on which data is not in this bundle"
                );
                self.claim("checkpoint.parents", Label::Missing, text);
                continue;
            };
            let text = format!(
                "checkpoint {id} was made from checkpoint {parent} of model {}, whose data is in this bundle, says its trainer `{}`",
                known.model, checkpoint.author
            );
            let dataset = known.dataset;
            self.claim("checkpoint.parents", Label::Attested, text);
            if !self.records.removed_from(dataset).is_empty() {
                let text = format!("checkpoint {parent}, which it was made from, is tainted");
                self.findings.push(Finding::warning("checkpoint.parent.tainted", id, text));
            }
        }
    }

    /// Each ancestor is one: a parent of the model's checkpoints, or of theirs.
    pub(super) fn unrelated_ancestors(&self) -> Vec<B256> {
        let ancestors = &self.records.ancestors;
        let mut related: BTreeSet<B256> =
            self.records.checkpoints.iter().flat_map(|own| own.parents.clone()).collect();
        loop {
            let before = related.len();
            let known = ancestors.iter().filter(|known| related.contains(&record_id(*known)));
            let parents: Vec<B256> = known.flat_map(|known| known.parents.clone()).collect();
            related.extend(parents);
            if related.len() == before {
                break;
            }
        }
        ancestors.iter().map(record_id).filter(|id| !related.contains(id)).collect()
    }

    fn check_inherited_taint(&mut self, head: &Checkpoint) {
        let id = record_id(head);
        let slot = ledger::inherited_slot(id);
        match self.ledger.slot(self.sealed.index.chain.challenges, slot) {
            None => self.broken("checkpoint.taint.unproven", id, "it may have a tainted parent"),
            Some(word) if !word.is_zero() => {
                let text = "a checkpoint it was made from is tainted";
                self.findings.push(Finding::warning("checkpoint.tainted", id, text));
            }
            Some(_) => {}
        }
    }

    fn check_run(&mut self, run: &Run, statements: &Statements, manifests: &Manifests) {
        let id = record_id(run);
        let Some(signed) = statements.get(&Digest::from(run.statement)) else {
            self.broken("run.statement.missing", id, "its statement is not in the bundle");
            return;
        };
        let predicate: RunPredicate = match signed.statement.predicate(RUN_TYPE) {
            Ok(predicate) => predicate,
            Err(error) => return self.broken("run.statement.malformed", id, error),
        };
        let manifest = manifests.get(&run.dataset).and_then(|manifest| manifest.digest().ok());
        let good = predicate.author == run.author
            && signed.signers.contains(&PublicKey::Account(run.author))
            && predicate.dataset == run.dataset
            && Some(predicate.manifest) == manifest
            && predicate.commitment().ok() == Some(Digest::from(run.commitment));
        if good {
            let text = format!("run {id} committed to its dataset, configuration and seed");
            self.claim("run.commitment", Label::Verified, text);
            self.check_command(run, &predicate.config, statements);
        } else {
            self.broken("run.statement.mismatch", id, "record and statement differ");
        }
    }

    fn check_checkpoint(&mut self, checkpoint: &Checkpoint, statements: &Statements) {
        let id = record_id(checkpoint);
        let Some(signed) = statements.get(&Digest::from(checkpoint.statement)) else {
            self.broken("checkpoint.statement.missing", id, "its statement is not in the bundle");
            return;
        };
        let predicate: CheckpointPredicate = match signed.statement.predicate(CHECKPOINT_TYPE) {
            Ok(predicate) => predicate,
            Err(error) => return self.broken("checkpoint.statement.malformed", id, error),
        };
        let good = predicate.author == checkpoint.author
            && signed.signers.contains(&PublicKey::Account(checkpoint.author))
            && predicate.model == checkpoint.model
            && predicate.run == checkpoint.run
            && predicate.dataset == checkpoint.dataset
            && predicate.digest == Digest::from(checkpoint.digest);
        if !good {
            return self.broken("checkpoint.statement.mismatch", id, "record and statement differ");
        }
        let run = self.records.runs.iter().find(|run| record_id(*run) == checkpoint.run);
        let named = (checkpoint.author, checkpoint.dataset);
        if run.is_none_or(|run| (run.author, run.dataset) != named) {
            let message = "its run is another author's or of another dataset";
            return self.broken("checkpoint.run.mismatch", id, message);
        }
        self.check_parents(id, checkpoint);
        self.check_outputs(checkpoint, &signed.statement, statements);
        let registry = self.sealed.index.chain.registry;
        let time = |audit: &Self, id| audit.ledger.record(registry, id).map(|record| record.time);
        match (time(self, checkpoint.run), time(self, id)) {
            (Some(run), Some(done)) if run <= done => {
                let text = format!(
                    "the run's commitment was registered {} s before checkpoint {id}",
                    done - run
                );
                self.claim("run.committed-first", self.chain_label, text);
            }
            _ => self.broken("run.not-committed-first", id, "the run is not shown to come first"),
        }
        let text = format!(
            "checkpoint {id} came out of that run, says its trainer `{}`",
            checkpoint.author
        );
        self.claim("checkpoint.trained", Label::Attested, text);
    }

    /// The head's files, or at least their listing: names, sizes and digests that have the registered
    /// digest.
    fn check_files(&mut self, head: &Checkpoint) -> Option<Vec<ModelFile>> {
        let files: Vec<ModelFile> = self
            .sealed
            .files
            .iter()
            .filter_map(|(name, bytes)| {
                let (name, size) =
                    (name.strip_prefix(bundle::MODEL)?.to_owned(), bytes.len() as u64);
                Some(ModelFile { name, size, sha256: Digest::of(bytes) })
            })
            .collect();
        if files.is_empty() {
            return self.check_listing(head);
        }
        if files_digest(&files).ok() == Some(Digest::from(head.digest)) {
            let text = format!("{} files with their names have the registered digest", files.len());
            self.claim("checkpoint.files", Label::Verified, text);
            return Some(files);
        }
        let message = "the files have another digest";
        self.broken("checkpoint.files.mismatch", record_id(head), message);
        None
    }

    fn check_listing(&mut self, head: &Checkpoint) -> Option<Vec<ModelFile>> {
        if self.file(bundle::LISTING).is_none() {
            let text = "the checkpoint's files are not in the bundle";
            self.claim("checkpoint.files", Label::Missing, text);
            return None;
        }
        let files: Vec<ModelFile> = self.json_file(bundle::LISTING)?;
        if files_digest(&files).ok() != Some(Digest::from(head.digest)) {
            let message = "the listed files have another digest";
            self.broken("checkpoint.files.mismatch", bundle::LISTING, message);
            return None;
        }
        let size = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
        let text = format!(
            "the {} files of {size} bytes that the registered digest lists are not in the bundle",
            files.len()
        );
        self.claim("checkpoint.files", Label::Missing, text);
        Some(files)
    }

    /// The OpenSSF signature that the checkpoint's statement names covers the same files.
    fn check_signature(&mut self, id: B256, named: &ModelSignature, files: &[ModelFile]) {
        let name = bundle::MODEL_SIGNATURE;
        let Some(bytes) = self.file(name) else {
            return self.broken("checkpoint.signature.missing", id, "its statement names one");
        };
        if Digest::of(bytes) != named.sha256 {
            let message = "not the signature that the checkpoint's statement names";
            return self.broken("checkpoint.signature.mismatch", name, message);
        }
        let key = match PublicKey::from_key_id(&named.key) {
            Ok(key) => key,
            Err(error) => return self.broken("checkpoint.signature.key", id, error),
        };
        let found = match model_signing::open(bytes, &key) {
            Ok(signed) => signed.compare(files),
            Err(findings) => findings,
        };
        if found.is_empty() {
            let text = format!("an OpenSSF model signature of `{}` covers these files", named.key);
            self.claim("checkpoint.signature", Label::Verified, text);
        }
        self.findings.extend(found);
    }
}
