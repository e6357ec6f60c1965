//! Sums and products, number by number or over dimensions.

use probity_zk::{Labels, labels::SUMMED};

use super::{
    gather::of_value,
    masks::trimmed,
    nodes::{Context, Read, integer, misfit, product, unsupported},
    proto::NodeProto,
    tensor::Constant,
    value::{Pending, Value, broadcast, joint},
};
use crate::{
    function::Function,
    graph::{Kind, Node, Part},
};

/// Sums and products of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
}

impl Binary {
    fn join(self, a: Function, b: Function) -> Function {
        match self {
            Self::Add => a.plus(b),
            Self::Sub => a.plus(b.times(Function::Constant(-1.0))),
            Self::Mul => a.times(b),
            Self::Div => a.over(b),
        }
    }
}

impl Context {
    pub(super) fn binary(&mut self, node: &NodeProto, binary: Binary) -> Read<()> {
        if binary == Binary::Add
            && let Some(place) = self.added_mask(node)
        {
            return self.add_mask(node, place);
        }
        let constants = [0, 1].map(|place| self.constant_floats(node, place));
        let value = match constants {
            [Some(_), Some(_)] => return unsupported(node, "two constants"),
            [None, Some((shape, values))] => {
                let value = self.raw(node, 0)?;
                self.with_constant(node, binary, value, (&shape, &values))?
            }
            [Some((shape, values)), None] => {
                let value = self.raw(node, 1)?;
                let turned = match binary {
                    Binary::Add | Binary::Mul => value,
                    Binary::Sub => self.scaled(node, value, &[-1.0], &[0.0])?,
                    Binary::Div => {
                        let over = Function::Constant(1.0).over(Function::Input);
                        self.function(node, value, &over)?
                    }
                };
                let binary = match binary {
                    Binary::Add | Binary::Sub => Binary::Add,
                    Binary::Mul | Binary::Div => Binary::Mul,
                };
                self.with_constant(node, binary, turned, (&shape, &values))?
            }
            [None, None] => {
                let (a, b) = (self.raw(node, 0)?, self.raw(node, 1)?);
                self.of_two(node, binary, a, b)?
            }
        };
        self.alias(node, value)
    }

    /// Of any number of values.
    pub(super) fn sum(&mut self, node: &NodeProto) -> Read<()> {
        let mut sum: Option<Value> = None;
        let is_constant = |place: &usize| self.constant_floats(node, *place).is_some();
        let (constants, values): (Vec<usize>, Vec<usize>) =
            (0..node.input.len()).partition(is_constant);
        for place in values {
            let more = self.raw(node, place)?;
            sum = Some(match sum {
                Some(sum) => self.of_two(node, Binary::Add, sum, more)?,
                None => more,
            });
        }
        let Some(mut sum) = sum else { return unsupported(node, "a sum of constants") };
        for place in constants {
            let (shape, values) = self.constant_floats(node, place).unwrap_or_default();
            sum = self.with_constant(node, Binary::Add, sum, (&shape, &values))?;
        }
        self.alias(node, sum)
    }

    pub(super) fn constant_floats(
        &self,
        node: &NodeProto,
        place: usize,
    ) -> Option<(Vec<usize>, Vec<f32>)> {
        match self.constants.get(node.input.get(place)?) {
            Some(constant @ Constant::Floats { shape, values }) if constant.is_finite() => {
                Some((shape.clone(), values.clone()))
            }
            _ => None,
        }
    }

    /// Times, then plus, put off.
    pub(super) fn scaled(
        &mut self,
        node: &NodeProto,
        value: Value,
        scale: &[f32],
        shift: &[f32],
    ) -> Read<Value> {
        let same = scale.len() == 1 && shift.len() == 1;
        if same && let Pending::Function(function) = &value.pending {
            let function = function.clone().times(Function::Constant(scale[0]));
            let function = function.plus(Function::Constant(shift[0]));
            if !function.is_small() {
                return unsupported(node, "a function of so many parts");
            }
            return Ok(Value { pending: Pending::Function(function), ..value });
        }
        if !same {
            self.hold(2 * scale.len().max(shift.len()))?;
        }
        let value = match &value.pending {
            // Along the last dimension as the graph has it.
            Pending::Function(_) => self.settle(node, value)?,
            _ if !same && value.axes.is_some() => self.settle(node, value)?,
            _ => value,
        };
        match value.pending.then(scale, shift) {
            Some(pending) => Ok(Value { pending, ..value }),
            None => unsupported(node, "this order of functions"),
        }
    }

