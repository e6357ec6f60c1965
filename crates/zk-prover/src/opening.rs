//! Opening many claims about committed rows at once, prover's side.

use ff::{Field, PrimeField};
use probity_zk::{
    field::{Fr, eq_table, from_i64, powers},
    opening::{Claim, RowGroup, Vector, group},
    transcript::Tag,
};
use rayon::prelude::*;

use crate::{
    ceremony::commit,
    fold::fold_rows,
    outgoing::Outgoing,
    sumcheck::{self, Product},
};

/// The committed vectors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vectors<'a> {
    pub(crate) key: &'a [i64],
    pub(crate) witness: &'a [i32],
    /// Where it is committed.
    pub(crate) input: &'a [i32],
}

/// Claims reduced to one value of each group's row.
pub(crate) struct Folded {
    rows: Vec<Vec<Fr>>,
    /// Sumcheck C's point.
    pub(crate) point: Vec<Fr>,
    /// What answers the values.
    pub(crate) challenge: Fr,
}

impl Folded {
    /// `Σ weight · row`.
    pub(crate) fn combine(&self, weights: &[Fr]) -> Vec<Fr> {
        let mut sum = vec![Fr::ZERO; 1 << self.point.len()];
        sum.par_iter_mut().enumerate().with_min_len(64).for_each(|(i, sum)| {
            *sum = self.rows.iter().zip(weights).map(|(row, weight)| weight * row[i]).sum();
        });
        sum
    }
}

/// Sumcheck C: every claim about the vectors becomes one about a folded row.
pub(crate) fn reduce(
    outgoing: &mut Outgoing,
    claims: &[Claim],
    batching: Fr,
    row_bits: u8,
    vectors: Vectors<'_>,
) -> Folded {
    let groups = group(claims, row_bits);
    let eta = powers(batching, claims.len());
    let fold = |group: &RowGroup| match group.vector {
        Vector::Key => fold_group(vectors.key, group, row_bits),
        Vector::Witness => fold_group(vectors.witness, group, row_bits),
        Vector::Input => fold_group(vectors.input, group, row_bits),
    };
    let rows: Vec<Vec<Fr>> = groups.iter().map(fold).collect();
    let weigh = |group: &RowGroup| weight(group, claims, &eta, row_bits);
    let mut products: Vec<Product> = groups
        .par_iter()
        .zip(&rows)
        .map(|(group, f)| Product::new(Fr::ONE, vec![f.clone(), weigh(group)]))
        .collect();
    let point = sumcheck::prove(outgoing, &mut products);
    let values: Vec<Fr> = products.iter().filter_map(|p| p.values().first().copied()).collect();
    let challenge = outgoing.scalars(Tag::Groups, &values);
    Folded { rows, point, challenge }
}

/// Opens what the claims were reduced to.
pub(crate) fn open(outgoing: &mut Outgoing, folded: &Folded) {
    let mut f = folded.combine(&powers(folded.challenge, folded.rows.len()));
    let s = symmetric(&f, &eq_table(&folded.point));
    let beta = outgoing.points(Tag::Symmetric, &[commit(&s)]);
    let inverse = beta.invert().unwrap_or(Fr::ZERO);
    let ends = [&f, &s].map(|p| [beta, inverse].map(|x| evaluate(p, x)));
    let mu = outgoing.scalars(Tag::Ends, ends.as_flattened());
    for (f, s) in f.iter_mut().zip(&s) {
        *f += mu * s;
    }
    let quotient = divide(divide(f, beta), inverse);
    outgoing.points(Tag::Quotient, &[commit(&quotient)]);
}

fn fold_group<T: Copy + Into<i64> + Sync>(values: &[T], group: &RowGroup, row_bits: u8) -> Vec<Fr> {
    let from = group.row << row_bits;
    let to = (group.row + group.fold.len()) << row_bits;
    if let Some(rows) = values.get(from..to) {
        return fold_rows(rows, &group.fold);
    }
    // The last row of a vector may be short.
    let rest = values.get(from..).unwrap_or_default();
    let mut row: Vec<Fr> = rest.iter().map(|value| from_i64((*value).into())).collect();
    row.resize(1 << row_bits, Fr::ZERO);
    row
}

