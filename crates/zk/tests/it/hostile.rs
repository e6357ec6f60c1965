//! Bytes of any kind: no panic, no key or proof accepted that was not made.

use probity_zk::{KeyError, ModelKey, Statement, verify, verify_hiding, verify_range};
use proptest::prelude::*;

use crate::vectors::{case, hiding_case, range_case};

proptest! {
    #[test]
    fn any_bytes_are_no_key(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(ModelKey::decode(&bytes).is_err());
    }

    #[test]
    fn damaged_keys_are_refused_or_other_keys(at in any::<prop::sample::Index>(), flip in 1..=255u8, cut in any::<bool>()) {
        let good = case("convolution_batch_1");
        let mut bytes = good.key.clone();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] ^= flip;
        }
        if let Ok(key) = ModelKey::decode(&bytes) {
            prop_assert_eq!(key.encode(), bytes);
            prop_assert!(verify(&key, &good.statement, &good.proof).is_err());
        }
    }

    #[test]
    fn any_bytes_are_no_proof(bytes in prop::collection::vec(any::<u8>(), 0..12_000), header in any::<bool>(), batch in any::<u32>()) {
        let good = case("perceptron_batch_1");
        let key = ModelKey::decode(&good.key).unwrap();
        let proof = if header { [&good.proof[..5], &bytes].concat() } else { bytes };
        prop_assert!(verify(&key, &good.statement, &proof).is_err());
        let other = Statement { batch, ..good.statement };
        prop_assert!(batch == 1 || verify(&key, &other, &good.proof).is_err());
    }

    #[test]
    fn any_bytes_are_no_hiding_proof(bytes in prop::collection::vec(any::<u8>(), 0..12_000), header in any::<bool>(), batch in any::<u32>()) {
        let (key, statement, good, _) = hiding_case("hiding_weights_hidden");
        let proof = if header { [&good[..5], &bytes].concat() } else { bytes };
        prop_assert!(verify_hiding(&key, &statement, &proof).is_err());
        let mut other = statement;
        other.batch = batch;
        prop_assert!(batch == 1 || verify_hiding(&key, &other, &good).is_err());
    }

    #[test]
    fn any_bytes_are_no_range_proof(bytes in prop::collection::vec(any::<u8>(), 0..12_000), header in any::<bool>()) {
        let (key, good, _) = range_case("range");
        let proof = if header { [&good[..5], &bytes].concat() } else { bytes };
        prop_assert!(verify_range(&key, &proof).is_err());
    }

    #[test]
    fn spliced_hiding_proofs_are_rejected(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 1..200usize) {
        let (key, statement, good, _) = hiding_case("hiding_weights_hidden");
        let mut proof = good.clone();
        let length = length.min(proof.len());
        let (from, to) = (from.index(proof.len() - length + 1), to.index(proof.len() - length + 1));
        proof.copy_within(from..from + length, to);
        prop_assert_eq!(verify_hiding(&key, &statement, &proof).is_ok(), proof == good);
    }

    #[test]
    fn spliced_proofs_are_rejected(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), length in 1..200usize) {
        let good = case("perceptron_batch_3");
        let key = ModelKey::decode(&good.key).unwrap();
        let mut proof = good.proof.clone();
        let length = length.min(proof.len());
        let (from, to) = (from.index(proof.len() - length + 1), to.index(proof.len() - length + 1));
        proof.copy_within(from..from + length, to);
        prop_assert_eq!(verify(&key, &good.statement, &proof).is_ok(), proof == good.proof);
    }
}

#[test]
fn keys_of_impossible_networks_are_named() {
    let good = case("convolution_batch_1").key;
    let put = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        ModelKey::decode(&bytes)
    };
    assert!(matches!(put(0, b'X'), Err(KeyError::Malformed(_))));
    assert!(matches!(put(4, 2), Err(KeyError::Malformed(_))));
    assert!(matches!(put(5, 13), Err(KeyError::Network(_))));
    assert!(matches!(put(6, 0), Err(KeyError::Ceremony)));
    // The input's shape: no dimension, too many, one of zero, one too large.
    for (at, byte) in [(38, 0), (38, 5), (42, 0), (39, 1)] {
        assert!(matches!(put(at, byte), Err(KeyError::Network(_))), "{at}");
    }
    // The last point: off the curve.
    assert!(matches!(put(good.len() - 1, good[good.len() - 1] ^ 1), Err(KeyError::Point)));
    assert!(matches!(ModelKey::decode(&good[..good.len() - 96]), Err(KeyError::Malformed(_))));
}
