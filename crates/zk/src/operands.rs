//! Where operands of products and arrangements are evaluated (reference §5).

use ff::Field;

use crate::{
    field::{Fr, eq, from_i64, less_than},
    labels::{Labels, SUMMED},
    network::bits,
    operations::cut,
};

/// What an operand of a product is multiplied with in the sumcheck and where it is evaluated.
#[derive(Debug, Clone)]
pub struct ProductPoint<'a> {
    /// The batch's coordinates, and those of each index.
    batch: &'a [Fr],
    indices: Vec<(u8, &'a [Fr])>,
    /// The output's: batch and dimensions.
    out_batch: &'a [Fr],
    out: Vec<&'a [Fr]>,
}

impl<'a> ProductPoint<'a> {
    /// Cuts the output's point and the sumcheck's.
    pub fn new(rho: &'a [Fr], to: &[u32], own: &'a [Fr], indices: &[(u8, u32)]) -> Self {
        let sizes: Vec<u32> = indices.iter().map(|(_, size)| *size).collect();
        let (out_batch, out) = cut(rho, to);
        let (batch, parts) = cut(own, &sizes);
        let indices = indices.iter().map(|(label, _)| *label).zip(parts).collect();
        Self { batch, indices, out_batch, out }
    }

    /// `eq` of batch and shared indices between output and sumcheck.
    pub fn factor(&self) -> Fr {
        let shared = self.indices.iter().filter(|(label, _)| *label < SUMMED);
        let part = |label: &u8| self.out.get(usize::from(*label)).copied().unwrap_or_default();
        let product: Fr = shared.map(|(label, own)| eq(part(label), own)).product();
        product * eq(self.out_batch, self.batch)
    }

    /// Where an operand of these dimensions is evaluated.
    pub fn operand(&self, labels: &Labels, dimensions: &[u32]) -> Vec<Fr> {
        let mut point = self.batch.to_vec();
        for (label, _) in labels.of(dimensions) {
            let index = self.indices.iter().find(|(own, _)| *own == label).map(|(_, own)| *own);
            let out = || self.out.get(usize::from(label)).copied().unwrap_or_default();
            point.extend_from_slice(index.unwrap_or_else(out));
        }
        point
    }
}

/// Where an arranged tensor is evaluated: a summed index at one half everywhere, where the extension
/// is the mean over all its values. With it what the value is multiplied with.
pub fn arranged(
    rho: &[Fr],
    to: &[u32],
    labels: &Labels,
    from: &[u32],
    coefficient: i32,
) -> (Vec<Fr>, Fr) {
    let half = Fr::from(2).invert().unwrap_or(Fr::ZERO);
    let (batch, parts) = cut(rho, to);
    let mut point = batch.to_vec();
    let mut factor = from_i64(i64::from(coefficient));
    for (label, size) in labels.of(from) {
        match parts.get(usize::from(label)) {
            Some(part) if label < SUMMED => point.extend_from_slice(part),
            _ => {
                point.extend((0..bits(size)).map(|_| half));
                factor *= Fr::from(1 << bits(size));
            }
        }
    }
    // Repeated along the output's other dimensions, whose padding stays zero.
    for ((label, part), size) in (0u8..).zip(&parts).zip(to) {
        if !labels.has(label) {
            factor *= less_than(part, *size as usize);
        }
    }
    (point, factor)
}
