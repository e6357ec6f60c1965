//! Keys of quantised models and proofs of inference, as far as this workspace has them.

use std::collections::BTreeSet;

use alloy_primitives::B256;
use probity_core::{
    records::{ModelKey, record_id},
    statement::Signed,
};
use probity_provenance::{
    bundle,
    inference::{INFERENCE_TYPE, InferencePredicate, MAX_CALIBRATION, MAX_PROOFS},
};

use super::Collection;
use crate::{NodeError, Workspace};

impl Workspace {
    /// The keys of the model's checkpoints, the samples that the newest one's follow from, and what
    /// was proved under them.
    pub(super) async fn collect_inferences(
        &self,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        let head = collection.records.checkpoints.last().map(record_id);
        let lineage: Vec<B256> = collection.records.lineage().map(record_id).collect();
        for checkpoint in lineage {
            for record in self.keys_of(checkpoint).await? {
                self.collect_key(record, Some(checkpoint) == head, collection).await?;
            }
        }
        let keys: BTreeSet<B256> = collection.records.model_keys.iter().map(record_id).collect();
        let size = self.log().folder().checkpoint(&self.log_verifier()?)?.size();
        let mut left = MAX_PROOFS;
        // The newest ones, where there are more than a bundle holds.
        for signed in self.statements_of(INFERENCE_TYPE).await?.iter().rev() {
            let said = signed.statement.predicate::<InferencePredicate>(INFERENCE_TYPE);
            let row = self.index.statement(&signed.digest).await?;
            // What was logged after the checkpoint has no inclusion proof yet.
            let is_covered = row.is_some_and(|row| row.log_index < size);
            let is_theirs = said.is_ok_and(|said| keys.contains(&said.model_key));
            if is_covered && is_theirs && left > 0 {
                self.collect_proof(signed, collection).await?;
                left -= 1;
            }
        }
        Ok(())
    }

    async fn collect_key(
        &self,
        record: ModelKey,
        of_head: bool,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        // Another party's key of this checkpoint, registered with a statement that is not here.
        let Some(said) = self.said_of_key(&record).await? else { return Ok(()) };
        let key = self.objects.get(&said.key.sha256).await?;
        collection.files.insert(bundle::model_key_name(record.key), key.to_vec());
        let samples = said.quantisation.calibration;
        let has_files = collection.files.keys().any(|name| name.starts_with(bundle::MODEL));
        if of_head && has_files && samples.size <= MAX_CALIBRATION {
            let bytes = self.objects.get(&samples.sha256).await?;
            collection.files.insert(bundle::calibration_name(&samples.sha256), bytes.to_vec());
        }
        collection.statements.insert(record.statement.into());
        collection.records.model_keys.push(record);
        Ok(())
    }

    async fn collect_proof(
        &self,
        signed: &Signed,
        collection: &mut Collection,
    ) -> Result<(), NodeError> {
        let of_proof = signed.statement.subject.iter().find(|subject| subject.name == "proof");
        let Some(digest) = of_proof.map(|subject| subject.digest.sha256) else { return Ok(()) };
        let bytes = self.objects.get(&digest).await?;
        collection.files.insert(bundle::proof_name(&signed.digest), bytes.to_vec());
        collection.statements.insert(signed.digest);
        Ok(())
    }
}
