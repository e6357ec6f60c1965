//! Range proofs: of weights in range, of none beyond, of no padding that is not zero.

use probity_zk::{
    Model, ModelKey, Network, Operation, Rejection, Term,
    curve::POINT_BYTES,
    model::Weights,
    range::{RANGE_HEADER, RangePlan, VALUE_BITS, cannot_wrap},
    verify_hiding, verify_range,
};
use serde_json::json;

use super::{
    super::forged::{current, hex},
    Case, attention, model, seed, shape, simulator,
    vectors::small,
};
use crate::{
    ProveError, ProvingKey,
    ceremony::{blind, commit_small},
    prove_range,
    range::RangeWitness,
};

/// What a prover that cheats does to chunks and counts.
type Tamper<'a> = dyn Fn(&RangePlan, &mut [i32]) + 'a;

fn hidden() -> ProvingKey {
    ProvingKey::hiding(model(), &seed(1)).unwrap()
}

/// A key whose maker committed to other values.
fn committed(mut key: ProvingKey, change: impl FnOnce(&mut [i64])) -> ProvingKey {
    change(&mut key.values);
    let network = key.model.network().clone();
    let rows = key.values.chunks(1 << network.row_bits);
    let blinding = key.blinding.as_ref().unwrap().iter();
    let rows = rows.zip(blinding).map(|(row, b)| blind(commit_small(row), *b)).collect();
    key.key = ModelKey::hiding(network, rows).unwrap();
    key
}

/// What is said to the proof of `key` with the chunks of `honest`, tampered with.
fn cheat(
    key: &ProvingKey,
    honest: &ProvingKey,
    tamper: impl FnOnce(&RangePlan, &mut [i32]),
) -> Rejection {
    let plan = RangePlan::new(key.model.network()).unwrap();
    let mut witness = RangeWitness::new(honest, &plan).unwrap();
    tamper(&plan, &mut witness.values);
    let proof = witness.prove(key, &seed(4)).unwrap();
    verify_range(key.model_key(), &proof).unwrap_err()
}

/// Where a chunk of a column's value lies.
fn at(plan: &RangePlan, column: usize, chunk: usize, index: usize) -> usize {
    plan.witness.get(plan.columns[column].chunks[chunk]).offset + index
}

#[test]
fn keys_of_bounded_integers_are_proved() {
    let block = ProvingKey::hiding(attention::model(9), &seed(1)).unwrap();
    for key in [hidden(), block, ProvingKey::new(model()).unwrap()] {
        let proof = prove_range(&key, &seed(3)).unwrap();
        assert_eq!(verify_range(key.model_key(), &proof), Ok(()));
        let other = prove_range(&key, &seed(4)).unwrap();
        assert_eq!(other.len(), proof.len());
        assert_ne!(other, proof);
    }
    // The extremes are in range, what lies beyond is not.
    let extremes = [(1 << VALUE_BITS) - 1, -(1 << VALUE_BITS)];
    let key = committed(hidden(), |values| values[..2].copy_from_slice(&extremes));
    let proof = prove_range(&key, &seed(3)).unwrap();
    assert_eq!(verify_range(key.model_key(), &proof), Ok(()));
    for beyond in [1 << VALUE_BITS, -(1 << VALUE_BITS) - 1, i64::MAX, i64::MIN] {
        let key = committed(hidden(), |values| values[0] = beyond);
        assert_eq!(prove_range(&key, &seed(3)).unwrap_err(), ProveError::Range);
    }
}

#[test]
fn weights_beyond_the_range() {
    let honest = hidden();
    let plan = RangePlan::new(honest.model.network()).unwrap();
    let column = plan.columns[0].column.offset;
    let old = honest.values[column];
    let set = |value: i64| committed(hidden(), |values| values[column] = value);
    // Its chunks add up to it, but one of them is no chunk: all else is as it would be of one.
    for change in [1, -1] {
        let key = set(old + change * (1 << (VALUE_BITS + 1)));
        let rejection = cheat(&key, &honest, |p, v| {
            let chunk = v[at(p, 0, 2, 0)];
            v[at(p, 0, 2, 0)] = chunk + i32::try_from(change).unwrap() * (1 << 16);
            v[p.witness.get(p.counts).offset + usize::try_from(chunk).unwrap()] -= 1;
        });
        assert_eq!(rejection, Rejection::Relation);
    }
    // The same value in chunks that are none.
    let same = cheat(&honest, &honest, |p, v| {
        v[at(p, 0, 0, 0)] += 1 << 16;
        v[at(p, 0, 1, 0)] -= 1;
    });
    assert_eq!(same, Rejection::Relation);
    // Chunks of another value, looked up honestly.
    let another = cheat(&set(old + 1), &honest, |_, _| ());
    assert_eq!(another, Rejection::Relation);
    // Counts that are not what was looked up.
    for (entry, change) in [(0, 1), (65_535, -1), (9, 70_000)] {
        let counted = cheat(&honest, &honest, |p, v| {
            v[p.witness.get(p.counts).offset + entry] += change;
        });
        assert_eq!(counted, Rejection::Relation);
    }
}

