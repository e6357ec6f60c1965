//! Values side by side: each is multiplied with the part of an identity matrix that puts it there.

use probity_zk::{Operation, Shape, Term, Window, model::Weights};

use super::{
    QuantiseError, SHIFT,
    builder::{Builder, fixed},
};

/// A window that meets its own position.
const POINT: Window = Window { kernel: [1, 1], stride: [1, 1], pad: [0, 0] };

impl Builder<'_> {
    pub(super) fn concat(
        &mut self,
        index: usize,
        inputs: &[usize],
        axis: usize,
    ) -> Result<(), QuantiseError> {
        let Some(node) = self.graph.nodes.get(index) else { return Ok(()) };
        let positive = inputs.iter().all(|input| !self.value(*input).negative);
        let after = self.after(index, positive);
        let size = |shape: &[u32]| shape.get(axis).map_or(0, |size| *size as usize);
        let (channels, mut before) = (size(&node.shape), 0);
        let (mut terms, mut weights) = (vec![], Weights::default());
        for input in inputs {
            let (from, own) = (self.value(*input), size(self.graph.shape(*input)));
            let input = from.tensor;
            terms.push(if node.shape.len() == 3 {
                Term::Conv { input, window: POINT }
            } else {
                Term::Dense { input, kept: u8::try_from(axis).unwrap_or(u8::MAX) }
            });
            let mut identity = vec![0; channels * own];
            for place in 0..own {
                identity[(before + place) * own + place] = 1;
            }
            weights.terms.push(identity);
            let multiplier = fixed(node, from.scale / after.unit)?;
            weights.multipliers.extend(vec![multiplier; own]);
            before += own;
        }
        let shape = Shape::new(&node.shape)?;
        let table = Some(after.table);
        let operation = Operation { shape, terms, bias: None, shift: SHIFT, table };
        let value = self.add(node, operation, weights, after.value);
        self.alias(value);
        self.reached(node, after)
    }
}
