//! Cheating about products of activations, arrangements and listed tables.

use ff::Field;
use probity_zk::{
    Labels, Model, ModelError, Network, Rejection, Term, field::Fr, model::Weights,
    transcript::Tag, verify,
};

use super::{Case, attention, set_output};
use crate::{ProvingKey, outgoing::Alteration, prove::prove_witness, witness::Witness};

/// Rows of 2^8, so that some columns fill several and some share one.
pub(super) fn case(batch: u32) -> Case {
    Case::of(attention::model(8), batch)
}

/// An operation's index from its number in the network's list, which starts at 1.
const fn number(operation: usize) -> usize {
    operation - 1
}

/// What else a block has in it.
type Change<'a> = dyn Fn(&mut Network, &mut Vec<Weights>, &mut Vec<Vec<i32>>) + 'a;

/// A block with something else in it.
pub(super) fn changed(
    change: impl FnOnce(&mut Network, &mut Vec<Weights>, &mut Vec<Vec<i32>>),
) -> Model {
    let model = attention::model(8);
    let (mut network, mut weights, mut tables) =
        (model.network().clone(), model.weights().to_vec(), model.tables().to_vec());
    change(&mut network, &mut weights, &mut tables);
    Model::with_tables(network, weights, tables).unwrap()
}

#[test]
fn the_block_computes_something_everywhere() {
    let case = case(2);
    let witness = case.witness();
    for (index, output) in witness.outputs.iter().enumerate().take(18) {
        let used: std::collections::BTreeSet<i32> = output.iter().copied().collect();
        assert!(used.len() > 2, "operation {index} has only {used:?}");
    }
}

/// Sets an operation's value and quotient, the table's own result for it.
fn look_up(case: &Case, witness: &mut Witness<'_>, operation: usize, index: usize, u: i32) {
    let table = case.key.model.network().operations[operation].table.unwrap();
    let y = case.key.model.entry(usize::from(table), i64::from(u)).unwrap();
    set_output(case, witness, operation, index, i32::try_from(y).unwrap(), u);
}

#[test]
fn values_of_products_and_arrangements() {
    let case = case(1);
    // Scores; distances to the maximum; a sum's reciprocal; what keys count; the values; a sum of
    // squares; what it divides; a product with a constant.
    let spots = [(4, 1), (9, 2), (10, 1), (11, 5), (12, 3), (14, 2), (15, 4), (17, 6)];
    for (operation, index) in spots.map(|(operation, index)| (number(operation), index)) {
        let rejection = case.cheat(|w| {
            let u = w.quotients[operation][index];
            look_up(&case, w, operation, index, if u > 5 { u - 1 } else { u + 1 });
        });
        assert_eq!(rejection, Rejection::Operations, "{operation}");
    }
    // Without a table: a constant, and a product of public values.
    for operation in [16, 18].map(number) {
        let column = case.plan.operations[operation].output.unwrap();
        let rejection = case.cheat(|w| {
            w.outputs[operation][0] += 1;
            w.values[case.at(column, 0)] += 1;
        });
        assert_eq!(rejection, Rejection::Operations, "{operation}");
    }
}

#[test]
fn padding_of_products_and_arrangements() {
    let case = case(1);
    // Beyond the keys, the queries, the tokens, the features; where a maximum repeats and the bias
    // would reach, were they not masked; where a row's function repeats.
    let spots = [(4, 3), (4, 3 << 2), (9, 3), (9, 3 << 2), (10, 3), (12, 3), (15, 5), (15, 3 << 3)];
    for (operation, index) in spots.map(|(operation, index)| (number(operation), index)) {
        for u in [7, 400] {
            let rejection = case.cheat(|w| {
                assert_eq!((w.outputs[operation][index], w.quotients[operation][index]), (0, 0));
                look_up(&case, w, operation, index, u);
            });
            assert_eq!(rejection, Rejection::Operations, "{operation} {index}");
        }
        // A listed table, or any other, has nothing but 0 for 0.
        let rejection = case.cheat(|w| {
            let column = case.plan.operations[operation].output.unwrap();
            w.outputs[operation][index] = 3;
            w.values[case.at(column, index)] = 3;
        });
        assert_eq!(rejection, Rejection::LookupSum, "{operation} {index}");
    }
}

