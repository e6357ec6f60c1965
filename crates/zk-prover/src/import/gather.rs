//! Parts of values: rows of a table by number, one place of a dimension, pieces side by side.

use probity_zk::{Labels, labels::SUMMED, network::MAX_KERNEL};

use super::{
    MAX_PARAMETERS,
    constants::{from_behind, listed, places},
    images::SINGLE,
    nodes::{Context, Read, integer, misfit, unsupported},
    proto::NodeProto,
    tensor::Constant,
    value::{Pending, Value},
};
use crate::graph::{Kind, Node};

/// Inputs have eight bits, so they name rows from 0 to 127.
const MAX_ROWS: usize = 128;
/// Ends from here on are behind everything.
const END: i64 = 2_147_483_647;
/// Most dimensions that one node takes parts of.
const MAX_AXES: usize = 5;

impl Context {
    /// Rows of a constant, by constant numbers or by the model's input; or one place of a value.
    pub(super) fn gather(&mut self, node: &NodeProto) -> Read<()> {
        let constant =
            |place: usize| node.input.get(place).and_then(|name| self.constants.get(name));
        let axis = integer(node, "axis", 0);
        match (constant(0), constant(1)) {
            (
                Some(Constant::Floats { shape, values }),
                Some(Constant::Integers { shape: at, values: rows, .. }),
            ) if axis == 0 => {
                let picked = pick(shape, values, at, rows);
                let picked = picked.map_or_else(|| misfit(node, "a row that is not there"), Ok)?;
                self.define(node, picked)
            }
            (Some(Constant::Floats { shape, values }), None) if axis == 0 => {
                let (shape, values) = (shape.clone(), values.clone());
                self.embedding(node, &shape, values)
            }
            (None, Some(Constant::Integers { shape, values, .. })) if shape.is_empty() => {
                let place = values.first().copied().unwrap_or(0);
                self.place(node, axis, place)
            }
            _ => unsupported(node, "anything but rows of a constant, or one place of a value"),
        }
    }

    /// A row of a table for each of the model's inputs.
    fn embedding(&mut self, node: &NodeProto, shape: &[usize], weights: Vec<f32>) -> Read<()> {
        let &[rows, width] = shape else { return misfit(node, "a table is no matrix") };
        if weights.iter().any(|weight| !weight.is_finite()) {
            return Err(super::ImportError::NotFinite(node.name.clone()));
        }
        if rows > MAX_ROWS {
            let what = format!("a table of {rows} rows: inputs of eight bits name {MAX_ROWS}");
            return unsupported(node, what);
        }
        let value = self.raw(node, 1)?;
        let is_plain = value.pending == Pending::Nothing && value.axes.is_none();
        let is_input = value.index == 0 && is_plain && self.is_whole(&value);
        let (&[length], true) = (value.shape.as_slice(), is_input) else {
            return unsupported(node, "rows by anything but the model's input, a list of numbers");
        };
        let width = u32::try_from(width).unwrap_or(u32::MAX);
        self.push(node, vec![length, width], Kind::Embedding { input: 0, weights })
    }

    /// One place of a dimension, which is then gone.
    fn place(&mut self, node: &NodeProto, axis: i64, place: i64) -> Read<()> {
        let value = self.settled(node)?;
        let rank = value.shape.len();
        let Some(axis) = of_value(axis, rank).filter(|_| rank > 1) else {
            return unsupported(node, "a place of this dimension");
        };
        let size = value.shape[axis] as usize;
        let Some(at) = from_behind(place, size).filter(|at| *at < size) else {
            return misfit(node, format!("place {place} of {size}"));
        };
        let mut values = vec![0.0; size];
        values[at] = 1.0;
        let chosen = self.make(node, vec![value.shape[axis]], Kind::Constant { values })?;
        let mut shape = value.shape.clone();
        shape.remove(axis);
        let label = |place: usize| match place {
            _ if place == axis => SUMMED,
            _ => u8::try_from(place - usize::from(place > axis)).unwrap_or(u8::MAX),
        };
        let labels: Vec<u8> = (0..rank).map(label).collect();
        let labels = [Labels::new(&labels), Labels::new(&[SUMMED])];
        let inputs = [value.index, chosen.index];
        self.push(node, shape, Kind::Product { inputs, labels, factor: 1.0 })
    }

