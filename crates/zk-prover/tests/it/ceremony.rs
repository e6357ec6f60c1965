//! The shipped ceremony: the published file, and what is derived from it.

use std::fs;

use group::{Curve, Group, prime::PrimeCurveAffine};
use pairing::PairingCurveAffine;
use probity_core::Digest;
use probity_zk::{
    curve::{CEREMONY, G1Affine, G1Projective, commit_line, multi_scalar, pairing_holds},
    field::{Fr, powers},
};
use probity_zk_prover::ceremony;

/// Points of the file's two groups: powers of τ in G1 (monomial), in G2.
fn published() -> (Vec<G1Affine>, Vec<blstrs::G2Affine>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/ceremony/trusted_setup.txt");
    let text = fs::read_to_string(path).unwrap();
    // The digest that clients of EIP-4844 pin.
    assert_eq!(Digest::of(text.as_bytes()), Digest::from_bytes(CEREMONY));
    let lines: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(&lines[..2], ["4096", "65"]);
    let bytes = |line: &&str| -> Vec<u8> {
        let (pairs, _) = line.as_bytes().as_chunks::<2>();
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16);
        pairs.iter().map(|pair| byte(pair).unwrap()).collect()
    };
    let g2 = lines[2 + 4096..2 + 4096 + 65].iter().map(bytes);
    let g2 = g2.map(|b| blstrs::G2Affine::from_compressed(&b.try_into().unwrap()).unwrap());
    let g1 = lines[2 + 4096 + 65..].iter().map(bytes);
    let g1 = g1.map(|b| G1Affine::from_compressed(&b.try_into().unwrap()).unwrap());
    (g1.collect(), g2.collect())
}

#[test]
fn the_file_is_the_published_one_and_its_powers_belong_together() {
    let (g1, g2) = published();
    assert_eq!((g1.len(), g2.len()), (4096, 65));
    assert_eq!(ceremony::powers(), g1);
    assert_eq!(g1[0], G1Affine::generator());
    assert_eq!(g2[0], blstrs::G2Affine::generator());
    assert!(!bool::from(g1[1].is_identity()));

    // Consecutive powers differ by the same τ: all at once, by a random combination.
    let weights = powers(Fr::from(0x9e37_79b9_7f4a_7c15), g1.len());
    let combine = |points: &[G1Affine]| -> G1Affine {
        let terms: Vec<_> = points.iter().copied().zip(weights.iter().copied()).collect();
        multi_scalar(&terms).to_affine()
    };
    let (low, high) = (combine(&g1[..4095]), combine(&g1[1..]));
    assert_eq!(low.pairing_with(&g2[1]), high.pairing_with(&g2[0]));
    let combine = |points: &[blstrs::G2Affine]| {
        let sum = points.iter().zip(&weights).map(|(point, weight)| point * weight);
        sum.fold(blstrs::G2Projective::identity(), |sum, point| sum + point).to_affine()
    };
    let (low, high) = (combine(&g2[..64]), combine(&g2[1..]));
    assert_eq!(g1[1].pairing_with(&low), g1[0].pairing_with(&high));
    assert_ne!(g1[1].pairing_with(&low), g1[0].pairing_with(&low));
}

#[test]
fn the_verifier_s_constants_are_the_file_s() {
    let (g1, _) = published();
    let zero = G1Projective::identity();
    let [one, tau, square] = [0, 1, 2].map(|i: usize| G1Projective::from(g1[i]));
    assert_eq!(commit_line(Fr::from(3), Fr::from(5)), one * Fr::from(3) + tau * Fr::from(5));
    assert!(pairing_holds([square, -tau, zero]));
    assert!(pairing_holds([square, zero, -one]));
    assert!(!pairing_holds([square, zero, -tau]));
    assert!(!pairing_holds([tau, zero, -one]));
}
