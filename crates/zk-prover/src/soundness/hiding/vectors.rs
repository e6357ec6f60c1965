//! Hiding proofs as vectors: `vectors/zk/v1/hiding.json` lists them.

use probity_zk::{
    HidingStatement, Model, Network, Operation, Rejection, Shape, Stage, Table, Term,
    curve::POINT_BYTES, model::Weights, proof_header, transcript::Tag, verify_hiding,
};
use serde_json::json;

use super::{
    super::forged::{current, hex},
    Case, Hidden, attention, seed, simulator,
};
use crate::{ProvingKey, outgoing::Alteration, outgoing::Outgoing, prove_hiding};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/zk/v1/");

/// Two dense layers, five inputs padded to eight.
pub(super) fn small(row_bits: u8) -> Model {
    let shape = |size| Shape::new(&[size]).unwrap();
    let operation = |size, input, shift, table| Operation {
        shape: shape(size),
        terms: vec![Term::Dense { input, kept: 0 }],
        bias: Some(0),
        shift,
        table,
    };
    let network = Network {
        row_bits,
        input: shape(5),
        operations: vec![operation(3, 0, 8, Some(0)), operation(2, 1, 0, None)],
        tables: vec![Table::clamp(9, 7, false)],
    };
    let weights = |count: usize, channels: usize, seed: usize| Weights {
        terms: vec![super::pattern(count, seed)],
        multipliers: vec![3; channels],
        bias: vec![100; channels],
    };
    Model::new(network, vec![weights(15, 3, 1), weights(6, 2, 2)]).unwrap()
}

struct Vector {
    name: String,
    key: Vec<u8>,
    statement: HidingStatement,
    proof: Vec<u8>,
    verdict: Result<(), Rejection>,
}

impl Vector {
    fn new(name: &str, case: &Case, statement: HidingStatement, proof: Vec<u8>) -> Self {
        let verdict = verify_hiding(case.key.model_key(), &statement, &proof);
        let key = case.key.model_key().encode();
        let name =
            if verdict.is_ok() { format!("hiding_{name}") } else { format!("bad_hiding_{name}") };
        Self { name, key, statement, proof, verdict }
    }
}

fn good() -> Vec<Vector> {
    let keys = [
        ("weights_open", ProvingKey::new(small(6)).unwrap(), 3),
        ("weights_hidden", ProvingKey::hiding(small(6), &seed(1)).unwrap(), 1),
        ("attention", ProvingKey::hiding(attention::model(9), &seed(1)).unwrap(), 2),
    ];
    let vector = |(name, key, batch): (&str, ProvingKey, u32)| {
        let case = Case::new(key, batch);
        Vector::new(name, &case, case.statement.clone(), case.proof.clone())
    };
    keys.into_iter().map(vector).collect()
}

fn tampered(case: &Case) -> Vec<Vector> {
    type Tamper = Box<dyn Fn(&mut HidingStatement, &mut Vec<u8>)>;
    let length = case.proof.len();
    let flip = |at: usize| -> Tamper { Box::new(move |_, proof| proof[at] ^= 1) };
    let pads = 5;
    let root = pads + POINT_BYTES * (1 + case.plan.witness.rows(6));
    // From the end: quotient, blinding, six ends, symmetric, fresh value, two fresh commitments.
    let quotient = length - POINT_BYTES;
    let ends = quotient - 7 * 32;
    let fresh = ends - POINT_BYTES - 32 - 2 * POINT_BYTES;
    let cases: Vec<(&str, Tamper)> = vec![
        ("output", Box::new(|s, _| s.output[0] += 1)),
        ("input", Box::new(|s, _| s.input.reverse())),
        ("context", Box::new(|s, _| s.context[31] ^= 1)),
        ("missing_row", Box::new(|s, _| s.input.truncate(1))),
        ("missing_output", Box::new(|s, _| s.output.truncate(1))),
        ("stage", flip(4)),
        ("version", flip(3)),
        ("empty", Box::new(|_, proof| proof.truncate(5))),
        ("truncated", Box::new(move |_, proof| proof.truncate(length - 1))),
        ("longer", Box::new(|_, proof| proof.push(0))),
        ("pads", Box::new(move |_, proof| proof.copy_within(quotient.., pads))),
        ("pads_infinity", Box::new(move |_, p| p[pads..pads + POINT_BYTES].fill(0))),
        ("root", flip(root + 31)),
        ("inverse", flip(root + 4 * 32 + 31)),
        ("round", flip(root + 6 * 32 + 31)),
        ("scalar_order", Box::new(move |_, proof| proof[root..root + 32].fill(0xff))),
        ("factor", flip(fresh - 1)),
        ("fresh", Box::new(move |_, proof| proof.copy_within(quotient.., fresh))),
        ("fresh_value", flip(ends - POINT_BYTES - 1)),
        ("ends", flip(ends + 31)),
        ("blinding", flip(quotient - 1)),
        (
            "quotient",
            Box::new(move |_, proof| proof.copy_within(pads..pads + POINT_BYTES, quotient)),
        ),
    ];
    let vector = |(name, tamper): (&str, Tamper)| {
        let (mut statement, mut proof) = (case.statement.clone(), case.proof.clone());
        tamper(&mut statement, &mut proof);
        Vector::new(name, case, statement, proof)
    };
    cases.into_iter().map(vector).collect()
}

