//! Post-training quantisation: int8 activations per tensor, int8 weights per channel, multipliers in
//! fixed point, ranges from calibration. Networks that multiply activations have 11 bits for each
//! of them instead, as products and normalisation lose more, and so have those of which int8 would
//! change the outputs too much.

mod builder;
mod concat;
mod embedding;
mod softmax;
mod tables;
mod terms;
mod weights;

use probity_zk::{Model, ModelError, ModelFileError, NetworkError, plan::BatchError};

use crate::graph::{Graph, Kind};
use builder::Builder;

/// Names how models are read and quantised. Another name wherever the same files would give another
/// key: statements about keys say which it was.
pub const PROCEDURE: &str = "probity-quantise/3";
/// First bytes of a quantised model.
const QUANTISED_MAGIC: &[u8; 4] = b"PZQ1";
/// Largest int8 magnitude used: symmetric.
const TOP: f32 = 127.0;
/// Bits of activations below the sign: plain, and where more are needed.
const LOW: u8 = 7;
const WIDE_LOW: u8 = 10;
/// Calibration samples that integers are compared with floats on, and the error, to the largest output,
/// beyond which activations get more bits.
const COMPARED: usize = 32;
const MOST_ERROR: f64 = 0.02;
/// Bits after the point of multipliers that are not weights.
const SHIFT: u8 = 16;
/// Least multiplier: rounding it up then costs at most an eighth of the weights' range.
const LEAST_MULTIPLIER: f32 = 8.0;
/// Why a network cannot be quantised.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantiseError {
    /// Nothing to calibrate on, or of another length.
    #[error("expected calibration inputs of `{expected}` values")]
    Calibration {
        /// What the network needs.
        expected: usize,
    },
    /// A value that is not finite, reached in calibration.
    #[error("layer `{0}`: calibration reaches a value that is not finite")]
    NotFinite(String),
    /// A multiplier that is not a fixed-point number of 24 bits.
    #[error("layer `{layer}`: its scale `{scale}` leaves the range of multipliers")]
    Scale {
        /// Name of the layer.
        layer: String,
        /// Output units per unit of the accumulator.
        scale: f32,
    },
    /// What is not made of integers yet.
    #[error("layer `{layer}`: {what} is not supported")]
    Unsupported {
        /// Name of the layer.
        layer: String,
        /// What.
        what: String,
    },
    /// Accumulators that could leave their range.
    #[error("layer `{layer}`: values may reach `{reach}` where `{bound}` is the limit")]
    Overflow {
        /// Name of the layer.
        layer: String,
        /// Largest magnitude that an input could cause.
        reach: i64,
        /// The limit.
        bound: i64,
    },
    /// A network that is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A network that is too large.
    #[error(transparent)]
    Size(#[from] BatchError),
    /// Weights that do not fit.
    #[error(transparent)]
    Model(ModelError),
}

/// A quantised model, and what its integers mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantised {
    /// The integer model.
    pub model: Model,
    /// Input per unit.
    pub input_scale: f32,
    /// Output per unit.
    pub output_scale: f64,
}

impl Quantised {
    /// The model's bytes after both scales: input f32, output f64, big-endian bits.
    pub fn to_bytes(&self) -> Vec<u8> {
        let scales = [&QUANTISED_MAGIC[..], &self.input_scale.to_bits().to_be_bytes()].concat();
        [scales, self.output_scale.to_bits().to_be_bytes().to_vec(), self.model.encode()].concat()
    }

    /// Reads what [`Quantised::to_bytes`] wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelFileError> {
        let scales = ModelFileError::Malformed("a quantised model with positive scales");
        let (head, model) = bytes.split_first_chunk::<16>().ok_or(scales.clone())?;
        let (magic, rest) = head.split_at(4);
        let word = |range: std::ops::Range<usize>| {
            let bytes = rest.get(range).unwrap_or_default();
            bytes.iter().fold(0u64, |word, byte| word << 8 | u64::from(*byte))
        };
        let input_scale = f32::from_bits(u32::try_from(word(0..4)).unwrap_or(0));
        let output_scale = f64::from_bits(word(4..12));
        let positive = input_scale.is_normal() && input_scale > 0.0;
        if magic != QUANTISED_MAGIC || !positive || !output_scale.is_normal() || output_scale < 0.0
        {
            return Err(scales);
        }
        Ok(Self { model: Model::decode(model)?, input_scale, output_scale })
    }

    /// Rounds an input to int8, saturating.
    pub fn encode(&self, input: &[f32]) -> Vec<i8> {
        input.iter().map(|x| round_i8(x / self.input_scale)).collect()
    }

    /// What integer outputs stand for.
    #[expect(
        clippy::cast_precision_loss,
        reason = "outputs are below 2^53 in magnitude or rounded"
    )]
    pub fn decode(&self, output: &[i64]) -> Vec<f64> {
        output.iter().map(|y| *y as f64 * self.output_scale).collect()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "clamped to the range of int8")]