    fn with_constant(
        &mut self,
        node: &NodeProto,
        binary: Binary,
        value: Value,
        (shape, values): (&[usize], &[f32]),
    ) -> Read<Value> {
        let last = value.shape.last().copied().unwrap_or(1);
        let shape = trimmed(shape);
        if matches!(binary, Binary::Add | Binary::Sub) {
            let sign = if binary == Binary::Add { 1.0 } else { -1.0 };
            let added: Vec<f32> = values.iter().map(|value| value * sign).collect();
            if self.join_bias(&value, &shape, &added) {
                return Ok(value);
            }
            if added.len() == 1 || (shape == [last] && self.is_whole(&value)) {
                return self.scaled(node, value, &[1.0], &added);
            }
            if let Some(channels) = channels(&shape, &value.shape) {
                return self.by_channel(node, value, &vec![1.0; channels], &added);
            }
            let value = self.settled_whole(node, value)?;
            let size = product(&value.shape);
            if broadcast(&shape, &value.shape).is_none()
                || !size.is_multiple_of(added.len().max(1))
                || !value.shape.ends_with(&shape)
            {
                return misfit(node, format!("{:?} plus {shape:?}", value.shape));
            }
            let bias = added.iter().copied().cycle().take(size).collect();
            let parts = vec![Part::whole(value.index, value.shape.len(), 1.0)];
            return self.make(node, value.shape, Kind::Combine { parts, bias });
        }
        let factors: Vec<f32> = match binary {
            Binary::Div => values.iter().map(|value| 1.0 / value).collect(),
            _ => values.to_vec(),
        };
        if factors.iter().any(|factor| !factor.is_finite()) {
            return unsupported(node, "a division by zero");
        }
        if factors.len() == 1 || (shape == [last] && self.is_whole(&value)) {
            return self.scaled(node, value, &factors, &[0.0]);
        }
        if let Some(channels) = channels(&shape, &value.shape) {
            return self.by_channel(node, value, &factors, &vec![0.0; channels]);
        }
        let value = self.settled_whole(node, value)?;
        if !value.shape.ends_with(&shape) {
            return misfit(node, format!("{:?} times {shape:?}", value.shape));
        }
        self.times_constant(node, &value, shape, &factors)
    }

    /// A constant joins the bias of the product right before it, if nothing else reads that.
    fn join_bias(&mut self, value: &Value, shape: &[u32], added: &[f32]) -> bool {
        let alone = value.index == self.graph.nodes.len()
            && value.axes.is_none()
            && value.pending == Pending::Nothing
            && self.is_whole(value)
            && self.reads(value.index) <= 1;
        let whole = product(&value.shape);
        let Some(Node { kind: Kind::Dense { bias, .. }, .. }) =
            self.graph.nodes.last_mut().filter(|_| alone)
        else {
            return false;
        };
        let along = added.len() == 1 || value.shape.ends_with(shape);
        if !along || added.is_empty() {
            return false;
        }
        if added.len() > bias.len() {
            *bias = bias.iter().copied().cycle().take(whole).collect();
        }
        if !bias.len().is_multiple_of(added.len()) {
            return false;
        }
        for (bias, added) in bias.iter_mut().zip(added.iter().cycle()) {
            *bias += added;
        }
        true
    }