/// `Σ η^i eq(point_i, ·)`, each at its place in the row.
fn weight(group: &RowGroup, claims: &[Claim], eta: &[Fr], row_bits: u8) -> Vec<Fr> {
    let mut weights = vec![Fr::ZERO; 1 << row_bits];
    for index in &group.claims {
        let (point, offset) = claims[*index].in_row(row_bits);
        for (weight, eq) in weights[offset..].iter_mut().zip(eq_table(point)) {
            *weight += eta[*index] * eq;
        }
    }
    weights
}

/// `S` with `f(X) w(1/X) + f(1/X) w(X) = 2⟨f, w⟩ + X S(X) + S(1/X)/X`.
pub(crate) fn symmetric(f: &[Fr], w: &[Fr]) -> Vec<Fr> {
    let length = f.len();
    let mut a = f.to_vec();
    let mut b: Vec<Fr> = w.iter().rev().copied().collect();
    a.resize(2 * length, Fr::ZERO);
    b.resize(2 * length, Fr::ZERO);
    let root = root_of_unity(2 * length);
    rayon::join(|| transform(&mut a, root), || transform(&mut b, root));
    for (a, b) in a.iter_mut().zip(&b) {
        *a *= b;
    }
    transform(&mut a, root.invert().unwrap_or(Fr::ONE));
    let scale = Fr::from(2 * length as u64).invert().unwrap_or(Fr::ONE);
    (1..length).map(|k| scale * (a[length - 1 + k] + a[length - 1 - k])).collect()
}

fn root_of_unity(size: usize) -> Fr {
    (size.trailing_zeros()..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square())
}

/// The number-theoretic transform of a power-of-two number of values (Cooley, Tukey 1965).
fn transform(values: &mut [Fr], root: Fr) {
    let size = values.len();
    let bits = size.trailing_zeros();
    for i in 0..size {
        let j = i.reverse_bits() >> (usize::BITS - bits).min(usize::BITS - 1);
        if i < j {
            values.swap(i, j);
        }
    }
    let twiddles = powers(root, size / 2);
    let mut half = 1;
    while half < size {
        let step = size / (2 * half);
        for block in values.chunks_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            for ((low, high), twiddle) in
                low.iter_mut().zip(high).zip(twiddles.iter().step_by(step))
            {
                let product = *high * twiddle;
                *high = *low - product;
                *low += product;
            }
        }
        half *= 2;
    }
}

pub(crate) fn evaluate(polynomial: &[Fr], x: Fr) -> Fr {
    polynomial.iter().rev().fold(Fr::ZERO, |sum, coefficient| sum * x + coefficient)
}

/// The quotient by `X − root`.
pub(crate) fn divide(mut polynomial: Vec<Fr>, root: Fr) -> Vec<Fr> {
    let mut carry = Fr::ZERO;
    for coefficient in polynomial.iter_mut().rev() {
        carry = *coefficient + root * carry;
        *coefficient = carry;
    }
    // The first value is the remainder.
    polynomial.remove(0);
    polynomial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fold::inner_product;

    #[test]
    fn the_symmetric_polynomial_holds_the_inner_product() {
        let f: Vec<i32> = (0..64).map(|i| i * i - 1000).collect();
        let w = eq_table(&powers(Fr::from(7), 6));
        let dense: Vec<Fr> = f.iter().map(|v| from_i64(i64::from(*v))).collect();
        let s = symmetric(&dense, &w);
        let x = Fr::from(12345);
        let y = x.invert().unwrap();
        let left = evaluate(&dense, x) * evaluate(&w, y) + evaluate(&dense, y) * evaluate(&w, x);
        let right = inner_product(&f, &w).double() + x * evaluate(&s, x) + y * evaluate(&s, y);
        assert_eq!(left, right);
    }

    #[test]
    fn division_leaves_the_value() {
        let p: Vec<Fr> = (1..9).map(Fr::from).collect();
        let (root, x) = (Fr::from(5), Fr::from(11));
        let q = divide(p.clone(), root);
        assert_eq!(evaluate(&q, x) * (x - root) + evaluate(&p, root), evaluate(&p, x));
    }
}
