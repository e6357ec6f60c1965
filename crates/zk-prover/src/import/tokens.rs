//! Operators of transformers: products of activations, transpositions, softmax, normalisation.

use probity_zk::{Labels, labels::SUMMED};

use super::{
    ImportError,
    nodes::{
        Context, Read, attribute, float, integer, misfit, name, product, transposed, unsupported,
    },
    proto::NodeProto,
    tensor::Constant,
    value::{Pending, Value, joint},
};
use crate::{
    function::{Function, Unary},
    graph::{Kind, Part, identity},
};

impl Context {
    /// Dimensions change places when something reads the value.
    pub(super) fn transpose(&mut self, node: &NodeProto) -> Read<()> {
        if let Some(Constant::Floats { shape, values }) = self.constants.get(Self::input(node, 0)?)
        {
            let order = attribute(node, "perm").map_or(&[1, 0][..], |perm| perm.ints.as_slice());
            let (&[rows, columns], &[1, 0]) = (shape.as_slice(), order) else {
                return unsupported(node, "a transposition of this constant");
            };
            let values = transposed(values, rows, columns);
            return self.define(node, Constant::Floats { shape: vec![columns, rows], values });
        }
        let value = self.raw(node, 0)?;
        let rank = value.shape.len();
        let reversed: Vec<i64> = (0..=rank).rev().filter_map(|i| i64::try_from(i).ok()).collect();
        let order = attribute(node, "perm").map_or(reversed, |perm| perm.ints.clone());
        let axes: Option<Vec<usize>> =
            order.iter().skip(1).map(|axis| usize::try_from(axis.saturating_sub(1)).ok()).collect();
        let mut sorted = axes.clone().unwrap_or_default();
        sorted.sort_unstable();
        let Some(axes) =
            axes.filter(|_| order.first() == Some(&0) && sorted.into_iter().eq(0..rank))
        else {
            return unsupported(node, format!("a transposition by {order:?}"));
        };
        // What goes along the last dimension has to be done before it moves.
        let vector = matches!(&value.pending, Pending::Affine { scale, .. } if scale.len() > 1);
        let now = vector || !self.is_whole(&value);
        let value = if now { self.settle(node, value)? } else { value };
        if let Some(value) = self.shuffled(node, &value, &axes)? {
            return self.alias(node, value);
        }
        let value = self.merged(node, value)?;
        if !self.is_whole(&value) {
            return unsupported(node, "a transposition of a reshaped value");
        }
        let before = value.axes.clone().unwrap_or_else(|| (0..rank).collect());
        let shape = axes.iter().map(|axis| value.shape[*axis]).collect();
        let axes: Vec<usize> = axes.iter().map(|axis| before[*axis]).collect();
        let axes = (!axes.iter().copied().eq(0..rank)).then_some(axes);
        self.alias(node, Value { shape, axes, ..value })
    }

    /// Channels in groups, the first of each group first: what shuffles them.
    fn shuffled(&mut self, node: &NodeProto, value: &Value, axes: &[usize]) -> Read<Option<Value>> {
        let &[groups, each, rows, columns] = value.shape.as_slice() else { return Ok(None) };
        let channels = groups.saturating_mul(each);
        let own = vec![channels, rows, columns];
        let plain = value.axes.is_none() && value.pending == Pending::Nothing;
        if axes != [1, 0, 2, 3] || !plain || self.graph.shape(value.index) != own {
            return Ok(None);
        }
        let image = Value::plain(value.index, own);
        let from = |channel: u32| (channel % groups * each + channel / groups) as usize;
        let from: Vec<(usize, f32)> = (0..channels).map(|channel| (from(channel), 1.0)).collect();
        let mixed = self.mixed(node, &image, &from, vec![0.0; from.len()])?;
        Ok(Some(Value::plain(mixed.index, vec![each, groups, rows, columns])))
    }

    /// A product of two values, neither of them constant.
    pub(super) fn product(&mut self, node: &NodeProto) -> Read<()> {
        let mut values = [self.raw(node, 0)?, self.raw(node, 1)?];
        let mut factor = 1.0;
        for value in &mut values {
            let turned = value.clone();
            // One factor for all goes through the product.
            match &turned.pending {
                Pending::Affine { scale, shift }
                    if scale.len() == 1 && shift.as_slice() == [0.0] =>
                {
                    factor *= scale[0];
                    value.pending = Pending::Nothing;
                }
                Pending::Nothing => {}
                _ => *value = self.settle(node, turned)?,
            }
            *value = self.merged(node, value.clone())?;
        }
        let [a, b] = values;
        let (ranks, fits) =
            ([a.shape.len(), b.shape.len()], self.is_whole(&a) && self.is_whole(&b));
        if ranks[0] < 2 || ranks[1] < 2 || !fits {
            return unsupported(node, "a product of vectors or reshaped values");
        }
        let (rows, inner) = (a.shape[ranks[0] - 2], a.shape[ranks[0] - 1]);
        let (other, columns) = (b.shape[ranks[1] - 2], b.shape[ranks[1] - 1]);
        let outer = joint(&a.shape[..ranks[0] - 2], &b.shape[..ranks[1] - 2]);
        let Some(outer) = outer.filter(|_| inner == other) else {
            return misfit(node, format!("{:?} times {:?}", a.shape, b.shape));
        };
        if outer.len() > 2 {
            let what =
                format!("a product over {} dimensions beside the batch: at most 2", outer.len());
            return unsupported(node, what);
        }
        let shape = [&outer[..], &[rows, columns]].concat();
        let row = u8::try_from(outer.len()).unwrap_or(u8::MAX);
        let labels = [(&a, [row, SUMMED]), (&b, [SUMMED, row + 1])].map(|(value, own)| {
            let front = value.shape.len() - 2;
            let mut next = SUMMED;
            let label = |(place, size): (usize, &u32)| {
                let place = place + outer.len() - front;
                if outer.get(place) == Some(size) {
                    return u8::try_from(place).unwrap_or(u8::MAX);
                }
                next += 1;
                next
            };
            let outer: Vec<u8> = value.shape[..front].iter().enumerate().map(label).collect();
            value.labels(&[outer, own.to_vec()].concat())
        });
        let kind = Kind::Product { inputs: [a.index, b.index], labels, factor };
        let value = self.make(node, shape, kind)?;
        self.alias(node, value)
    }

