//! The sumcheck protocol (Lund, Fortnow, Karloff, Nisan 1992), verifier's side.

use ff::Field;

use crate::{
    Rejection,
    field::Fr,
    transcript::{Dialogue, Tag},
    value::Value,
};

/// The polynomial with `s(0) + s(1) = claim`, at `x`: its coefficients but for the linear one, which
/// follows from the claim.
fn evaluate<V: Value>(coefficients: &[V], claim: V, x: Fr) -> V {
    let [constant, higher @ ..] = coefficients else { return claim };
    let (mut sum, mut power) = (claim * x + constant.clone() * (Fr::ONE - x.double()), x);
    for coefficient in higher {
        power *= x;
        sum = sum + coefficient.clone() * (power - x);
    }
    sum
}

/// Reads `count` rounds of some degree about `claim`; returns the point and the claim left there.
pub(crate) fn verify<D: Dialogue>(
    messages: &mut D,
    mut claim: D::Value,
    count: usize,
    degree: usize,
) -> Result<(Vec<Fr>, D::Value), Rejection> {
    let mut point = Vec::with_capacity(count);
    for _ in 0..count {
        let (coefficients, challenge) = messages.scalars(Tag::Round, degree)?;
        claim = evaluate(&coefficients, claim, challenge);
        point.push(challenge);
    }
    Ok((point, claim))
}

/// Reads the rounds of `Σ_x eq(z, x) F(x) = claim`, of which `eq` is left out: each polynomial `s`
/// has degree 2 and `(1 − z_i) s(0) + z_i s(1)` is the claim, which gives its constant (Gruen 2024,
/// "Some improvements for the PIOP for `ZeroCheck`"). Returns the point and `F` there.
pub(crate) fn verify_with_eq<D: Dialogue>(
    messages: &mut D,
    mut claim: D::Value,
    z: &[Fr],
) -> Result<(Vec<Fr>, D::Value), Rejection> {
    let mut point = Vec::with_capacity(z.len());
    for z in z {
        let ([linear, quadratic], x) = messages.array::<2>(Tag::Round)?;
        claim = claim + linear * (x - z) + quadratic * (x.square() - z);
        point.push(x);
    }
    Ok((point, claim))
}

/// What an instance with fewer variables is multiplied by, and its own part of the point.
pub fn suffix(point: &[Fr], variables: usize) -> (Fr, &[Fr]) {
    let (lacking, own) = point.split_at(point.len().saturating_sub(variables));
    (lacking.iter().map(|x| Fr::ONE - x).product(), own)
}
