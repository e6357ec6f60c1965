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

/// One log of a block being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRecord {
    pub(crate) transaction: u32,
    pub(crate) log: Log,
}

/// A log as it is stored, with all that `eth_getLogs` tells of it beside its position, so that a
/// query over thousands of blocks reads one table from front to back. Fields in their order, numbers
/// big-endian; the topics are preceded by their count in one byte; the data is the rest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoredLog<'a> {
    pub(crate) transaction: u32,
    pub(crate) timestamp: u64,
    pub(crate) block_hash: &'a [u8; 32],
    pub(crate) transaction_hash: &'a [u8; 32],
    pub(crate) address: &'a [u8; 20],
    pub(crate) topics: &'a [[u8; 32]],
    pub(crate) data: &'a [u8],
}

impl<'a> StoredLog<'a> {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(97 + 32 * self.topics.len() + self.data.len());
        bytes.extend_from_slice(&self.transaction.to_be_bytes());
        bytes.extend_from_slice(&self.timestamp.to_be_bytes());
        bytes.extend_from_slice(self.block_hash);
        bytes.extend_from_slice(self.transaction_hash);
        bytes.extend_from_slice(self.address);
        // The EVM has no log with more than four.
        bytes.push(u8::try_from(self.topics.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(self.topics.as_flattened());
        bytes.extend_from_slice(self.data);
        bytes
    }

    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parse(bytes).ok_or_else(|| Error::corrupt("a log record is too short"))
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (transaction, bytes) = bytes.split_first_chunk()?;
        let (timestamp, bytes) = bytes.split_first_chunk()?;
        let (block_hash, bytes) = bytes.split_first_chunk()?;
        let (transaction_hash, bytes) = bytes.split_first_chunk()?;
        let (address, bytes) = bytes.split_first_chunk()?;
        let (topics, bytes) = bytes.split_first()?;
        let (topics, data) = bytes.split_at_checked(32 * usize::from(*topics))?;
        Some(Self {
            transaction: u32::from_be_bytes(*transaction),
            timestamp: u64::from_be_bytes(*timestamp),
            block_hash,
            transaction_hash,
            address,
            topics: topics.as_chunks().0,
            data,
        })
    }

    pub(crate) fn log(&self) -> Log {
        let topics = self.topics.iter().map(B256::from).collect();
        let data = LogData::new_unchecked(topics, Bytes::copy_from_slice(self.data));
        Log { address: Address::from(self.address), data }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_log_reads_back_and_none_of_its_beginnings_does() {
        let topics = [[4; 32], [5; 32]];
        let stored = StoredLog {
            transaction: 7,
            timestamp: 1 << 40,
            block_hash: &[1; 32],
            transaction_hash: &[2; 32],
            address: &[3; 20],
            topics: &topics,
            data: b"data",
        };
        let bytes = stored.encode();
        let read = StoredLog::decode(&bytes).unwrap();
        assert_eq!((read.transaction, read.timestamp), (7, 1 << 40));
        assert_eq!(read.log(), stored.log());
        assert_eq!(read.encode(), bytes);
        for length in 0..bytes.len() - stored.data.len() {
            assert!(StoredLog::decode(&bytes[..length]).is_err(), "{length}");
        }
    }
}
