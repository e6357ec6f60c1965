//! Values while a file is read: what is still to be done to them is put off until something reads
//! them, which may do it on the way.

use probity_zk::{
    Labels,
    labels::{SUMMED, product_fits},
    network::{MAX_DIMENSIONS, MAX_OPERATIONS},
};

use super::{
    nodes::{Context, Read, misfit, name, product, unsupported},
    proto::NodeProto,
};
use crate::{
    function::Function,
    graph::{Kind, Node, Part, identity},
};

/// Most values of all nodes: files of a few bytes may name many.
const MAX_VALUES: usize = 1 << 27;
/// Most nodes, before those are joined that are one operation.
const MAX_NODES: usize = 4 * MAX_OPERATIONS;
/// Longest dimension that several become.
const MAX_MERGED: usize = 1024;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    /// A value of the graph.
    pub(super) index: usize,
    /// Its dimensions as the file sees them.
    pub(super) shape: Vec<u32>,
    /// Which dimension of the graph's value each is, where they changed places.
    pub(super) axes: Option<Vec<usize>>,
    /// What is still to be done to it.
    pub(super) pending: Pending,
}

/// What is still to be done to a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Pending {
    Nothing,
    /// Times, then plus, one number or one for each place in the last dimension.
    Affine {
        scale: Vec<f32>,
        shift: Vec<f32>,
    },
    Function(Function),
}

impl Pending {
    /// As a function of one number, if it is the same everywhere.
    pub(super) fn function(&self) -> Option<Function> {
        match self {
            Self::Nothing => Some(Function::Input),
            Self::Function(function) => Some(function.clone()),
            Self::Affine { scale, shift } => match (scale.as_slice(), shift.as_slice()) {
                ([scale], [shift]) => {
                    let scaled = Function::Input.times(Function::Constant(*scale));
                    Some(scaled.plus(Function::Constant(*shift)))
                }
                _ => None,
            },
        }
    }

    /// Times, then plus, after what is pending; `None` if a function is.
    pub(super) fn then(&self, scale: &[f32], shift: &[f32]) -> Option<Self> {
        let (scale_before, shift_before) = match self {
            Self::Nothing => (vec![1.0], vec![0.0]),
            Self::Affine { scale, shift } => (scale.clone(), shift.clone()),
            Self::Function(_) => return None,
        };
        let at = |values: &[f32], i: usize| {
            values.get(i).or_else(|| values.first()).copied().unwrap_or(0.0)
        };
        let all = [scale.len(), shift.len(), scale_before.len(), shift_before.len()];
        let count = all.into_iter().max().unwrap_or(1);
        let places = 0..count;
        Some(Self::Affine {
            scale: places.clone().map(|i| at(&scale_before, i) * at(scale, i)).collect(),
            shift: places.map(|i| at(&shift_before, i) * at(scale, i) + at(shift, i)).collect(),
        })
    }
}

impl Value {
    pub(super) fn plain(index: usize, shape: Vec<u32>) -> Self {
        Self { index, shape, axes: None, pending: Pending::Nothing }
    }

    /// The graph's dimensions' labels, from labels of the file's.
    pub(super) fn labels(&self, labels: &[u8]) -> Labels {
        let Some(axes) = &self.axes else { return Labels::new(labels) };
        let mut own = labels.to_vec();
        for (label, axis) in labels.iter().zip(axes) {
            if let Some(own) = own.get_mut(*axis) {
                *own = *label;
            }
        }
        Labels::new(&own)
    }
}

/// Labels that repeat a shape along a larger one, as ONNX broadcasts.
pub(super) fn broadcast(shape: &[u32], to: &[u32]) -> Option<Vec<u8>> {
    let missing = to.len().checked_sub(shape.len())?;
    let mut summed = SUMMED;
    let mut label = |(place, size): (usize, &u32)| {
        if to.get(place + missing) == Some(size) {
            return u8::try_from(place + missing).ok();
        }
        summed += 1;
        (*size == 1).then_some(summed - 1)
    };
    shape.iter().enumerate().map(&mut label).collect()
}

/// The shape that two shapes broadcast to.
pub(super) fn joint(a: &[u32], b: &[u32]) -> Option<Vec<u32>> {
    let count = a.len().max(b.len());
    let size = |shape: &[u32], place: usize| {
        (place + shape.len()).checked_sub(count).and_then(|i| shape.get(i).copied()).unwrap_or(1)
    };
    let one = |place| match (size(a, place), size(b, place)) {
        (a, b) if a == b => Some(a),
        (1, other) | (other, 1) => Some(other),
        _ => None,
    };
    (0..count).map(one).collect()
}