#[test]
fn padding_and_entries_that_are_not_zero() {
    let honest = hidden();
    let plan = RangePlan::new(honest.model.network()).unwrap();
    for (column, place) in plan.columns.iter().enumerate() {
        let Some(padding) = place.mask().iter().position(|valid| !valid) else { continue };
        let key = committed(hidden(), |values| values[place.column.offset + padding] = 1);
        assert_eq!(prove_range(&key, &seed(3)).unwrap_err(), ProveError::Range);
        // Said to be zero; looked up as what it is; as what a valid 1 would be.
        let one: [&Tamper<'_>; 3] =
            [&|_, _| (), &|p, v| v[at(p, column, 0, padding)] = 1, &|p, v| {
                v[at(p, column, 0, padding)] = 1;
                v[p.witness.get(p.counts).offset + 1] += 1;
            }];
        for tamper in one {
            assert_eq!(cheat(&key, &honest, tamper), Rejection::Relation, "{column}");
        }
    }
    // A listed table's entry at 0: in range, so that only the claim about it fails.
    let block = || ProvingKey::hiding(attention::model(9), &seed(1)).unwrap();
    let plan = RangePlan::new(block().model.network()).unwrap();
    let listed: Vec<_> = plan.columns.iter().filter_map(|c| Some((c.column, c.zero?))).collect();
    assert!(listed.len() > 1);
    for (column, zero) in listed {
        let key = committed(block(), |values| values[column.offset + zero] = 5);
        let proof = prove_range(&key, &seed(3)).unwrap();
        assert_eq!(verify_range(key.model_key(), &proof), Err(Rejection::Relation));
    }
}

/// A column of one value comes first.
#[test]
fn a_single_weight_is_proved() {
    let operation = Operation {
        shape: shape(&[1]),
        terms: vec![Term::Dense { input: 0, kept: 0 }],
        bias: Some(0),
        shift: 0,
        table: None,
    };
    let network =
        Network { row_bits: 6, input: shape(&[1]), operations: vec![operation], tables: vec![] };
    let weights = Weights { terms: vec![vec![5]], multipliers: vec![3], bias: vec![7] };
    let key = ProvingKey::hiding(Model::new(network, vec![weights]).unwrap(), &seed(1)).unwrap();
    let proof = prove_range(&key, &seed(3)).unwrap();
    assert_eq!(verify_range(key.model_key(), &proof), Ok(()));
}

/// Enough layers without tables between them multiply what 48 bits are to more than the field holds.
#[test]
fn networks_that_could_wrap() {
    let dense = |input| Operation {
        shape: shape(&[2]),
        terms: vec![Term::Dense { input, kept: 0 }],
        bias: None,
        shift: 0,
        table: None,
    };
    let key = |layers: u16| {
        let operations: Vec<_> = (0..layers).map(dense).collect();
        let network = Network { row_bits: 6, input: shape(&[2]), operations, tables: vec![] };
        let rows = usize::from(layers).div_ceil(16);
        let rows = (0..rows).map(|_| commit_small(&[1i64])).collect();
        ModelKey::hiding(network, rows).unwrap()
    };
    assert_eq!(verify_range(&key(5), &RANGE_HEADER), Err(Rejection::ProofLength));
    assert_eq!(verify_range(&key(6), &RANGE_HEADER), Err(Rejection::Bounds(5)));
    // Sums do not multiply: the largest of a long row is found by many.
    let sum = |input| Operation {
        terms: vec![Term::Scale { input, coefficient: 1 }, Term::Scale { input, coefficient: -1 }],
        ..dense(input)
    };
    let operations = (0..100).map(sum).collect();
    let network = Network { row_bits: 6, input: shape(&[2]), operations, tables: vec![] };
    assert_eq!(cannot_wrap(&network), Ok(()));
}

#[test]
fn range_proofs_of_other_keys_and_kinds() {
    let (key, case) = (hidden(), Case::hidden(1));
    let proof = prove_range(&key, &seed(3)).unwrap();
    let again = ProvingKey::hiding(model(), &seed(8)).unwrap();
    assert!(verify_range(again.model_key(), &proof).is_err());
    assert!(verify_range(ProvingKey::new(model()).unwrap().model_key(), &proof).is_err());
    assert_eq!(verify_range(key.model_key(), &case.proof), Err(Rejection::Version));
    assert_eq!(case.check(&proof), Err(Rejection::Version));
    let relabelled = [&case.proof[..5], &proof[5..]].concat();
    assert!(verify_hiding(key.model_key(), &case.statement, &relabelled).is_err());
}

#[test]
fn every_word_of_a_range_proof_counts() {
    let key = small_key();
    let proof = prove_range(&key, &seed(3)).unwrap();
    let check = |proof: &[u8]| verify_range(key.model_key(), proof);
    assert_eq!(check(&proof), Ok(()));
    for at in (0..proof.len()).step_by(31) {
        let mut changed = proof.clone();
        changed[at] ^= 1;
        assert!(check(&changed).is_err(), "byte {at}");
    }
    assert_eq!(check(&proof[..proof.len() - 1]), Err(Rejection::ProofLength));
    assert_eq!(check(&[&proof[..], &[0]].concat()), Err(Rejection::ProofLength));
}

#[test]
fn a_range_proof_s_transcript_that_leaves_a_message_out() {
    let key = small_key();
    let plan = RangePlan::new(key.model.network()).unwrap();
    let witness = RangeWitness::new(&key, &plan).unwrap();
    let prover = witness.prover(&key, &seed(3)).unwrap();
    let honest = witness.prove(&key, &seed(3)).unwrap();
    for omitted in 0.. {
        let mut outgoing = prover.outgoing(RANGE_HEADER);
        outgoing.omit = Some(omitted);
        let proof = witness.prove_to(outgoing, &prover).unwrap();
        // Nothing answers the last message: leaving it out changes nothing.
        let last = proof == honest;
        assert_eq!(verify_range(key.model_key(), &proof).is_ok(), last, "message {omitted}");
        if last {
            assert!(omitted > 60, "{omitted}");
            break;
        }
    }
}

/// Of a key that nobody can open a proof is made all the same, by who chooses the challenges: it shows
/// nothing else of the weights.
#[test]
fn simulated_range_proofs_are_accepted_without_weights() {
    let key = committed(small_key(), |values| values.fill(i64::MAX));
    let mut simulator = simulator::Simulator::of_range(key.model_key(), 51);
    let messages = simulator.run();
    assert_eq!(simulator.verdict(&messages), Ok(()));
    let honest = prove_range(&small_key(), &seed(3)).unwrap();
    assert_eq!(messages.len(), honest.len() - RANGE_HEADER.len());
    let proof = [&RANGE_HEADER[..], &messages].concat();
    assert!(verify_range(key.model_key(), &proof).is_err());
}

/// Rows long enough for the counts to be few of them.
fn small_key() -> ProvingKey {
    ProvingKey::hiding(small(10), &seed(1)).unwrap()
}

#[test]
fn range_vectors_are_current() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/zk/v1/");
    let honest = small_key();
    let good = prove_range(&honest, &seed(3)).unwrap();
    let plan = RangePlan::new(honest.model.network()).unwrap();
    let forged = |key: &ProvingKey, tamper: &Tamper<'_>| {
        let mut witness = RangeWitness::new(&honest, &plan).unwrap();
        tamper(&plan, &mut witness.values);
        (key.key.clone(), witness.prove(key, &seed(4)).unwrap())
    };
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut proof = good.clone();
        change(&mut proof);
        (honest.key.clone(), proof)
    };
    let last = good.len() - POINT_BYTES;
    let column = plan.columns[0].column.offset;
    let padding = plan.columns[0].mask().iter().position(|valid| !valid).unwrap();
    let beyond = committed(small_key(), |values| values[column] += 1 << (VALUE_BITS + 1));
    let padded = committed(small_key(), |values| values[column + padding] = 1);
    let other = ProvingKey::hiding(small(10), &seed(8)).unwrap();
    let cases = [
        ("range", (honest.key.clone(), good.clone())),
        ("bad_range_header", changed(&|proof| proof[2] ^= 1)),
        ("bad_range_truncated", changed(&|proof| proof.truncate(proof.len() - 1))),
        ("bad_range_longer", changed(&|proof| proof.push(0))),
        ("bad_range_pads", changed(&|proof| proof.copy_within(last.., 5))),
        ("bad_range_key", (other.key.clone(), good.clone())),
        (
            "bad_range_forged_beyond",
            forged(&beyond, &|p, v| {
                let chunk = v[at(p, 0, 2, 0)];
                v[at(p, 0, 2, 0)] += 1 << 16;
                v[p.witness.get(p.counts).offset + usize::try_from(chunk).unwrap()] -= 1;
            }),
        ),
        ("bad_range_forged_padding", forged(&padded, &|p, v| v[at(p, 0, 0, padding)] = 1)),
        ("bad_range_forged_value", forged(&beyond, &|_, _| ())),
        ("bad_range_forged_count", forged(&honest, &|p, v| v[p.witness.get(p.counts).offset] += 1)),
    ];
    let mut names = vec![];
    for (name, (key, proof)) in &cases {
        let verdict = verify_range(key, proof);
        assert_eq!(verdict.is_ok(), !name.starts_with("bad_"), "{name}");
        let result = verdict.as_ref().map_or_else(Rejection::code, |()| "ok");
        let json = json!({"cases": [{
            "name": name, "key": hex(&key.encode()), "proof": hex(proof), "result": result,
        }]});
        current(FOLDER, name, &json);
        names.push(json!({"name": name}));
    }
    current(FOLDER, "ranges", &json!({"cases": names}));
}
