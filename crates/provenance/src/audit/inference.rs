//! Keys of quantised models, and proofs of inference under them.

use std::collections::BTreeMap;

use alloy_primitives::{B256, keccak256};
use probity_core::{
    Digest, Label,
    keys::PublicKey,
    records::{ModelKey, record_id},
    statement::{Signed, Statement},
};

use super::{Audit, signed::Statements};
use crate::{
    bundle,
    inference::{
        Derivation, INFERENCE_TYPE, InferencePredicate, MAX_CALIBRATION, MAX_PROOFS,
        MODEL_KEY_TYPE, ModelKeyPredicate, NOT_SHOWN, Proved,
    },
};

/// Most keys of one checkpoint that are derived again: each may take seconds.
const MAX_DERIVED: usize = 8;

/// A key that is its checkpoint's.
struct Tied {
    record: ModelKey,
    /// The checkpoint's model, which may be another than the bundle's.
    model: B256,
    label: Label,
}

/// A proof that holds, and how well its key is tied to a checkpoint.
pub(super) struct Inference {
    pub(super) checkpoint: B256,
    /// Verified if the key was derived again.
    pub(super) tie: Label,
    pub(super) said: InferencePredicate,
}

/// The record of the key that a statement about an inference names.
pub(super) fn key_of(statement: &Statement) -> Option<B256> {
    let said = statement.predicate::<InferencePredicate>(INFERENCE_TYPE).ok();
    said.map(|said| said.model_key)
}

