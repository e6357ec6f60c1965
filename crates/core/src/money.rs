//! Integer money: parts in basis points and exact splits.
//!
//! An amount is a `u128` in the token's smallest unit. Nothing here rounds value away: a split's
//! parts always add up to the whole.

use alloy_primitives::{U256, Uint};
use serde::{Deserialize, Serialize};

/// One ten-thousandth parts, 0 to 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Bps(u16);

/// Why an amount or a split is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// More than the whole.
    #[error("`{0}` basis points are more than 10000")]
    BpsTooLarge(u16),
    /// All weights are zero, or there are none.
    #[error("a split needs at least one weight above zero")]
    NoWeight,
    /// An amount does not fit in 128 bits.
    #[error("amount overflows 128 bits")]
    Overflow,
}

impl Bps {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole.
    pub const WHOLE: Self = Self(10_000);

    /// Parts of ten thousand.
    pub fn new(bps: u16) -> Result<Self, MoneyError> {
        if bps > Self::WHOLE.0 { Err(MoneyError::BpsTooLarge(bps)) } else { Ok(Self(bps)) }
    }

    /// The number of ten-thousandth parts.
    pub const fn get(self) -> u16 {
        self.0
    }

    /// What is left of the whole.
    #[must_use]
    pub const fn rest(self) -> Self {
        Self(10_000 - self.0)
    }

    /// This part of an amount, rounded down.
    pub fn of(self, amount: u128) -> u128 {
        mul_div_floor(amount, u64::from(self.0), 10_000)
    }
}

impl TryFrom<u16> for Bps {
    type Error = MoneyError;

    fn try_from(bps: u16) -> Result<Self, MoneyError> {
        Self::new(bps)
    }
}

impl From<Bps> for u16 {
    fn from(bps: Bps) -> Self {
        bps.0
    }
}

/// `amount * numerator / denominator` rounded down, with `numerator <= denominator` so that the
/// result fits. A zero denominator gives 0.
fn mul_div_floor(amount: u128, numerator: u64, denominator: u64) -> u128 {
    let product = U256::from(amount) * U256::from(numerator.min(denominator));
    product.checked_div(U256::from(denominator)).map_or(0, |quotient| quotient.saturating_to())
}

/// Splits an amount by weights with the largest-remainder method (Hamilton): everybody gets the
/// rounded-down share, and the units left over go to the largest remainders, the earlier first
/// where equal. The parts add up to `amount` exactly.
///
/// ```
/// use probity_core::money::split;
/// assert_eq!(split(100, &[1, 1, 1]).unwrap(), [34, 33, 33]);
/// assert_eq!(split(7, &[0, 5]).unwrap(), [0, 7]);
/// ```
pub fn split(amount: u128, weights: &[u128]) -> Result<Vec<u128>, MoneyError> {
    let total = weights.iter().try_fold(0, |sum, weight| add(sum, *weight))?;
    if total == 0 {
        return Err(MoneyError::NoWeight);
    }
    let (whole, divisor) = (U256::from(amount), U256::from(total));
    let mut parts = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = amount;
    for (index, weight) in weights.iter().enumerate() {
        let (part, remainder) = (whole * U256::from(*weight)).div_rem(divisor);
        let part: u128 = part.saturating_to();
        left -= part;
        parts.push(part);
        remainders.push((remainder, index));
    }
    // Fewer units are left than there are weights, since each remainder is below one unit.
    remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, index) in remainders.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        parts[index] += 1;
    }
    Ok(parts)
}

/// `a + b`, refused where it does not fit.
pub fn add(a: u128, b: u128) -> Result<u128, MoneyError> {
    a.checked_add(b).ok_or(MoneyError::Overflow)
}

/// `ceil(a * b * c * d / (e * f))`, in 512 bits; `None` on a zero divisor or an overflow of 128 bits.
pub fn mul_div_ceil(a: u128, factors: [u64; 3], divisors: [u64; 2]) -> Option<u128> {
    type Wide = Uint<512, 8>;
    let product = factors.iter().fold(Wide::from(a), |acc, factor| acc * Wide::from(*factor));
    let divisor = divisors.iter().fold(Wide::from(1u8), |acc, part| acc * Wide::from(*part));
    if divisor.is_zero() {
        return None;
    }
    let (quotient, remainder) = product.div_rem(divisor);
    let quotient: u128 = quotient.try_into().ok()?;
    quotient.checked_add(u128::from(!remainder.is_zero()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_split_conserves_the_amount_and_is_fair(
            amount in any::<u128>(),
            weights in prop::collection::vec(0..u128::MAX / 64, 1..50),
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let parts = split(amount, &weights).unwrap();
            let sum = parts.iter().fold(U256::ZERO, |sum, part| sum + U256::from(*part));
            prop_assert_eq!(sum, U256::from(amount));
            let total: u128 = weights.iter().sum();
            for (part, weight) in parts.iter().zip(&weights) {
                let exact = U256::from(amount) * U256::from(*weight) / U256::from(total);
                let part = U256::from(*part);
                prop_assert!(part == exact || part == exact + U256::from(1));
                prop_assert!(*weight > 0 || part.is_zero());
            }
        }

        #[test]
        fn bps_and_rest_make_the_whole(bps in 0u16..=10_000, amount in any::<u128>()) {
            let bps = Bps::new(bps).unwrap();
            let (part, rest) = (bps.of(amount), bps.rest().of(amount));
            prop_assert!(amount - part - rest <= 1);
        }
    }

    #[test]
    fn invalid_parts_are_refused() {
        assert_eq!(Bps::new(10_001), Err(MoneyError::BpsTooLarge(10_001)));
        assert!(serde_json::from_str::<Bps>("10001").is_err());
        assert_eq!(split(5, &[0, 0]), Err(MoneyError::NoWeight));
        assert_eq!(split(5, &[]), Err(MoneyError::NoWeight));
        assert_eq!(split(5, &[u128::MAX, 1]), Err(MoneyError::Overflow));
        assert_eq!(mul_div_ceil(1, [1, 1, 1], [0, 1]), None);
        assert_eq!(mul_div_ceil(u128::MAX, [2, 1, 1], [1, 1]), None);
        assert_eq!(mul_div_ceil(7, [1, 1, 1], [2, 1]), Some(4));
    }
}
