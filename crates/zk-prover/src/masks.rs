//! The random values of hiding proofs and commitments, made from a seed.

use std::{fmt, hint::black_box, ops::Deref};

use alloy_primitives::keccak256;
use probity_zk::{
    field::{self, Fr},
    hiding::PAD_ROW,
};
use rayon::prelude::*;
use zeroize::Zeroizing;

/// 32 bytes of the operating system's randomness, or what a test wants instead.
pub type Seed = Zeroizing<[u8; 32]>;

/// Field elements that stay with the prover: not shown, and overwritten when dropped.
#[derive(Clone, Default)]
pub(crate) struct Secret(Vec<Fr>);

impl Deref for Secret {
    type Target = [Fr];

    fn deref(&self) -> &[Fr] {
        &self.0
    }
}

impl From<Vec<Fr>> for Secret {
    fn from(values: Vec<Fr>) -> Self {
        Self(values)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret(<{} values>)", self.0.len())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(Fr::default());
        black_box(&self.0);
    }
}

/// Keccak-256 in counter mode over a seed and all that the values are for, so that a seed used twice
/// still gives other values to another purpose.
pub(crate) struct Stream {
    state: Seed,
    next: usize,
}

impl Stream {
    pub(crate) fn new(seed: &Seed, purpose: &[u8], about: &[&[u8]]) -> Self {
        // Digests, so that no part runs into the next.
        let mut bytes = Zeroizing::new(seed.to_vec());
        for part in [&[purpose], about].concat() {
            bytes.extend_from_slice(keccak256(part).as_slice());
        }
        Self { state: Zeroizing::new(keccak256(&*bytes).0), next: 0 }
    }

    /// Uniform elements but for 2^−256: each is 512 bits modulo the order.
    pub(crate) fn take(&mut self, count: usize) -> Secret {
        let from = self.next;
        self.next += count;
        let state = &self.state;
        let half = |at: usize, half: u8| {
            let mut block = Zeroizing::new([0u8; 41]);
            block[..32].copy_from_slice(state.as_slice());
            block[32..40].copy_from_slice(&(at as u64).to_be_bytes());
            block[40] = half;
            field::reduce(&keccak256(*block).0)
        };
        let shift = field::powers(Fr::from(1 << 32), 9).last().copied().unwrap_or_default();
        let element = |at: usize| half(at, 0) * shift + half(at, 1);
        Secret((from..self.next).into_par_iter().with_min_len(64).map(element).collect())
    }
}

/// What hides one proof.
pub(crate) struct Masks {
    /// Added to the messages' scalars.
    pub(crate) pads: Secret,
    /// The pads' rows.
    pub(crate) pad_blinding: Secret,
    /// The witness's rows.
    pub(crate) row_blinding: Secret,
    /// Added to the folded row before it is opened.
    pub(crate) fresh_row: Secret,
    /// Added to the pads before they are opened.
    pub(crate) fresh_pads: Secret,
    /// Their commitments: the row's first.
    pub(crate) fresh_blinding: Secret,
}

impl Masks {
    /// For so many pads, and so many rows of the witness of such a length.
    pub(crate) fn new(mut stream: Stream, pads: usize, rows: usize, row: usize) -> Self {
        let pad_rows = pads.div_ceil(PAD_ROW);
        Self {
            pads: stream.take(pads),
            pad_blinding: stream.take(pad_rows),
            row_blinding: stream.take(rows),
            fresh_row: stream.take(row),
            fresh_pads: stream.take(pads),
            fresh_blinding: stream.take(1 + pad_rows),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_subject() {
        let take = |seed: u8, purpose: &[u8], about: &[&[u8]]| {
            Stream::new(&Zeroizing::new([seed; 32]), purpose, about).take(3).to_vec()
        };
        let one = take(1, b"a", &[b"x", b"y"]);
        assert_eq!(one, take(1, b"a", &[b"x", b"y"]));
        for other in [
            take(2, b"a", &[b"x", b"y"]),
            take(1, b"b", &[b"x", b"y"]),
            take(1, b"a", &[b"xy", b""]),
            take(1, b"a", &[b"x"]),
        ] {
            assert!(one.iter().all(|value| !other.contains(value)));
        }
        let mut stream = Stream::new(&Zeroizing::new([1; 32]), b"a", &[b"x", b"y"]);
        assert_eq!([&stream.take(1)[..], &stream.take(2)[..]].concat(), one);
        assert_eq!(format!("{:?}", stream.take(2)), "Secret(<2 values>)");
    }
}