    pub(super) fn softmax(&mut self, node: &NodeProto) -> Read<()> {
        let masked = node.input.first().and_then(|name| self.masked.get(name)).cloned();
        let (value, mask) = match masked {
            Some((scores, mask)) => (scores, Some(mask)),
            None => (self.raw(node, 0)?, None),
        };
        if mask.is_some() && node.op_type == "LogSoftmax" {
            return unsupported(node, "a mask before it");
        }
        let value = self.settled_whole(node, value)?;
        let rank = i64::try_from(value.shape.len()).unwrap_or(i64::MAX);
        let axis = integer(node, "axis", -1);
        if axis != -1 && axis != rank {
            return unsupported(node, "a softmax over any but the last dimension");
        }
        if node.op_type == "LogSoftmax" {
            return self.log_softmax(node, value);
        }
        let kind = Kind::Softmax { input: value.index, mask };
        let value = self.make(node, value.shape, kind)?;
        self.alias(node, value)
    }

    /// Less the logarithm of the sum of exponentials.
    fn log_softmax(&mut self, node: &NodeProto, value: Value) -> Read<()> {
        let (rank, mut rows) = (value.shape.len(), value.shape.clone());
        rows[rank - 1] = 1;
        let sum = self.make(node, rows, Kind::LogSumExp { input: value.index })?;
        let whole = Part::whole(value.index, rank, 1.0);
        let less = Part { input: sum.index, labels: along(rank), factor: -1.0 };
        let kind = Kind::Combine { parts: vec![whole, less], bias: vec![] };
        let value = self.make(node, value.shape, kind)?;
        self.alias(node, value)
    }

    /// Less the mean, by the root of the mean square; factors and shifts are put off.
    pub(super) fn layer_normalization(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let value = self.settled_whole(node, value)?;
        let rank = value.shape.len();
        let axis = integer(node, "axis", -1);
        if axis != -1 && axis != i64::try_from(rank).unwrap_or(0) {
            return unsupported(node, "a normalisation over any but the last dimension");
        }
        let size = value.shape[rank - 1];
        let scale = self.optional(node, 1, vec![1.0])?;
        let shift = self.optional(node, 2, vec![0.0])?;
        if [&scale, &shift].iter().any(|v| v.len() != 1 && v.len() != size as usize) {
            return misfit(node, format!("{} factors for {size} values", scale.len()));
        }
        #[expect(clippy::cast_precision_loss, reason = "dimensions are small")]
        let share = 1.0 / size as f32;
        let along = along(rank);
        let mut reduced = value.shape.clone();
        reduced[rank - 1] = 1;
        let whole = Part::whole(value.index, rank, 1.0);
        let mean = Part { input: value.index, labels: along, factor: -share };
        let parts = vec![whole, mean];
        let centred = self.make(node, value.shape, Kind::Combine { parts, bias: vec![] })?;
        let inputs = [centred.index; 2];
        let square = Kind::Product { inputs, labels: [along; 2], factor: share };
        let variance = self.make(node, reduced, square)?;
        let epsilon = Function::Constant(float(node, "epsilon", 1e-5));
        let root = Function::Input.plus(epsilon).then(Unary::Sqrt);
        let function = Function::Constant(1.0).over(root);
        let kind = Kind::Function { input: variance.index, function };
        let inverse = self.make(node, variance.shape, kind)?;
        let labels = [identity(rank), along];
        let inputs = [centred.index, inverse.index];
        let kind = Kind::Product { inputs, labels, factor: 1.0 };
        let normal = self.make(node, centred.shape, kind)?;
        match normal.pending.then(&scale, &shift) {
            Some(pending) => self.alias(node, Value { pending, ..normal }),
            None => Err(ImportError::Unsupported { node: name(node), what: "this".to_owned() }),
        }
    }

    /// A shape that splits the dimensions that a matrix product brings is the product's own.
    pub(super) fn split(&mut self, value: &Value, shape: &[u32]) -> bool {
        if value.axes.is_some() || !self.is_whole(value) || shape.len() > 4 {
            return false;
        }
        let Some(at) = value.index.checked_sub(1) else { return false };
        let reads = self.reads(value.index);
        let Some(of_graph) = self.graph.nodes.get_mut(at) else { return false };
        let Kind::Dense { kept, .. } = of_graph.kind else { return false };
        let kept = usize::from(kept);
        let same = of_graph.shape.get(..kept) == shape.get(..kept)
            && shape.len() > kept
            && product(&of_graph.shape) == product(shape);
        if same && reads <= 1 && value.pending == Pending::Nothing {
            of_graph.shape = shape.to_vec();
            return true;
        }
        false
    }
}

/// Labels of a value that has one number for each row, or whose rows are summed.
fn along(rank: usize) -> Labels {
    let mut labels: Vec<u8> = (0..SUMMED).take(rank).collect();
    labels[rank - 1] = SUMMED;
    Labels::new(&labels)
}
