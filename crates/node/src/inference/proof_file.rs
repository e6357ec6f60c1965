//! A statement and its proof as JSON.

use alloy_primitives::{B256, Bytes};
use probity_zk::Statement;
use serde::{Deserialize, Serialize};

/// What proof files start with.
const FORMAT: &str = "probity-zk-proof/1";

/// Why bytes are not a proof file.
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// Not the JSON that is expected.
    #[error("malformed JSON")]
    Json(#[from] serde_json::Error),
    /// Of another kind.
    #[error("expected format `{FORMAT}`, got `{0}`")]
    Format(String),
    /// Outputs that are not whole words.
    #[error("expected outputs of 8 bytes each, got `{0}` bytes")]
    Output(usize),
    /// An input's commitment that is not points of the group.
    #[error("the input's commitment is not points of the group")]
    Commitment,
}

/// A proof, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The model's id: the digest of its key.
    pub model: B256,
    /// Context, inputs and outputs.
    pub statement: Statement,
    /// The proof.
    pub proof: Vec<u8>,
}

/// The file's fields; bytes as the contract takes them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    format: String,
    model: B256,
    context: B256,
    batch: u32,
    input: Bytes,
    output: Bytes,
    proof: Bytes,
}

/// Outputs as the contract takes them: 8 bytes each, big-endian.
pub(super) fn outputs(bytes: &[u8]) -> Result<Vec<i64>, ProofFileError> {
    match bytes.as_chunks::<8>() {
        (words, []) => Ok(words.iter().map(|word| i64::from_be_bytes(*word)).collect()),
        _ => Err(ProofFileError::Output(bytes.len())),
    }
}

impl ProofFile {
    /// Reads a proof file. The proof itself may be any bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let fields: Fields = serde_json::from_slice(bytes)?;
        if fields.format != FORMAT {
            return Err(ProofFileError::Format(fields.format));
        }
        let statement = Statement {
            context: fields.context.0,
            batch: fields.batch,
            input: fields.input.iter().map(|byte| byte.cast_signed()).collect(),
            output: outputs(&fields.output)?,
        };
        Ok(Self { model: fields.model, statement, proof: fields.proof.to_vec() })
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, ProofFileError> {
        let fields = Fields {
            format: FORMAT.to_owned(),
            model: self.model,
            context: self.statement.context.into(),
            batch: self.statement.batch,
            input: self.statement.input_bytes().into(),
            output: self.statement.output_bytes().into(),
            proof: self.proof.clone().into(),
        };
        let mut bytes = serde_json::to_vec_pretty(&fields)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The outputs, one list per input.
    pub fn outputs(&self) -> impl Iterator<Item = &[i64]> {
        let batch = usize::try_from(self.statement.batch).unwrap_or(0);
        let size = self.statement.output.len().checked_div(batch).unwrap_or(0).max(1);
        self.statement.output.chunks(size)
    }
}
