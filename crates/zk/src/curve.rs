//! BLS12-381: encoding of points, multi-scalar multiplication, the pairing check, and what the
//! verifier needs of the Ethereum KZG ceremony.

use std::sync::LazyLock;

use alloy_primitives::hex;
use blst::{MultiPoint, blst_p1, blst_p1_affine};
use blstrs::{Bls12, G2Affine, G2Prepared};
use group::{Curve, Group, prime::PrimeCurveAffine};
use pairing::{MillerLoopResult, MultiMillerLoop};

use crate::field::Fr;

/// Points of G1, affine and projective.
pub use blstrs::{G1Affine, G1Projective};

/// Bytes of an encoded point: both coordinates, big-endian. All zero is the identity.
pub const POINT_BYTES: usize = 96;
/// Powers of τ in G1 that the ceremony published: the longest row.
pub const MAX_ROW_BITS: u8 = 12;
/// SHA-256 of the ceremony's `trusted_setup.txt`.
pub const CEREMONY: [u8; 32] =
    hex!("d39b9f2d047cc9dca2de58f264b6a09448ccd34db967881a6713eacacf0f26b7");

/// `[τ]_1`, line 2 of the ceremony's monomial points in G1, compressed.
const TAU_G1: [u8; 48] = hex!(
    "ad3eb50121139aa34db1d545093ac9374ab7bca2c0f3bf28e27c8dcd8fc7cb42d25926fc0c97b336e9f0fb35e5a04c81"
);
/// `[τ]_2`, compressed.
const TAU_G2: [u8; 96] = hex!(
    "b5bfd7dd8cdeb128843bc287230af38926187075cbfbefa81009a2ce615ac53d2914e5870cb452d2afaaab24f3499f72"
    "185cbfee53492714734429b7b38608e23926c911cceceac9a36851477ba4c60b087041de621000edc98edada20c1def2"
);
/// `[τ²]_2`, compressed.
const TAU2_G2: [u8; 96] = hex!(
    "b5337ba0ce5d37224290916e268e2060e5c14f3f9fc9e1ec3af5a958e7a0303122500ce18f1a4640bf66525bd10e7635"
    "01fe986d86649d8d45143c08c3209db3411802c226e9fe9a55716ac4a0c14f9dcef9e70b2bb309553880dc5025eab3cc"
);

/// The ceremony's first points. Constants that do not decode become the identity, with which no
/// opening verifies; a test compares them with the published file.
struct Ceremony {
    tau_g1: G1Affine,
    g2: [G2Prepared; 3],
}

static SETUP: LazyLock<Ceremony> = LazyLock::new(|| {
    let g2 = |bytes| G2Affine::from_compressed(bytes).unwrap_or(G2Affine::identity());
    Ceremony {
        tau_g1: G1Affine::from_compressed(&TAU_G1).unwrap_or(G1Affine::identity()),
        g2: [G2Affine::generator(), g2(&TAU_G2), g2(&TAU2_G2)].map(G2Prepared::from),
    }
});

/// Writes a point.
pub fn encode_point(point: &G1Affine) -> [u8; POINT_BYTES] {
    if bool::from(point.is_identity()) { [0; POINT_BYTES] } else { point.to_uncompressed() }
}

/// Reads a point: coordinates canonical, on the curve, in the subgroup.
pub fn decode_point(bytes: &[u8]) -> Option<G1Affine> {
    let point = decode_unchecked(bytes)?;
    bool::from(point.is_torsion_free()).then_some(point)
}

/// Reads points and checks the subgroup of all of them, on all cores.
pub fn decode_points(bytes: &[u8]) -> Option<Vec<G1Affine>> {
    let (chunks, rest) = bytes.as_chunks::<POINT_BYTES>();
    let points: Vec<_> = chunks.iter().map(|b| decode_unchecked(b)).collect::<Option<_>>()?;
    let affine: Vec<blst_p1_affine> = finite(&points).map(|point| *point.as_ref()).collect();
    let grouped = affine.is_empty() || affine.as_slice().validate().is_ok();
    (rest.is_empty() && grouped).then_some(points)
}

fn finite(points: &[G1Affine]) -> impl Iterator<Item = &G1Affine> {
    points.iter().filter(|point| !bool::from(point.is_identity()))
}

fn decode_unchecked(bytes: &[u8]) -> Option<G1Affine> {
    let bytes: &[u8; POINT_BYTES] = bytes.try_into().ok()?;
    if bytes == &[0; POINT_BYTES] {
        return Some(G1Affine::identity());
    }
    // The top three bits are flags in the compressed encodings; here they are part of x < 2^381.
    if bytes[0] >> 5 != 0 {
        return None;
    }
    let point = G1Affine::from_uncompressed_unchecked(bytes).into_option()?;
    bool::from(point.is_on_curve()).then_some(point)
}

/// `Σ scalar · point`.
pub fn multi_scalar(terms: &[(G1Affine, Fr)]) -> G1Projective {
    let finite = || terms.iter().filter(|(point, _)| !bool::from(point.is_identity()));
    let points: Vec<blst_p1_affine> = finite().map(|(point, _)| *point.as_ref()).collect();
    if points.is_empty() {
        return G1Projective::identity();
    }
    let scalars: Vec<u8> = finite().flat_map(|(_, scalar)| scalar.to_bytes_le()).collect();
    projective(points.as_slice().mult(&scalars, 255))
}

/// Wraps a point of `blst`.
pub fn projective(point: blst_p1) -> G1Projective {
    let mut wrapped = G1Projective::identity();
    *wrapped.as_mut() = point;
    wrapped
}

/// `H`, which blinds the commitments of hiding proofs and keys: a hash (RFC 9380), so that nobody
/// knows its logarithm.
pub fn blinding_base() -> G1Affine {
    const DOMAIN: &[u8] = b"probity-zk/1/hiding-BLS12381G1_XMD:SHA-256_SSWU_RO_";
    static BASE: LazyLock<G1Affine> =
        LazyLock::new(|| G1Projective::hash_to_curve(b"blinding", DOMAIN, &[]).to_affine());
    *BASE
}

/// `[constant + linear · τ]_1`.
pub fn commit_line(constant: Fr, linear: Fr) -> G1Projective {
    G1Projective::generator() * constant + G1Projective::from(SETUP.tau_g1) * linear
}

/// Whether `e(a0, [1]_2) · e(a1, [τ]_2) · e(a2, [τ²]_2) = 1`.
pub fn pairing_holds(terms: [G1Projective; 3]) -> bool {
    let affine = terms.map(|term| term.to_affine());
    let pairs: Vec<_> = affine.iter().zip(&SETUP.g2).collect();
    bool::from(Bls12::multi_miller_loop(&pairs).final_exponentiation().is_identity())
}
