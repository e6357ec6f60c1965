//! Accounts: balance, nonce, code, storage, proofs. Only the latest state is kept.

use alloy::consensus::{Header, Sealed};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::rpc::types::{EIP1186AccountProofResponse, EIP1186StorageProof};
use alloy::serde::JsonStorageKey;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use alloy_trie::{KECCAK_EMPTY, TrieAccount};

use super::params::Params;
use super::{Answer, RpcError, blocks, json};
use crate::DevChain;
use crate::db::Snapshot;
use crate::trie;

/// The most slots in one `eth_getProof`.
const MAX_PROOF_KEYS: usize = 1_024;

/// The newest header, if that is the block asked for.
pub(crate) fn latest(
    snapshot: &Snapshot<'_>,
    id: Option<BlockId>,
) -> Result<Sealed<Header>, RpcError> {
    let head = snapshot.head()?;
    let id = id.unwrap_or(BlockId::Number(BlockNumberOrTag::Latest));
    match blocks::header(snapshot, id)? {
        Some(header) if header.number == head.number => Ok(head),
        Some(header) => Err(RpcError::server(format!(
            "state of block {} is not kept: only that of the latest block, {}",
            header.number, head.number
        ))),
        None => Err(RpcError::server("header not found")),
    }
}

impl DevChain {
    /// Answers about the account named by the first parameter, at the block in parameter `block`.
    fn with_account<T: serde::Serialize>(
        &self,
        params: &Params,
        block: usize,
        answer: impl FnOnce(&Snapshot<'_>, Address, TrieAccount) -> Result<T, RpcError>,
    ) -> Answer {
        let address: Address = params.required(0, "address")?;
        let snapshot = self.inner().store.snapshot()?;
        latest(&snapshot, params.optional(block, "block")?)?;
        let account = snapshot.account(address)?.unwrap_or_default();
        json(&answer(&snapshot, address, account)?)
    }

    pub(super) fn balance(&self, params: &Params) -> Answer {
        self.with_account(params, 1, |_, _, account| Ok(account.balance))
    }

    /// The next nonce to use. `pending` counts queued transactions too, as far as they follow on
    /// without a gap: those wait for the base fee to fall.
    pub(super) fn transaction_count(&self, params: &Params) -> Answer {
        let block: Option<BlockId> = params.optional(1, "block")?;
        let pending = block == Some(BlockId::Number(BlockNumberOrTag::Pending));
        self.with_account(params, 1, |snapshot, address, account| {
            let mut next = account.nonce;
            while pending && snapshot.is_queued(address, next)? {
                next += 1;
            }
            Ok(U64::from(next))
        })
    }

    pub(super) fn code(&self, params: &Params) -> Answer {
        self.with_account(params, 1, |snapshot, _, account| match account.code_hash {
            KECCAK_EMPTY => Ok(Bytes::new()),
            hash => Ok(snapshot.code(hash)?.unwrap_or_default()),
        })
    }

    pub(super) fn storage_at(&self, params: &Params) -> Answer {
        let slot: JsonStorageKey = params.required(1, "slot")?;
        self.with_account(params, 2, |snapshot, address, _| {
            let value = snapshot.storage(address, U256::from_be_bytes(slot.as_b256().0))?;
            Ok(B256::from(value))
        })
    }

    /// EIP-1186.
    pub(super) fn proof(&self, params: &Params) -> Answer {
        let keys: Vec<JsonStorageKey> = params.required(1, "storage keys")?;
        if keys.len() > MAX_PROOF_KEYS {
            let what = format!("{} storage keys, more than {MAX_PROOF_KEYS}", keys.len());
            return Err(RpcError::params(what));
        }
        self.with_account(params, 2, |snapshot, address, account| {
            let nodes = trie::proof(snapshot, None, &trie::hashed_path(address))?;
            let storage = keys.into_iter().map(|key| {
                let nodes =
                    trie::proof(snapshot, Some(address), &trie::hashed_path(key.as_b256()))?;
                storage_proof(snapshot, address, key, nodes)
            });
            Ok(EIP1186AccountProofResponse {
                address,
                balance: account.balance,
                code_hash: account.code_hash,
                nonce: account.nonce,
                storage_hash: account.storage_root,
                account_proof: nodes.into_iter().map(Bytes::from).collect(),
                storage_proof: storage.collect::<Result<_, RpcError>>()?,
            })
        })
    }
}

fn storage_proof(
    snapshot: &Snapshot<'_>,
    address: Address,
    key: JsonStorageKey,
    nodes: Vec<Vec<u8>>,
) -> Result<EIP1186StorageProof, RpcError> {
    Ok(EIP1186StorageProof {
        key,
        value: snapshot.storage(address, U256::from_be_bytes(key.as_b256().0))?,
        proof: nodes.into_iter().map(Bytes::from).collect(),
    })
}
