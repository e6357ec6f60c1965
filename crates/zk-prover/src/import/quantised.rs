//! Quantised operators. A quantised constant is the floats it stands for; a quantised activation is
//! the activation itself, but for what its zero point cuts off below: integers are chosen anew, by
//! calibration.

use super::{
    nodes::{Context, Read, integer, misfit, unsupported},
    proto::NodeProto,
    tensor::Constant,
    value::Value,
};
use crate::graph::Kind;

/// What a quantised tensor's integers mean: scale and zero, for all or for each place along an axis.
struct Meaning {
    scale: Vec<f32>,
    zero: Vec<i64>,
    /// Least integer.
    least: i64,
}

impl Meaning {
    fn at(&self, place: usize) -> Option<(f32, i64)> {
        let scale = self.scale.get(place).or(self.scale.first())?;
        let zero = self.zero.get(place).or(self.zero.first()).copied().unwrap_or(0);
        Some((*scale, zero))
    }
}

impl Context {
    fn meaning(&self, node: &NodeProto, scale: usize, zero: usize) -> Read<Meaning> {
        let (zero, least) = match node.input.get(zero).and_then(|name| self.constants.get(name)) {
            Some(Constant::Integers { values, least, .. }) => (values.clone(), *least),
            Some(Constant::Floats { .. }) => return unsupported(node, "a zero point of floats"),
            None => (vec![0], 0),
        };
        Ok(Meaning { scale: self.floats(node, scale)?.1.to_vec(), zero, least })
    }

    /// The floats that a constant stands for.
    fn dequantised(
        &self,
        node: &NodeProto,
        place: usize,
        meaning: &Meaning,
        axis: i64,
    ) -> Read<(Vec<usize>, Vec<f32>)> {
        let name = node.input.get(place).map_or("", String::as_str);
        let Some(Constant::Integers { shape, values, .. }) = self.constants.get(name) else {
            return unsupported(node, format!("input {place} that is not a constant of integers"));
        };
        let rank = i64::try_from(shape.len()).unwrap_or(0);
        let axis = if axis < 0 { axis.saturating_add(rank) } else { axis };
        let axis = usize::try_from(axis).unwrap_or(0).min(shape.len());
        let count = meaning.scale.len().max(meaning.zero.len());
        if count > 1 && shape.get(axis) != Some(&count) {
            return misfit(node, format!("{count} scales along dimension {axis} of {shape:?}"));
        }
        let inner: usize = shape.iter().skip(axis + 1).product();
        let value = |(at, value): (usize, &i64)| {
            let (scale, zero) = meaning.at(at / inner.max(1) % count.max(1))?;
            // Sums of products reach 2^31, which floats hold but for rounding.
            #[expect(clippy::cast_precision_loss, reason = "weights are below 2^24")]
            Some(value.saturating_sub(zero) as f32 * scale)
        };
        let values: Option<Vec<f32>> = values.iter().enumerate().map(value).collect();
        match values.filter(|values| values.iter().all(|value| value.is_finite())) {
            Some(values) => Ok((shape.clone(), values)),
            None => misfit(node, "scales that are not finite, or none"),
        }
    }

    /// What is below a quantised activation's least integer is cut off: with its zero there, that is
    /// a `Relu` (with a limit), which exporters then leave out. Other limits are calibration's.
    fn cut_off(&mut self, node: &NodeProto, value: Value, meaning: &Meaning) -> Read<Value> {
        let ([scale], [zero]) = (meaning.scale.as_slice(), meaning.zero.as_slice()) else {
            return unsupported(node, "activations with several scales");
        };
        if *zero != meaning.least || !matches!(meaning.least, -128 | 0) {
            return Ok(value);
        }
        let limit = 255.0 * scale;
        if limit <= 0.0 {
            return unsupported(node, "a scale that is not positive");
        }
        if self.limit(value.index).is_some_and(|known| known <= limit * 1.001) {
            return Ok(value);
        }
        self.rectified(node, &value, Some(limit))
    }

    /// What a value is at most, if it is at least 0.
    fn limit(&self, value: usize) -> Option<f32> {
        match self.graph.nodes.get(value.checked_sub(1)?)?.kind {
            Kind::Relu { limit, .. } => limit,
            Kind::MaxPool { input, .. } | Kind::AveragePool { input, .. } => self.limit(input),
            _ => None,
        }
    }

    /// `DequantizeLinear`: a constant becomes floats; of an activation nothing is left to do.
    pub(super) fn dequantise(&mut self, node: &NodeProto) -> Read<()> {
        let constant = node.input.first().is_some_and(|name| self.constants.contains_key(name));
        if !constant {
            let value = self.raw(node, 0)?;
            return self.alias(node, value);
        }
        let axis = integer(node, "axis", 1);
        let meaning = self.meaning(node, 1, 2)?;
        let (shape, values) = self.dequantised(node, 0, &meaning, axis)?;
        self.define(node, Constant::Floats { shape, values })
    }

    /// `QuantizeLinear` of an activation.
    pub(super) fn requantise(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.value(node, 0)?;
        let meaning = self.meaning(node, 1, 2)?;
        let value = self.cut_off(node, value, &meaning)?;
        self.alias(node, value)
    }

    /// `QLinearConv` and `QLinearMatMul`, as what they are of floats.
    pub(super) fn quantised_layer(&mut self, node: &NodeProto) -> Read<()> {
        let is_conv = node.op_type == "QLinearConv";
        let axis = i64::from(!is_conv);
        let weights = self.meaning(node, 4, 5)?;
        let (shape, values) = self.dequantised(node, 3, &weights, axis)?;
        let fresh =
            |what: &str| format!("{what} of {}", node.output.first().map_or("", |name| name));
        let mut input = vec![node.input.first().cloned().unwrap_or_default(), fresh("weights")];
        if is_conv && node.input.get(8).is_some_and(|name| !name.is_empty()) {
            // A bias is in units of input and weight.
            let of_input = self.floats(node, 1)?.1.first().copied().unwrap_or(1.0);
            let scale = weights.scale.iter().map(|scale| scale * of_input).collect();
            let (shape, values) =
                self.dequantised(node, 8, &Meaning { scale, zero: vec![0], least: 0 }, 0)?;
            self.constants.insert(fresh("bias"), Constant::Floats { shape, values });
            input.push(fresh("bias"));
        }
        self.constants.insert(fresh("weights"), Constant::Floats { shape, values });
        let op_type = if is_conv { "Conv" } else { "MatMul" }.to_owned();
        let plain = NodeProto {
            input,
            output: node.output.clone(),
            name: node.name.clone(),
            op_type,
            attribute: node.attribute.clone(),
            ..NodeProto::default()
        };
        self.node(&plain)?;
        let output = NodeProto { input: node.output.clone(), ..plain };
        let value = self.value(&output, 0)?;
        let meaning = self.meaning(node, 6, 7)?;
        let value = self.cut_off(node, value, &meaning)?;
        self.alias(node, value)
    }
}
