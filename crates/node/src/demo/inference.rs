//! A proof of what the trained model makes of a digit that it never saw.

use alloy_primitives::{B256, keccak256};

use super::{Samples, Story};
use crate::{
    NodeError,
    inference::{KeyPlan, Recorded, largest, prove_inputs},
};

/// Every so many of the dataset's items calibrate the integers.
const CALIBRATION_EVERY: usize = 16;
/// Largest value of a pixel.
const WHITE: u32 = 16;

impl Story<'_> {
    /// The checkpoint gets a key that anybody derives again, and one inference under it is proved:
    /// here, and to the contract.
    pub(super) async fn prove_inference(&mut self, samples: &Samples) -> Result<(), NodeError> {
        self.title("The model's key is registered, and an inference is proved");
        let trainer = self.key("trainer")?;
        let plan = KeyPlan {
            checkpoint: self.checkpoint,
            file: None,
            calibration: self.calibration().await?,
            feature_max: WHITE,
        };
        let key = self.workspace.register_model_key(&trainer, plan).await?;
        let (id, gas) = (key.record.key, key.receipt.gas);
        self.done(format!("model key {id}, derived from the checkpoint's file, for {gas} gas"));

        let Some(asked) = samples.held_out.first() else { return Ok(()) };
        let pixels: Vec<f32> = asked.features.iter().copied().map(f32::from).collect();
        let job = keccak256("a customer's digit");
        let file = prove_inputs(&key.proving, &key.quantised, job, &[pixels])?;
        let answer = file.outputs().next().and_then(largest).unwrap_or_default();
        self.done(format!(
            "a customer asks what a digit is: {answer} (it is a {}); the proof has {} bytes",
            asked.label,
            file.proof.len()
        ));
        match self.workspace.record_inference(&trainer, &file, true).await? {
            Recorded::Holds { receipt, .. } => {
                let gas = receipt.map_or(0, |receipt| receipt.gas);
                let outputs = B256::from(file.statement.output_commitment());
                self.done(format!("outputs {outputs}: verified here, and on chain for {gas} gas"));
            }
            Recorded::Rejected(findings) => {
                for finding in findings {
                    self.done(format!("{}: {}", finding.code, finding.message));
                }
            }
        }
        Ok(())
    }

    /// Some of the dataset's items: who has the dataset derives the key.
    async fn calibration(&self) -> Result<Vec<u8>, NodeError> {
        let record = self.workspace.dataset(self.dataset).await?;
        let items = self.workspace.manifest(&record.manifest.into()).await?.items;
        let mut csv = Vec::new();
        for item in items.iter().step_by(CALIBRATION_EVERY) {
            csv.extend(self.workspace.work(&item.digest).await?);
        }
        Ok(csv)
    }
}
