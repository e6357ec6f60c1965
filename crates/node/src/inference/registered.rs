//! Keys of registered checkpoints, and proofs under them: signed, logged, and on chain.

use alloy_primitives::{B256, Bytes};
use probity_chain::{Inferences, Receipt, Registry, convert};
use probity_core::{
    Digest, Finding,
    keys::SecretKey,
    records::{Checkpoint, ModelKey, record_id},
    statement::Statement,
};
use probity_provenance::{
    inference::{
        INFERENCE_TYPE, InferencePredicate, KeyReference, MODEL_KEY_TYPE, ModelKeyPredicate,
        Quantisation, SamplesReference,
    },
    training::ModelFile,
};
use probity_zk::ModelKey as Key;
use probity_zk_prover::{PROCEDURE, ProvingKey, Quantised};

use super::{
    Expected, InferenceError, ProofFile, Samples, check, import, input_size, offline, proving_key,
    set_up,
};
use crate::{NodeError, Workspace, indexer::text};

/// What a checkpoint's key follows from, beside its files.
#[derive(Debug, Clone)]
pub struct KeyPlan {
    /// The checkpoint's record id.
    pub checkpoint: B256,
    /// Which of its files; needed where several could be models.
    pub file: Option<String>,
    /// Samples that the ranges of the integers are taken from, as their file has them.
    pub calibration: Vec<u8>,
    /// Largest feature of the built-in trainer's models.
    pub feature_max: u32,
}

/// A key that was derived from a checkpoint's files and registered.
#[derive(Debug)]
pub struct RegisteredKey {
    /// The record's id.
    pub id: B256,
    /// The record.
    pub record: ModelKey,
    /// What proves.
    pub proving: ProvingKey,
    /// The integer model, and what its numbers stand for.
    pub quantised: Quantised,
    /// Of the registration.
    pub receipt: Receipt,
}

/// What became of a proof that was handed in.
#[derive(Debug)]
pub enum Recorded {
    /// It holds, and is logged.
    Holds {
        /// Digest of the statement about it.
        statement: Digest,
        /// Record id of the key.
        model_key: B256,
        /// Of the transaction in which the contract verified it, if it was asked.
        receipt: Option<Receipt>,
    },
    /// It does not hold; nothing was logged or sent.
    Rejected(Vec<Finding>),
}

impl Workspace {
    /// Derives a key from a checkpoint's file, says how, and registers it.
    pub async fn register_model_key(
        &mut self,
        author: &SecretKey,
        plan: KeyPlan,
    ) -> Result<RegisteredKey, NodeError> {
        let checkpoint: Checkpoint = self.record(plan.checkpoint).await?;
        let (_, files) = self.checkpoint_statement(&checkpoint.statement.into()).await?;
        let file = model_file(&files, plan.file.as_deref())?;
        let model = self.objects.get(&file.sha256).await?;
        let graph = import(&model, plan.feature_max)?;
        let samples = Samples::parse(&plan.calibration, input_size(&graph));
        let quantised = set_up(&graph, &samples.map_err(InferenceError::from)?)?;
        let proving = proving_key(&quantised, None)?;

        let size = plan.calibration.len() as u64;
        let sha256 = self.objects.put(plan.calibration).await?;
        let key = KeyReference {
            keccak256: B256::from(*proving.model_key().digest()),
            sha256: self.objects.put(proving.model_key().encode()).await?,
        };
        let predicate = ModelKeyPredicate {
            author: author.address()?,
            model: checkpoint.model,
            checkpoint: plan.checkpoint,
            digest: checkpoint.digest.into(),
            file: file.name.clone(),
            key,
            quantisation: Quantisation {
                procedure: PROCEDURE.to_owned(),
                calibration: SamplesReference { sha256, size },
                feature_max: plan.feature_max,
            },
            time: self.now(),
        };
        let subjects = [
            (file.name.clone(), file.sha256),
            ("model key".to_owned(), key.sha256),
            ("calibration samples".to_owned(), sha256),
        ];
        let envelope = Statement::new(MODEL_KEY_TYPE, subjects, &predicate)?.sign(&[author])?;
        let record = ModelKey {
            checkpoint: plan.checkpoint,
            key: key.keccak256,
            statement: envelope.payload_digest().into(),
            author: predicate.author,
        };
        let call =
            Registry::registerModelKeyCall { modelKey: convert(&record)?, signature: Bytes::new() };
        let registry = self.chain().contracts().registry;
        let receipt = self.publish_and_send(author, envelope, registry, &call).await?;
        Ok(RegisteredKey { id: record_id(&record), record, proving, quantised, receipt })
    }

