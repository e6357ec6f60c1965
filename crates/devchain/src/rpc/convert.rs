//! From stored records to what JSON-RPC clients read, in alloy's types.

use alloy::consensus::transaction::Recovered;
use alloy::consensus::{Header, ReceiptEnvelope, Sealed, Transaction as _};
use alloy::eips::eip4895::Withdrawals;
use alloy::rpc::types::{
    Block, BlockTransactions, Header as RpcHeader, Log as RpcLog, Transaction, TransactionReceipt,
};
use alloy_primitives::{B256, TxKind, U256};

use crate::Error;
use crate::db::{Position, Snapshot};
use crate::records::{ReceiptRecord, TransactionRecord};

type Receipt = TransactionReceipt<ReceiptEnvelope<RpcLog>>;

/// A block with its transactions in full, or only their hashes.
pub(crate) fn block(
    snapshot: &Snapshot<'_>,
    header: Sealed<Header>,
    full: bool,
) -> Result<Block, Error> {
    let records = snapshot.transactions(header.number)?;
    let bytes: usize = records.iter().map(|record| record.raw.len()).sum();
    let transactions = if full {
        let convert = |(index, record)| transaction(record, &header, index);
        let all: Result<_, Error> = (0u64..).zip(&records).map(convert).collect();
        BlockTransactions::Full(all?)
    } else {
        BlockTransactions::Hashes(records.iter().map(|record| record.hash).collect())
    };
    let size = alloy_rlp::encode(header.inner()).len() + bytes;
    let mut header = RpcHeader::from_sealed(header);
    header.size = Some(U256::from(size));
    Ok(Block { header, uncles: vec![], transactions, withdrawals: Some(Withdrawals::default()) })
}

pub(crate) fn transaction(
    record: &TransactionRecord,
    header: &Sealed<Header>,
    index: u64,
) -> Result<Transaction, Error> {
    let envelope = record.envelope()?;
    Ok(Transaction {
        effective_gas_price: Some(envelope.effective_gas_price(header.base_fee_per_gas)),
        inner: Recovered::new_unchecked(envelope, record.sender),
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        transaction_index: Some(index),
        block_timestamp: Some(header.timestamp),
    })
}

pub(crate) fn transaction_at(
    snapshot: &Snapshot<'_>,
    position: Position,
) -> Result<Option<Transaction>, Error> {
    let Some(header) = snapshot.header(position.0)? else { return Ok(None) };
    let Some(record) = snapshot.transaction(position)? else { return Ok(None) };
    transaction(&record, &header, u64::from(position.1)).map(Some)
}

pub(crate) fn receipt_by_hash(
    snapshot: &Snapshot<'_>,
    hash: B256,
) -> Result<Option<Receipt>, Error> {
    let Some(position) = snapshot.position(hash)? else { return Ok(None) };
    let Some(header) = snapshot.header(position.0)? else { return Ok(None) };
    let Some(record) = snapshot.transaction(position)? else { return Ok(None) };
    let Some(stored) = snapshot.receipt(position)? else { return Ok(None) };
    receipt(snapshot, &header, position.1, &record, &stored).map(Some)
}

pub(crate) fn block_receipts(
    snapshot: &Snapshot<'_>,
    header: &Sealed<Header>,
) -> Result<Vec<Receipt>, Error> {
    let records = snapshot.transactions(header.number)?;
    let stored = snapshot.receipts(header.number)?;
    (0u32..)
        .zip(records.iter().zip(&stored))
        .map(|(index, (record, stored))| receipt(snapshot, header, index, record, stored))
        .collect()
}

fn receipt(
    snapshot: &Snapshot<'_>,
    header: &Sealed<Header>,
    index: u32,
    record: &TransactionRecord,
    stored: &ReceiptRecord,
) -> Result<Receipt, Error> {
    let logs = snapshot.logs(header.number, stored)?;
    let convert = |(log_index, inner)| RpcLog {
        inner,
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: Some(record.hash),
        transaction_index: Some(u64::from(index)),
        log_index: Some(u64::from(log_index)),
        removed: false,
    };
    let logs = (stored.first_log..).zip(logs).map(convert).collect();
    let to = match record.envelope()?.kind() {
        TxKind::Call(to) => Some(to),
        TxKind::Create => None,
    };
    Ok(TransactionReceipt {
        inner: stored.envelope(logs, |log: &RpcLog| &log.inner),
        transaction_hash: record.hash,
        transaction_index: Some(u64::from(index)),
        block_hash: Some(header.hash()),
        block_number: Some(header.number),
        gas_used: stored.gas_used,
        effective_gas_price: stored.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: record.sender,
        to,
        contract_address: (!stored.created.is_zero()).then_some(stored.created),
    })
}
