//! Storage proofs and block headers, fetched as evidence for offline checks.

use alloy::{consensus::Header, eips::BlockId, providers::Provider};
use alloy_primitives::{Address, B256, Bytes};
use alloy_rlp::Encodable;
use probity_provenance::state_proof::{AccountProof, SlotProof};

use crate::{ChainError, Client};

/// A block header with the bytes its hash is over.
#[derive(Debug, Clone)]
pub struct BlockHeader {
    /// Height.
    pub number: u64,
    /// Keccak-256 of the RLP.
    pub hash: B256,
    /// Unix seconds.
    pub timestamp: u64,
    /// RLP (Yellow paper appendix B).
    pub rlp: Bytes,
}

/// Slots of a contract to be proved.
#[derive(Debug, Clone)]
pub struct SlotQuery {
    /// The contract.
    pub address: Address,
    /// Its slots.
    pub slots: Vec<B256>,
}

/// Anvil proves that an empty trie holds nothing by its empty root node, others by no node: no node
/// is the form kept.
fn without_empty_root(proof: Vec<Bytes>) -> Vec<Bytes> {
    if proof.iter().all(|node| node.as_ref() == [alloy_rlp::EMPTY_STRING_CODE]) {
        return Vec::new();
    }
    proof
}

impl Client {
    /// The newest block's header; its hash is recomputed here.
    pub async fn newest_header(&self) -> Result<BlockHeader, ChainError> {
        self.header(BlockId::latest()).await
    }

    /// The header of the block at a height; its hash is recomputed here.
    pub async fn block(&self, number: u64) -> Result<BlockHeader, ChainError> {
        self.header(BlockId::number(number)).await
    }

    async fn header(&self, id: BlockId) -> Result<BlockHeader, ChainError> {
        let block = self
            .provider()
            .get_block(id)
            .await
            .map_err(|error| self.refused(None, error))?
            .ok_or_else(|| ChainError::Inconsistent(format!("there is no block {id}")))?;
        let header: Header = block.header.inner;
        let hash = header.hash_slow();
        if hash != block.header.hash {
            let text = format!("header of block {} does not hash to its hash", header.number);
            return Err(ChainError::Inconsistent(text));
        }
        let mut rlp = Vec::new();
        header.encode(&mut rlp);
        Ok(BlockHeader {
            number: header.number,
            hash,
            timestamp: header.timestamp,
            rlp: rlp.into(),
        })
    }

    /// Proves slots at the newest block: retries while blocks come in, until the header and all
    /// proofs are of one state.
    pub async fn prove(
        &self,
        queries: &[SlotQuery],
    ) -> Result<(BlockHeader, Vec<AccountProof>), ChainError> {
        let mut last = String::new();
        for _ in 0..8 {
            let header = self.newest_header().await?;
            let summary = probity_provenance::state_proof::HeaderSummary::decode(&header.rlp)
                .ok_or_else(|| ChainError::Inconsistent("a header does not decode".to_owned()))?;
            let mut proofs = Vec::with_capacity(queries.len());
            for query in queries {
                proofs.push(self.prove_account(query).await?);
            }
            match proofs.iter().try_for_each(|proof| proof.verify(summary.state_root)) {
                Ok(()) => return Ok((header, proofs)),
                Err(error) => last = format!("at block {}, {error}", header.number),
            }
        }
        Err(ChainError::Inconsistent(last))
    }

    async fn prove_account(&self, query: &SlotQuery) -> Result<AccountProof, ChainError> {
        let response = self
            .provider()
            .get_proof(query.address, query.slots.clone())
            .await
            .map_err(|error| self.refused(None, error))?;
        let slot = |slot: alloy::rpc::types::EIP1186StorageProof| SlotProof {
            key: slot.key.as_b256(),
            value: slot.value,
            proof: without_empty_root(slot.proof),
        };
        Ok(AccountProof {
            address: response.address,
            balance: response.balance,
            nonce: response.nonce,
            code_hash: response.code_hash,
            storage_hash: response.storage_hash,
            account_proof: response.account_proof,
            storage_proof: response.storage_proof.into_iter().map(slot).collect(),
        })
    }
}