    /// Places of dimensions, from one to before another.
    pub(super) fn slice(&mut self, node: &NodeProto) -> Read<()> {
        let list = |place: usize| match node.input.get(place) {
            Some(name) if !name.is_empty() => {
                Some(self.constants.get(name).and_then(listed).map(<[i64]>::to_vec))
            }
            _ => None,
        };
        let (Some(Some(starts)), Some(Some(ends)), axes, steps) =
            (list(1), list(2), list(3), list(4))
        else {
            return unsupported(node, "a slice that is not constant");
        };
        let count = starts.len();
        let axes = axes.unwrap_or_else(|| Some((0..).take(count).collect()));
        let steps = steps.unwrap_or_else(|| Some(vec![1; count]));
        let (Some(axes), Some(steps)) = (axes, steps) else {
            return unsupported(node, "a slice that is not constant");
        };
        if [&ends, &axes, &steps].iter().any(|list| list.len() != count) || count > MAX_AXES {
            return misfit(node, "as many ends, axes and steps as starts are needed");
        }
        let mut value = self.settled(node)?;
        for (at, axis) in axes.into_iter().enumerate() {
            let range = (starts[at], ends[at], steps[at]);
            let rank = value.shape.len();
            // All of the batch, as exporters write it.
            if from_behind(axis, rank + 1) == Some(0) && matches!(range, (0, END.., 1)) {
                continue;
            }
            let Some(axis) = of_value(axis, rank) else {
                return unsupported(node, "a slice of the batch");
            };
            let places = places(value.shape[axis] as usize, range);
            value = self.picked(node, value, axis, &places, steps[at])?;
        }
        self.alias(node, value)
    }

    /// The first input, in its own shape.
    fn settled(&mut self, node: &NodeProto) -> Read<Value> {
        let value = self.raw(node, 0)?;
        self.settled_whole(node, value)
    }

    /// Some places of a dimension, a step apart: channels of images and the last dimension of others by
    /// products with ones and zeros, rows and columns by a window of one.
    fn picked(
        &mut self,
        node: &NodeProto,
        value: Value,
        axis: usize,
        places: &[usize],
        step: i64,
    ) -> Read<Value> {
        let (rank, size) = (value.shape.len(), value.shape[axis] as usize);
        if places.len() == size && step > 0 {
            return Ok(value);
        }
        let Some(first) = places.first() else { return misfit(node, "nothing is left") };
        if axis == 0 && (2..=3).contains(&rank) {
            let from: Vec<(usize, f32)> = places.iter().map(|place| (*place, 1.0)).collect();
            let image = self.picture(node, value)?;
            let mut mixed = self.mixed(node, &image, &from, vec![0.0; places.len()])?;
            if rank == 2 {
                mixed.shape.remove(1);
            }
            return Ok(mixed);
        }
        let mut shape = value.shape.clone();
        shape[axis] = u32::try_from(places.len()).unwrap_or(u32::MAX);
        if rank == 3 {
            let mut window = SINGLE;
            let small = (i8::try_from(*first), u8::try_from(step));
            let (Ok(first), Ok(step @ 1..=MAX_KERNEL)) = small else {
                return unsupported(node, "a slice this far or backwards");
            };
            (window.pad[axis - 1], window.stride[axis - 1]) = (-first, step);
            return self.make(node, shape, Kind::AveragePool { input: value.index, window });
        }
        if axis + 1 != rank || size.saturating_mul(places.len()) > MAX_PARAMETERS {
            return unsupported(node, "a slice of this dimension");
        }
        let mut weights = vec![0.0; size * places.len()];
        for (row, place) in weights.chunks_mut(size).zip(places) {
            row[*place] = 1.0;
        }
        let (kept, bias) = (u8::try_from(axis).unwrap_or(u8::MAX), vec![0.0; places.len()]);
        self.make(node, shape, Kind::Dense { input: value.index, kept, weights, bias })
    }