#[test]
fn values_that_no_listed_table_holds() {
    let case = case(2);
    for (operation, index) in [(9, 2), (10, 1), (14, 2), (17, 6)] {
        let operation = number(operation);
        let column = case.plan.operations[operation].output.unwrap();
        let rejection = case.cheat(|w| {
            w.outputs[operation][index] += 1;
            w.values[case.at(column, index)] += 1;
        });
        assert_eq!(rejection, Rejection::LookupSum, "{operation}");
        // A quotient that is no index: below a table from 0, and beyond its end.
        for u in [-1, 1 << 10, 1 << 20] {
            let rejection = case.cheat(|w| w.quotients[operation][index] = u);
            assert_eq!(rejection, Rejection::LookupSum, "{operation} {u}");
        }
    }
    for table in &case.plan.tables {
        let at = case.at(table.multiplicity, 3);
        assert_eq!(case.cheat(|w| w.values[at] += 1), Rejection::LookupSum);
    }
}

#[test]
fn another_block_than_the_key_s() {
    let case = case(1);
    let forge = |change: &Change<'_>| case.cheat_with(changed(change));
    // What tables list, biases by position, constants: all committed.
    assert_eq!(forge(&|_, _, t| t[2][399] += 1), Rejection::Opening);
    assert_eq!(forge(&|_, _, t| t[3][2] += 1), Rejection::Opening);
    assert_eq!(forge(&|_, w, _| w[number(13)].bias[7] += 1), Rejection::Opening);
    assert_eq!(forge(&|_, w, _| w[number(16)].bias[1] += 1), Rejection::Opening);
    assert_eq!(forge(&|_, w, _| w[number(1)].multipliers.swap(1, 3)), Rejection::Opening);
    // Coefficients, labels, operands: the key's own words.
    let product = |n: &mut Network, operation: usize, change: &dyn Fn(&mut Term)| {
        change(&mut n.operations[number(operation)].terms[0]);
    };
    let coefficient = |term: &mut Term| {
        if let Term::Product { coefficient, .. } | Term::Arrange { coefficient, .. } = term {
            *coefficient += 1;
        }
    };
    for operation in [4, 10, 12, 18] {
        let rejection = forge(&|n, _, _| product(n, operation, &coefficient));
        assert_eq!(rejection, Rejection::Operations, "{operation}");
    }
    let rejection = forge(&|n, _, _| {
        product(n, 4, &|term| {
            if let Term::Product { labels, .. } = term {
                *labels = [Labels::new(&[2, 0, 4]), Labels::new(&[1, 0, 4])];
            }
        });
    });
    assert_eq!(rejection, Rejection::Evaluations);
    let rejection = forge(&|n, _, _| {
        product(n, 4, &|term| {
            if let Term::Product { inputs, .. } = term {
                *inputs = [1, 1];
            }
        });
    });
    assert_eq!(rejection, Rejection::Evaluations);
    // A distance to another row's maximum.
    let rejection = forge(&|n, _, _| {
        n.operations[number(9)].terms[0] = Term::Scale { input: 4, coefficient: 2 };
    });
    assert_eq!(rejection, Rejection::Operations);
}

#[test]
fn statements_about_operands_that_are_public() {
    for batch in [1, 3] {
        let case = case(batch);
        for change in [(0, 1), (14, -128), (7, 2)] {
            let mut statement = case.statement.clone();
            statement.input[change.0] ^= change.1;
            let outgoing = case.outgoing(&statement);
            let proof = prove_witness(&case.key, &case.witness(), outgoing);
            assert_eq!(
                verify(case.key.model_key(), &statement, &proof),
                Err(Rejection::Operations)
            );
        }
        let mut statement = case.statement.clone();
        statement.output[1] -= 1;
        let proof = prove_witness(&case.key, &case.witness(), case.outgoing(&statement));
        assert_eq!(verify(case.key.model_key(), &statement, &proof), Err(Rejection::Operations));
    }
}

