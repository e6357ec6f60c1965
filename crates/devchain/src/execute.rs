//! Building a block: executing transactions one after another, then sealing the result.

use alloy::consensus::{Header, Sealable, Sealed, Transaction};
use alloy::eips::eip1559::BaseFeeParams;
use alloy::eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_trie::root::ordered_trie_root_encoded;
use revm::context::result::{EVMError, ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, Context};
use revm::context_interface::ContextTr;
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::handler::{MainnetContext, MainnetEvm};
use revm::primitives::eip4844::BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE;
use revm::primitives::hardfork::SpecId;
use revm::{DatabaseCommit, ExecuteEvm, MainBuilder, MainContext};

use crate::Error;
use crate::db::Snapshot;
use crate::genesis::{Genesis, empty_header};
use crate::recent::StateWrite;
use crate::records::{LogRecord, ReceiptRecord, TransactionRecord};
use crate::state::{CodeCache, View};
use crate::transaction::{Rejection, Signed, rejection};

/// The rules of the EVM, for every block.
pub(crate) const SPEC: SpecId = SpecId::PRAGUE;

/// What stays the same from block to block.
#[derive(Debug, Clone)]
pub(crate) struct ChainRules {
    pub(crate) chain_id: u64,
    pub(crate) gas_limit: u64,
    pub(crate) beneficiary: Address,
}

impl ChainRules {
    pub(crate) fn new(genesis: &Genesis, genesis_hash: B256) -> Self {
        Self {
            chain_id: crate::genesis::chain_id(genesis_hash),
            gas_limit: genesis.gas_limit,
            beneficiary: genesis.beneficiary,
        }
    }

    pub(crate) fn configuration(&self) -> CfgEnv {
        CfgEnv::new_with_spec(SPEC).with_chain_id(self.chain_id)
    }
}

/// Header of the block after `parent`, with the content still to come.
pub(crate) fn next_header(parent: &Sealed<Header>, now: u64, rules: &ChainRules) -> Header {
    Header {
        parent_hash: parent.hash(),
        beneficiary: rules.beneficiary,
        number: parent.number + 1,
        gas_limit: rules.gas_limit,
        // Never backwards; blocks sealed within one second share its time, so that the chain's
        // time stays the clock's however fast blocks come.
        timestamp: now.max(parent.timestamp),
        // Nothing here is unpredictable to the operator, so nothing pretends to be.
        mix_hash: keccak256(parent.hash()),
        base_fee_per_gas: parent.next_block_base_fee(BaseFeeParams::ethereum()),
        ..empty_header()
    }
}

pub(crate) fn block_environment(header: &Header) -> BlockEnv {
    BlockEnv {
        number: U256::from(header.number),
        beneficiary: header.beneficiary,
        timestamp: U256::from(header.timestamp),
        gas_limit: header.gas_limit,
        basefee: header.base_fee_per_gas.unwrap_or_default(),
        difficulty: U256::ZERO,
        prevrandao: Some(header.mix_hash),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new(
            0,
            BLOB_BASE_FEE_UPDATE_FRACTION_PRAGUE,
        )),
        slot_num: 0,
    }
}

/// An EVM over the view, at the block with this header.
pub(crate) fn evm<'a>(
    view: View<'a>,
    header: &Header,
    configuration: CfgEnv,
) -> MainnetEvm<MainnetContext<View<'a>>> {
    Context::mainnet()
        .with_db(view)
        .with_block(block_environment(header))
        .with_cfg(configuration)
        .build_mainnet()
}

/// Why a transaction did not get into the block.
#[derive(Debug)]
pub(crate) enum NotIncluded {
    /// It may fit into the next one.
    BlockFull,
    /// It can never be included as it is.
    Rejected(Rejection),
    /// The database failed; nothing of the block may be used.
    Failed(Error),
}

/// A block being filled.
pub(crate) struct BlockBuilder<'a> {
    snapshot: &'a Snapshot<'a>,
    evm: MainnetEvm<MainnetContext<View<'a>>>,
    header: Header,
    transactions: Vec<TransactionRecord>,
    receipts: Vec<ReceiptRecord>,
    logs: Vec<LogRecord>,
    encoded_receipts: Vec<Vec<u8>>,
    max_transactions: usize,
}

