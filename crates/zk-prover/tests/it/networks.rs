//! Small networks, proved and verified.

use probity_zk::{Model, Network, Operation, Shape, Table, Term, model::Weights, verify};
use probity_zk_prover::{ProvingKey, prove};

use crate::attention;

const RELU: Table = Table::clamp(14, 7, false);

fn shape(dimensions: &[u32]) -> Shape {
    Shape::new(dimensions).unwrap()
}

fn pattern(count: usize, seed: usize) -> Vec<i8> {
    (0..count).map(|i| i8::try_from((i * 37 + seed * 11 + i * i) % 23).unwrap() - 11).collect()
}

fn mlp() -> Model {
    let dense = |input| Term::Dense { input, kept: 0 };
    let operations = vec![
        Operation {
            shape: shape(&[5]),
            terms: vec![dense(0)],
            bias: Some(0),
            shift: 8,
            table: Some(0),
        },
        Operation {
            shape: shape(&[3]),
            terms: vec![dense(1)],
            bias: Some(0),
            shift: 0,
            table: None,
        },
    ];
    let network = Network { row_bits: 6, input: shape(&[7]), operations, tables: vec![RELU] };
    let weights = vec![
        Weights {
            terms: vec![pattern(35, 1)],
            multipliers: vec![11, 12, 13, 14, 15],
            bias: vec![5, -7, 9, 300, 0],
        },
        Weights { terms: vec![pattern(15, 2)], multipliers: vec![1; 3], bias: vec![1, 2, -3] },
    ];
    Model::new(network, weights).unwrap()
}

#[test]
fn a_perceptron() {
    let key = ProvingKey::new(mlp()).unwrap();
    for batch in [1, 2, 3] {
        let input = pattern(7 * batch, 4);
        let (statement, proof) = prove(&key, [7; 32], &input).unwrap();
        assert_eq!(statement.output.len(), 3 * batch);
        assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));
    }
}

#[test]
fn attention_over_tokens() {
    for row_bits in [6, 9] {
        let key = ProvingKey::new(attention::model(row_bits)).unwrap();
        let encoded = key.model_key().encode();
        assert_eq!(&probity_zk::ModelKey::decode(&encoded).unwrap(), key.model_key());
        assert_eq!(&Model::decode(&key.model().encode()).unwrap(), key.model());
        for batch in [1, 2, 3] {
            let (statement, proof) = prove(&key, [7; 32], &pattern(15 * batch, 3)).unwrap();
            assert_eq!(statement.output.len(), 3 * batch);
            assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));
        }
    }
}
