//! Proofs that a key is in, or not in, a committed set.

use probity_core::{
    Digest,
    absence::{AbsenceProof, MembershipProof, Neighbour, SetError, SortedSet, StreamedSet},
};
use proptest::{prelude::*, sample::Index};
use serde::Deserialize;

use crate::log::{Cases, vectors};

#[derive(Deserialize)]
struct Case<P> {
    name: String,
    commitment: Digest,
    key: Digest,
    proof: P,
    code: Option<String>,
}

fn set(size: usize) -> SortedSet {
    (0..size).map(|number| Digest::of(format!("key {number}").as_bytes())).collect()
}

/// A key next to another, upwards or downwards; the key itself at the end of the range.
fn beside(key: &Digest, up: bool) -> Digest {
    let mut bytes = *key.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (next, carried) = if up { byte.overflowing_add(1) } else { byte.overflowing_sub(1) };
        *byte = next;
        if !carried {
            return Digest::from_bytes(bytes);
        }
    }
    *key
}

#[test]
fn a_streamed_set_has_the_sets_commitment() {
    for size in [0, 1, 2, 255, 256, 257, 700] {
        let set = set(size);
        let mut streamed = StreamedSet::default();
        for key in set.keys() {
            streamed.push(*key).unwrap();
        }
        assert_eq!(streamed.commitment(), set.commitment(), "{size} keys");
        if let Some(key) = set.keys().last() {
            assert_eq!(streamed.push(*key), Err(SetError::Order(*key)));
        }
    }
}

#[test]
fn the_vectors() {
    let Cases::<Case<MembershipProof>> { cases } = vectors("absence/v1/membership.json");
    for Case { name, commitment, key, proof, .. } in cases {
        let set = set(usize::try_from(proof.count).unwrap());
        assert_eq!(set.commitment(), commitment, "{name}");
        assert_eq!(set.prove_membership(&key).unwrap(), proof, "{name}");
        assert_eq!(proof.verify(&key, &commitment), Ok(()), "{name}");
        assert_eq!(set.prove_absence(&key), Err(SetError::Present(key)), "{name}");
    }
    let Cases::<Case<AbsenceProof>> { cases } = vectors("absence/v1/absence.json");
    for Case { name, commitment, key, proof, .. } in cases {
        let set = set(usize::try_from(proof.count).unwrap());
        assert_eq!(set.commitment(), commitment, "{name}");
        assert_eq!(set.prove_absence(&key).unwrap(), proof, "{name}");
        assert_eq!(proof.verify(&key, &commitment), Ok(()), "{name}");
        assert_eq!(set.prove_membership(&key), Err(SetError::Absent(key)), "{name}");
    }
}

#[test]
fn the_bad_vectors() {
    let Cases::<Case<MembershipProof>> { cases } = vectors("absence/v1/bad_membership.json");
    for Case { name, commitment, key, proof, code } in cases {
        let found = proof.verify(&key, &commitment).map_err(|error| error.code());
        assert_eq!(found.err(), code.as_deref(), "{name}");
    }
    let Cases::<Case<AbsenceProof>> { cases } = vectors("absence/v1/bad_absence.json");
    for Case { name, commitment, key, proof, code } in cases {
        let found = proof.verify(&key, &commitment).map_err(|error| error.code());
        assert_eq!(found.err(), code.as_deref(), "{name}");
    }
}

#[test]
fn a_proof_has_no_fields_but_its_own() {
    let proof = set(3).prove_absence(&Digest::default()).unwrap();
    let mut json = serde_json::to_value(&proof).unwrap();
    assert_eq!(serde_json::from_value::<AbsenceProof>(json.clone()).unwrap(), proof);
    json["more"] = 1.into();
    assert!(serde_json::from_value::<AbsenceProof>(json).is_err());
}

/// Everything a forger could do to a proof without breaking SHA-256.
fn forged(set: &SortedSet, proof: &AbsenceProof) -> Vec<AbsenceProof> {
    let neighbours: Vec<Option<Neighbour>> = set
        .keys()
        .iter()
        .map(|key| {
            let MembershipProof { index, path, .. } = set.prove_membership(key).unwrap();
            Some(Neighbour { key: *key, index, path })
        })
        .chain([None])
        .collect();
    let shifted = |neighbour: &Option<Neighbour>, by: i64| {
        let neighbour = neighbour.as_ref()?;
        let index = neighbour.index.wrapping_add_signed(by);
        Some(Neighbour { index, ..neighbour.clone() })
    };
    let mut all = Vec::new();
    for left in &neighbours {
        for right in &neighbours {
            for count in [0, 1, proof.count.wrapping_sub(1), proof.count, proof.count + 1] {
                all.push(AbsenceProof { count, left: left.clone(), right: right.clone() });
            }
            for by in [-1, 1] {
                let (count, left, right) = (proof.count, left.clone(), right.clone());
                let left_moved = shifted(&left, by);
                let right_moved = shifted(&right, by);
                all.push(AbsenceProof { count, left: left_moved, right: right.clone() });
                all.push(AbsenceProof { count, left, right: right_moved });
            }
        }
    }
    all
}

