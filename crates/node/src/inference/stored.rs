//! Keys stored on chain, decoded, so that proofs under them need not bring them along.

use alloy_primitives::{Address, B256, Bytes, U256};
use probity_chain::{ChainError, Receipt, ZkKeys};
use probity_core::keys::SecretKey;
use probity_zk::{ModelKey, Stage};

use super::InferenceError;
use crate::{NodeError, Workspace};

/// A key that the chain has now.
#[derive(Debug)]
pub struct StoredKey {
    /// Its digest.
    pub key: B256,
    /// How many parts it has.
    pub parts: u64,
    /// Of the transactions that stored those which were not there.
    pub receipts: Vec<Receipt>,
}

impl Workspace {
    /// Stores a key for batches of one size, part by part. What is there is not sent again, so that
    /// what broke off goes on. `progress` is told how many parts are stored, of how many.
    pub async fn store_model_key(
        &self,
        payer: &SecretKey,
        key: &ModelKey,
        batch: u32,
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<StoredKey, NodeError> {
        let digest = B256::from(*key.digest());
        if key.stage() == Stage::Hiding {
            return Err(InferenceError::HidingOnChain(digest).into());
        }
        let keys = self.chain().contracts().keys;
        let bytes = Bytes::from(key.encode());
        let parts =
            self.chain().call(keys, &ZkKeys::partsCall { batch, key: bytes.clone() }).await?;
        let parts = u64::try_from(parts)
            .map_err(|_| ChainError::Inconsistent(format!("a key of {parts} parts")))?;
        let mut receipts = vec![];
        for done in 0..parts {
            progress(done, parts);
            let part = U256::from(done);
            let asked = ZkKeys::codeOfCall { model: digest, batch, part };
            if self.chain().call(keys, &asked).await? == Address::ZERO {
                let call = ZkKeys::storeCall { batch, key: bytes.clone(), part };
                receipts.push(self.chain().send(payer, keys, &call).await?);
            }
        }
        progress(parts, parts);
        Ok(StoredKey { key: digest, parts, receipts })
    }

    /// Whether the chain has the whole key for batches of this size.
    pub(super) async fn is_key_stored(&self, model: B256, batch: u32) -> Result<bool, NodeError> {
        let keys = self.chain().contracts().keys;
        Ok(self.chain().call(keys, &ZkKeys::isStoredCall { model, batch }).await?)
    }
}
