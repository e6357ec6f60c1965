//! Lookup tables: what a requantised accumulator becomes.

use ff::Field;

use crate::field::{Fr, from_i64};

/// Most bits of a table's index.
pub const MAX_TABLE_BITS: u8 = 18;
/// Bits of a remainder's chunk.
pub const BYTE_BITS: u32 = 8;

/// Saturation of `u` in `[−2^(bits−1), 2^(bits−1))`, with or without negative values.
///
/// Unsigned with `low = 7` is `ReLU` to int8, signed is requantisation to int8; unsigned with
/// `bits = low + 1` is an exact `ReLU`, from which a maximum is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Table {
    /// Bits of the index.
    pub bits: u8,
    /// Non-negative results have this many bits.
    pub low: u8,
    /// Whether negative values saturate at `−2^low` (else at 0).
    pub signed: bool,
}

impl Table {
    /// Whether the sizes make sense.
    pub fn is_valid(&self) -> bool {
        self.low >= 1 && self.low < self.bits && self.bits <= MAX_TABLE_BITS
    }

    /// Smallest `u`; the largest is `−min − 1`.
    pub fn min(&self) -> i64 {
        -(1 << (self.bits - 1))
    }

    /// Smallest and largest result.
    pub fn range(&self) -> (i64, i64) {
        (if self.signed { -(1 << self.low) } else { 0 }, (1 << self.low) - 1)
    }

    /// The result for `u`; `None` outside the table.
    pub fn get(&self, u: i64) -> Option<i64> {
        let (low, high) = self.range();
        (self.min() <= u && u < -self.min()).then(|| u.clamp(low, high))
    }

    /// The extension of the results over the index `u − min`.
    pub fn evaluate(&self, point: &[Fr]) -> Fr {
        let (Some((top, rest)), (_, max)) = (point.split_first(), self.range()) else {
            return Fr::ZERO;
        };
        let (high, low) = rest.split_at(rest.len().saturating_sub(usize::from(self.low)));
        let value = evaluate_index(low);
        let max = from_i64(max);
        let zeros = high.iter().map(|bit| Fr::ONE - bit).product::<Fr>();
        let positive = max + zeros * (value - max);
        if !self.signed {
            return top * positive;
        }
        let negative = high.iter().product::<Fr>() * value - max - Fr::ONE;
        negative + top * (positive - negative)
    }
}

/// The extension of `i ↦ i`.
pub fn evaluate_index(point: &[Fr]) -> Fr {
    point.iter().fold(Fr::ZERO, |value, bit| value.double() + bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::eq_table;

    #[test]
    fn closed_form_is_the_extension() {
        let point: Vec<Fr> = (0..9).map(|i| Fr::from(1000 + 77 * i)).collect();
        for (bits, low) in [(9, 8), (9, 7), (6, 1), (2, 1), (5, 3)] {
            for signed in [false, true] {
                let table = Table { bits, low, signed };
                assert!(table.is_valid());
                let point = &point[..usize::from(bits)];
                let sum: Fr = eq_table(point)
                    .iter()
                    .zip(table.min()..)
                    .map(|(eq, u)| eq * from_i64(table.get(u).unwrap()))
                    .sum();
                assert_eq!(table.evaluate(point), sum, "{table:?}");
            }
        }
    }

    #[test]
    fn relu_and_requantisation() {
        let relu = Table { bits: 12, low: 7, signed: false };
        assert_eq!(
            [-2048, -1, 0, 127, 128, 2047].map(|u| relu.get(u).unwrap()),
            [0, 0, 0, 127, 127, 127]
        );
        let clamp = Table { signed: true, ..relu };
        assert_eq!([-129, -128, -1, 128].map(|u| clamp.get(u).unwrap()), [-128, -128, -1, 127]);
        assert_eq!((clamp.get(2048), clamp.get(-2049)), (None, None));
    }
}
