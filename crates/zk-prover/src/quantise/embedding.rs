//! Embeddings: which row a number names, as a row of zeros and a one, times the table.
//!
//! Every input of eight bits has a meaning: one that names no row gives zeros.

use probity_zk::{Labels, Term};

use super::{QuantiseError, Value, builder::Builder, weights::Floats};

/// Distances of inputs to rows are looked up from here on; 0 is the padding's.
const SAME: i32 = 256;
/// Bits of these: 256 + 127 at most.
const DISTANCE_BITS: u8 = 9;

impl Builder<'_> {
    pub(super) fn embedding(
        &mut self,
        index: usize,
        input: usize,
        table: &[f32],
    ) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let (&[length, width], from) = (node.shape.as_slice(), self.value(input)) else {
            return Ok(());
        };
        let width = width as usize;
        let rows = table.len() / width.max(1);
        let listing = |u: i64| if u == i64::from(SAME) { 1.0 } else { 0.0 };
        let same = self.tables.list(DISTANCE_BITS, false, listing);
        let numbers = (0..i32::try_from(rows).unwrap_or(i32::MAX)).map(|row| SAME - row).collect();
        let labels = Labels::new(&[0]);
        let terms = vec![Term::Arrange { input: from.tensor, coefficient: 1, labels }];
        let shape = [length, u32::try_from(rows).unwrap_or(u32::MAX)];
        let one = Value { tensor: 0, scale: 1.0, negative: false, reach: 1 };
        let chosen = self.emit(node, &shape, (terms, Some((1, numbers))), (0, Some(same)), one)?;
        // `[outputs, inputs]`.
        let column = |place: usize| table.iter().skip(place).step_by(width).copied();
        let weights: Vec<f32> = (0..width).flat_map(column).collect();
        let bias = vec![0.0; width];
        let term = Term::Dense { input: chosen.tensor, kept: 1 };
        self.layer(index, term, chosen, Floats { weights: &weights, bias: &bias, channels: width })
    }
}
