//! The sumcheck protocol (Lund, Fortnow, Karloff, Nisan 1992), verifier's side.

use ff::Field;

use crate::{
    Rejection,
    field::Fr,
    transcript::{Messages, Tag},
};

/// A round's polynomial of degree 3, without the coefficient that follows from the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// Constant, quadratic and cubic coefficient.
    pub coefficients: [Fr; 3],
}

impl Round {
    /// The polynomial with `s(0) + s(1) = claim`, at `x`.
    pub fn evaluate(&self, claim: Fr, x: Fr) -> Fr {
        let [constant, quadratic, cubic] = self.coefficients;
        let linear = claim - constant.double() - quadratic - cubic;
        ((cubic * x + quadratic) * x + linear) * x + constant
    }
}

/// Reads `count` rounds about `claim`; returns the point and the claim left there.
pub(crate) fn verify(
    messages: &mut Messages<'_>,
    mut claim: Fr,
    count: usize,
) -> Result<(Vec<Fr>, Fr), Rejection> {
    let mut point = Vec::with_capacity(count);
    for _ in 0..count {
        let (coefficients, challenge) = messages.array::<3>(Tag::Round)?;
        claim = Round { coefficients }.evaluate(claim, challenge);
        point.push(challenge);
    }
    Ok((point, claim))
}

/// What an instance with fewer variables is multiplied by, and its own part of the point.
pub fn suffix(point: &[Fr], variables: usize) -> (Fr, &[Fr]) {
    let (lacking, own) = point.split_at(point.len().saturating_sub(variables));
    (lacking.iter().map(|x| Fr::ONE - x).product(), own)
}