fn round_i8(x: f32) -> i8 {
    x.round().clamp(-TOP, TOP) as i8
}

#[expect(clippy::cast_possible_truncation, reason = "a float converted saturates")]
fn round_i32(x: f32) -> i32 {
    x.round() as i32
}

/// Calibrates on inputs and quantises.
pub fn quantise(graph: &Graph, calibration: &[Vec<f32>]) -> Result<Quantised, QuantiseError> {
    let ranges = calibrate(graph, calibration)?;
    let build = |low: u8| {
        let mut builder = Builder::new(graph, ranges.clone(), low)?;
        for index in 0..graph.nodes.len() {
            builder.node(index)?;
        }
        builder.finish()
    };
    if is_wide(graph) {
        return build(WIDE_LOW);
    }
    let narrow = match build(LOW) {
        Ok(narrow) => narrow,
        Err(error) => return build(WIDE_LOW).map_err(|_| error),
    };
    let lost = error(graph, &narrow, calibration);
    if lost <= MOST_ERROR {
        return Ok(narrow);
    }
    let wide = build(WIDE_LOW).ok().filter(|wide| error(graph, wide, calibration) < lost);
    Ok(wide.unwrap_or(narrow))
}

/// The mean of each sample's largest error, to the largest output of all.
fn error(graph: &Graph, quantised: &Quantised, samples: &[Vec<f32>]) -> f64 {
    let (mut errors, mut largest, mut count) = (0.0, 0f64, 0.0);
    for sample in samples.iter().take(COMPARED) {
        let float = graph.run(sample).and_then(|mut values| values.pop());
        let trace = quantised.model.run(&quantised.encode(sample)).ok();
        let integer = trace.as_ref().and_then(|trace| trace.outputs.last());
        let (Some(float), Some(integer)) = (float, integer) else { continue };
        let pairs = float.iter().map(|x| f64::from(*x)).zip(quantised.decode(integer));
        let worst = pairs.fold(0f64, |worst, (float, integer)| {
            largest = largest.max(float.abs());
            worst.max((float - integer).abs())
        });
        errors += worst;
        count += 1.0;
    }
    if largest > 0.0 { errors / count / largest } else { 0.0 }
}

/// Smallest and largest number of a value, in calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Range {
    low: f32,
    high: f32,
}

impl Range {
    /// Largest magnitude.
    fn largest(self) -> f32 {
        self.low.abs().max(self.high.abs())
    }
}

/// The range of each value over the calibration inputs.
fn calibrate(graph: &Graph, calibration: &[Vec<f32>]) -> Result<Vec<Range>, QuantiseError> {
    let expected = graph.input.iter().map(|size| *size as usize).product();
    let wrong = QuantiseError::Calibration { expected };
    if calibration.is_empty() {
        return Err(wrong);
    }
    let nothing = Range { low: f32::INFINITY, high: f32::NEG_INFINITY };
    let mut ranges = vec![nothing; graph.nodes.len() + 1];
    for input in calibration {
        let values = graph.run(input).ok_or(wrong.clone())?;
        for (index, (range, values)) in ranges.iter_mut().zip(values).enumerate() {
            if values.iter().any(|x| !x.is_finite()) {
                let node = index.checked_sub(1).and_then(|i| graph.nodes.get(i));
                return Err(QuantiseError::NotFinite(node.map_or("input", |n| &n.name).to_owned()));
            }
            range.low = values.iter().copied().fold(range.low, f32::min);
            range.high = values.iter().copied().fold(range.high, f32::max);
        }
    }
    Ok(ranges)
}

fn unit(largest: f32) -> f32 {
    if largest > 0.0 { largest / TOP } else { 1.0 / TOP }
}

/// Whether activations are multiplied with each other, or looked up.
fn is_wide(graph: &Graph) -> bool {
    let wide = |kind: &Kind| {
        let products = matches!(kind, Kind::Product { .. } | Kind::Softmax { .. });
        products || matches!(kind, Kind::Function { .. } | Kind::LogSumExp { .. })
    };
    graph.nodes.iter().any(|node| wide(&node.kind))
}

/// Where a float value's integers are.
#[derive(Debug, Clone, Copy)]
struct Value {
    tensor: u16,
    /// Of the float value, per unit.
    scale: f32,
    /// Whether it can be below 0.
    negative: bool,
    /// Magnitudes are at most this.
    reach: i64,
}
