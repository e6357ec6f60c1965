//! Integers of layers with weights.

use probity_zk::model::Weights;

use super::{LEAST_MULTIPLIER, QuantiseError, Value, round_i8, round_i32, unit};
use crate::graph::Node;

/// Least multiplier of outputs that are not looked up: nothing but the accumulator's size grows with it.
const RAW_MULTIPLIER: f32 = 256.0;

/// Integers of a layer with weights.
pub(super) struct Layer {
    pub(super) weights: Weights,
    pub(super) shift: u8,
    pub(super) scale: f32,
}

/// A layer's float weights: `[outputs, inputs]`, a bias for each output, or output and position.
#[derive(Clone, Copy)]
pub(super) struct Floats<'a> {
    pub(super) weights: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) channels: usize,
}

impl<'a> Floats<'a> {
    fn rows(self) -> impl Iterator<Item = &'a [f32]> {
        self.weights.chunks((self.weights.len() / self.channels.max(1)).max(1))
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()))
}

/// Multipliers are rounded up and weights' scales follow them, so that nothing but the weights'
/// and biases' own rounding is lost.
fn integers(
    node: &Node,
    floats: Floats<'_>,
    from: Value,
    per_multiplier: f32,
) -> Result<Weights, QuantiseError> {
    let mut out = Weights { terms: vec![vec![]], ..Weights::default() };
    let mut scales = vec![];
    for (channel, row) in floats.rows().enumerate() {
        let own = floats.bias.iter().skip(channel).step_by(floats.channels);
        let bias = own.fold(0.0, |largest: f32, bias| largest.max(bias.abs()));
        // A bias has to fit 31 bits at the weights' scale.
        let least = unit(largest(row)).max(bias / from.scale / 1e9);
        let multiplier = (least * from.scale / per_multiplier).ceil().max(1.0);
        if multiplier > 8_388_607.0 {
            return Err(QuantiseError::Scale {
                layer: node.name.clone(),
                scale: multiplier * per_multiplier,
            });
        }
        let scale = multiplier * per_multiplier / from.scale;
        if let Some(term) = out.terms.first_mut() {
            term.extend(row.iter().map(|w| round_i8(w / scale)));
        }
        out.multipliers.push(round_i32(multiplier));
        scales.push(scale * from.scale);
    }
    let biases = floats.bias.iter().zip(scales.iter().cycle());
    out.bias = biases.map(|(bias, scale)| round_i32(bias / scale)).collect();
    Ok(out)
}

/// A layer whose outputs are requantised.
pub(super) fn layer(
    node: &Node,
    floats: Floats<'_>,
    from: Value,
    scale: f32,
) -> Result<Layer, QuantiseError> {
    let typical = unit(largest(floats.weights));
    let multiplier = typical * from.scale / scale * 2f32.powi(16);
    let shift: u8 = if multiplier < LEAST_MULTIPLIER { 24 } else { 16 };
    let per_multiplier = scale / 2f32.powi(shift.into());
    let weights = integers(node, floats, from, per_multiplier)?;
    Ok(Layer { weights, shift, scale })
}

/// A layer whose outputs stay as they are added up.
pub(super) fn raw_layer(
    node: &Node,
    floats: Floats<'_>,
    from: Value,
) -> Result<Layer, QuantiseError> {
    let units = || floats.rows().map(|row| unit(largest(row)));
    let least = units().fold(f32::INFINITY, f32::min) / RAW_MULTIPLIER;
    // No multiplier of 2^22, and no bias of 2^46.
    let most = units().fold(0.0, f32::max) / 2f32.powi(22);
    let scale = (least.max(most) * from.scale).max(largest(floats.bias) / 2f32.powi(46));
    Ok(Layer { weights: integers(node, floats, from, scale)?, shift: 0, scale })
}