    fn of_two(&mut self, node: &NodeProto, binary: Binary, a: Value, b: Value) -> Read<Value> {
        let plain = [&a, &b].map(|value| value.pending == Pending::Nothing);
        let alike = (a.index, &a.shape, &a.axes) == (b.index, &b.shape, &b.axes);
        if alike
            && plain != [true, true]
            && let (Some(f), Some(g)) = (a.pending.function(), b.pending.function())
        {
            let function = binary.join(f, g);
            if !function.is_small() {
                return unsupported(node, "a function of so many parts");
            }
            return Ok(Value { pending: Pending::Function(function), ..a });
        }
        let b = match (binary, b.pending.function()) {
            (Binary::Div, Some(function)) => {
                let over = Function::Constant(1.0).over(function);
                Value { pending: Pending::Function(over), ..b }
            }
            (Binary::Div, None) => return unsupported(node, "a division by this value"),
            _ => b,
        };
        let a = self.settle(node, a)?;
        let a = self.laid_out(node, a)?;
        let b = self.settle(node, b)?;
        let b = self.laid_out(node, b)?;
        let Some(shape) = joint(&a.shape, &b.shape) else {
            return misfit(node, format!("{:?} with {:?}", a.shape, b.shape));
        };
        if !self.is_whole(&a) || !self.is_whole(&b) {
            return unsupported(node, "a reshaped value here");
        }
        let labels = [&a, &b].map(|value| broadcast(&value.shape, &shape).unwrap_or_default());
        let labels = labels.map(|labels| Labels::new(&labels));
        let inputs = [a.index, b.index];
        let kind = match binary {
            Binary::Mul | Binary::Div => Kind::Product { inputs, labels, factor: 1.0 },
            Binary::Add | Binary::Sub => {
                let factors = [1.0, if binary == Binary::Add { 1.0 } else { -1.0 }];
                let part =
                    |i: usize| Part { input: inputs[i], labels: labels[i], factor: factors[i] };
                Kind::Combine { parts: vec![part(0), part(1)], bias: vec![] }
            }
        };
        self.make(node, shape, kind)
    }

    pub(super) fn negative(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let value = self.scaled(node, value, &[-1.0], &[0.0])?;
        self.alias(node, value)
    }

    /// Axes without the batch, in order; `None` if it is among them.
    fn reduced(&self, node: &NodeProto, rank: usize) -> Read<Option<Vec<usize>>> {
        let axes = self.axes(node)?.unwrap_or_default();
        let axes: Option<Vec<usize>> = axes.iter().map(|axis| of_value(*axis, rank)).collect();
        Ok(axes.filter(|axes| !axes.is_empty() && axes.len() <= usize::from(SUMMED)))
    }

    /// A sum or mean over dimensions.
    pub(super) fn reduce(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let Some(axes) = self.reduced(node, value.shape.len())? else {
            return unsupported(node, "a mean over these axes");
        };
        let keep = integer(node, "keepdims", 1) != 0;
        let square = value.pending == Pending::Function(Function::square());
        let value = if square {
            Value { pending: Pending::Nothing, ..value }
        } else if value.pending == Pending::Nothing {
            value
        } else {
            self.settle(node, value)?
        };
        let value = self.laid_out(node, value)?;
        let value = self.merged(node, value)?;
        if !self.is_whole(&value) {
            return unsupported(node, "a mean of a reshaped value");
        }
        let (mut shape, mut labels, mut summed, mut count) = (vec![], vec![], SUMMED, 1);
        for (place, size) in value.shape.iter().enumerate() {
            if axes.contains(&place) {
                count *= *size;
                labels.push(summed);
                summed += 1;
                if keep {
                    shape.push(1);
                }
            } else {
                labels.push(u8::try_from(shape.len()).unwrap_or(u8::MAX));
                shape.push(*size);
            }
        }
        if shape.is_empty() {
            shape.push(1);
        }
        #[expect(clippy::cast_precision_loss, reason = "dimensions are small")]
        let factor = if node.op_type == "ReduceMean" { 1.0 / count as f32 } else { 1.0 };
        let labels = value.labels(&labels);
        let kind = if square {
            Kind::Product { inputs: [value.index; 2], labels: [labels; 2], factor }
        } else {
            let part = Part { input: value.index, labels, factor };
            Kind::Combine { parts: vec![part], bias: vec![] }
        };
        let value = self.make(node, shape, kind)?;
        self.alias(node, value)
    }
}

/// How many channels a constant has that goes along the first of two or three dimensions.
pub(super) fn channels(shape: &[u32], of: &[u32]) -> Option<usize> {
    match (shape, of) {
        ([channels, 1, 1], [own, _, _]) | ([channels, 1], [own, _]) if channels == own => {
            Some(*channels as usize)
        }
        _ => None,
    }
}
