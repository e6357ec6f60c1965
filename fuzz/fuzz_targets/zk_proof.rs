//! Any bytes but the one proof are rejected, without a panic.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use probity_zk::{
    HidingStatement, Model, Network, Operation, Shape, Statement, Table, Term, model::Weights,
    verify, verify_hiding, verify_range,
};
use probity_zk_prover::{InputOpening, ProvingKey, Seed, prove, prove_hiding, prove_range};

struct World {
    key: ProvingKey,
    statement: Statement,
    proof: Vec<u8>,
    hiding_statement: HidingStatement,
    hiding_proof: Vec<u8>,
    range_proof: Vec<u8>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let shape = |size| Shape::new(&[size]).expect("a shape");
    let operation = Operation {
        shape: shape(3),
        terms: vec![Term::Dense { input: 0, kept: 0 }],
        bias: None,
        shift: 8,
        table: Some(0),
    };
    let tables = vec![Table::clamp(9, 7, true)];
    let network = Network { row_bits: 9, input: shape(4), operations: vec![operation], tables };
    let weights = Weights { terms: vec![vec![5; 12]], multipliers: vec![1; 3], bias: vec![] };
    let model = Model::new(network, vec![weights]).expect("a model");
    let key = ProvingKey::new(model).expect("a key");
    let (statement, proof) = prove(&key, [0; 32], &[1, 2, 3, 4]).expect("a proof");
    let input = InputOpening::new(vec![1, 2, 3, 4], Seed::new([1; 32]));
    let (hiding_statement, hiding_proof) =
        prove_hiding(&key, [0; 32], &input, &Seed::new([2; 32])).expect("a hiding proof");
    let range_proof = prove_range(&key, &Seed::new([3; 32])).expect("a range proof");
    World { key, statement, proof, hiding_statement, hiding_proof, range_proof }
});

fuzz_target!(|bytes: &[u8]| {
    // The bytes replace the proof's from a place on, so that deep checks are reached.
    let (at, rest) = bytes.split_at_checked(2).unwrap_or((&[0, 0], bytes));
    let at = usize::from(at[0]) << 8 | usize::from(at[1]);
    let changed = |good: &[u8]| {
        let at = at % (good.len() + 1);
        let end = (at + rest.len()).min(good.len());
        [&good[..at], rest, &good[end..]].concat()
    };
    let proof = changed(&WORLD.proof);
    let verdict = verify(WORLD.key.model_key(), &WORLD.statement, &proof);
    assert_eq!(verdict.is_ok(), proof == WORLD.proof);
    let proof = changed(&WORLD.hiding_proof);
    let verdict = verify_hiding(WORLD.key.model_key(), &WORLD.hiding_statement, &proof);
    assert_eq!(verdict.is_ok(), proof == WORLD.hiding_proof);
    let proof = changed(&WORLD.range_proof);
    let verdict = verify_range(WORLD.key.model_key(), &proof);
    assert_eq!(verdict.is_ok(), proof == WORLD.range_proof);
});
