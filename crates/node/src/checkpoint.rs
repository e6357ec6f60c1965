//! Checkpoints: any folder of model files, signed and registered by a digest that commits to the
//! files' names, with the checkpoints it was made from.

use std::{collections::BTreeMap, path::Path};

use alloy_primitives::{B256, Bytes};
use probity_chain::{Receipt, Registry, convert};
use probity_core::{
    Digest, Finding,
    keys::SecretKey,
    records::{Checkpoint, Run, record_id},
    statement::{Statement, Subject},
};
use probity_provenance::{
    model_signing::{self, SIGNATURE_FILE},
    training::{CHECKPOINT_TYPE, CheckpointPredicate, ModelFile, ModelSignature, files_digest},
};

use crate::{
    NodeError, Workspace,
    model::{SignedFolder, model_files, sign_files},
    workspace::read_file,
};

/// What a checkpoint's record needs beside its files.
#[derive(Debug, Clone)]
pub struct CheckpointPlan<'a> {
    /// The model's record id.
    pub model: B256,
    /// The run that it came out of.
    pub run: &'a Run,
    /// Record ids of the checkpoints it was made from.
    pub parents: Vec<B256>,
    /// Measured results, decimals as strings.
    pub metrics: BTreeMap<String, String>,
}

impl Workspace {
    /// Signs a folder (`model.sig` in it), stores its files, and registers it as a checkpoint. A
    /// signature of the same files by the same key is kept.
    pub async fn register_folder(
        &mut self,
        trainer: &SecretKey,
        plan: CheckpointPlan<'_>,
        dir: &Path,
        signing_key: &SecretKey,
        progress: &(dyn Fn(u64) + Sync),
    ) -> Result<(B256, Checkpoint, Receipt), NodeError> {
        for parent in &plan.parents {
            let _: Checkpoint = self.record(*parent).await?;
        }
        let outputs = self.outputs_of(plan.run).await?;
        let is_output = |file: &ModelFile| {
            let is_it = |output: &Subject| {
                (&output.name, output.digest.sha256) == (&file.name, file.sha256)
            };
            outputs.as_ref().is_none_or(|outputs| outputs.iter().any(is_it))
        };
        let check = |files: &[ModelFile]| match files.iter().find(|file| !is_output(file)) {
            None => Ok(()),
            Some(file) => {
                let (run, name) = (record_id(plan.run), file.name.clone());
                Err(NodeError::NotOutput { run, name })
            }
        };
        let signed = signed_folder(dir, signing_key, &check, progress)?;
        for file in &signed.files {
            let path = dir.join(&file.name);
            if self.objects.put_file(&path).await?.0 != file.sha256 {
                return Err(NodeError::FileChanged(path));
            }
        }
        let sha256 = self.objects.put(signed.signature).await?;
        let signature = ModelSignature { key: signing_key.public()?.key_id(), sha256 };
        self.publish_checkpoint(trainer, plan, signed.files, Some(signature)).await
    }

    /// Signs and logs the outcome of a run, and registers it. The files are stored already.
    pub(crate) async fn publish_checkpoint(
        &mut self,
        trainer: &SecretKey,
        plan: CheckpointPlan<'_>,
        files: Vec<ModelFile>,
        signature: Option<ModelSignature>,
    ) -> Result<(B256, Checkpoint, Receipt), NodeError> {
        let (author, digest) = (trainer.address()?, files_digest(&files)?);
        let CheckpointPlan { model, run, parents, metrics } = plan;
        let predicate = CheckpointPredicate {
            author,
            model,
            run: record_id(run),
            dataset: run.dataset,
            digest,
            metrics,
            signature,
            time: self.now(),
        };
        let subjects = files.into_iter().map(|file| (file.name, file.sha256));
        let envelope = Statement::new(CHECKPOINT_TYPE, subjects, &predicate)?.sign(&[trainer])?;
        let statement = envelope.payload_digest();
        let checkpoint = Checkpoint {
            model,
            digest: digest.into(),
            dataset: run.dataset,
            run: record_id(run),
            parents,
            statement: statement.into(),
            author,
        };
        let call = Registry::registerCheckpointCall {
            checkpoint: convert(&checkpoint)?,
            run: convert(run)?,
            signature: Bytes::new(),
        };
        let registry = self.chain().contracts().registry;
        let receipt = self.publish_and_send(trainer, envelope, registry, &call).await?;
        Ok((record_id(&checkpoint), checkpoint, receipt))
    }

    /// A run by its record id. `dataset` is what it must be of, where somebody says so.
    pub async fn run_of(&self, id: B256, dataset: Option<B256>) -> Result<Run, NodeError> {
        let run: Run = self.record(id).await?;
        match dataset {
            Some(expected) if expected != run.dataset => {
                Err(NodeError::RunDataset { run: id, expected, got: run.dataset })
            }
            _ => Ok(run),
        }
    }

    /// What a checkpoint's statement says, and the listing of its files.
    pub(crate) async fn checkpoint_statement(
        &self,
        statement: &Digest,
    ) -> Result<(CheckpointPredicate, Vec<ModelFile>), NodeError> {
        let (signed, _) = self.statement(statement).await?;
        let predicate = signed.statement.predicate(CHECKPOINT_TYPE)?;
        let mut files = Vec::new();
        for subject in signed.statement.subject {
            let sha256 = subject.digest.sha256;
            let size = self.objects.size(&sha256).await?;
            let size = size.ok_or(NodeError::ItemMissing(sha256))?;
            files.push(ModelFile { name: subject.name, size, sha256 });
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((predicate, files))
    }
}

/// The folder with its signature: the one that is there, if it is the right one, or a new one, made
/// only if the files pass the check.
fn signed_folder(
    dir: &Path,
    key: &SecretKey,
    check: &dyn Fn(&[ModelFile]) -> Result<(), NodeError>,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<SignedFolder, NodeError> {
    let path = dir.join(SIGNATURE_FILE);
    if !path.exists() {
        let files = model_files(dir, &path, &[], progress)?;
        check(&files)?;
        return sign_files(dir, &path, &[], files, key);
    }
    let stale = |found: &Finding| NodeError::SignatureStale {
        path: path.clone(),
        finding: format!("{}: {}", found.subject, found.message),
    };
    let signature = read_file(&path, model_signing::MAX_SIGNATURE_BYTES as u64)?;
    let signed = match model_signing::open(&signature, &key.public()?) {
        Ok(signed) => signed,
        Err(found) => return Err(found.first().map_or(NodeError::Exists(path.clone()), stale)),
    };
    let files = model_files(dir, &path, &signed.ignored, progress)?;
    check(&files)?;
    match signed.compare(&files).first() {
        None => Ok(SignedFolder { files, signature }),
        Some(found) => Err(stale(found)),
    }
}
