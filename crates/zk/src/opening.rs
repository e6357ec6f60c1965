//! Opening many claims about committed rows at once (reference §6).

use std::collections::HashMap;

use ff::Field;
use group::Group;

use crate::{
    Rejection,
    curve::{self, G1Affine, G1Projective},
    field::{Fr, eq_table, powers},
    plan::Column,
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
}

/// `Σ_i eq(point, i) x^(offset + i)`; `squares` holds `x^(2^j)`.
fn weight_at(point: &[Fr], offset: usize, squares: &[Fr]) -> Fr {
    let start = squares
        .iter()
        .enumerate()
        .filter(|(bit, _)| offset >> bit & 1 == 1)
        .map(|(_, square)| square)
        .product::<Fr>();
    let factors = point.iter().rev().zip(squares);
    factors.fold(start, |product, (c, square)| product * (Fr::ONE - c + c * square))
}

/// `x, x², x⁴, …`.
fn squares(x: Fr, count: u8) -> Vec<Fr> {
    std::iter::successors(Some(x), |power| Some(power.square())).take(usize::from(count)).collect()
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
    let (symmetric, beta) = messages.points(Tag::Symmetric, 1)?;
    let inverse = beta.invert().into_option().ok_or(Rejection::Evaluations)?;
    let (values, mu) = messages.scalars(Tag::Groups, 2 * groups.len() + 2)?;
    let (quotient, _) = messages.points(Tag::Quotient, 1)?;
    let pairs = values.as_chunks::<2>().0;
    let Some(([s, s_inverse], pairs)) = pairs.split_last() else {
        return Err(Rejection::ProofLength);
    };

    let (at_beta, at_inverse) = (squares(beta, row_bits), squares(inverse, row_bits));
    let mut left = Fr::ZERO;
    for (group, [f, f_inverse]) in groups.iter().zip(pairs) {
        let members = group.claims.iter().filter_map(|i| Some((claims.get(*i)?, eta.get(*i)?)));
        for (claim, weight) in members {
            let (point, offset) = claim.in_row(row_bits);
            let w = weight_at(point, offset, &at_beta);
            let w_inverse = weight_at(point, offset, &at_inverse);
            left += weight * (f * w_inverse + f_inverse * w);
        }
    }
    let value: Fr = claims.iter().zip(&eta).map(|(claim, weight)| claim.value * weight).sum();
    if left != value.double() + beta * s + inverse * s_inverse {
        return Err(Rejection::Evaluations);
    }

    let weights = powers(mu, groups.len() + 1);
    let sum = |index: usize| -> Fr {
        weights.iter().zip(values.as_chunks::<2>().0).map(|(w, pair)| w * pair[index]).sum()
    };
    let ends = [sum(0), sum(1)];
    let mut scalars = [vec![Fr::ZERO; key.len()], vec![Fr::ZERO; witness.len()]];
    for (group, weight) in groups.iter().zip(&weights) {
        let [of_key, of_witness] = &mut scalars;
        let scalars = if group.vector == Vector::Key { of_key } else { of_witness };
        for (scalar, factor) in scalars.iter_mut().skip(group.row).zip(&group.fold) {
            *scalar += weight * factor;
        }
    }
    let points = key.iter().zip(&scalars[0]).chain(witness.iter().zip(&scalars[1]));
    let last = weights.last().copied().unwrap_or(Fr::ZERO);
    let points = points.map(|(point, scalar)| (*point, *scalar));
    let symmetric = symmetric.into_iter().map(|point| (point, last));
    let terms: Vec<_> = points.chain(symmetric).filter(|(_, s)| !bool::from(s.is_zero())).collect();
    pairing(&terms, &quotient, [beta, inverse], ends)
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
