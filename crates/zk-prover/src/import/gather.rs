//! Parts of values: rows of a table by number, one place of a dimension, pieces side by side.

use probity_zk::{Labels, labels::SUMMED};

use super::{
    MAX_PARAMETERS,
    nodes::{Context, Read, integer, misfit, unsupported},
    proto::NodeProto,
    tensor::Constant,
    value::Pending,
};
use crate::graph::{Kind, Node};

/// Inputs have eight bits, so they name rows from 0 to 127.
const MAX_ROWS: usize = 128;

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
        let value = self.value(node, 0)?;
        let rank = value.shape.len();
        let from_behind = axis.saturating_add(i64::try_from(rank + 1).unwrap_or(i64::MAX));
        let axis = usize::try_from(if axis < 0 { from_behind } else { axis }.saturating_sub(1));
        let Some(axis) = axis.ok().filter(|axis| *axis < rank && rank > 1 && self.is_whole(&value))
        else {
            return unsupported(node, "a place of this dimension");
        };
        let size = i64::from(value.shape[axis]);
        let at = usize::try_from(if place < 0 { place + size } else { place });
        let Some(at) = at.ok().filter(|at| *at < value.shape[axis] as usize) else {
            return misfit(node, format!("place {place} of {size}"));
        };
        let mut values = vec![0.0; value.shape[axis] as usize];
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
            return unsupported(
                node,
                "a split of anything but the last dimension of a matrix product",
            );
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
            let piece = NodeProto { output: vec![output.clone()], ..node.clone() };
            self.push(&piece, shape, kind)?;
            before = rows.end;
        }
        Ok(())
    }

    /// Sizes of the pieces: those that are given, or equal ones.
    fn sizes(&self, node: &NodeProto, columns: usize) -> Read<Vec<usize>> {
        let count = node.output.len().max(1);
        let given = node.input.get(1).and_then(|name| self.constants.get(name));
        let sizes = match given {
            Some(Constant::Integers { values, .. }) => {
                values.iter().map(|size| usize::try_from(*size).unwrap_or(0)).collect()
            }
            _ => vec![columns / count; count],
        };
        let sum = sizes.iter().fold(0usize, |sum, size| sum.saturating_add(*size));
        if sizes.len() == node.output.len() && sum == columns && !sizes.contains(&0) {
            Ok(sizes)
        } else {
            misfit(node, format!("{columns} columns in pieces of {sizes:?}"))
        }
    }
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