    /// Verifies a proof under the registered key that it names, and logs who says that they ran the
    /// model. `on_chain` has the contract verify it too, which takes gas.
    pub async fn record_inference(
        &mut self,
        author: &SecretKey,
        file: &ProofFile,
        on_chain: bool,
    ) -> Result<Recorded, NodeError> {
        let (record, said) = self.registered_key(file.model).await?;
        let bytes = self.objects.get(&said.key.sha256).await?;
        let key = Key::decode(&bytes).map_err(InferenceError::from)?;
        let findings = check(&key, file, &Expected::default());
        if !findings.is_empty() {
            return Ok(Recorded::Rejected(findings));
        }
        let model_key = record_id(&record);
        let holds = offline::holds(file);
        let predicate = InferencePredicate {
            author: author.address()?,
            model: said.model,
            model_key,
            proved: holds.proved,
            time: self.now(),
        };
        let proof = self.objects.put(file.to_json().map_err(InferenceError::from)?).await?;
        let [inputs, outputs] = holds.subjects;
        let subjects = [("proof", proof), ("inputs", inputs), ("outputs", outputs)]
            .map(|(name, digest)| (name.to_owned(), digest));
        let envelope = Statement::new(INFERENCE_TYPE, subjects, &predicate)?.sign(&[author])?;
        let statement = envelope.payload_digest();
        let receipt = if on_chain {
            // A key that the chain has need not be sent along.
            let stored = self.is_key_stored(said.key.keccak256, predicate.proved.batch).await?;
            let call = Inferences::proveCall {
                modelKey: convert(&record)?,
                claim: claim(&predicate),
                key: if stored { Bytes::new() } else { bytes.to_vec().into() },
                input: file.statement.input_bytes().into(),
                output: file.statement.output_bytes().into(),
                proof: file.proof.clone().into(),
            };
            let inferences = self.chain().contracts().inferences;
            Some(self.publish_and_send(author, envelope, inferences, &call).await?)
        } else {
            self.publish(&[envelope]).await?;
            None
        };
        Ok(Recorded::Holds { statement, model_key, receipt })
    }

    /// The newest record of a key whose statement is here.
    async fn registered_key(&self, key: B256) -> Result<(ModelKey, ModelKeyPredicate), NodeError> {
        self.sync().await?;
        for row in self.index.records("model-key", None, u32::MAX).await?.iter().rev() {
            let Ok(record) = Self::body::<ModelKey>(row) else { continue };
            if record.key == key
                && let Some(said) = self.said_of_key(&record).await?
            {
                return Ok((record, said));
            }
        }
        Err(NodeError::KeyNotRegistered(key))
    }

    /// What a key's author says of it, if that is here.
    pub(crate) async fn said_of_key(
        &self,
        record: &ModelKey,
    ) -> Result<Option<ModelKeyPredicate>, NodeError> {
        let statement = Digest::from(record.statement);
        if self.index.statement(&statement).await?.is_none() {
            return Ok(None);
        }
        let (signed, _) = self.statement(&statement).await?;
        Ok(signed.statement.predicate(MODEL_KEY_TYPE).ok())
    }

    /// The key records of a checkpoint, in the order of the chain.
    pub(crate) async fn keys_of(&self, checkpoint: B256) -> Result<Vec<ModelKey>, NodeError> {
        let mut found = Vec::new();
        for link in self.index.links_to(&text(&checkpoint)).await? {
            if link.rel == "checkpoint"
                && let Ok(id) = link.from.parse()
            {
                found.push(self.record(id).await?);
            }
        }
        Ok(found)
    }
}

fn claim(said: &InferencePredicate) -> Inferences::InferenceClaim {
    let proved = said.proved;
    Inferences::InferenceClaim {
        model: proved.key,
        context: proved.context,
        batch: proved.batch,
        input: proved.input,
        output: proved.output,
    }
}

/// The file that is asked for, or the only one that can be a model.
fn model_file<'a>(files: &'a [ModelFile], name: Option<&str>) -> Result<&'a ModelFile, NodeError> {
    let is_model = |file: &&ModelFile| match name {
        Some(name) => file.name == name,
        None => [".onnx", ".safetensors"].iter().any(|end| file.name.ends_with(end)),
    };
    let mut found = files.iter().filter(is_model);
    match (found.next(), found.next()) {
        (Some(file), None) => Ok(file),
        _ => Err(NodeError::ModelFile(files.iter().map(|file| file.name.clone()).collect())),
    }
}