impl Context {
    /// Pushes a node under the name of the file's.
    pub(super) fn make(&mut self, node: &NodeProto, shape: Vec<u32>, kind: Kind) -> Read<Value> {
        if shape.len() > MAX_DIMENSIONS {
            let what = format!("{shape:?} beside the batch: at most {MAX_DIMENSIONS} dimensions");
            return unsupported(node, what);
        }
        if probity_zk::Shape::new(&shape).is_err() {
            return misfit(node, format!("{shape:?} is too large"));
        }
        if self.graph.nodes.len() >= MAX_NODES {
            return unsupported(node, format!("more than {MAX_NODES} values"));
        }
        self.made = self.made.saturating_add(product(&shape));
        if self.made > MAX_VALUES {
            return misfit(node, format!("more than {MAX_VALUES} values"));
        }
        self.hold(kind.parameters())?;
        if !self.fits(&shape, &kind) {
            return unsupported(node, "a value in another shape than it was made in");
        }
        self.graph.nodes.push(Node { name: name(node), shape: shape.clone(), kind });
        Ok(Value::plain(self.graph.nodes.len(), shape))
    }

    /// Whether a node reads values as they lie in the graph.
    fn fits(&self, shape: &[u32], kind: &Kind) -> bool {
        match kind {
            Kind::Combine { parts, .. } => {
                parts.iter().all(|part| part.labels.fit(shape, self.graph.shape(part.input)))
            }
            Kind::Product { inputs, labels, .. } => {
                product_fits(labels, shape, inputs.map(|input| self.graph.shape(input)))
            }
            Kind::Conv { input, .. }
            | Kind::MaxPool { input, .. }
            | Kind::AveragePool { input, .. } => self.graph.shape(*input).len() == 3,
            _ => true,
        }
    }

    /// Whether the file's dimensions are the graph's.
    pub(super) fn is_whole(&self, value: &Value) -> bool {
        let own = self.graph.shape(value.index);
        match &value.axes {
            None => own == value.shape,
            Some(axes) => {
                let turned: Option<Vec<u32>> = axes.iter().map(|a| own.get(*a).copied()).collect();
                turned.as_ref() == Some(&value.shape)
            }
        }
    }

    /// The mean over dimensions with labels that the shape does not have.
    pub(super) fn mean(
        &mut self,
        node: &NodeProto,
        value: &Value,
        shape: Vec<u32>,
        labels: &[u8],
    ) -> Read<Value> {
        #[expect(clippy::cast_precision_loss, reason = "dimensions are small")]
        let factor = product(&shape) as f32 / product(&value.shape) as f32;
        let part = Part { input: value.index, labels: value.labels(labels), factor };
        self.make(node, shape, Kind::Combine { parts: vec![part], bias: vec![] })
    }

    /// A sum of one value alone.
    fn arranged(
        &mut self,
        node: &NodeProto,
        value: &Value,
        bias: Vec<f32>,
        factor: f32,
    ) -> Read<Value> {
        let own: Vec<u8> = (0..SUMMED).take(value.shape.len()).collect();
        let part = Part { input: value.index, labels: value.labels(&own), factor };
        let kind = Kind::Combine { parts: vec![part], bias };
        self.make(node, value.shape.clone(), kind)
    }

    /// Does what is pending, so that the value is one of the graph's, read as it lies there.
    pub(super) fn settle(&mut self, node: &NodeProto, value: Value) -> Read<Value> {
        if value.axes.is_none() && value.pending == Pending::Nothing {
            return Ok(value);
        }
        let value = self.laid_out(node, value)?;
        if !self.is_whole(&value) {
            return self.settle_reshaped(node, value);
        }
        let pending = value.pending.clone();
        let mut value = Value { pending: Pending::Nothing, ..value };
        if value.axes.is_some() {
            value = self.arranged(node, &value, vec![], 1.0)?;
        }
        match pending {
            Pending::Nothing => Ok(value),
            Pending::Function(function) if function == Function::square() => {
                let labels = [identity(value.shape.len()); 2];
                let kind = Kind::Product { inputs: [value.index; 2], labels, factor: 1.0 };
                self.make(node, value.shape, kind)
            }
            Pending::Function(function) => {
                if !function.is_small() {
                    return unsupported(node, "a function of so many parts");
                }
                self.make(node, value.shape, Kind::Function { input: value.index, function })
            }
            Pending::Affine { scale, shift } => self.affine(node, value, &scale, &shift),
        }
    }

