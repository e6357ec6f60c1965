//! Blocks, transactions and receipts.

use alloy::consensus::{Header, Sealed};
use alloy::eips::{BlockId, BlockNumberOrTag};
use alloy::rpc::types::Transaction;
use alloy_primitives::{B256, Bytes, U64};
use serde::Serialize;

use super::params::Params;
use super::{Answer, RpcError, convert, json};
use crate::db::Snapshot;
use crate::{DevChain, Error, queue};

/// Every block is final at once, and nothing is pending between blocks, so all tags but `earliest`
/// mean the newest block.
pub(crate) fn resolve(snapshot: &Snapshot<'_>, tag: BlockNumberOrTag) -> u64 {
    match tag {
        BlockNumberOrTag::Number(number) => number,
        BlockNumberOrTag::Earliest => 0,
        _ => snapshot.head_number(),
    }
}

/// The block's header, or `None` for one that does not exist.
pub(crate) fn header(
    snapshot: &Snapshot<'_>,
    id: BlockId,
) -> Result<Option<Sealed<Header>>, Error> {
    match id {
        BlockId::Number(tag) => snapshot.header(resolve(snapshot, tag)),
        BlockId::Hash(hash) => match snapshot.number(hash.block_hash)? {
            Some(number) => snapshot.header(number),
            None => Ok(None),
        },
    }
}

impl DevChain {
    pub(super) fn block_number(&self) -> Answer {
        json(&U64::from(self.inner().store.snapshot()?.head_number()))
    }

    pub(super) fn block(&self, params: &Params) -> Answer {
        let full = params.optional(1, "full transactions")?.unwrap_or(false);
        self.with_header(params, |snapshot, header| convert::block(snapshot, header, full))
    }

    pub(super) fn block_transaction_count(&self, params: &Params) -> Answer {
        self.with_header(params, |snapshot, header| {
            Ok(U64::from(snapshot.transactions(header.number)?.len()))
        })
    }

    pub(super) fn block_receipts(&self, params: &Params) -> Answer {
        self.with_header(params, |snapshot, header| convert::block_receipts(snapshot, &header))
    }

    /// Answers about the block named by the first parameter; `null` if there is none.
    fn with_header<T: Serialize>(
        &self,
        params: &Params,
        answer: impl FnOnce(&Snapshot<'_>, Sealed<Header>) -> Result<T, Error>,
    ) -> Answer {
        let id: BlockId = params.required(0, "block")?;
        let snapshot = self.inner().store.snapshot()?;
        let found = header(&snapshot, id)?.map(|header| answer(&snapshot, header)).transpose()?;
        json(&found)
    }

    pub(super) fn transaction_by_hash(&self, params: &Params) -> Answer {
        let hash: B256 = params.required(0, "hash")?;
        let snapshot = self.inner().store.snapshot()?;
        match snapshot.position(hash)? {
            Some(position) => json(&convert::transaction_at(&snapshot, position)?),
            None => json(&self.queued(&snapshot, hash)?),
        }
    }

    /// A transaction that waits for an earlier nonce is known, but in no block.
    fn queued(&self, snapshot: &Snapshot<'_>, hash: B256) -> Result<Option<Transaction>, RpcError> {
        let Some(raw) = queue::find(snapshot, hash)? else { return Ok(None) };
        let signed = self.accept(raw)?;
        Ok(Some(Transaction {
            inner: alloy::consensus::transaction::Recovered::new_unchecked(
                signed.envelope,
                signed.sender,
            ),
            block_hash: None,
            block_number: None,
            transaction_index: None,
            effective_gas_price: None,
            block_timestamp: None,
        }))
    }

    pub(super) fn transaction_by_index(&self, params: &Params) -> Answer {
        let id: BlockId = params.required(0, "block")?;
        let index: U64 = params.required(1, "index")?;
        let snapshot = self.inner().store.snapshot()?;
        let Some(header) = header(&snapshot, id)? else { return json(&()) };
        let Ok(index) = u32::try_from(index.to::<u64>()) else { return json(&()) };
        json(&convert::transaction_at(&snapshot, (header.number, index))?)
    }

    pub(super) fn raw_transaction(&self, params: &Params) -> Answer {
        let hash: B256 = params.required(0, "hash")?;
        let snapshot = self.inner().store.snapshot()?;
        let Some(position) = snapshot.position(hash)? else {
            return json(&queue::find(&snapshot, hash)?);
        };
        let raw: Option<Bytes> = snapshot.transaction(position)?.map(|record| record.raw);
        json(&raw)
    }

    pub(super) fn transaction_receipt(&self, params: &Params) -> Answer {
        let hash: B256 = params.required(0, "hash")?;
        json(&convert::receipt_by_hash(&self.inner().store.snapshot()?, hash)?)
    }
}