/// From provers that cheat.
fn forged(case: &Case) -> Vec<Vector> {
    type Tamper<'a> = Box<dyn Fn(&mut crate::witness::Witness<'_>) + 'a>;
    let network = case.key.model.network();
    let counts = case.plan.bytes.unwrap().multiplicity;
    let output = case.plan.operations[0].output.unwrap();
    let mut vectors = vec![];
    let tampers: Vec<(&str, Tamper<'_>)> = vec![
        ("input_out_of_range", Box::new(|w| w.input[0] += 256)),
        ("input_padding", Box::new(|w| w.input[6] = 1)),
        ("multiplicity", Box::new(|w| w.values[case.at(counts, 7)] += 1)),
        (
            "output_not_in_table",
            Box::new(|w| {
                w.outputs[0][1] += 1;
                w.values[case.at(output, 1)] += 1;
            }),
        ),
    ];
    for (name, tamper) in tampers {
        let (mut witness, mut statement) = (case.witness(), case.statement.clone());
        tamper(&mut witness);
        let proof = case.prover(&witness, &mut statement).prove(&witness, &statement).unwrap();
        vectors.push(Vector::new(&format!("forged_{name}"), case, statement, proof));
    }
    let (witness, mut statement) = (case.witness(), case.statement.clone());
    statement.output[0] += 1;
    let prover = case.prover(&witness, &mut statement);
    let proof = prover.prove(&witness, &statement).unwrap();
    vectors.push(Vector::new("forged_false_output", case, statement, proof));
    vectors.extend(messages(case));

    // Another weight under the key's blinding.
    let mut weights = case.key.model.weights().to_vec();
    weights[0].terms[0][3] += 1;
    let model = Model::new(network.clone(), weights).unwrap();
    let other = ProvingKey::with_hiding_key(model, case.key.key.clone(), &seed(1)).unwrap();
    let other = ProvingKey { blinding: case.key.blinding.clone(), ..other };
    let (statement, proof) = prove_hiding(&other, [9; 32], &case.input, &seed(3)).unwrap();
    vectors.push(Vector::new("forged_weight", case, statement, proof));

    // What the simulator writes is accepted under its own challenges only.
    let messages = simulator::Simulator::new(case.key.model_key(), &case.statement, 60).run();
    let proof = [&case.proof[..5], &messages].concat();
    vectors.push(Vector::new("forged_simulated", case, case.statement.clone(), proof));
    vectors
}

/// With messages that differ from the honest ones, in the transcript too.
fn messages(case: &Case) -> Vec<Vector> {
    let bump: Alteration = |values| values[0] += probity_zk::field::Fr::from(1);
    let alterations = [
        ("forged_inverse", Some((Tag::Inverses, bump))),
        ("forged_products", Some((Tag::Products, bump))),
        ("forged_factor", Some((Tag::Factors, bump))),
        ("forged_blinding", Some((Tag::Blinding, bump))),
        ("forged_unmasked", None),
    ];
    let vector = |(name, alter): (&str, Option<(Tag, Alteration)>)| {
        let (witness, mut statement) = (case.witness(), case.statement.clone());
        let prover: Hidden<'_> = case.prover(&witness, &mut statement);
        let pads = prover.masks.pads.clone();
        let none = vec![probity_zk::field::Fr::from(0); pads.len()].into();
        let (header, transcript) = (proof_header(Stage::Hiding), prover.transcript.clone());
        let mut outgoing =
            Outgoing::masked(header, transcript, if alter.is_some() { pads } else { none });
        outgoing.alter = alter;
        let proof = prover.prove_to(outgoing, &witness, &statement).unwrap();
        Vector::new(name, case, statement, proof)
    };
    alterations.into_iter().map(vector).collect()
}

#[test]
fn hiding_vectors_are_current() {
    let case = Case::new(ProvingKey::hiding(small(6), &seed(1)).unwrap(), 17);
    assert!(case.statement.input.len() > 1, "rows to be swapped");
    let own = Vector::new("batch", &case, case.statement.clone(), case.proof.clone());
    let good: Vec<_> = good().into_iter().chain([own]).collect();
    assert!(good.iter().all(|vector| vector.verdict.is_ok()));
    let bad: Vec<_> = tampered(&case).into_iter().chain(forged(&case)).collect();
    assert!(bad.iter().all(|vector| vector.verdict.is_err()));
    let mut names = vec![];
    for vector in good.iter().chain(&bad) {
        let result = vector.verdict.as_ref().map_or_else(Rejection::code, |()| "ok");
        let statement = &vector.statement;
        let json = json!({"cases": [{
            "name": vector.name, "stage": "hiding", "key": hex(&vector.key),
            "context": hex(&statement.context), "batch": statement.batch,
            "input": hex(&statement.input_bytes()),
            "output": hex(&statement.outputs().output_bytes()),
            "proof": hex(&vector.proof), "result": result,
        }]});
        current(FOLDER, &vector.name, &json);
        names.push(json!({"name": vector.name}));
    }
    current(FOLDER, "hiding", &json!({"cases": names}));
}