    /// What goes number by number is done in the graph's shape.
    fn settle_reshaped(&mut self, node: &NodeProto, value: Value) -> Read<Value> {
        let each = match &value.pending {
            Pending::Affine { scale, shift } => scale.len() == 1 && shift.len() == 1,
            _ => true,
        };
        if value.axes.is_some() || !each {
            return unsupported(node, "a reshaped value here");
        }
        let own = self.graph.shape(value.index).to_vec();
        let settled = self.settle(node, Value { shape: own, ..value.clone() })?;
        Ok(Value { shape: value.shape, ..settled })
    }

    /// As [`Self::settle`], of a value that is read in its own shape.
    pub(super) fn settled_whole(&mut self, node: &NodeProto, value: Value) -> Read<Value> {
        let value = self.settle(node, value)?;
        let value = self.laid_out(node, value)?;
        let value = self.merged(node, value)?;
        if self.is_whole(&value) { Ok(value) } else { unsupported(node, "a reshaped value here") }
    }

    /// A value whose shape differs from the graph's in ones alone, laid out in its own.
    pub(super) fn laid_out(&mut self, node: &NodeProto, value: Value) -> Read<Value> {
        let from = self.graph.shape(value.index);
        let long = |shape: &[u32]| -> Vec<u32> {
            shape.iter().copied().filter(|size| *size > 1).collect()
        };
        if value.axes.is_some() || from == value.shape || long(from) != long(&value.shape) {
            return Ok(value);
        }
        let (mut summed, mut places) = (SUMMED, (0u8..).zip(&value.shape).filter(|(_, s)| **s > 1));
        let label = |size: &u32| {
            if *size > 1 {
                return places.next().map_or(summed, |(place, _)| place);
            }
            summed += 1;
            summed - 1
        };
        let labels: Vec<u8> = from.iter().map(label).collect();
        let part = Part { input: value.index, labels: Labels::new(&labels), factor: 1.0 };
        let kind = Kind::Combine { parts: vec![part], bias: vec![] };
        let made = self.make(node, value.shape.clone(), kind)?;
        Ok(Value { index: made.index, ..value })
    }

    /// A value whose last dimension is several of the graph's, made to be one: a product with ones and
    /// zeros.
    pub(super) fn merged(&mut self, node: &NodeProto, value: Value) -> Read<Value> {
        let from = self.graph.shape(value.index);
        let Some((size, kept)) = value.shape.split_last() else { return Ok(value) };
        let (size, own) = (*size as usize, from.get(kept.len()..).unwrap_or_default());
        let several = own.len() > 1 && from.starts_with(kept) && product(own) == size;
        let plain = value.axes.is_none() && value.pending == Pending::Nothing;
        if !several || !plain || size > MAX_MERGED {
            return Ok(value);
        }
        let shape = value.shape.clone();
        let mut weights = vec![0.0; size * size];
        weights.iter_mut().step_by(size + 1).for_each(|weight| *weight = 1.0);
        let kept = u8::try_from(kept.len()).unwrap_or(u8::MAX);
        let kind = Kind::Dense { input: value.index, kept, weights, bias: vec![0.0; size] };
        self.make(node, shape, kind)
    }

    fn affine(
        &mut self,
        node: &NodeProto,
        mut value: Value,
        scale: &[f32],
        shift: &[f32],
    ) -> Read<Value> {
        let mut factor = 1.0;
        if let [all] = scale {
            factor = *all;
        } else {
            value =
                self.times_constant(node, &value, vec![value.shape[value.shape.len() - 1]], scale)?;
        }
        let bias = if shift.iter().all(|x| *x == 0.0) { &[][..] } else { shift };
        if bias.is_empty() && scale.len() > 1 {
            return Ok(value);
        }
        let bias = bias.iter().copied().cycle().take(if bias.is_empty() {
            0
        } else {
            product(&value.shape)
        });
        let bias = bias.collect();
        self.arranged(node, &value, bias, factor)
    }

    /// A product with a constant of a shape that the value's ends in.
    pub(super) fn times_constant(
        &mut self,
        node: &NodeProto,
        value: &Value,
        shape: Vec<u32>,
        values: &[f32],
    ) -> Read<Value> {
        let constant = self.make(node, shape, Kind::Constant { values: values.to_vec() })?;
        let own: Vec<u8> = (0..SUMMED).take(value.shape.len()).collect();
        let Some(labels) = broadcast(&constant.shape, &value.shape) else {
            return misfit(node, format!("{:?} times {:?}", value.shape, constant.shape));
        };
        let labels = [value.labels(&own), Labels::new(&labels)];
        let inputs = [value.index, constant.index];
        self.make(node, value.shape.clone(), Kind::Product { inputs, labels, factor: 1.0 })
    }
}
