//! Accepting transactions: decoding, recovering the sender, and the checks that need no state.

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes, U256};
use revm::context::TxEnv;
use revm::context::either::Either;
use revm::context::result::InvalidTransaction;
use revm::interpreter::gas::calculate_initial_tx_gas_for_tx;

use crate::execute::{ChainRules, SPEC};

/// Why a transaction was not accepted, in the words that Ethereum clients (and the libraries that
/// match on them) use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("failed to decode signed transaction: {0}")]
    Undecodable(String),
    #[error("oversized data: transaction size {size}, limit {MAX_TRANSACTION_BYTES}")]
    Oversized { size: usize },
    #[error("invalid sender: the signature does not recover")]
    InvalidSender,
    #[error("transaction type not supported: blobs")]
    BlobsUnsupported,
    #[error("only replay-protected (EIP-155) transactions allowed over RPC")]
    Unprotected,
    #[error("invalid chain id for signer: have {have} want {want}")]
    WrongChain { have: u64, want: u64 },
    #[error("exceeds block gas limit: tx gas {gas}, block gas limit {limit}")]
    ExceedsBlockGas { gas: u64, limit: u64 },
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas { have: u64, want: u64 },
    #[error(
        "max priority fee per gas higher than max fee per gas: \
         maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"
    )]
    TipAboveCap { tip: u128, cap: u128 },
    #[error("max fee per gas less than block base fee: maxFeePerGas: {cap}, baseFee: {base_fee}")]
    FeeCapTooLow { cap: u128, base_fee: u64 },
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow { next: u64, nonce: u64 },
    #[error("nonce has max value")]
    NonceMax,
    #[error("nonce too high: the gap to next nonce {next} from tx nonce {nonce} is over {limit}")]
    NonceGapTooLarge { next: u64, nonce: u64, limit: u64 },
    #[error("txpool is full: {limit} transactions wait for earlier nonces")]
    QueueFull { limit: usize },
    #[error("already known")]
    AlreadyKnown,
    #[error("replacement transaction underpriced: a replacement must raise both fees by 10 %")]
    ReplacementUnderpriced,
    #[error(
        "insufficient funds for gas * price + value: address {address} have {balance} want {cost}"
    )]
    InsufficientFunds { address: Address, balance: U256, cost: U256 },
    #[error("sender not an eoa: address {0}")]
    SenderNotEoa(Address),
    #[error("max initcode size exceeded")]
    InitCodeTooLarge,
    #[error("transaction is invalid: {0}")]
    Invalid(String),
    #[error("block was not sealed: {0}")]
    NotSealed(String),
}

/// Ethereum nodes accept up to 128 KiB over the wire.
pub(crate) const MAX_TRANSACTION_BYTES: usize = 128 * 1024;

/// A transaction with its sender, checked as far as possible without state.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    pub(crate) hash: B256,
    pub(crate) sender: Address,
    pub(crate) raw: Bytes,
    pub(crate) envelope: TxEnvelope,
}

impl Signed {
    /// Decodes and checks what a client sent.
    pub(crate) fn accept(raw: Bytes, rules: &ChainRules) -> Result<Self, Rejection> {
        if raw.len() > MAX_TRANSACTION_BYTES {
            return Err(Rejection::Oversized { size: raw.len() });
        }
        let envelope = TxEnvelope::decode_2718_exact(&raw)
            .map_err(|error| Rejection::Undecodable(error.to_string()))?;
        if envelope.is_eip4844() {
            return Err(Rejection::BlobsUnsupported);
        }
        match envelope.chain_id() {
            Some(id) if id == rules.chain_id => {}
            Some(have) => return Err(Rejection::WrongChain { have, want: rules.chain_id }),
            None => return Err(Rejection::Unprotected),
        }
        let sender = envelope.recover_signer().map_err(|_| Rejection::InvalidSender)?;
        let signed = Self { hash: *envelope.tx_hash(), sender, raw, envelope };
        signed.check(rules)?;
        Ok(signed)
    }