/// Every key in a set, against every combination of true and shifted neighbours: none shows it absent.
#[test]
fn no_key_of_a_set_can_be_shown_absent() {
    for size in 0..9 {
        let set = set(size);
        let commitment = set.commitment();
        let proof = set.prove_absence(&Digest::of(b"absent")).unwrap();
        let forged = forged(&set, &proof);
        assert!(forged.len() >= (size + 1) * (size + 1));
        for key in set.keys() {
            assert!(proof.verify(key, &commitment).is_err());
            for forged in &forged {
                assert!(forged.verify(key, &commitment).is_err(), "{key} of {size}: {forged:?}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_absent_key_is_provable_and_no_present_one(
        names in prop::collection::vec(any::<u16>(), 0..60),
        asked in any::<u16>(),
        picked: Index,
    ) {
        let named = |name: u16| Digest::of(&name.to_be_bytes());
        let set: SortedSet = names.iter().map(|name| named(*name)).collect();
        let commitment = set.commitment();
        let mut asked = vec![named(asked), Digest::default(), Digest::from_bytes([0xff; 32])];
        if !set.keys().is_empty() {
            let key = picked.get(set.keys());
            asked.extend([*key, beside(key, true), beside(key, false)]);
        }
        for key in asked {
            if set.keys().contains(&key) {
                prop_assert!(set.prove_absence(&key).is_err());
                let proof = set.prove_membership(&key).unwrap();
                prop_assert_eq!(proof.verify(&key, &commitment), Ok(()));
                // The proof that its neighbour above is absent says nothing about the key.
                let other = beside(&key, true);
                if let Ok(proof) = set.prove_absence(&other) {
                    prop_assert_eq!(proof.verify(&other, &commitment), Ok(()));
                    prop_assert!(proof.verify(&key, &commitment).is_err());
                }
            } else {
                prop_assert!(set.prove_membership(&key).is_err());
                let proof = set.prove_absence(&key).unwrap();
                prop_assert_eq!(proof.verify(&key, &commitment), Ok(()));
                let with: SortedSet = set.keys().iter().copied().chain([key]).collect();
                prop_assert!(proof.verify(&key, &with.commitment()).is_err());
            }
        }
    }

    #[test]
    fn a_changed_proof_never_shows_a_present_key_absent(
        size in 1_usize..40,
        picked: Index,
        changes in prop::collection::vec((0_u8..8, any::<Index>(), any::<[u8; 32]>()), 1..5),
    ) {
        let set = set(size);
        let key = *picked.get(set.keys());
        let mut proof = set.prove_absence(&beside(&key, true)).unwrap();
        for (change, at, bytes) in changes {
            let other = Digest::from_bytes(bytes);
            let change_path = |path: &mut Vec<Digest>| {
                if !path.is_empty() {
                    let at = at.index(path.len());
                    path[at] = other;
                }
            };
            match change {
                0 => proof.count = at.index(size + 2) as u64,
                1 => std::mem::swap(&mut proof.left, &mut proof.right),
                2 => proof.left = None,
                3 => proof.right = None,
                4 => if let Some(left) = &mut proof.left { left.key = other },
                5 => if let Some(right) = &mut proof.right { right.key = other },
                6 => if let Some(left) = &mut proof.left {
                    left.index = at.index(size + 2) as u64;
                    change_path(&mut left.path);
                },
                _ => if let Some(right) = &mut proof.right {
                    right.index = at.index(size + 2) as u64;
                    change_path(&mut right.path);
                },
            }
        }
        prop_assert!(proof.verify(&key, &set.commitment()).is_err());
    }

    #[test]
    fn verifiers_are_total(
        key: [u8; 32],
        numbers: [u64; 3],
        path in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        text in ".{0,100}",
    ) {
        let path: Vec<_> = path.into_iter().map(Digest::from_bytes).collect();
        let key = Digest::from_bytes(key);
        let beside = |up| Some(Neighbour { key: beside(&key, up), index: numbers[1], path: path.clone() });
        let commitment = set(3).commitment();
        for count in [numbers[0], numbers[1].wrapping_add(1), u64::MAX] {
            for (left, right) in [(None, None), (beside(false), beside(true)), (None, beside(true)), (beside(false), None)] {
                let proof = AbsenceProof { count, left, right };
                prop_assert!(proof.verify(&key, &commitment).is_err());
            }
            let proof = MembershipProof { count, index: numbers[2], path: path.clone() };
            prop_assert!(proof.verify(&key, &commitment).is_err());
        }
        prop_assert!(serde_json::from_str::<AbsenceProof>(&text).is_err());
    }
}
