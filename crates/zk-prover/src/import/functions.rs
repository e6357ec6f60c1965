//! Functions of one number.

use std::sync::Arc;

use super::{
    elementwise::channels,
    masks::trimmed,
    nodes::{Context, Read, attribute, float, product, unsupported},
    proto::NodeProto,
    value::{Pending, Value},
};
use crate::{
    function::{Function, Unary, elu, gelu, magnitude, mish, softplus, softsign},
    graph::{Kind, Part, identity},
};

/// Selu's constants, as the standard has them.
const SELU: [f32; 2] = [1.673_263_2, 1.050_701];

impl Context {
    /// A function of what is pending.
    pub(super) fn function(
        &mut self,
        node: &NodeProto,
        value: Value,
        outer: &Function,
    ) -> Read<Value> {
        let (value, inner) = match value.pending.function() {
            Some(inner) => (value, inner),
            None => (self.settle(node, value)?, Function::Input),
        };
        let function = substitute(outer, &inner);
        if !function.is_small() {
            return unsupported(node, "a function of so many parts");
        }
        Ok(Value { pending: Pending::Function(function), ..value })
    }

    pub(super) fn unary(&mut self, node: &NodeProto) -> Read<()> {
        let of = |unary| Function::Input.then(unary);
        let function = match node.op_type.as_str() {
            "Abs" => magnitude(),
            "Celu" => {
                let alpha = float(node, "alpha", 1.0);
                elu(alpha, 1.0, alpha)
            }
            "Elu" => elu(float(node, "alpha", 1.0), 1.0, 1.0),
            "Erf" => of(Unary::Erf),
            "Exp" => of(Unary::Exp),
            "Gelu" => {
                let by_tanh = attribute(node, "approximate").is_some_and(|a| a.s == b"tanh");
                gelu(by_tanh)
            }
            "Log" => of(Unary::Log),
            "Mish" => mish(),
            "Reciprocal" => Function::Constant(1.0).over(Function::Input),
            "Selu" => elu(float(node, "alpha", SELU[0]), float(node, "gamma", SELU[1]), 1.0),
            "Sigmoid" => of(Unary::Sigmoid),
            "Softplus" => softplus(),
            "Softsign" => softsign(),
            "Sqrt" => of(Unary::Sqrt),
            "Tanh" => of(Unary::Tanh),
            _ => {
                match self.constant_floats(node, 1).as_ref().map(|(_, values)| values.as_slice()) {
                    Some([2.0]) => Function::square(),
                    Some([exponent]) => Function::Power(Arc::new(Function::Input), *exponent),
                    _ => return unsupported(node, "a power that is not one constant"),
                }
            }
        };
        let value = self.raw(node, 0)?;
        let value = self.function(node, value, &function)?;
        self.alias(node, value)
    }

    /// Of a reshaped value too: it goes number by number.
    pub(super) fn rectified(
        &mut self,
        node: &NodeProto,
        value: &Value,
        limit: Option<f32>,
    ) -> Read<Value> {
        let own = self.graph.shape(value.index).to_vec();
        let made = self.make(node, own, Kind::Relu { input: value.index, limit })?;
        Ok(Value::plain(made.index, value.shape.clone()))
    }

    /// No less than one constant, no more than another.
    pub(super) fn clip(&mut self, node: &NodeProto) -> Read<()> {
        let bound = |place| self.optional(node, place, vec![]).map(|v| v.first().copied());
        let (low, high) = (bound(1)?, bound(2)?);
        self.limited(node, 0, low, high)
    }

    /// The larger, or the smaller, of a value and one constant.
    pub(super) fn extreme(&mut self, node: &NodeProto) -> Read<()> {
        let one = |place| self.constant_floats(node, place).filter(|(_, values)| values.len() == 1);
        let (place, bound) = match (node.input.len(), one(0), one(1)) {
            (2, None, Some((_, bound))) => (0, bound[0]),
            (2, Some((_, bound)), None) => (1, bound[0]),
            _ => return unsupported(node, "anything but a value and one constant"),
        };
        let (low, high) =
            if node.op_type == "Max" { (Some(bound), None) } else { (None, Some(bound)) };
        self.limited(node, place, low, high)
    }

    fn limited(
        &mut self,
        node: &NodeProto,
        place: usize,
        low: Option<f32>,
        high: Option<f32>,
    ) -> Read<()> {
        if low == Some(0.0) && high.is_none_or(|high| high > 0.0) {
            let value = self.value(node, place)?;
            let value = self.rectified(node, &value, high)?;
            return self.alias(node, value);
        }
        let mut value = self.raw(node, place)?;
        if low.is_some() || high.is_some() {
            let (low, high) = (low.unwrap_or(f32::NEG_INFINITY), high.unwrap_or(f32::INFINITY));
            value = self.function(node, value, &Function::Input.within(low, high))?;
        }
        self.alias(node, value)
    }

