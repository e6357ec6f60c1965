//! Trainers: committing a run, and training on exactly a manifest's items.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes};
use probity_chain::{Receipt, Registry, convert};
use probity_compute::{Mlp, MlpConfig, Progress, Sample};
use probity_core::{
    json::{self, JsonError},
    keys::SecretKey,
    records::{Checkpoint, Court, Model, Run, record_id},
    statement::Statement,
};
use probity_provenance::{
    dataset::{Item, Manifest},
    training::{MODEL_TYPE, ModelFile, ModelPredicate, RUN_TYPE, RunPredicate},
};
use serde::Serialize;

use crate::{NodeError, Workspace, checkpoint::CheckpointPlan};

/// Name of the weights in a checkpoint.
pub(crate) const WEIGHTS: &str = "model.safetensors";
/// Name of the configuration in a checkpoint.
pub(crate) const CONFIG: &str = "config.json";

/// What a model record needs.
#[derive(Debug, Clone)]
pub struct ModelPlan {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Who proposes payouts.
    pub accountant: Address,
    /// Data's part of the revenue, in 1/10,000.
    pub data_bps: u16,
    /// Who decides payout disputes.
    pub court: Court,
}

/// The outcome of a run.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The network.
    pub mlp: Mlp,
    /// Its files by name.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Workspace {
    /// Registers a model.
    pub async fn register_model(
        &mut self,
        owner: &SecretKey,
        plan: &ModelPlan,
    ) -> Result<(B256, Model, Receipt), NodeError> {
        let author = owner.address()?;
        let predicate = ModelPredicate {
            author,
            name: plan.name.clone(),
            description: plan.description.clone(),
        };
        let name = json::canonical_digest(&predicate)?;
        let subject = [(plan.name.clone(), name)];
        let envelope = Statement::new(MODEL_TYPE, subject, &predicate)?.sign(&[owner])?;
        let statement = envelope.payload_digest();
        let model = Model {
            name: name.into(),
            accountant: plan.accountant,
            dataBps: plan.data_bps,
            court: plan.court.clone(),
            statement: statement.into(),
            author,
        };
        let call = Registry::registerModelCall { model: convert(&model)?, signature: Bytes::new() };
        let registry = self.chain().contracts().registry;
        let receipt = self.publish_and_send(owner, envelope, registry, &call).await?;
        Ok((record_id(&model), model, receipt))
    }

    /// Commits to dataset, configuration and seed on chain, before the first step.
    pub async fn commit_run(
        &mut self,
        trainer: &SecretKey,
        dataset: B256,
        manifest: &Manifest,
        config: &MlpConfig,
    ) -> Result<(B256, Run, Receipt), NodeError> {
        self.commit_config(trainer, dataset, manifest, config).await
    }

    /// As `commit_run`, to any configuration.
    pub(crate) async fn commit_config(
        &mut self,
        trainer: &SecretKey,
        dataset: B256,
        manifest: &Manifest,
        config: &impl Serialize,
    ) -> Result<(B256, Run, Receipt), NodeError> {
        let author = trainer.address()?;
        let config = serde_json::to_value(config).map_err(JsonError::from)?;
        let manifest = manifest.digest()?;
        let predicate = RunPredicate { author, dataset, manifest, config, time: self.now() };
        let commitment = predicate.commitment()?;
        let subject = [("config".to_owned(), commitment), ("manifest".to_owned(), manifest)];
        let envelope = Statement::new(RUN_TYPE, subject, &predicate)?.sign(&[trainer])?;
        let statement = envelope.payload_digest();
        let run =
            Run { dataset, commitment: commitment.into(), statement: statement.into(), author };
        let call = Registry::commitRunCall { run: convert(&run)?, signature: Bytes::new() };
        let registry = self.chain().contracts().registry;
        let receipt = self.publish_and_send(trainer, envelope, registry, &call).await?;
        Ok((record_id(&run), run, receipt))
    }

    /// Trains on exactly the items of a manifest, read by digest from the objects.
    pub async fn train(
        &self,
        manifest: &Manifest,
        config: &MlpConfig,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Trained, NodeError> {
        let mut samples = Vec::with_capacity(manifest.items.len());
        for item in &manifest.items {
            samples.push(self.sample(item).await?);
        }
        let mlp = Mlp::train(config, &samples, &mut |p| progress(p))?;
        let files = BTreeMap::from([
            (WEIGHTS.to_owned(), mlp.to_safetensors()?),
            (CONFIG.to_owned(), json::canonical(config)?),
        ]);
        Ok(Trained { mlp, files })
    }

    /// An item's bytes, read by digest, as a sample.
    pub(crate) async fn sample(&self, item: &Item) -> Result<Sample, NodeError> {
        let bytes = self.work(&item.digest).await?;
        let text = String::from_utf8_lossy(&bytes);
        Sample::parse(text.trim_end()).map_err(|source| NodeError::Sample {
            path: item.digest.to_string().into(),
            line: 1,
            source,
        })
    }

    /// Stores the files and registers them as a checkpoint.
    pub async fn register_checkpoint(
        &mut self,
        trainer: &SecretKey,
        model: B256,
        run: &Run,
        trained: &Trained,
        metrics: BTreeMap<String, String>,
    ) -> Result<(B256, Checkpoint, Receipt), NodeError> {
        let mut files = Vec::new();
        for (name, bytes) in &trained.files {
            let sha256 = self.objects.put(bytes.clone()).await?;
            files.push(ModelFile { name: name.clone(), size: bytes.len() as u64, sha256 });
        }
        let plan = CheckpointPlan { model, run, parents: vec![], metrics };
        self.publish_checkpoint(trainer, plan, files, None).await
    }
}