impl Audit<'_> {
    pub(super) fn check_inference(&mut self, statements: &Statements) -> Vec<Inference> {
        self.check_samples();
        let mut ties = BTreeMap::new();
        let mut left = MAX_DERIVED;
        for record in self.records.model_keys.clone() {
            let tied = self.check_model_key(&record, statements, &mut left);
            ties.extend(tied.map(|tied| (record_id(&record), tied)));
        }
        let is_proof = |signed: &&Signed| signed.statement.predicate_type == INFERENCE_TYPE;
        let proofs: Vec<&Signed> = statements.values().filter(is_proof).collect();
        if proofs.len() > MAX_PROOFS {
            self.broken("inference.too-many", bundle::STATEMENTS, "more proofs than are checked");
            return vec![];
        }
        let mut inferences = vec![];
        for signed in proofs {
            inferences.extend(self.check_proof(signed, &ties));
        }
        if !inferences.is_empty() {
            let text = format!("no proof of inference shows {NOT_SHOWN}");
            self.claim("inference.not-shown", Label::Missing, text);
        }
        inferences
    }

    /// Calibration samples are those that their names say, whether a key follows from them or not.
    fn check_samples(&mut self) {
        let files = self.sealed.files.iter();
        let changed = files.filter(|(name, bytes)| {
            name.starts_with(bundle::CALIBRATION)
                && **name != bundle::calibration_name(&Digest::of(bytes))
        });
        for name in changed.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            let message = "not the samples that a key's statement names";
            self.broken("model-key.calibration.mismatch", name, message);
        }
    }

    /// How well a key is tied to its checkpoint: by its author's word, or derived again here.
    fn check_model_key(
        &mut self,
        record: &ModelKey,
        statements: &Statements,
        left: &mut usize,
    ) -> Option<Tied> {
        let id = record_id(record);
        let Some(signed) = statements.get(&Digest::from(record.statement)) else {
            self.broken("model-key.statement.missing", id, "its statement is not in the bundle");
            return None;
        };
        let said: ModelKeyPredicate = match signed.statement.predicate(MODEL_KEY_TYPE) {
            Ok(said) => said,
            Err(error) => {
                self.broken("model-key.statement.malformed", id, error);
                return None;
            }
        };
        if !self.is_consistent(record, &said, signed) {
            let message = "record, statement and checkpoint differ";
            self.broken("model-key.statement.mismatch", id, message);
            return None;
        }
        self.check_key_file(&said)?;
        let label = self.check_derivation(&said, signed, left)?;
        Some(Tied { record: record.clone(), model: said.model, label })
    }

    /// Whether record, statement and checkpoint say the same, and the statement is its author's.
    fn is_consistent(&self, record: &ModelKey, said: &ModelKeyPredicate, signed: &Signed) -> bool {
        let checkpoint =
            self.records.lineage().find(|known| record_id(*known) == record.checkpoint);
        let of_checkpoint = checkpoint.is_some_and(|checkpoint| {
            let of = (checkpoint.model, checkpoint.author, Digest::from(checkpoint.digest));
            of == (said.model, record.author, said.digest)
        });
        of_checkpoint
            && (said.author, said.checkpoint) == (record.author, record.checkpoint)
            && said.key.keccak256 == record.key
            && signed.is_about(&said.key.sha256)
            && signed.is_about(&said.quantisation.calibration.sha256)
            && signed.signers.contains(&PublicKey::Account(record.author))
    }

    fn check_key_file(&mut self, said: &ModelKeyPredicate) -> Option<()> {
        let name = bundle::model_key_name(said.key.keccak256);
        let Some(bytes) = self.file(&name) else {
            self.broken("model-key.file.missing", name, "proofs are verified with it");
            return None;
        };
        if (keccak256(bytes), Digest::of(bytes)) != (said.key.keccak256, said.key.sha256) {
            self.broken("model-key.file.mismatch", name, "not the key that its statement names");
            return None;
        }
        Some(())
    }

    /// Derives the key of the newest checkpoint again, where its files are in the bundle.
    fn check_derivation(
        &mut self,
        said: &ModelKeyPredicate,
        signed: &Signed,
        left: &mut usize,
    ) -> Option<Label> {
        let (key, checkpoint) = (said.key.keccak256, said.checkpoint);
        let attested = |audit: &mut Self, why: &str| {
            let text = format!(
                "model key {key} follows from `{}` of checkpoint {checkpoint}, says its author `{}`; not derived again: {why}",
                said.file, said.author
            );
            audit.claim("model-key.derived", Label::Attested, text);
            Some(Label::Attested)
        };
        let files = self.sealed.files;
        let head = self.records.checkpoints.last().map(record_id);
        if head != Some(checkpoint) {
            return attested(self, "the checkpoint is not the newest");
        }
        if !files.keys().any(|name| name.starts_with(bundle::MODEL)) {
            return attested(self, "the checkpoint's files are not in the bundle");
        }
        let name = format!("{}{}", bundle::MODEL, said.file);
        let model = files.get(&name).filter(|bytes| signed.is_about(&Digest::of(bytes)));
        let Some(model) = model else {
            let message = "the checkpoint has no such file as its key's statement names";
            self.broken("model-key.model.mismatch", name, message);
            return None;
        };
        let samples = said.quantisation.calibration;
        if samples.size > MAX_CALIBRATION {
            return attested(self, "the calibration samples are too large for a bundle");
        }
        let name = bundle::calibration_name(&samples.sha256);
        let Some(calibration) = files.get(&name) else {
            self.broken("model-key.calibration.missing", name, "the key follows from them");
            return None;
        };
        if *left == 0 {
            return attested(self, "there are many");
        }
        *left -= 1;
        match (self.context.inference.derive)(model, calibration, &said.quantisation) {
            Derivation::Key(derived) if derived == key => {
                let text = format!(
                    "model key {key} follows from `{}` of checkpoint {checkpoint} and {} bytes of calibration samples, derived again",
                    said.file, samples.size
                );
                self.claim("model-key.derived", Label::Verified, text);
                Some(Label::Verified)
            }
            Derivation::Key(derived) => {
                let message = format!("expected key `{key}`, the files give `{derived}`");
                self.broken("model-key.derivation.mismatch", checkpoint, message);
                None
            }
            Derivation::NotTried(why) => attested(self, &why),
            Derivation::Failed(why) => {
                self.broken("model-key.derivation.failed", checkpoint, why);
                None
            }
        }
    }

    /// The proof that a statement names holds under the registered key, and shows what it says.
    fn check_proof(&mut self, signed: &Signed, keys: &BTreeMap<B256, Tied>) -> Option<Inference> {
        let said: InferencePredicate = match signed.statement.predicate(INFERENCE_TYPE) {
            Ok(said) => said,
            Err(error) => {
                self.broken("inference.malformed", signed.digest, error);
                return None;
            }
        };
        // A key that is not there, or is wrong, has its own finding.
        let Tied { record, model, label } = keys.get(&said.model_key)?;
        let name = bundle::proof_name(&signed.digest);
        let files = self.sealed.files;
        let Some(proof) = files.get(&name) else {
            self.broken("inference.proof.missing", name, "a statement names it");
            return None;
        };
        let key = files.get(&bundle::model_key_name(record.key));
        let verify = self.context.inference.verify;
        let holds = match verify(key.map_or(&[], Vec::as_slice), proof) {
            Ok(holds) => holds,
            Err(findings) => {
                let message = findings.first().map_or("it is not verified", |f| &f.message);
                self.broken("inference.proof.invalid", &name, message);
                let about = |mut finding: probity_core::Finding| {
                    finding.subject.clone_from(&name);
                    finding
                };
                self.findings.extend(findings.into_iter().map(about));
                return None;
            }
        };
        let mut subjects: Vec<Digest> =
            signed.statement.subject.iter().map(|subject| subject.digest.sha256).collect();
        let mut expected = vec![Digest::of(proof), holds.subjects[0], holds.subjects[1]];
        subjects.sort_unstable();
        expected.sort_unstable();
        if subjects != expected || (holds.proved, said.model) != (said.proved, *model) {
            self.broken("inference.statement.mismatch", &name, "statement and proof differ");
            return None;
        }
        let Proved { batch, input, output, context, .. } = said.proved;
        let text = format!(
            "the model with key {} maps {batch} inputs {input} to outputs {output} in context {context}: the proof holds",
            record.key
        );
        self.claim("inference.proof", Label::Verified, text);
        Some(Inference { checkpoint: record.checkpoint, tie: *label, said })
    }
}
