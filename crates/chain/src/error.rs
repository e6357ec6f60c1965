//! What can go wrong with a chain.

use alloy_primitives::{Address, B256, U256};

/// A transaction as it would have been sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// Who would send and pay.
    pub from: Address,
    /// The contract.
    pub to: Address,
    /// The function's signature, as the contract's ABI has it.
    pub function: &'static str,
    /// Native coin that would go along, in wei.
    pub value: U256,
    /// Gas it would take, by the chain's estimate.
    pub gas: u64,
    /// What that would cost at most, in wei.
    pub cost: U256,
}

impl std::fmt::Display for Rehearsal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, function, value, gas, cost } = self;
        write!(
            formatter,
            "{from} would call {function} of {to} with {value} wei, for {gas} gas or at most {cost} wei"
        )
    }
}

/// Why a chain did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// Nobody answers, or not in JSON-RPC.
    #[error("the chain at `{endpoint}` does not answer")]
    Unreachable {
        /// Where it was looked for.
        endpoint: String,
        /// What the transport said.
        #[source]
        source: Box<alloy::transports::TransportError>,
    },
    /// The chain refused a request.
    #[error("the chain refused: {0}")]
    Refused(String),
    /// Another chain than the workspace belongs to.
    #[error("expected chain id `{expected}`, the chain says `{got}`")]
    ChainId {
        /// What the workspace was made for.
        expected: u64,
        /// What the endpoint says.
        got: u64,
    },
    /// The account cannot pay for the transaction.
    #[error("account `{account}` has not enough of the native coin: {reason}")]
    InsufficientFunds {
        /// Who wanted to pay.
        account: Address,
        /// What the chain said.
        reason: String,
    },
    /// Another transaction of the same account came first.
    #[error("another transaction of account `{account}` was faster: {reason}")]
    NonceRace {
        /// Whose nonce it is.
        account: Address,
        /// What the chain said.
        reason: String,
    },
    /// A contract refused, for a reason of its own.
    #[error("the contract refused: {0}")]
    Reverted(String),
    /// A transaction that was included but failed.
    #[error("transaction `{0}` failed on chain")]
    Failed(B256),
    /// No contract where one should be.
    #[error("there is no Probity contract at `{0}` on this chain")]
    NotDeployed(Address),
    /// The chain answered with something that cannot be.
    #[error("the chain's answer is inconsistent: {0}")]
    Inconsistent(String),
    /// The URL is none.
    #[error("`{0}` is not an http:// or https:// URL")]
    Url(String),
    /// A client that only rehearses was asked to send. It would have succeeded.
    #[error("nothing was sent: {0}")]
    Rehearsed(Box<Rehearsal>),
    /// The key cannot sign.
    #[error(transparent)]
    Key(#[from] probity_core::keys::KeyError),
}
