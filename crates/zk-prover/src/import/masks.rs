//! Masks: scores that softmax makes nothing of, as exporters write them: a choice of or a sum with
//! numbers far below all others. Nothing but softmax may read what is masked.

use super::{
    nodes::{Context, Read, unsupported},
    proto::NodeProto,
    tensor::Constant,
    value::Value,
};
use crate::graph::Mask;

/// Numbers from here on down stand for minus infinity.
const FAR: f32 = -1e4;

/// Trailing dimensions without the ones in front.
pub(super) fn trimmed(shape: &[usize]) -> Vec<u32> {
    let sizes = shape.iter().skip_while(|size| **size == 1);
    sizes.map(|size| u32::try_from(*size).unwrap_or(u32::MAX)).collect()
}

impl Context {
    /// `Where` with a constant condition: scores where it says so, and far below elsewhere.
    pub(super) fn choose(&mut self, node: &NodeProto) -> Read<()> {
        let condition = node.input.first().and_then(|name| self.constants.get(name));
        let Some(Constant::Integers { shape, values, .. }) = condition else {
            return unsupported(node, "a condition that is not constant");
        };
        let (shape, chosen) = (shape.clone(), values.iter().map(|value| *value != 0));
        let (place, kept): (usize, Vec<bool>) = match [1, 2].map(|place| self.is_far(node, place)) {
            [false, true] => (1, chosen.collect()),
            [true, false] => (2, chosen.map(|chosen| !chosen).collect()),
            _ => return unsupported(node, "a choice that masks no scores"),
        };
        let scores = self.raw(node, place)?;
        self.mask(node, scores, &shape, kept)
    }

    /// Whether an input is a constant far below everything.
    fn is_far(&self, node: &NodeProto, place: usize) -> bool {
        match node.input.get(place).and_then(|name| self.constants.get(name)) {
            Some(Constant::Floats { values, .. }) => {
                !values.is_empty() && values.iter().all(|value| *value <= FAR)
            }
            _ => false,
        }
    }

    /// The place of a constant of zeros and numbers far below among two inputs.
    pub(super) fn added_mask(&self, node: &NodeProto) -> Option<usize> {
        let is_mask = |place: &usize| match self.constants.get(node.input.get(*place)?) {
            Some(Constant::Floats { values, .. }) => {
                let known = values.iter().all(|value| *value == 0.0 || *value <= FAR);
                Some(known && values.iter().any(|value| *value <= FAR))
            }
            _ => Some(false),
        };
        [0, 1].into_iter().find(|place| is_mask(place) == Some(true))
    }

    /// A sum of scores and the mask in a place.
    pub(super) fn add_mask(&mut self, node: &NodeProto, place: usize) -> Read<()> {
        let mask = node.input.get(place).and_then(|name| self.constants.get(name));
        let Some(Constant::Floats { shape, values }) = mask else {
            return unsupported(node, "a mask that is not constant");
        };
        let (shape, kept) = (shape.clone(), values.iter().map(|value| *value == 0.0).collect());
        let scores = self.raw(node, 1 - place)?;
        self.mask(node, scores, &shape, kept)
    }

    fn mask(
        &mut self,
        node: &NodeProto,
        scores: Value,
        shape: &[usize],
        kept: Vec<bool>,
    ) -> Read<()> {
        let shape = trimmed(shape);
        let row = shape.last().copied().unwrap_or(0) as usize;
        if row == 0 || !scores.shape.ends_with(&shape) {
            return unsupported(node, format!("a mask of {shape:?} on {:?}", scores.shape));
        }
        if kept.chunks(row).any(|row| !row.contains(&true)) {
            return unsupported(node, "a mask that leaves nothing of a row");
        }
        self.hold(kept.len())?;
        let output = Self::output(node)?.to_owned();
        self.masked.insert(output, (scores, Mask { shape, kept }));
        Ok(())
    }
}
