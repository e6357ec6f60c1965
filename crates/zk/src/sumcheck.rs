//! The sumcheck protocol (Lund, Fortnow, Karloff, Nisan 1992), verifier's side.

use ff::Field;

use crate::{
    Rejection,
    field::Fr,
    transcript::{Dialogue, Tag},
    value::Value,
};

/// A round's polynomial of degree 3, without the coefficient that follows from the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Round<V = Fr> {
    /// Constant, quadratic and cubic coefficient.
    pub coefficients: [V; 3],
}

impl<V: Value> Round<V> {
    /// The polynomial with `s(0) + s(1) = claim`, at `x`: its linear coefficient is
    /// `claim − 2 constant − quadratic − cubic`.
    pub fn evaluate(self, claim: V, x: Fr) -> V {
        let [constant, quadratic, cubic] = self.coefficients;
        let square = x.square();
        let claim = claim * x + constant * (Fr::ONE - x.double());
        claim + quadratic * (square - x) + cubic * (square * x - x)
    }
}

/// Reads `count` rounds about `claim`; returns the point and the claim left there.
pub(crate) fn verify<D: Dialogue>(
    messages: &mut D,
    mut claim: D::Value,
    count: usize,
) -> Result<(Vec<Fr>, D::Value), Rejection> {
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
