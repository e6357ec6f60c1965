//! Opening many claims about committed rows at once (reference §6).

use std::collections::HashMap;

use ff::Field;
use group::Group;

use crate::{
    Rejection,
    curve::{self, G1Affine, G1Projective},
    field::{Fr, eq, eq_index, eq_table, powers},
    plan::Column,
    sumcheck,
    transcript::{Messages, Tag},
};

/// Which committed vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vector {
    /// Weights and biases.
    Key,
    /// Outputs, remainders, multiplicities.
    Witness,
}

/// The extension of a column has this value at this point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The vector.
    pub vector: Vector,
    /// The column.
    pub column: Column,
    /// As many coordinates as the column has bits.
    pub point: Vec<Fr>,
    /// The value.
    pub value: Fr,
}

/// Rows folded into one, and the claims about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowGroup {
    /// The vector.
    pub vector: Vector,
    /// First row.
    pub row: usize,
    /// Factors of the rows from the first on.
    pub fold: Vec<Fr>,
    /// Which claims.
    pub claims: Vec<usize>,
}

/// Groups claims by folded row, in order of appearance.
pub fn group(claims: &[Claim], row_bits: u8) -> Vec<RowGroup> {
    let mut groups: Vec<RowGroup> = vec![];
    let mut single = HashMap::new();
    for (index, claim) in claims.iter().enumerate() {
        let row = claim.column.offset >> row_bits;
        let tall = claim.column.bits.saturating_sub(u32::from(row_bits)) as usize;
        let known = if tall == 0 { single.get(&(claim.vector, row)).copied() } else { None };
        if let Some(group) = known.and_then(|known: usize| groups.get_mut(known)) {
            group.claims.push(index);
            continue;
        }
        if tall == 0 {
            single.insert((claim.vector, row), groups.len());
        }
        let fold = eq_table(claim.point.get(..tall).unwrap_or_default());
        groups.push(RowGroup { vector: claim.vector, row, fold, claims: vec![index] });
    }
    groups
}

impl Claim {
    /// Coordinates within a row, and the offset in it.
    pub fn in_row(&self, row_bits: u8) -> (&[Fr], usize) {
        let tall = self.column.bits.saturating_sub(u32::from(row_bits)) as usize;
        let offset = self.column.offset & ((1 << row_bits) - 1);
        (self.point.get(tall..).unwrap_or_default(), offset)
    }

    /// `eq(point, ·)` at its place within a row, at a point of the whole row.
    fn weight_at(&self, row_bits: u8, at: &[Fr]) -> Fr {
        let (own, offset) = self.in_row(row_bits);
        let (place, inner) = at.split_at(at.len().saturating_sub(own.len()));
        eq_index(place, offset >> own.len()) * eq(own, inner)
    }
}

/// `Σ_i eq(point, i) x^i`.
fn weight_polynomial(point: &[Fr], mut x: Fr) -> Fr {
    let mut product = Fr::ONE;
    for coordinate in point.iter().rev() {
        product *= Fr::ONE - coordinate + coordinate * x;
        x = x.square();
    }
    product
}

/// Verifies the opening of all claims. `batching` answers the last of them.
pub(crate) fn verify(
    messages: &mut Messages<'_>,
    claims: &[Claim],
    batching: Fr,
    row_bits: u8,
    [key, witness]: [&[G1Affine]; 2],
) -> Result<(), Rejection> {
    let groups = group(claims, row_bits);
    let eta = powers(batching, claims.len());
    let value = claims.iter().zip(&eta).map(|(claim, weight)| claim.value * weight).sum();
    let (point, left) = sumcheck::verify(messages, value, usize::from(row_bits), 2)?;
    let (values, theta) = messages.scalars(Tag::Groups, groups.len())?;
    let mut sum = Fr::ZERO;
    for (group, value) in groups.iter().zip(&values) {
        let members = group.claims.iter().filter_map(|i| Some((claims.get(*i)?, eta.get(*i)?)));
        let weight: Fr = members.map(|(claim, eta)| eta * claim.weight_at(row_bits, &point)).sum();
        sum += weight * value;
    }
    if sum != left {
        return Err(Rejection::Evaluations);
    }
    let weights = powers(theta, groups.len());
    let value: Fr = values.iter().zip(&weights).map(|(value, weight)| value * weight).sum();

    let (symmetric, beta) = messages.points(Tag::Symmetric, 1)?;
    let ([f, f_inverse, s, s_inverse], mu) = messages.array::<4>(Tag::Ends)?;
    let (quotient, _) = messages.points(Tag::Quotient, 1)?;
    let inverse = beta.invert().into_option().ok_or(Rejection::Evaluations)?;
    let [w, w_inverse] = [beta, inverse].map(|x| weight_polynomial(&point, x));
    if f * w_inverse + f_inverse * w != value.double() + beta * s + inverse * s_inverse {
        return Err(Rejection::Evaluations);
    }

    let mut scalars = [vec![Fr::ZERO; key.len()], vec![Fr::ZERO; witness.len()]];
    for (group, weight) in groups.iter().zip(&weights) {
        let [of_key, of_witness] = &mut scalars;
        let scalars = if group.vector == Vector::Key { of_key } else { of_witness };
        for (scalar, factor) in scalars.iter_mut().skip(group.row).zip(&group.fold) {
            *scalar += weight * factor;
        }
    }
    let points = key.iter().zip(&scalars[0]).chain(witness.iter().zip(&scalars[1]));
    let points = points.map(|(point, scalar)| (*point, *scalar));
    let symmetric = symmetric.into_iter().map(|point| (point, mu));
    let terms: Vec<_> = points.chain(symmetric).filter(|(_, s)| !bool::from(s.is_zero())).collect();
    pairing(&terms, &quotient, [beta, inverse], [f + mu * s, f_inverse + mu * s_inverse])
}

fn pairing(
    terms: &[(G1Affine, Fr)],
    quotient: &[G1Affine],
    [beta, inverse]: [Fr; 2],
    [end, end_inverse]: [Fr; 2],
) -> Result<(), Rejection> {
    // β² = 1 would leave one point instead of two.
    let difference = (beta - inverse).invert().into_option().ok_or(Rejection::Evaluations)?;
    let linear = (end - end_inverse) * difference;
    let line = curve::commit_line(end - linear * beta, linear);
    let combined = curve::multi_scalar(terms);
    let quotient = quotient.first().map_or(G1Projective::identity(), G1Projective::from);
    let sum = beta + inverse;
    if curve::pairing_holds([combined - line - quotient, quotient * sum, -quotient]) {
        Ok(())
    } else {
        Err(Rejection::Opening)
    }
}
