//! Sums of small integers times field elements, reduced once.

use probity_zk::field::{Fr, from_i64};
use rayon::prelude::*;

/// Columns that one task folds: their accumulators stay in the first-level cache.
const STRIP: usize = 256;

/// `Σ integer · element` without reduction: four limbs, each a signed sum.
///
/// INVARIANT: integers are below 2^47 and at most 2^16 (below 2^31: 2^26), so that no `i128` overflows.
#[derive(Clone, Copy, Default)]
struct Wide([i128; 4]);

type Limbs = [u64; 4];

fn limbs(element: &Fr) -> Limbs {
    let bytes = element.to_bytes_le();
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|i| words.get(i).map_or(0, |word| u64::from_le_bytes(*word)))
}

impl Wide {
    #[inline]
    fn add(&mut self, integer: i64, element: &Limbs) {
        for (sum, limb) in self.0.iter_mut().zip(element) {
            *sum += i128::from(integer) * i128::from(*limb);
        }
    }

    fn reduce(&self) -> Fr {
        let shift = Fr::from(1 << 32) * Fr::from(1 << 32);
        self.0.iter().rev().fold(Fr::default(), |sum, limb| sum * shift + wide_element(*limb))
    }
}

fn wide_element(value: i128) -> Fr {
    let magnitude = value.unsigned_abs();
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a 128-bit integer")]
    let (low, high) = (Fr::from(magnitude as u64), Fr::from((magnitude >> 64) as u64));
    let element = high * Fr::from(1 << 32) * Fr::from(1 << 32) + low;
    if value < 0 { -element } else { element }
}

/// `Σ_i factors[i] · row_i` of a matrix with as many rows as factors.
pub(crate) fn fold_rows<T: Copy + Into<i64> + Sync>(values: &[T], factors: &[Fr]) -> Vec<Fr> {
    let width = values.len() / factors.len().max(1);
    if let [factor] = factors {
        return values.iter().map(|value| from_i64((*value).into()) * factor).collect();
    }
    let factors: Vec<Limbs> = factors.iter().map(limbs).collect();
    let mut folded = vec![Fr::default(); width];
    folded.par_chunks_mut(STRIP).enumerate().for_each(|(strip, folded)| {
        let mut sums = [Wide::default(); STRIP];
        for (factor, row) in factors.iter().zip(values.chunks_exact(width)) {
            for (sum, value) in sums.iter_mut().zip(row.iter().skip(strip * STRIP)) {
                sum.add((*value).into(), factor);
            }
        }
        for (folded, sum) in folded.iter_mut().zip(&sums) {
            *folded = sum.reduce();
        }
    });
    folded
}

/// `Σ_i factors[i] · values[i]`.
pub(crate) fn inner_product<T: Copy + Into<i64>>(values: &[T], factors: &[Fr]) -> Fr {
    let mut sum = Wide::default();
    for (value, factor) in values.iter().zip(factors) {
        let value = (*value).into();
        if value != 0 {
            sum.add(value, &limbs(factor));
        }
    }
    sum.reduce()
}

#[cfg(test)]
mod tests {
    use super::*;
    use probity_zk::field::powers;

    #[test]
    fn folding_is_the_plain_sum() {
        let factors = powers(-Fr::from(0x1234_5678_9abc_def1), 5);
        let values: Vec<i32> = (0..375).flat_map(|i| [i32::MIN, i32::MAX, -i, i]).collect();
        let folded = fold_rows(&values, &factors);
        for (column, folded) in folded.iter().enumerate() {
            let own: Vec<i32> = values.iter().skip(column).step_by(300).copied().collect();
            let plain: Fr =
                own.iter().zip(&factors).map(|(v, f)| from_i64(i64::from(*v)) * f).sum();
            assert_eq!(*folded, plain);
            assert_eq!(inner_product(&own, &factors), plain);
        }
    }
}
