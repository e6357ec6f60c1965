//! Forged proofs as vectors: what provers that cheat send, for both verifiers.

use std::fs;

use probity_zk::{
    Model, Network, Rejection, Statement, Term, curve::POINT_BYTES, model::Weights,
    transcript::Tag, verify,
};

use super::{
    Case, network, off_subgroup,
    products::{LISTED, UNEVEN, altered, changed},
    set_input, set_output,
};
use crate::{ProvingKey, outgoing::Outgoing, prove, prove::prove_witness, witness::Witness};

/// A forged proof, and what it is rejected for.
struct Forgery {
    name: &'static str,
    statement: Statement,
    proof: Vec<u8>,
    expected: Rejection,
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{}", digits.concat())
}

/// From a witness that was tampered with.
fn witnesses(case: &Case) -> Vec<Forgery> {
    type Tamper<'a> = Box<dyn Fn(&mut Witness<'_>) + 'a>;
    let plan = &case.plan.operations;
    let column = |column: usize, index: usize| case.at(column, index);
    let output = |operation: usize| plan[operation].output.unwrap();
    let cases: Vec<(&'static str, Rejection, Tamper<'_>)> = vec![
        (
            "output_not_in_table",
            Rejection::LookupSum,
            Box::new(|w| {
                w.outputs[0][1] += 1;
                w.values[column(output(0), 1)] += 1;
            }),
        ),
        (
            "remainder_out_of_range",
            Rejection::LookupSum,
            Box::new(|w| {
                w.values[column(plan[6].remainder[0], 2)] += 256;
                w.values[column(plan[6].remainder[1], 2)] -= 1;
            }),
        ),
        (
            "multiplicity",
            Rejection::LookupSum,
            Box::new(|w| {
                w.values[column(case.plan.tables[0].multiplicity, 7)] += 1;
            }),
        ),
        ("other_value", Rejection::Operations, Box::new(|w| set_output(case, w, 3, 5, 77, 77))),
        ("padding", Rejection::Operations, Box::new(|w| set_output(case, w, 0, 7, 5, 5))),
        (
            "maximum",
            Rejection::Operations,
            Box::new(|w| {
                w.outputs[2][0] += 1;
                w.values[column(output(2), 0)] += 1;
            }),
        ),
    ];
    let forge = |(name, expected, tamper): (_, _, Tamper<'_>)| {
        let mut witness = case.witness();
        tamper(&mut witness);
        let proof = prove_witness(&case.key, &witness, case.outgoing(&case.statement));
        Forgery { name, statement: case.statement.clone(), proof, expected }
    };
    cases.into_iter().map(forge).collect()
}

/// From another model under this model's key.
fn models(case: &Case) -> Vec<Forgery> {
    type Change = fn(&mut Network, &mut Vec<Weights>);
    let cases: Vec<(&'static str, Rejection, Change)> = vec![
        ("weight", Rejection::Opening, |_, w| w[0].terms[0][3] += 1),
        ("bias", Rejection::Opening, |_, w| w[5].bias[2] += 1),
        ("layers_swapped", Rejection::Opening, |_, w| w.swap(6, 7)),
        ("table", Rejection::LookupLeaves, |n, _| n.operations[7].table = Some(1)),
        ("scale", Rejection::Operations, |n, _| {
            n.operations[4].terms[0] = Term::Scale { input: 4, coefficient: 101 };
        }),
        ("padding_of_window", Rejection::Convolutions, |n, _| {
            if let Term::Conv { window, .. } = &mut n.operations[0].terms[0] {
                window.pad = [0, 0];
            }
        }),
        ("reread", Rejection::Evaluations, |n, _| {
            n.operations[8].terms[0] = Term::Dense { input: 7, kept: 0 };
        }),
    ];
    let forge = |(name, expected, change): (_, _, Change)| {
        let (mut network, mut weights) = (network(), case.key.model.weights().to_vec());
        change(&mut network, &mut weights);
        let other = ProvingKey::new(Model::new(network, weights).unwrap()).unwrap();
        let forged = ProvingKey { key: case.key.key.clone(), ..other };
        let (statement, proof) = prove(&forged, [9; 32], &case.statement.input).unwrap();
        Forgery { name, statement, proof, expected }
    };
    cases.into_iter().map(forge).collect()
}

