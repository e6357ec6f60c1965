//! The Ethereum KZG ceremony's powers of τ in G1, and commitments of rows.
//!
//! `ceremony/trusted_setup.txt` is the published file; `g1_monomial.bin` holds its monomial points,
//! uncompressed, so that nothing is decompressed at start. A test compares the two.

use std::sync::LazyLock;

use blst::{MultiPoint, blst_p1_affine};
use group::{Curve, Group};
use probity_zk::{
    curve::{self, G1Affine, G1Projective, POINT_BYTES},
    field::Fr,
};

static POINTS: &[u8] = include_bytes!("../ceremony/g1_monomial.bin");

static POWERS: LazyLock<Vec<G1Affine>> = LazyLock::new(|| {
    let (points, _) = POINTS.as_chunks::<POINT_BYTES>();
    let decode = |bytes| G1Affine::from_uncompressed_unchecked(bytes).into_option();
    points.iter().filter_map(decode).collect()
});

/// `[τ^i]_1` for `i` below 4096.
pub fn powers() -> &'static [G1Affine] {
    &POWERS
}

/// Commits a row of small integers: its cost grows with their bits and their number.
pub fn commit_small<T: Copy + Into<i64>>(row: &[T]) -> G1Affine {
    let terms =
        || row.iter().map(|value| (*value).into()).zip(powers()).filter(|(value, _)| *value != 0);
    let largest = terms().map(|(value, _): (i64, _)| value.unsigned_abs()).max().unwrap_or(0);
    let bits = (u64::BITS - largest.leading_zeros()) as usize;
    let signed = |(value, point): (i64, &G1Affine)| if value < 0 { -point } else { *point };
    let points: Vec<blst_p1_affine> = terms().map(|term| *signed(term).as_ref()).collect();
    let bytes = bits.div_ceil(8);
    let mut scalars = Vec::with_capacity(points.len() * bytes);
    for (value, _) in terms() {
        scalars.extend(value.unsigned_abs().to_le_bytes().iter().take(bytes));
    }
    multiply(&points, &scalars, bits).to_affine()
}

/// Commits a row of field elements.
pub fn commit(row: &[Fr]) -> G1Affine {
    let points: Vec<blst_p1_affine> =
        powers().iter().take(row.len()).map(|point| *point.as_ref()).collect();
    let scalars: Vec<u8> = row.iter().flat_map(Fr::to_bytes_le).collect();
    multiply(&points, &scalars, 255).to_affine()
}

/// Blinds a commitment.
pub fn blind(commitment: G1Affine, blinding: Fr) -> G1Affine {
    (G1Projective::from(commitment) + curve::blinding_base() * blinding).to_affine()
}

fn multiply(points: &[blst_p1_affine], scalars: &[u8], bits: usize) -> G1Projective {
    if points.is_empty() {
        return G1Projective::identity();
    }
    curve::projective(points.mult(scalars, bits))
}