    /// Pieces of a dimension.
    fn split_value(&mut self, node: &NodeProto, axis: i64) -> Read<()> {
        let value = self.settled(node)?;
        let Some(axis) = of_value(axis, value.shape.len()) else {
            return unsupported(node, "a split of the batch");
        };
        let sizes = self.sizes(node, value.shape[axis] as usize)?;
        let mut before = 0;
        for (output, size) in node.output.iter().zip(sizes) {
            let places: Vec<usize> = (before..before + size).collect();
            let piece = piece(node, output);
            let picked = self.picked(&piece, value.clone(), axis, &places, 1)?;
            self.alias(&piece, picked)?;
            before += size;
        }
        Ok(())
    }

    /// Pieces of the last dimension: of a matrix product, products of parts of its weights.
    pub(super) fn split_into(&mut self, node: &NodeProto) -> Read<()> {
        let value = self.raw(node, 0)?;
        let rank = i64::try_from(value.shape.len()).unwrap_or(i64::MAX);
        let axis = integer(node, "axis", 0);
        let of_product =
            value.index.checked_sub(1).and_then(|at| self.graph.nodes.get(at)).cloned();
        let Some(Node { shape, kind: Kind::Dense { input, kept, weights, bias }, .. }) = of_product
            .filter(|_| {
                (axis == -1 || axis == rank)
                    && value.pending == Pending::Nothing
                    && value.axes.is_none()
                    && self.is_whole(&value)
            })
        else {
            return self.split_value(node, axis);
        };
        let columns = shape.last().copied().unwrap_or(0) as usize;
        let sizes = self.sizes(node, columns)?;
        if usize::from(kept) + 1 != shape.len() || bias.len() != columns {
            return unsupported(node, "a split of this matrix product");
        }
        let (inner, mut before) = (weights.len() / columns.max(1), 0);
        for (output, size) in node.output.iter().zip(sizes) {
            let mut shape = shape.clone();
            if let Some(last) = shape.last_mut() {
                *last = u32::try_from(size).unwrap_or(u32::MAX);
            }
            let rows = before..before + size;
            let weights = weights[rows.start * inner..rows.end * inner].to_vec();
            let kind = Kind::Dense { input, kept, weights, bias: bias[rows.clone()].to_vec() };
            let piece = piece(node, output);
            self.push(&piece, shape, kind)?;
            before = rows.end;
        }
        Ok(())
    }

    /// Sizes of the pieces: those that are given, or equal ones.
    fn sizes(&self, node: &NodeProto, columns: usize) -> Read<Vec<usize>> {
        let count = node.output.len().max(1);
        let given = node.input.get(1).and_then(|name| self.constants.get(name));
        let sizes: Vec<usize> = if let Some(Constant::Integers { values, .. }) = given {
            values.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect()
        } else {
            // The last is what is left.
            let each = columns.div_ceil(count);
            let last = columns.saturating_sub(each * (count - 1));
            (1..count).map(|_| each).chain([last]).collect()
        };
        let sum = sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size));
        if sizes.len() == node.output.len() && sum == columns && !sizes.contains(&0) {
            Ok(sizes)
        } else {
            misfit(node, format!("{columns} columns in pieces of {sizes:?}"))
        }
    }
}

/// A node for one of several outputs.
fn piece(node: &NodeProto, output: &str) -> NodeProto {
    NodeProto {
        name: node.name.clone(),
        op_type: node.op_type.clone(),
        output: vec![output.to_owned()],
        ..NodeProto::default()
    }
}

/// A file's dimension as one of a value's, which have no batch.
pub(super) fn of_value(axis: i64, rank: usize) -> Option<usize> {
    from_behind(axis, rank + 1)?.checked_sub(1).filter(|axis| *axis < rank)
}

/// Rows of a table; a negative number counts from its end.
fn pick(shape: &[usize], values: &[f32], at: &[usize], rows: &[i64]) -> Option<Constant> {
    let (count, rest) = shape.split_first()?;
    let width: usize = rest.iter().product();
    rows.len().checked_mul(width).filter(|size| *size <= MAX_PARAMETERS)?;
    let mut picked = Vec::new();
    for row in rows {
        let row = if *row < 0 { row + i64::try_from(*count).ok()? } else { *row };
        let start = usize::try_from(row).ok()?.checked_mul(width)?;
        picked.extend_from_slice(values.get(start..start.checked_add(width)?)?);
    }
    Some(Constant::Floats { shape: [at, rest].concat(), values: picked })
}
