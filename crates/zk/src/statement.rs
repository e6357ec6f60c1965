//! What a proof says: model, context, inputs and outputs.

use alloy_primitives::keccak256;
use ff::Field;

use crate::{
    Rejection,
    curve::{G1Affine, encode_point},
    field::{Fr, eq_table, from_i64},
    network::{Network, Shape, bits},
    plan::Plan,
    transcript::{Tag, Transcript},
};

/// Values packed into an integer: 2^4 bytes are below half the field's order.
const PACKED_BITS: u32 = 4;

/// A claim that a network maps inputs to outputs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// What the proof is for: a job, a dispute, a chain and contract. A proof holds in one context.
    pub context: [u8; 32],
    /// Number of inputs.
    pub batch: u32,
    /// The inputs' values, one input after the other.
    pub input: Vec<i8>,
    /// The outputs' values, one output after the other.
    pub output: Vec<i64>,
}

impl Statement {
    /// Keccak-256 of the inputs, a byte each.
    pub fn input_commitment(&self) -> [u8; 32] {
        keccak256(self.input_bytes()).0
    }

    /// Keccak-256 of the outputs, eight bytes each, big-endian.
    pub fn output_commitment(&self) -> [u8; 32] {
        keccak256(self.output_bytes()).0
    }

    /// The inputs, a byte each.
    pub fn input_bytes(&self) -> Vec<u8> {
        self.input.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    /// The outputs, eight bytes each.
    pub fn output_bytes(&self) -> Vec<u8> {
        self.output.iter().flat_map(|value| value.to_be_bytes()).collect()
    }

    /// Starts the transcript of a proof about the model with this key digest.
    pub fn transcript(&self, key: &[u8; 32]) -> Transcript {
        let mut transcript = Transcript::default();
        let [input, output] = [self.input_commitment(), self.output_commitment()];
        let parts: [&[u8]; 5] = [key, &self.context, &self.batch.to_be_bytes(), &input, &output];
        transcript.exchange(Tag::Statement, &parts.concat());
        transcript
    }

    /// Whether there are as many values as the network and the batch need.
    pub fn check(&self, network: &Network) -> Result<(), Rejection> {
        let size = |shape: &Shape| (self.batch as usize).saturating_mul(shape.len());
        count("input", size(&network.input), self.input.len())?;
        count("output", size(network.output()), self.output.len())
    }

    /// The input's extension.
    pub fn input_at(&self, network: &Network, point: &[Fr]) -> Fr {
        evaluate(&network.input, self.input.iter().copied().map(i64::from), point)
    }

    /// The output's extension.
    pub fn output_at(&self, network: &Network, point: &[Fr]) -> Fr {
        evaluate(network.output(), self.output.iter().copied(), point)
    }
}

/// Whether there are as many as there should be.
fn count(what: &'static str, expected: usize, got: usize) -> Result<(), Rejection> {
    if got == expected { Ok(()) } else { Err(Rejection::PublicValues { what, expected, got }) }
}

/// A claim that a network maps committed inputs to outputs (reference §8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HidingStatement {
    /// What the proof is for, as in [`Statement::context`].
    pub context: [u8; 32],
    /// Number of inputs.
    pub batch: u32,
    /// The commitments of the inputs' padded rows.
    pub input: Vec<G1Affine>,
    /// The outputs' values, one output after the other.
    pub output: Vec<i64>,
}

impl HidingStatement {
    /// Keccak-256 of the commitments.
    pub fn input_commitment(&self) -> [u8; 32] {
        keccak256(self.input_bytes()).0
    }

    /// The commitments, 96 bytes each.
    pub fn input_bytes(&self) -> Vec<u8> {
        self.input.iter().flat_map(encode_point).collect()
    }

    /// The statement without inputs.
    pub fn outputs(&self) -> Statement {
        let (context, output) = (self.context, self.output.clone());
        Statement { context, batch: self.batch, input: vec![], output }
    }

    /// Starts the transcript of a proof about the model with this key digest.
    pub fn transcript(&self, key: &[u8; 32]) -> Transcript {
        let mut transcript = Transcript::hiding();
        let [input, output] = [self.input_commitment(), self.outputs().output_commitment()];
        let parts: [&[u8]; 5] = [key, &self.context, &self.batch.to_be_bytes(), &input, &output];
        transcript.exchange(Tag::Statement, &parts.concat());
        transcript
    }

    /// Whether there are as many commitments and values as the network and the batch need.
    pub(crate) fn check(&self, network: &Network, plan: &Plan) -> Result<(), Rejection> {
        let bits = plan.input.map_or(0, |input| input.column.bits);
        let rows = 1usize << bits.saturating_sub(u32::from(network.row_bits));
        count("input row", rows, self.input.len())?;
        let outputs = (self.batch as usize).saturating_mul(network.output().len());
        count("output", outputs, self.output.len())
    }
}

/// The point at which an input's extension is, up to a factor, `Σ eq(point, chunk) · integer`: its chunks
/// of up to 16 values along the last dimension, read as big-endian integers. `point`'s other
/// coordinates say which chunks (reference §5).
pub fn packed_point(network: &Network, point: &[Fr]) -> Vec<Fr> {
    let last = network.input.dimensions().last().copied().unwrap_or(1);
    let mut point = point.to_vec();
    let mut base = Fr::from(256);
    for coordinate in point.iter_mut().rev().take(bits(last).min(PACKED_BITS) as usize) {
        *coordinate = (Fr::ONE + base).invert().unwrap_or(Fr::ZERO);
        base = base.square();
    }
    point
}

/// `Σ eq(point, i) · value_i` over a batch of tensors, padded by zero.
fn evaluate(shape: &Shape, mut values: impl Iterator<Item = i64>, point: &[Fr]) -> Fr {
    let (batch, inner) = point.split_at(point.len().saturating_sub(shape.bits() as usize));
    let (inner, places) = (eq_table(inner), shape.padded());
    let mut sum = Fr::ZERO;
    for eq in eq_table(batch) {
        let tensor: Fr = places
            .iter()
            .filter_map(|place| Some(inner.get(*place)? * from_i64(values.next()?)))
            .sum();
        sum += eq * tensor;
    }
    sum
}
