//! JSON-RPC errors, with the codes that Ethereum clients use.

use std::borrow::Cow;

use alloy::rpc::json_rpc::ErrorPayload;
use alloy::sol_types::{Panic, Revert, SolError};
use alloy_primitives::{B256, Bytes};
use serde_json::value::{RawValue, to_raw_value};

use crate::Error;
use crate::logs::LogsError;
use crate::transaction::Rejection;

/// An error answer.
#[derive(Debug)]
pub(crate) struct RpcError {
    code: i64,
    message: String,
    data: Option<Box<RawValue>>,
}

impl RpcError {
    fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn parse(error: &serde_json::Error) -> Self {
        Self::new(-32700, format!("parse error: {error}"))
    }

    pub(crate) fn request(what: &str) -> Self {
        Self::new(-32600, format!("invalid request: {what}"))
    }

    pub(crate) fn method_not_found(method: &str) -> Self {
        let method: String = method.chars().take(100).collect();
        Self::new(-32601, format!("the method {method} does not exist/is not available"))
    }

    pub(crate) fn params(what: impl Into<String>) -> Self {
        Self::new(-32602, what)
    }

    pub(crate) fn internal(what: &str) -> Self {
        Self::new(-32603, format!("internal error: {what}"))
    }

    /// The request is well-formed but cannot be served.
    pub(crate) fn server(what: impl Into<String>) -> Self {
        Self::new(-32000, what)
    }

    /// EIP-7966: the transaction is accepted, but it is not in a block yet.
    pub(crate) fn waiting(hash: B256) -> Self {
        let message = "the transaction waits for an earlier nonce";
        Self { data: to_raw_value(&hash).ok(), ..Self::new(4, message) }
    }

    /// A call that ended in `REVERT`, with what it returned.
    pub(crate) fn reverted(output: &Bytes) -> Self {
        let reason = if let Ok(revert) = Revert::abi_decode(output) {
            Some(revert.reason)
        } else {
            Panic::abi_decode(output).ok().map(|panic| panic.to_string())
        };
        let message = match reason {
            Some(reason) => format!("execution reverted: {reason}"),
            None => "execution reverted".to_owned(),
        };
        Self { data: to_raw_value(output).ok(), ..Self::new(3, message) }
    }

    pub(crate) fn into_payload(self) -> ErrorPayload {
        ErrorPayload { code: self.code, message: Cow::Owned(self.message), data: self.data }
    }
}

impl From<Rejection> for RpcError {
    fn from(rejection: Rejection) -> Self {
        Self::server(rejection.to_string())
    }
}

impl From<Error> for RpcError {
    fn from(error: Error) -> Self {
        // No paths: whoever asks may be far away.
        match error {
            Error::Unavailable(_) | Error::Database(_) => Self::new(-32603, error.to_string()),
            Error::Corrupt(_) => Self::internal("the chain's data is corrupt"),
            _ => Self::internal("the chain is not available"),
        }
    }
}

impl From<LogsError> for RpcError {
    fn from(error: LogsError) -> Self {
        match error {
            LogsError::Chain(error) => error.into(),
            LogsError::TooManyValues(_) => Self::params(error.to_string()),
            LogsError::TooMany | LogsError::TooMuchWork | LogsError::TooManyLookups => {
                Self::new(-32005, error.to_string())
            }
        }
    }
}
