//! Proof files of either stage.

use alloy_primitives::{B256, Bytes};
use probity_zk::{HidingStatement, Stage, curve};
use serde::{Deserialize, Serialize};

use super::{ProofFile, ProofFileError, proof_file::outputs};

/// What files of hiding proofs start with.
const FORMAT: &str = "probity-zk-hiding-proof/1";

/// A hiding proof, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HidingProofFile {
    /// The model's id: the digest of its key.
    pub model: B256,
    /// Context, the inputs' commitments, outputs.
    pub statement: HidingStatement,
    /// The proof.
    pub proof: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Fields {
    format: String,
    model: B256,
    context: B256,
    batch: u32,
    input_rows: Bytes,
    output: Bytes,
    proof: Bytes,
}

impl HidingProofFile {
    /// Reads a file. The proof itself may be any bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let fields: Fields = serde_json::from_slice(bytes)?;
        if fields.format != FORMAT {
            return Err(ProofFileError::Format(fields.format));
        }
        let input = curve::decode_points(&fields.input_rows).ok_or(ProofFileError::Commitment)?;
        let output = outputs(&fields.output)?;
        let (context, batch) = (fields.context.0, fields.batch);
        let statement = HidingStatement { context, batch, input, output };
        Ok(Self { model: fields.model, statement, proof: fields.proof.to_vec() })
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, ProofFileError> {
        let fields = Fields {
            format: FORMAT.to_owned(),
            model: self.model,
            context: self.statement.context.into(),
            batch: self.statement.batch,
            input_rows: self.statement.input_bytes().into(),
            output: self.statement.outputs().output_bytes().into(),
            proof: self.proof.clone().into(),
        };
        let mut bytes = serde_json::to_vec_pretty(&fields)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

/// A proof file of either stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyProof {
    /// It hides nothing.
    Open(ProofFile),
    /// It hides its inputs.
    Hiding(HidingProofFile),
}

/// Only the format, whatever else there is.
#[derive(Deserialize)]
struct Format {
    format: String,
}

impl AnyProof {
    /// Reads a proof file of the stage that its format names.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofFileError> {
        let Format { format } = serde_json::from_slice(bytes)?;
        if format == FORMAT {
            return HidingProofFile::parse(bytes).map(Self::Hiding);
        }
        ProofFile::parse(bytes).map(Self::Open)
    }

    /// The file's bytes.
    pub fn to_json(&self) -> Result<Vec<u8>, ProofFileError> {
        match self {
            Self::Open(file) => file.to_json(),
            Self::Hiding(file) => file.to_json(),
        }
    }

    /// Whether the proof hides its inputs.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Open(_) => Stage::Succinct,
            Self::Hiding(_) => Stage::Hiding,
        }
    }

    /// The model's id.
    pub fn model(&self) -> B256 {
        match self {
            Self::Open(file) => file.model,
            Self::Hiding(file) => file.model,
        }
    }

    /// What the proof is for.
    pub fn context(&self) -> B256 {
        match self {
            Self::Open(file) => file.statement.context.into(),
            Self::Hiding(file) => file.statement.context.into(),
        }
    }

    /// Number of inputs.
    pub fn batch(&self) -> u32 {
        match self {
            Self::Open(file) => file.statement.batch,
            Self::Hiding(file) => file.statement.batch,
        }
    }

    /// The digest of the inputs, or of their commitments.
    pub fn input_commitment(&self) -> B256 {
        match self {
            Self::Open(file) => file.statement.input_commitment().into(),
            Self::Hiding(file) => file.statement.input_commitment().into(),
        }
    }

    /// The digest of the outputs.
    pub fn output_commitment(&self) -> B256 {
        match self {
            Self::Open(file) => file.statement.output_commitment().into(),
            Self::Hiding(file) => file.statement.outputs().output_commitment().into(),
        }
    }

    /// The proof itself.
    pub fn proof(&self) -> &[u8] {
        match self {
            Self::Open(file) => &file.proof,
            Self::Hiding(file) => &file.proof,
        }
    }

    /// The outputs, one list per input.
    pub fn outputs(&self) -> impl Iterator<Item = &[i64]> {
        let output = match self {
            Self::Open(file) => &file.statement.output,
            Self::Hiding(file) => &file.statement.output,
        };
        let batch = usize::try_from(self.batch()).unwrap_or(0);
        output.chunks(output.len().checked_div(batch).unwrap_or(0).max(1))
    }
}
