//! Integer models as files: what a key is derived from.
//!
//! ```text
//! "PZM1" ‖ rowBits u8 ‖ network (as in a key) ‖ per operation: each term's weights, a byte each,
//! then, where there are any, each channel's multiplier i32, then, with a bias, its values i32
//! ‖ per listed table: its values i32
//! ```

use crate::{
    Model, ModelError, Operation,
    key::{KeyError, Reader, write_network},
    model::{Weights, channels},
};

/// First bytes of a model.
pub const MODEL_MAGIC: &[u8; 4] = b"PZM1";

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelFileError {
    /// Bytes missing, left over, or of another kind.
    #[error("malformed model: expected {0}")]
    Malformed(&'static str),
    /// A network that cannot be read.
    #[error(transparent)]
    Network(#[from] KeyError),
    /// A model that is refused.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl Model {
    /// The model's bytes. Every model has one encoding.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MODEL_MAGIC.to_vec();
        bytes.push(self.network().row_bits);
        write_network(&mut bytes, self.network());
        for weights in self.weights() {
            let integers = weights.multipliers.iter().chain(&weights.bias);
            bytes.extend(weights.terms.iter().flatten().map(|weight| weight.cast_unsigned()));
            bytes.extend(integers.flat_map(|integer| integer.to_be_bytes()));
        }
        let listed = self.tables().iter().flatten();
        bytes.extend(listed.flat_map(|value| value.to_be_bytes()));
        bytes
    }

    /// Reads a model and checks its bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let mut reader = Reader(bytes);
        if reader.array::<4>()? != *MODEL_MAGIC {
            return Err(ModelFileError::Malformed("a model of version 1"));
        }
        let row_bits = reader.byte()?;
        let network = reader.network(row_bits)?;
        let mut weights = vec![];
        for operation in &network.operations {
            let shapes = operation
                .terms
                .iter()
                .map(|term| term.weights(&operation.shape, network.tensor(term.input())));
            let sizes: Vec<Option<usize>> =
                shapes.map(|s| Some(s?.iter().map(|size| *size as usize).product())).collect();
            weights.push(read(&mut reader, operation, &sizes)?);
        }
        let mut tables = vec![];
        for table in &network.tables {
            tables.push(integers(&mut reader, if table.is_listed() { table.size() } else { 0 })?);
        }
        if !reader.0.is_empty() {
            return Err(ModelFileError::Malformed("nothing after the weights"));
        }
        Ok(Self::with_tables(network, weights, tables)?)
    }
}

fn read(
    reader: &mut Reader<'_>,
    operation: &Operation,
    sizes: &[Option<usize>],
) -> Result<Weights, ModelFileError> {
    let mut weights = Weights::default();
    for size in sizes {
        let bytes = take(reader, size.unwrap_or(0))?;
        weights.terms.push(bytes.iter().map(|byte| byte.cast_signed()).collect());
    }
    let channels = channels(operation);
    if sizes.iter().any(Option::is_some) {
        weights.multipliers = integers(reader, channels)?;
    }
    if let Some(axes) = operation.bias_axes() {
        let sizes = operation.shape.dimensions().get(axes).unwrap_or_default();
        let count = sizes.iter().map(|size| *size as usize).product();
        weights.bias = integers(reader, count)?;
    }
    Ok(weights)
}

fn take<'a>(reader: &mut Reader<'a>, count: usize) -> Result<&'a [u8], ModelFileError> {
    let split = reader.0.split_at_checked(count);
    let (taken, rest) = split.ok_or(ModelFileError::Malformed("more weights"))?;
    reader.0 = rest;
    Ok(taken)
}

fn integers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i32>, ModelFileError> {
    let (words, _) = take(reader, count.saturating_mul(4))?.as_chunks::<4>();
    Ok(words.iter().map(|word| i32::from_be_bytes(*word)).collect())
}
