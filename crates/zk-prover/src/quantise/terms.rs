//! Sums, products and functions of activations.

use probity_zk::{Labels, Term, labels::SUMMED};

use super::{
    QuantiseError, SHIFT, Value,
    builder::{After, Builder, SMALL_SHIFT, fixed, fixed_small, is_small},
    round_i32,
    tables::CLAMP,
};
use crate::{
    function::Function,
    graph::{Node, Part, identity},
};

/// Bits of a listed table's indices over what calibration met, and of its results.
const INDEX_BITS: u8 = 10;
const RESULT_BITS: u8 = 12;
/// The bias code of all dimensions.
fn everywhere(node: &Node) -> u8 {
    u8::try_from(16 * (node.shape.len() - 1)).unwrap_or(0)
}

fn number(x: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "scales are f32")]
    let x = x as f32;
    x
}

impl Builder<'_> {
    pub(super) fn combine(
        &mut self,
        index: usize,
        parts: &[Part],
        bias: &[f32],
    ) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let same = identity(node.shape.len());
        if let ([part], true) = (parts, index + 1 < self.graph.nodes.len())
            && part.labels == same
            && part.factor > 0.0
            && bias.iter().all(|bias| *bias == 0.0)
        {
            // A factor alone is a matter of what units mean.
            let from = self.value(part.input);
            self.alias(Value { scale: from.scale * part.factor, ..from });
            return Ok(());
        }
        let positive = parts.iter().all(|p| p.factor >= 0.0 && !self.value(p.input).negative)
            && bias.iter().all(|bias| *bias >= 0.0);
        let after = self.after(index, positive);
        let factor = |part: &Part| self.value(part.input).scale * part.factor / after.unit;
        // The mean of many: rounding its factor to 16 bits behind the point would change it.
        let small = bias.is_empty() && parts.iter().all(|part| is_small(factor(part)));
        let factors: Vec<f32> = parts.iter().map(factor).collect();
        let mut terms = vec![];
        for (part, factor) in parts.iter().zip(factors) {
            let from = self.value(part.input);
            let coefficient =
                if small { fixed_small(node, factor)?.0 } else { fixed(node, factor)? };
            terms.push(if part.labels == same {
                Term::Scale { input: from.tensor, coefficient }
            } else {
                Term::Arrange { input: from.tensor, coefficient, labels: part.labels }
            });
        }
        let one = 2f32.powi(SHIFT.into());
        let units = bias.iter().map(|bias| round_i32(bias / after.unit * one)).collect();
        let bias = (!bias.is_empty()).then_some((everywhere(node), units));
        let table = Some(after.table);
        let shift = if small { SMALL_SHIFT } else { SHIFT };
        let value = self.emit(node, &node.shape, (terms, bias), (shift, table), after.value)?;
        self.alias(value);
        self.reached(node, after)
    }

    pub(super) fn product(
        &mut self,
        index: usize,
        inputs: [usize; 2],
        labels: [Labels; 2],
        factor: f32,
    ) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let [a, b] = inputs.map(|input| self.value(input));
        let square = a.tensor == b.tensor && labels[0] == labels[1];
        let positive = factor >= 0.0 && (square || !(a.negative || b.negative));
        let after = self.after(index, positive);
        let (coefficient, shift) = fixed_small(node, a.scale * b.scale * factor / after.unit)?;
        let term = Term::Product { inputs: [a.tensor, b.tensor], coefficient, labels };
        self.settle(node, vec![term], shift, after)
    }

    /// A function that could not join what it is of.
    pub(super) fn function(
        &mut self,
        index: usize,
        input: usize,
        function: &Function,
    ) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let from = self.value(input);
        let after = self.looked_up(function, input, !from.negative);
        let coefficient = fixed(node, from.scale / after.unit)?;
        let term = Term::Scale { input: from.tensor, coefficient };
        self.settle(node, vec![term], SHIFT, After { target: index + 1, ..after })
    }

    /// A listed table for a function of a value. Beyond twice what calibration met the function
    /// stays as it is there.
    pub(super) fn looked_up(&mut self, function: &Function, value: usize, positive: bool) -> After {
        let range = self.range(value);
        let top = f64::from((1u16 << (INDEX_BITS - u8::from(!positive))) - 1);
        let largest = f64::from(range.largest());
        let unit = if largest > 0.0 { largest / top } else { 1.0 / top };
        let (low, high) = (f64::from(range.low), f64::from(range.high));
        let limits = if low > 0.0 { (low / 2.0, high * 2.0) } else { (low * 2.0, high * 2.0) };
        let of = function.clone();
        let at = move |x: f64| {
            let value = of.at(x.clamp(limits.0, limits.1));
            if value.is_finite() { value } else { of.at(x.clamp(low, high)) }
        };
        // Of 0 a table has 0: where calibration met it, what is missing is added afterwards.
        let met = low <= 0.0 && high >= 0.0;
        let offset = if met { Some(at(0.0)).filter(|x| x.is_finite()).unwrap_or(0.0) } else { 0.0 };
        let steps = (0..=4096).map(|i| limits.0 + (limits.1 - limits.0) * f64::from(i) / 4096.0);
        let results = steps.map(|x| at(x) - offset).filter(|y| y.is_finite());
        let (least, most) = results.fold((0f64, 0f64), |(a, b), y| (a.min(y), b.max(y)));
        let top = f64::from((1u16 << RESULT_BITS) - 1);
        let scale = if most - least > 0.0 { most.max(-least) / top } else { 1.0 / top };
        #[expect(clippy::cast_precision_loss, reason = "indices are small")]
        let listing = move |u: i64| (at(u as f64 * unit) - offset) / scale;
        let table = self.tables.list(INDEX_BITS + 1, !positive, listing);
        let (negative, reach) = (least < 0.0, 1 << RESULT_BITS);
        let value_of = Value { tensor: 0, scale: number(scale), negative, reach };
        let (unit, offset) = (number(unit), number(offset));
        After { table, unit, value: value_of, target: value + 1, offset }
    }

    /// A value with no more bits than activations have: differences of larger ones leave their table.
    pub(super) fn narrow(&mut self, node: &Node, input: usize) -> Result<Value, QuantiseError> {
        let from = self.value(input);
        if from.reach <= 1 << self.low {
            return Ok(from);
        }
        let scale = self.unit(self.range(input).largest());
        let coefficient = fixed(node, from.scale / scale)?;
        let terms = vec![Term::Scale { input: from.tensor, coefficient }];
        let value = Value { scale, reach: 1 << self.low, ..from };
        let shape = self.graph.shape(input).to_vec();
        self.emit(node, &shape, (terms, None), (SHIFT, Some(CLAMP)), value)
    }

    /// A value plus the same everywhere.
    pub(super) fn shifted(
        &mut self,
        node: &Node,
        from: Value,
        offset: f32,
    ) -> Result<Value, QuantiseError> {
        let top = f32::from((1u16 << self.low) - 1);
        let scale = (f32::from(1u16 << RESULT_BITS) * from.scale + offset.abs()) / top;
        let coefficient = fixed(node, from.scale / scale)?;
        let terms = vec![Term::Scale { input: from.tensor, coefficient }];
        let last = node.shape.len() - 1;
        let bias = round_i32(offset / scale * 2f32.powi(SHIFT.into()));
        let bias = vec![bias; node.shape[last] as usize];
        let axes = u8::try_from(last).unwrap_or(0);
        let value = Value { tensor: 0, scale, negative: true, reach: 1 << self.low };
        let table = Some(CLAMP);
        self.emit(node, &node.shape, (terms, Some((axes, bias))), (SHIFT, table), value)
    }

    /// The same numbers for every input: a bias without terms.
    pub(super) fn constant(&mut self, index: usize, values: &[f32]) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let scale = self.unit(self.range(index + 1).largest());
        let units = values.iter().map(|value| round_i32(value / scale)).collect();
        let negative = values.iter().any(|value| *value < 0.0);
        let value = Value { tensor: 0, scale, negative, reach: 1 << self.low };
        let bias = Some((everywhere(node), units));
        let value = self.emit(node, &node.shape, (vec![], bias), (0, None), value)?;
        self.alias(value);
        Ok(())
    }
}

/// Labels of an operand whose last dimension is summed.
pub(super) fn row(dimensions: usize) -> Labels {
    let mut labels: Vec<u8> = (0..SUMMED).take(dimensions).collect();
    if let Some(last) = labels.last_mut() {
        *last = SUMMED;
    }
    Labels::new(&labels)
}
