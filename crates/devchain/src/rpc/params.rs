//! Positional parameters.

use alloy_primitives::Bytes;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::RpcError;

/// The parameters of one call.
#[derive(Debug)]
pub(crate) struct Params(Vec<Value>);

impl Params {
    /// Absent and `null` parameters are none.
    pub(crate) fn parse(raw: Option<&RawValue>) -> Result<Self, RpcError> {
        let Some(raw) = raw.filter(|raw| raw.get() != "null") else { return Ok(Self(Vec::new())) };
        serde_json::from_str(raw.get())
            .map(Self)
            .map_err(|_| RpcError::params("`params` is not an array"))
    }

    pub(crate) fn required<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<T, RpcError> {
        match self.optional(index, name)? {
            Some(value) => Ok(value),
            None => Err(RpcError::params(format!("missing value for argument {index} (`{name}`)"))),
        }
    }

    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
        name: &str,
    ) -> Result<Option<T>, RpcError> {
        let Some(value) = self.0.get(index).filter(|value| !value.is_null()) else {
            return Ok(None);
        };
        T::deserialize(value).map(Some).map_err(|error| {
            RpcError::params(format!("invalid argument {index} (`{name}`): {error}"))
        })
    }

    /// The one argument that sending takes.
    pub(crate) fn only_bytes(&self) -> Result<Bytes, RpcError> {
        self.required(0, "data")
    }
}
