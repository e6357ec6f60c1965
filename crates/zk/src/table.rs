//! Lookup tables: what a requantised accumulator becomes.

use ff::Field;

use crate::field::{Fr, from_i64};

/// Most bits of a table's index.
pub const MAX_TABLE_BITS: u8 = 18;
/// Bits of a remainder's chunk.
pub const BYTE_BITS: u32 = 8;

/// What `u` becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// Saturation of `u` in `[−2^(bits−1), 2^(bits−1))`, with or without negative values.
    ///
    /// Unsigned with `low = 7` is `ReLU` to int8, signed is requantisation to int8; unsigned with
    /// `bits = low + 1` is an exact `ReLU`, from which a maximum is made.
    Clamp {
        /// Bits of the index.
        bits: u8,
        /// Non-negative results have this many bits.
        low: u8,
        /// Whether negative values saturate at `−2^low` (else at 0).
        signed: bool,
    },
    /// Values listed one by one, as a column of the key; 0 for `u = 0`, so that padding stays 0.
    Listed {
        /// Bits of the index.
        bits: u8,
        /// Whether `u` starts at `−2^(bits−1)` (else at 0).
        signed: bool,
    },
}

impl Table {
    /// A saturating table.
    pub const fn clamp(bits: u8, low: u8, signed: bool) -> Self {
        Self::Clamp { bits, low, signed }
    }

    /// Bits of the index.
    pub fn bits(&self) -> u8 {
        match *self {
            Self::Clamp { bits, .. } | Self::Listed { bits, .. } => bits,
        }
    }

    /// Entries.
    pub fn size(&self) -> usize {
        1 << self.bits()
    }

    /// Whether the values are listed.
    pub fn is_listed(&self) -> bool {
        matches!(self, Self::Listed { .. })
    }

    /// Whether the sizes make sense.
    pub fn is_valid(&self) -> bool {
        match *self {
            Self::Clamp { bits, low, .. } => low >= 1 && low < bits && bits <= MAX_TABLE_BITS,
            Self::Listed { bits, .. } => (1..=MAX_TABLE_BITS).contains(&bits),
        }
    }

    /// Smallest `u`.
    pub fn min(&self) -> i64 {
        match *self {
            Self::Listed { signed: false, .. } => 0,
            Self::Clamp { bits, .. } | Self::Listed { bits, .. } => -(1 << (bits - 1)),
        }
    }

    /// The first `u` beyond the table.
    pub fn end(&self) -> i64 {
        self.min() + (1 << self.bits())
    }

    /// The place of `u`; `None` outside the table.
    pub fn index(&self, u: i64) -> Option<usize> {
        let inside = (self.min()..self.end()).contains(&u);
        inside.then(|| usize::try_from(u - self.min()).ok()).flatten()
    }

    /// The result for `u` of a saturating table; `None` outside, and of a listed one.
    pub fn get(&self, u: i64) -> Option<i64> {
        let Self::Clamp { low, signed, .. } = *self else { return None };
        let (floor, ceiling) = clamp_range(low, signed);
        self.index(u).map(|_| u.clamp(floor, ceiling))
    }

    /// The extension of a saturating table's results over the index `u − min`.
    pub fn evaluate(&self, point: &[Fr]) -> Fr {
        let (Self::Clamp { low, signed, .. }, Some((top, rest))) = (*self, point.split_first())
        else {
            return Fr::ZERO;
        };
        let (high, low_bits) = rest.split_at(rest.len().saturating_sub(usize::from(low)));
        let value = evaluate_index(low_bits);
        let max = from_i64(clamp_range(low, signed).1);
        let zeros = high.iter().map(|bit| Fr::ONE - bit).product::<Fr>();
        let positive = max + zeros * (value - max);
        if !signed {
            return top * positive;
        }
        let negative = high.iter().product::<Fr>() * value - max - Fr::ONE;
        negative + top * (positive - negative)
    }
}

/// Smallest and largest result of saturation.
pub fn clamp_range(low: u8, signed: bool) -> (i64, i64) {
    (if signed { -(1 << low) } else { 0 }, (1 << low) - 1)
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
                let table = Table::clamp(bits, low, signed);
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
        let relu = Table::clamp(12, 7, false);
        assert_eq!(
            [-2048, -1, 0, 127, 128, 2047].map(|u| relu.get(u).unwrap()),
            [0, 0, 0, 127, 127, 127]
        );
        let clamp = Table::clamp(12, 7, true);
        assert_eq!([-129, -128, -1, 128].map(|u| clamp.get(u).unwrap()), [-128, -128, -1, 127]);
        assert_eq!((clamp.get(2048), clamp.get(-2049)), (None, None));
    }
}