/// About a false statement, known to the prover all along.
fn statements(case: &Case) -> Vec<Forgery> {
    type Change = fn(&mut Statement);
    let cases: Vec<(&'static str, Rejection, Change)> = vec![
        ("false_output", Rejection::Operations, |s| s.output[0] += 1),
        ("false_output_extreme", Rejection::Operations, |s| s.output[2] = i64::MIN),
        ("false_input", Rejection::Convolutions, |s| s.input[69] ^= 1),
    ];
    let forge = |(name, expected, change): (_, _, Change)| {
        let mut statement = case.statement.clone();
        change(&mut statement);
        let outgoing = Outgoing::new(statement.transcript(case.key.key.digest()));
        let proof = prove_witness(&case.key, &case.witness(), outgoing);
        Forgery { name, statement, proof, expected }
    };
    cases.into_iter().map(forge).collect()
}

/// About an input that is committed.
fn inputs(case: &Case) -> Vec<Forgery> {
    let column = case.plan.input.unwrap().column;
    let at = |index| column.offset + index;
    let forgery = |name, tamper: &dyn Fn(&mut Witness<'_>), expected| {
        let mut witness = case.witness();
        tamper(&mut witness);
        let proof = prove_witness(&case.key, &witness, case.outgoing(&case.statement));
        Forgery { name, statement: case.statement.clone(), proof, expected }
    };
    vec![
        forgery("other_input", &|w| set_input(case, w, 1, 1), Rejection::Evaluations),
        forgery("input_padding", &|w| set_input(case, w, 7, 1), Rejection::Evaluations),
        // The same number by a digit that is none.
        forgery(
            "input_digits",
            &|w| {
                w.values[at(1)] -= 1;
                w.values[at(2)] += 256;
                w.input[1] -= 1;
                w.input[2] += 256;
            },
            Rejection::LookupSum,
        ),
    ]
}

/// With points that are none in the transcript from the start.
fn points(case: &Case) -> Vec<Forgery> {
    let mut off_curve = case.proof[5..5 + POINT_BYTES].to_vec();
    off_curve[POINT_BYTES - 1] ^= 1;
    let mut large = case.proof[5..5 + POINT_BYTES].to_vec();
    large[..48].fill(0x1f);
    let cases = [
        ("point_off_subgroup", off_subgroup()),
        ("point_off_curve", off_curve),
        ("point_not_canonical", large),
    ];
    let forge = |(name, point): (&'static str, Vec<u8>)| {
        let mut outgoing = case.outgoing(&case.statement);
        outgoing.stray = Some(point);
        let proof = prove_witness(&case.key, &case.witness(), outgoing);
        let expected = Rejection::PointEncoding { at: 0 };
        Forgery { name, statement: case.statement.clone(), proof, expected }
    };
    cases.into_iter().map(forge).collect()
}

