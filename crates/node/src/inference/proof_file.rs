//! A statement and its proof as JSON.

use alloy_primitives::{B256, Bytes};
use probity_zk::{HidingStatement, Stage, Statement, curve};
use serde::{Deserialize, Serialize};

/// What proof files start with.
const FORMAT: &str = "probity-zk-proof/1";
/// What files of hiding proofs start with.
const HIDING_FORMAT: &str = "probity-zk-hiding-proof/1";

/// Why bytes are not a proof file.
#[derive(Debug, thiserror::Error)]
pub enum ProofFileError {
    /// Not the JSON that is expected.
    #[error("malformed JSON")]
    Json(#[from] serde_json::Error),
    /// Of another kind.
    #[error("expected format `{FORMAT}` or `{HIDING_FORMAT}`, got `{0}`")]
    Format(String),
    /// Outputs that are not whole words.
    #[error("expected outputs of 8 bytes each, got `{0}` bytes")]
    Output(usize),
    /// An input's commitment that is not points of the group.
    #[error("the input's commitment is not points of the group")]
    Commitment,
}

/// What a proof is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Inputs that everybody sees.
    Open(Statement),
    /// Inputs that are committed.
    Hiding(HidingStatement),
}

impl Subject {
    /// Whether the proof hides its inputs.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Open(_) => Stage::Succinct,
            Self::Hiding(_) => Stage::Hiding,
        }
    }

    /// What the proof is for.
    pub fn context(&self) -> B256 {
        match self {
            Self::Open(statement) => statement.context.into(),
            Self::Hiding(statement) => statement.context.into(),
        }
    }

    /// Number of inputs.
    pub fn batch(&self) -> u32 {
        match self {
            Self::Open(statement) => statement.batch,
            Self::Hiding(statement) => statement.batch,
        }
    }

    /// The digest of the inputs, or of their commitments.
    pub fn input_commitment(&self) -> B256 {
        match self {
            Self::Open(statement) => statement.input_commitment().into(),
            Self::Hiding(statement) => statement.input_commitment().into(),
        }
    }

    /// The digest of the outputs.
    pub fn output_commitment(&self) -> B256 {
        match self {
            Self::Open(statement) => statement.output_commitment().into(),
            Self::Hiding(statement) => statement.outputs().output_commitment().into(),
        }
    }

    /// The outputs' values.
    pub fn output(&self) -> &[i64] {
        match self {
            Self::Open(statement) => &statement.output,
            Self::Hiding(statement) => &statement.output,
        }
    }

    /// The inputs or their commitments, as bytes.
    fn input_bytes(&self) -> Vec<u8> {
        match self {
            Self::Open(statement) => statement.input_bytes(),
            Self::Hiding(statement) => statement.input_bytes(),
        }
    }
}

/// A proof, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofFile {
    /// The model's id: the digest of its key.
    pub model: B256,
    /// Context, inputs and outputs.
    pub subject: Subject,
    /// The proof.
    pub proof: Vec<u8>,
}

/// The file's fields; bytes as the contract takes them. `input` holds the commitments of a hiding
/// proof's inputs.
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

impl ProofFile {
    /// Reads a proof file. The proof itself may be any bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let fields: Fields = serde_json::from_slice(bytes)?;
        let (words, rest) = fields.output.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(ProofFileError::Output(fields.output.len()));
        }
        let output = words.iter().map(|word| i64::from_be_bytes(*word)).collect();
        let (context, batch) = (fields.context.0, fields.batch);
        let subject = match fields.format.as_str() {
            FORMAT => {
                let input = fields.input.iter().map(|byte| byte.cast_signed()).collect();
                Subject::Open(Statement { context, batch, input, output })
            }
            HIDING_FORMAT => {
                let input = curve::decode_points(&fields.input);
                let input = input.ok_or(ProofFileError::Commitment)?;
                Subject::Hiding(HidingStatement { context, batch, input, output })
            }
            _ => return Err(ProofFileError::Format(fields.format)),
        };
        Ok(Self { model: fields.model, subject, proof: fields.proof.to_vec() })
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, ProofFileError> {
        let format = match self.subject.stage() {
            Stage::Succinct => FORMAT,
            Stage::Hiding => HIDING_FORMAT,
        };
        let output: Vec<u8> =
            self.subject.output().iter().flat_map(|value| value.to_be_bytes()).collect();
        let fields = Fields {
            format: format.to_owned(),
            model: self.model,
            context: self.subject.context(),
            batch: self.subject.batch(),
            input: self.subject.input_bytes().into(),
            output: output.into(),
            proof: self.proof.clone().into(),
        };
        let mut bytes = serde_json::to_vec_pretty(&fields)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The outputs, one list per input.
    pub fn outputs(&self) -> impl Iterator<Item = &[i64]> {
        let batch = usize::try_from(self.subject.batch()).unwrap_or(0);
        let output = self.subject.output();
        output.chunks(output.len().checked_div(batch).unwrap_or(0).max(1))
    }
}
