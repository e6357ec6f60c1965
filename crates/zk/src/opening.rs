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
    transcript::{Coins, Dialogue, Messages, Tag},
    value::Value,
};

/// Which committed vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Vector {
    /// Weights and biases.
    Key,
    /// Outputs, remainders, multiplicities.
    Witness,
    /// The input, where it is committed.
    Input,
}

/// The extension of a column has this value at this point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim<V = Fr> {
    /// The vector.
    pub vector: Vector,
    /// The column.
    pub column: Column,
    /// As many coordinates as the column has bits.
    pub point: Vec<Fr>,
    /// The value.
    pub value: V,
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
pub fn group<V>(claims: &[Claim<V>], row_bits: u8) -> Vec<RowGroup> {
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

impl<V> Claim<V> {
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
pub(crate) fn weight_polynomial(point: &[Fr], mut x: Fr) -> Fr {
    let mut product = Fr::ONE;
    for coordinate in point.iter().rev() {
        product *= Fr::ONE - coordinate + coordinate * x;
        x = x.square();
    }
    product
}

/// Claims reduced to one value of each group's row.
#[derive(Debug)]
pub(crate) struct Reduced<V> {
    pub(crate) groups: Vec<RowGroup>,
    /// Sumcheck C's point within a row.
    pub(crate) point: Vec<Fr>,
    /// Each group's value there.
    pub(crate) values: Vec<V>,
    /// What answers them.
    pub(crate) challenge: Fr,
}

/// Sumcheck C. `batching` answers the last of the claims' values.
pub(crate) fn reduce<D: Dialogue>(
    messages: &mut D,
    claims: &[Claim<D::Value>],
    batching: Fr,
    row_bits: u8,
) -> Result<Reduced<D::Value>, Rejection> {
    let groups = group(claims, row_bits);
    let eta = powers(batching, claims.len());
    let weighted = claims.iter().zip(&eta).map(|(claim, weight)| claim.value.clone() * *weight);
    let value = D::Value::total(weighted);
    let (point, left) = sumcheck::verify(messages, value, usize::from(row_bits), 2)?;
    let (values, challenge) = messages.scalars(Tag::Groups, groups.len())?;
    let weight = |group: &RowGroup| -> Fr {
        let members = group.claims.iter().filter_map(|i| Some((claims.get(*i)?, eta.get(*i)?)));
        members.map(|(claim, eta)| eta * claim.weight_at(row_bits, &point)).sum()
    };
    let terms = groups.iter().zip(&values).map(|(group, value)| value.clone() * weight(group));
    messages.zero(D::Value::total(terms) - left, Rejection::Evaluations)?;
    Ok(Reduced { groups, point, values, challenge })
}

/// Verifies what all claims were reduced to.
pub(crate) fn verify<C: Coins>(
    messages: &mut Messages<'_, C>,
    reduced: &Reduced<Fr>,
    vectors: [&[G1Affine]; 2],
) -> Result<(), Rejection> {
    let weights = powers(reduced.challenge, reduced.groups.len());
    let values = reduced.values.iter().zip(&weights);
    let value: Fr = values.map(|(value, weight)| value * weight).sum();

    let (symmetric, beta) = messages.points(Tag::Symmetric, 1)?;
    let ([f, f_inverse, s, s_inverse], mu) = messages.array::<4>(Tag::Ends)?;
    let (quotient, _) = messages.points(Tag::Quotient, 1)?;
    let inverse = beta.invert().into_option().ok_or(Rejection::Evaluations)?;
    let [w, w_inverse] = [beta, inverse].map(|x| weight_polynomial(&reduced.point, x));
    if f * w_inverse + f_inverse * w != value.double() + beta * s + inverse * s_inverse {
        return Err(Rejection::Evaluations);
    }
    let [key, witness] = vectors;
    let mut terms = fold_rows(&reduced.groups, &weights, [key, witness, &[]]);
    terms.extend(symmetric.into_iter().map(|point| (point, mu)));
    pairing(&terms, &quotient, [beta, inverse], [f + mu * s, f_inverse + mu * s_inverse])
}

/// The rows and their scalars in `Σ weight · folded row`, over all groups.
pub(crate) fn fold_rows(
    groups: &[RowGroup],
    weights: &[Fr],
    vectors: [&[G1Affine]; 3],
) -> Vec<(G1Affine, Fr)> {
    let mut scalars = vectors.map(|rows| vec![Fr::ZERO; rows.len()]);
    for (group, weight) in groups.iter().zip(weights) {
        let [of_key, of_witness, of_input] = &mut scalars;
        let scalars = match group.vector {
            Vector::Key => of_key,
            Vector::Witness => of_witness,
            Vector::Input => of_input,
        };
        for (scalar, factor) in scalars.iter_mut().skip(group.row).zip(&group.fold) {
            *scalar += weight * factor;
        }
    }
    let rows = vectors.into_iter().flatten().copied();
    rows.zip(scalars.into_iter().flatten()).filter(|(_, s)| !bool::from(s.is_zero())).collect()
}

/// Whether `Σ scalar · point` commits to a polynomial with these values at β and 1/β.
pub(crate) fn pairing(
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