    fn check(&self, rules: &ChainRules) -> Result<(), Rejection> {
        let transaction = &self.envelope;
        let (gas, limit) = (transaction.gas_limit(), rules.gas_limit);
        if gas > limit {
            return Err(Rejection::ExceedsBlockGas { gas, limit });
        }
        if transaction.nonce() == u64::MAX {
            return Err(Rejection::NonceMax);
        }
        let cap = transaction.max_fee_per_gas();
        if let Some(tip) = transaction.max_priority_fee_per_gas().filter(|tip| *tip > cap) {
            return Err(Rejection::TipAboveCap { tip, cap });
        }
        let needed = calculate_initial_tx_gas_for_tx(self.environment(), SPEC, None);
        let want = needed.initial_total_gas().max(needed.floor_gas());
        if gas < want {
            return Err(Rejection::IntrinsicGas { have: gas, want });
        }
        Ok(())
    }

    pub(crate) fn nonce(&self) -> u64 {
        self.envelope.nonce()
    }

    /// The most that this can cost its sender.
    pub(crate) fn cost(&self) -> U256 {
        let gas = U256::from(self.envelope.gas_limit());
        let price = U256::from(self.envelope.max_fee_per_gas());
        gas.saturating_mul(price).saturating_add(self.envelope.value())
    }

    /// Whether this may take the place of `other`, which has the same sender and nonce.
    pub(crate) fn outbids(&self, other: &Self) -> bool {
        let raised = |new: u128, old: u128| new >= old.saturating_add(old.div_ceil(10));
        let (new, old) = (&self.envelope, &other.envelope);
        let tip = |envelope: &TxEnvelope| {
            envelope.max_priority_fee_per_gas().unwrap_or_else(|| envelope.max_fee_per_gas())
        };
        raised(new.max_fee_per_gas(), old.max_fee_per_gas()) && raised(tip(new), tip(old))
    }

    /// As revm takes it.
    pub(crate) fn environment(&self) -> TxEnv {
        let transaction = &self.envelope;
        let authorizations = transaction.authorization_list().unwrap_or_default();
        TxEnv {
            tx_type: u8::from(transaction.tx_type()),
            caller: self.sender,
            gas_limit: transaction.gas_limit(),
            gas_price: transaction.max_fee_per_gas(),
            kind: transaction.kind(),
            value: transaction.value(),
            data: transaction.input().clone(),
            nonce: transaction.nonce(),
            chain_id: transaction.chain_id(),
            access_list: transaction.access_list().cloned().unwrap_or_default(),
            gas_priority_fee: transaction.max_priority_fee_per_gas(),
            blob_hashes: Vec::new(),
            max_fee_per_blob_gas: 0,
            authorization_list: authorizations.iter().cloned().map(Either::Left).collect(),
        }
    }
}

/// Says what revm found wrong in the usual words.
pub(crate) fn rejection(
    invalid: InvalidTransaction,
    sender: Address,
    cap: u128,
    base_fee: u64,
) -> Rejection {
    match invalid {
        InvalidTransaction::GasPriceLessThanBasefee => Rejection::FeeCapTooLow { cap, base_fee },
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            Rejection::InsufficientFunds { address: sender, balance: *balance, cost: *fee }
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas, gas_limit }
        | InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: initial_gas, gas_limit } => {
            Rejection::IntrinsicGas { have: gas_limit, want: initial_gas }
        }
        InvalidTransaction::RejectCallerWithCode => Rejection::SenderNotEoa(sender),
        InvalidTransaction::CreateInitCodeSizeLimit => Rejection::InitCodeTooLarge,
        InvalidTransaction::NonceOverflowInTransaction => Rejection::NonceMax,
        InvalidTransaction::NonceTooLow { tx, state } => {
            Rejection::NonceTooLow { next: state, nonce: tx }
        }
        other => Rejection::Invalid(other.to_string()),
    }
}