/// Both factors of a square are sent: values that differ have the right product, and are neither the
/// tensor's.
fn uneven(values: &mut [Fr]) {
    // After A: three dense terms without a value of their own input, the scores' two, one for the
    // taps of each of two tensors, what keys count, the values, the projection, then the square.
    let square = 3 + 2 + 2 + 2 + 2 + 2;
    assert_eq!(values[square], values[square + 1]);
    values[square] = values[square].double();
    values[square + 1] *= Fr::from(2).invert().unwrap();
}

/// A listed table's value at the point that would make the leaves right for other results.
fn listed(values: &mut [Fr]) {
    let last = values.len() - 1;
    values[last] += Fr::from(1);
}

/// Proves honestly but for one message.
pub(super) fn altered(case: &Case, tag: Tag, change: Alteration) -> Vec<u8> {
    let mut outgoing = case.outgoing(&case.statement);
    outgoing.alter = Some((tag, change));
    prove_witness(&case.key, &case.witness(), outgoing)
}

pub(super) const UNEVEN: Alteration = uneven;
pub(super) const LISTED: Alteration = listed;

#[test]
fn evaluations_that_are_not_the_tensors() {
    let case = case(1);
    let rejection = case.check(&altered(&case, Tag::AfterA, UNEVEN));
    assert_eq!(rejection, Err(Rejection::Evaluations));
    let rejection = case.check(&altered(&case, Tag::AtPoint, LISTED));
    assert_eq!(rejection, Err(Rejection::LookupLeaves));
    // Any single evaluation changed is found out: by an equation it is in, or by the opening.
    let first: Alteration = |values| values[0] += Fr::from(1);
    for tag in [Tag::AtPoint, Tag::AfterA, Tag::Groups, Tag::Ends] {
        assert!(case.check(&altered(&case, tag, first)).is_err(), "{tag:?}");
    }
}

#[test]
fn transcripts_of_a_block_that_leave_a_message_out() {
    let case = case(2);
    for omitted in 0.. {
        let mut outgoing = case.outgoing(&case.statement);
        outgoing.omit = Some(omitted);
        let proof = prove_witness(&case.key, &case.witness(), outgoing);
        let last = proof == case.proof;
        assert_eq!(case.check(&proof).is_ok(), last, "message {omitted}");
        if last {
            assert!(omitted > 60, "{omitted}");
            break;
        }
    }
}

#[test]
fn corrupted_bytes_of_a_block() {
    let case = case(1);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..500 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut proof = case.proof.clone();
        let at = usize::try_from(random >> 33).unwrap() % proof.len();
        proof[at] ^= 1 << (random >> 20 & 7);
        assert!(case.check(&proof).is_err(), "byte {at}");
    }
}

#[test]
fn models_whose_padding_would_not_be_zero_are_refused() {
    let model = attention::model(8);
    let with = |change: &dyn Fn(&mut Vec<Vec<i32>>)| {
        let mut tables = model.tables().to_vec();
        change(&mut tables);
        Model::with_tables(model.network().clone(), model.weights().to_vec(), tables).unwrap_err()
    };
    assert_eq!(with(&|t| t[2][0] = 1), ModelError::Table(2));
    // The table from below has 0 in its middle.
    assert_eq!(with(&|t| t[3][512] = 1), ModelError::Table(3));
    assert_eq!(with(&|t| t[3].truncate(1023)), ModelError::Table(3));
    assert_eq!(with(&|t| t[0].push(0)), ModelError::Table(0));
    assert_eq!(with(&|t| t.truncate(3)), ModelError::Table(3));
    // Another model's whole block, under its own key, proves nothing about this one.
    let case = case(1);
    let other = ProvingKey::new(changed(|_, _, t| t[2][399] += 1)).unwrap();
    assert!(verify(other.model_key(), &case.statement, &case.proof).is_err());
}