/// A finished block with everything to be written.
pub(crate) struct Block {
    pub(crate) header: Sealed<Header>,
    pub(crate) transactions: Vec<TransactionRecord>,
    pub(crate) receipts: Vec<ReceiptRecord>,
    pub(crate) logs: Vec<LogRecord>,
    pub(crate) state: Vec<StateWrite>,
}

impl<'a> BlockBuilder<'a> {
    pub(crate) fn new(
        snapshot: &'a Snapshot<'a>,
        codes: &'a CodeCache,
        rules: &ChainRules,
        now: u64,
        max_transactions: usize,
    ) -> Result<Self, Error> {
        let header = next_header(&snapshot.head()?, now, rules);
        let evm = evm(View::new(snapshot, codes), &header, rules.configuration());
        Ok(Self {
            snapshot,
            evm,
            header,
            transactions: Vec::new(),
            receipts: Vec::new(),
            logs: Vec::new(),
            encoded_receipts: Vec::new(),
            max_transactions,
        })
    }

    pub(crate) fn view(&mut self) -> &mut View<'a> {
        self.evm.ctx.db_mut()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    pub(crate) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// Whether the transaction is in the chain or in this block.
    pub(crate) fn contains(&self, hash: B256) -> Result<bool, Error> {
        let here = self.transactions.iter().any(|record| record.hash == hash);
        Ok(here || self.snapshot.position(hash)?.is_some())
    }

    /// Executes the transaction as the next one of the block.
    pub(crate) fn push(&mut self, signed: &Signed) -> Result<(), NotIncluded> {
        let room = self.header.gas_limit - self.header.gas_used;
        if signed.envelope.gas_limit() > room || self.transactions.len() >= self.max_transactions {
            return Err(NotIncluded::BlockFull);
        }
        let outcome = self.evm.transact(signed.environment()).map_err(|error| match error {
            EVMError::Transaction(invalid) => {
                let cap = signed.envelope.max_fee_per_gas();
                NotIncluded::Rejected(rejection(invalid, signed.sender, cap, self.base_fee()))
            }
            EVMError::Database(error) => NotIncluded::Failed(error),
            other => NotIncluded::Rejected(Rejection::Invalid(other.to_string())),
        })?;
        self.view().commit(outcome.state);
        self.record(signed, outcome.result);
        Ok(())
    }

    fn record(&mut self, signed: &Signed, result: ExecutionResult) {
        let gas_used = result.tx_gas_used();
        self.header.gas_used += gas_used;
        let created = match &result {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => *address,
            _ => Address::ZERO,
        };
        let success = result.is_success();
        let logs = match result {
            ExecutionResult::Success { logs, .. } => logs,
            _ => Vec::new(),
        };
        let receipt = ReceiptRecord {
            kind: u8::from(signed.envelope.tx_type()),
            success,
            gas_used,
            cumulative_gas_used: self.header.gas_used,
            effective_gas_price: signed.envelope.effective_gas_price(self.header.base_fee_per_gas),
            created,
            first_log: count(self.logs.len()),
            log_count: count(logs.len()),
        };
        let index = count(self.transactions.len());
        self.logs.extend(logs.iter().map(|log| LogRecord { transaction: index, log: log.clone() }));
        let envelope = receipt.envelope(logs, |log| log);
        self.header.logs_bloom |= *envelope.logs_bloom();
        self.encoded_receipts.push(envelope.encoded_2718());
        self.receipts.push(receipt);
        self.transactions.push(TransactionRecord {
            hash: signed.hash,
            sender: signed.sender,
            raw: signed.raw.clone(),
        });
    }

    /// Computes the roots and closes the block.
    pub(crate) fn seal(mut self) -> Result<Block, Error> {
        let changes = std::mem::take(&mut self.view().changes);
        let (state_root, state) = changes.settle(self.snapshot)?;
        let raw: Vec<_> = self.transactions.iter().map(|record| &record.raw).collect();
        let mut header = self.header;
        header.state_root = state_root;
        header.transactions_root = ordered_trie_root_encoded(&raw);
        header.receipts_root = ordered_trie_root_encoded(&self.encoded_receipts);
        Ok(Block {
            header: header.seal_slow(),
            transactions: self.transactions,
            receipts: self.receipts,
            logs: self.logs,
            state,
        })
    }
}

/// A count within one block. The gas limit keeps these far below 2^32.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
