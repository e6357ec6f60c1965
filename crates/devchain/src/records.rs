//! What the database stores about transactions, receipts and logs, and how it is encoded (RLP).

use alloy::consensus::{Eip658Value, Receipt, ReceiptEnvelope, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, Log, LogData, logs_bloom};
use alloy_rlp::{RlpDecodable, RlpEncodable};

use crate::Error;

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct TransactionRecord {
    pub(crate) hash: B256,
    pub(crate) sender: Address,
    /// EIP-2718 encoding.
    pub(crate) raw: Bytes,
}

impl TransactionRecord {
    pub(crate) fn envelope(&self) -> Result<TxEnvelope, Error> {
        TxEnvelope::decode_2718_exact(&self.raw)
            .map_err(|error| Error::corrupt(format!("transaction `{}`: {error}", self.hash)))
    }
}

/// What executing a transaction came to; its logs are stored apart, numbered across the block.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct ReceiptRecord {
    pub(crate) kind: u8,
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) cumulative_gas_used: u64,
    pub(crate) effective_gas_price: u128,
    /// Address of the created contract, or zero.
    pub(crate) created: Address,
    /// Index in the block of the first log.
    pub(crate) first_log: u32,
    pub(crate) log_count: u32,
}

impl ReceiptRecord {
    /// The consensus receipt, over logs of any representation.
    pub(crate) fn envelope<T>(
        &self,
        logs: Vec<T>,
        plain: impl Fn(&T) -> &Log,
    ) -> ReceiptEnvelope<T> {
        let logs_bloom = logs_bloom(logs.iter().map(plain));
        let receipt = Receipt {
            status: Eip658Value::Eip658(self.success),
            cumulative_gas_used: self.cumulative_gas_used,
            logs,
        };
        let receipt = alloy::consensus::ReceiptWithBloom { receipt, logs_bloom };
        match self.kind {
            1 => ReceiptEnvelope::Eip2930(receipt),
            2 => ReceiptEnvelope::Eip1559(receipt),
            4 => ReceiptEnvelope::Eip7702(receipt),
            _ => ReceiptEnvelope::Legacy(receipt),
        }
    }
}

/// One log.
#[derive(Debug, Clone, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct LogRecord {
    pub(crate) transaction: u32,
    pub(crate) address: Address,
    pub(crate) topics: Vec<B256>,
    pub(crate) data: Bytes,
}

impl LogRecord {
    pub(crate) fn new(transaction: u32, log: &Log) -> Self {
        Self {
            transaction,
            address: log.address,
            topics: log.data.topics().to_vec(),
            data: log.data.data.clone(),
        }
    }

    pub(crate) fn into_log(self) -> Log {
        Log { address: self.address, data: LogData::new_unchecked(self.topics, self.data) }
    }
}