/// About products, arrangements and listed tables.
fn products(case: &Case) -> Vec<Forgery> {
    let forgery = |name, proof, expected| Forgery {
        name,
        statement: case.statement.clone(),
        proof,
        expected,
    };
    let tampered = |tamper: &dyn Fn(&mut Witness<'_>)| {
        let mut witness = case.witness();
        tamper(&mut witness);
        prove_witness(&case.key, &witness, case.outgoing(&case.statement))
    };
    let set = |operation: usize, index: usize, u: i32| {
        let table = usize::from(case.key.model.network().operations[operation].table.unwrap());
        let y = case.key.model.entry(table, i64::from(u)).unwrap();
        let y = i32::try_from(y).unwrap();
        tampered(&move |w| set_output(case, w, operation, index, y, u))
    };
    let column = case.plan.operations[8].output.unwrap();
    let not_listed = tampered(&|w| {
        w.outputs[8][2] += 1;
        w.values[case.at(column, 2)] += 1;
    });
    let under_the_key = |model: Model| {
        let other = ProvingKey::new(model).unwrap();
        let forged = ProvingKey { key: case.key.key.clone(), ..other };
        let (statement, proof) = prove(&forged, [9; 32], &case.statement.input).unwrap();
        (statement, proof)
    };
    let mut forgeries = vec![
        forgery("product", set(3, 1, 9), Rejection::Operations),
        forgery("product_padding", set(3, 3, 7), Rejection::Operations),
        forgery("repeated_padding", set(8, 3, 400), Rejection::Operations),
        forgery("listed_result", not_listed, Rejection::LookupSum),
        forgery("uneven_square", altered(case, Tag::AfterA, UNEVEN), Rejection::Evaluations),
        forgery("listed_evaluation", altered(case, Tag::AtPoint, LISTED), Rejection::LookupLeaves),
    ];
    let (statement, proof) = under_the_key(changed(|_, _, tables| tables[2][399] += 1));
    let expected = Rejection::Opening;
    forgeries.push(Forgery { name: "listed_table", statement, proof, expected });
    let (statement, proof) = under_the_key(changed(|_, weights, _| weights[12].bias[7] += 1));
    let expected = Rejection::Opening;
    forgeries.push(Forgery { name: "position_bias", statement, proof, expected });
    forgeries
}

/// Writes a key's forgeries behind its honest case; returns their names.
fn write(folder: &str, honest: &str, case: &Case, forgeries: Vec<Forgery>) -> Vec<String> {
    let key = hex(&case.key.model_key().encode());
    let good = Forgery {
        name: "",
        statement: case.statement.clone(),
        proof: case.proof.clone(),
        expected: Rejection::Version,
    };
    let mut files = vec![(honest.to_owned(), good)];
    files.extend(forgeries.into_iter().map(|f| (format!("bad_forged_{}", f.name), f)));
    let mut names = vec![];
    for (name, forgery) in files {
        let verdict = verify(case.key.model_key(), &forgery.statement, &forgery.proof);
        let honest = forgery.name.is_empty();
        assert_eq!(verdict, if honest { Ok(()) } else { Err(forgery.expected.clone()) }, "{name}");
        let result = if honest { "ok" } else { forgery.expected.code() };
        let statement = &forgery.statement;
        let json = serde_json::json!({"cases": [{
            "name": name, "key": key, "context": hex(&statement.context), "batch": statement.batch,
            "input": hex(&statement.input_bytes()), "output": hex(&statement.output_bytes()),
            "proof": hex(&forgery.proof), "result": result,
        }]});
        current(folder, &name, &json);
        names.push(name);
    }
    names
}

#[test]
fn forged_vectors_are_current() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/zk/v1/");
    let (case, block) = (Case::new(1), super::products::case(1));
    let plain = [witnesses(&case), models(&case), statements(&case), points(&case)];
    let mut names = write(folder, "forgeable", &case, plain.into_iter().flatten().collect());
    names.extend(write(folder, "forgeable_block", &block, products(&block)));
    let committed = Case::new(3);
    names.extend(write(folder, "forgeable_input", &committed, inputs(&committed)));
    let names: Vec<_> = names.iter().map(|name| serde_json::json!({"name": name})).collect();
    current(folder, "forged", &serde_json::json!({"cases": names}));
}

pub(super) fn current(folder: &str, name: &str, json: &serde_json::Value) {
    let path = format!("{folder}{name}.json");
    let text = format!("{}\n", serde_json::to_string_pretty(json).unwrap());
    if std::env::var_os("PROBITY_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    // As values: the order of a text's names depends on other rooms' wishes of the JSON library.
    let stored: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(stored == *json, "{path}: run this test with PROBITY_WRITE_VECTORS=1");
}