    /// `x` above zero, `alpha x` below: a sum of `x` and what is positive of it.
    pub(super) fn leaky(&mut self, node: &NodeProto, alpha: f32) -> Read<()> {
        let value = self.value(node, 0)?;
        if (alpha - 1.0).abs() < f32::EPSILON {
            return self.alias(node, value);
        }
        let positive = self.rectified(node, &value, None)?;
        if alpha.abs() < f32::EPSILON {
            return self.alias(node, positive);
        }
        let own = self.graph.shape(value.index).to_vec();
        let part = |index, factor| Part::whole(index, own.len(), factor);
        let parts = vec![part(value.index, alpha), part(positive.index, 1.0 - alpha)];
        let made = self.make(node, own.clone(), Kind::Combine { parts, bias: vec![] })?;
        self.alias(node, Value::plain(made.index, value.shape))
    }

    /// `alpha x + beta` cut off at 0 and 1; times `x` in a hard swish.
    pub(super) fn hard(&mut self, node: &NodeProto) -> Read<()> {
        let swish = node.op_type == "HardSwish";
        let (alpha, beta) = if swish {
            (1.0 / 6.0, 0.5)
        } else {
            (float(node, "alpha", 0.2), float(node, "beta", 0.5))
        };
        if alpha.abs() < f32::EPSILON {
            return unsupported(node, "a slope of zero");
        }
        let value = self.value(node, 0)?;
        let own = self.graph.shape(value.index).to_vec();
        let parts = vec![Part::whole(value.index, own.len(), alpha)];
        let bias = vec![beta; product(&own)];
        let line = self.make(node, own.clone(), Kind::Combine { parts, bias })?;
        let mut made = self.rectified(node, &line, Some(1.0))?;
        if swish {
            let labels = [identity(own.len()); 2];
            let inputs = [value.index, made.index];
            made = self.make(node, own, Kind::Product { inputs, labels, factor: 1.0 })?;
        }
        self.alias(node, Value::plain(made.index, value.shape))
    }

    /// As [`Self::leaky`], with a slope for each channel or for all.
    pub(super) fn sloped(&mut self, node: &NodeProto) -> Read<()> {
        let (shape, slopes) = self.floats(node, 1)?;
        let (shape, slopes) = (trimmed(shape), slopes.to_vec());
        if let [slope] = slopes.as_slice() {
            return self.leaky(node, *slope);
        }
        let value = self.raw(node, 0)?;
        let value = self.settled_whole(node, value)?;
        let rank = value.shape.len();
        if channels(&shape, &value.shape).is_none() && (rank > 1 || shape != value.shape) {
            return unsupported(node, format!("slopes {shape:?} for {:?}", value.shape));
        }
        let positive = self.rectified(node, &value, None)?;
        let own = self.graph.shape(value.index).to_vec();
        let both = [(value.index, 1.0), (positive.index, -1.0)];
        let parts = both.map(|(index, factor)| Part::whole(index, rank, factor)).to_vec();
        let kind = Kind::Combine { parts, bias: vec![] };
        let negative = self.make(node, own.clone(), kind)?;
        let sloped = self.by_channel(node, negative, &slopes, &vec![0.0; slopes.len()])?;
        let sloped = self.settled_whole(node, sloped)?;
        let parts = [sloped.index, positive.index].map(|index| Part::whole(index, rank, 1.0));
        let made = self.make(node, own, Kind::Combine { parts: parts.to_vec(), bias: vec![] })?;
        self.alias(node, made)
    }
}

/// A function of a function.
fn substitute(outer: &Function, inner: &Function) -> Function {
    let both =
        |both: &[Function; 2]| Arc::new([substitute(&both[0], inner), substitute(&both[1], inner)]);
    match outer {
        Function::Input => inner.clone(),
        Function::Constant(value) => Function::Constant(*value),
        Function::Sum(parts) => Function::Sum(both(parts)),
        Function::Product(parts) => Function::Product(both(parts)),
        Function::Quotient(parts) => Function::Quotient(both(parts)),
        Function::Power(of, exponent) => {
            Function::Power(Arc::new(substitute(of, inner)), *exponent)
        }
        Function::Within(of, low, high) => substitute(of, inner).within(*low, *high),
        Function::Of(unary, of) => Function::Of(*unary, Arc::new(substitute(of, inner))),
    }
}
