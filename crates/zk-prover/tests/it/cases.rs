//! The cases of `vectors/zk/v1`, made from scratch.

use probity_zk::{
    Model, Network, Operation, Shape, Statement, Table, Term, Window, model::Weights, verify,
};
use probity_zk_prover::{ProvingKey, prove};

use crate::attention;

/// File names and contents: a case a file, and the list of them.
pub(crate) fn files() -> Vec<(String, String)> {
    let groups = [
        ("perceptron", perceptron()),
        ("convolution", convolution()),
        ("linear", linear()),
        ("attention", attention()),
    ];
    let mut files = vec![];
    let mut names = vec![];
    for (group, cases) in &groups {
        for case in cases {
            let bad = case.name.strip_prefix("bad_").map(|rest| format!("bad_{group}_{rest}"));
            let name = bad.unwrap_or_else(|| format!("{group}_{}", case.name));
            files.push((format!("{name}.json"), file(case, &name)));
            names.push(serde_json::json!({"name": name}));
        }
    }
    files.push(("index.json".to_owned(), text(&serde_json::json!({"cases": names}))));
    files
}

struct Case {
    name: String,
    key: Vec<u8>,
    statement: Statement,
    proof: Vec<u8>,
    result: String,
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("0x{}", digits.concat())
}

fn file(case: &Case, name: &str) -> String {
    let statement = &case.statement;
    text(&serde_json::json!({
        "cases": [{
            "name": name,
            "key": hex(&case.key),
            "context": hex(&statement.context),
            "batch": statement.batch,
            "input": hex(&statement.input_bytes()),
            "output": hex(&statement.output_bytes()),
            "proof": hex(&case.proof),
            "result": case.result,
        }]
    }))
}

fn text(json: &serde_json::Value) -> String {
    format!("{}\n", serde_json::to_string_pretty(json).unwrap())
}

fn pattern(count: usize, seed: usize) -> Vec<i8> {
    (0..count)
        .map(|i| i8::try_from((i * 37 + seed * 11 + i * i * (seed + 3)) % 61).unwrap() - 28)
        .collect()
}

fn model(network: &Network) -> Model {
    let weights = network.operations.iter().enumerate().map(|(seed, operation)| {
        let counts = operation.terms.iter().map(|term| {
            let shape = term.weights(&operation.shape, network.tensor(term.input()));
            shape.map_or(0, |s| s.iter().product::<u32>() as usize)
        });
        let terms: Vec<_> = counts.map(|count| pattern(count, seed)).collect();
        let biased = operation.bias.is_some();
        let channels = if biased { operation.shape.dimensions()[0] as usize } else { 0 };
        let up = if operation.shift == 16 { 7 } else { 1 };
        let multipliers =
            (0..channels).map(|c| (1 + i32::try_from((c + seed) % 7).unwrap()) << up).collect();
        let bias = pattern(channels, seed + 5).into_iter().map(|b| i32::from(b) * 9).collect();
        Weights { terms, multipliers, bias }
    });
    Model::new(network.clone(), weights.collect()).unwrap()
}

fn operation(
    dimensions: &[u32],
    terms: Vec<Term>,
    bias: Option<u8>,
    shift: u8,
    table: Option<u8>,
) -> Operation {
    Operation { shape: Shape::new(dimensions).unwrap(), terms, bias, shift, table }
}

fn tables() -> Vec<Table> {
    let table = Table::clamp;
    vec![table(11, 7, true), table(11, 7, false), table(9, 8, false)]
}

fn perceptron() -> Vec<Case> {
    let dense = |input| vec![Term::Dense { input, kept: 0 }];
    let operations = vec![
        operation(&[12], dense(0), Some(0), 16, Some(0)),
        operation(&[3], dense(1), Some(0), 0, None),
    ];
    let tables = tables()[..1].to_vec();
    let input = Shape::new(&[20]).unwrap();
    let network = Network { row_bits: 10, input, operations, tables };
    let key = ProvingKey::new(model(&network)).unwrap();
    let mut cases = good(&key, &[1, 3]);
    cases.extend(bad(&cases[0], &key));
    cases
}

fn convolution() -> Vec<Case> {
    let tap = |column: i8, coefficient| Term::Window {
        input: 1,
        coefficient,
        window: Window { kernel: [1, 1], stride: [1, 2], pad: [0, -column] },
    };
    let scale = |input, coefficient| Term::Scale { input, coefficient };
    let window = |kernel, pad| Window { kernel, stride: [1, 1], pad };
    let average = Term::Window { input: 3, coefficient: 60, window: window([2, 2], [1, 0]) };
    let conv = |input, kernel, pad| Term::Conv { input, window: window(kernel, pad) };
    let operations = vec![
        operation(&[3, 5, 6], vec![conv(0, [3, 2], [1, 0])], Some(0), 8, Some(1)),
        operation(&[3, 5, 3], vec![tap(1, 1), tap(0, -1)], None, 0, Some(2)),
        operation(&[3, 5, 3], vec![tap(0, 1), scale(2, 1)], None, 0, None),
        operation(&[3, 5, 2], vec![average], None, 8, Some(0)),
        operation(&[3, 5, 2], vec![conv(4, [1, 1], [0, 0]), scale(4, 100)], Some(0), 8, Some(0)),
        operation(&[6], vec![Term::Dense { input: 5, kept: 0 }], Some(0), 16, Some(0)),
        operation(&[5], vec![Term::Dense { input: 6, kept: 0 }], Some(0), 16, Some(0)),
    ];
    let input = Shape::new(&[2, 5, 7]).unwrap();
    let network = Network { row_bits: 11, input, operations, tables: tables() };
    let key = ProvingKey::new(model(&network)).unwrap();
    let mut cases = good(&key, &[1, 2]);
    cases.extend(bad(&cases[1], &key));
    cases
}

/// No lookups at all: a tree without layers, a point of challenges alone.
fn linear() -> Vec<Case> {
    let operations = vec![
        operation(&[4, 6], vec![Term::Dense { input: 0, kept: 1 }], None, 0, None),
        operation(&[3], vec![Term::Dense { input: 1, kept: 0 }], Some(0), 0, None),
    ];
    let input = Shape::new(&[4, 5]).unwrap();
    let network = Network { row_bits: 6, input, operations, tables: vec![] };
    let weights = vec![
        Weights { terms: vec![pattern(30, 1)], multipliers: vec![3; 6], bias: vec![] },
        Weights { terms: vec![pattern(72, 2)], multipliers: vec![1, 2, 3], bias: vec![7, -8, 9] },
    ];
    let key = ProvingKey::new(Model::new(network, weights).unwrap()).unwrap();
    let mut cases = good(&key, &[1, 3]);
    let mut changed = |name: &str, change: fn(&mut Statement, &mut Vec<u8>)| {
        let (mut statement, mut proof) = (cases[1].statement.clone(), cases[1].proof.clone());
        change(&mut statement, &mut proof);
        let rejection = verify(key.model_key(), &statement, &proof).unwrap_err();
        let (key, result) = (cases[1].key.clone(), rejection.code().to_owned());
        cases.push(Case { name: name.to_owned(), key, statement, proof, result });
    };
    changed("bad_output", |statement, _| statement.output[0] += 1);
    changed("bad_input", |statement, _| statement.input[59] ^= 1);
    changed("bad_evaluation", |_, proof| proof[5 + 2 * 96 + 31] ^= 1);
    cases
}

/// Products of activations, arrangements, listed tables.
fn attention() -> Vec<Case> {
    let key = ProvingKey::new(attention::model(9)).unwrap();
    let mut cases = good(&key, &[1, 2]);
    cases.extend(bad(&cases[1], &key));
    cases
}

fn good(key: &ProvingKey, batches: &[usize]) -> Vec<Case> {
    let size = key.model().network().input.len();
    let prove = |batch: &usize| {
        let (statement, proof) = prove(key, [7; 32], &pattern(size * batch, 3)).unwrap();
        let name = format!("batch_{batch}");
        Case { name, key: key.model_key().encode(), statement, proof, result: "ok".to_owned() }
    };
    batches.iter().map(prove).collect()
}

/// Names of what was done to a good case, and the doing.
type Tamper = Box<dyn Fn(&mut Statement, &mut Vec<u8>)>;
type Tampering<'a> = (&'a str, Tamper);

fn bad(good: &Case, key: &ProvingKey) -> Vec<Case> {
    let rows = probity_zk::plan::Plan::new(key.model().network(), good.statement.batch).unwrap();
    let tree = 5 + 96 * rows.witness.rows(key.model().network().row_bits);
    let length = good.proof.len();
    let mut order = (-probity_zk::field::Fr::from(1)).to_bytes_be();
    order[31] += 1;
    let flip = |at: usize| -> Tamper { Box::new(move |_, proof: &mut Vec<u8>| proof[at] ^= 1) };
    let cases: Vec<Tampering<'_>> = vec![
        ("bad_output", Box::new(|s, _| s.output[0] += 1)),
        ("bad_output_high", Box::new(|s, _| s.output[1] ^= 1 << 62)),
        ("bad_input", Box::new(|s, _| s.input[3] ^= 1)),
        ("bad_context", Box::new(|s, _| s.context[31] ^= 1)),
        ("bad_missing_output", Box::new(|s, _| s.output.truncate(s.output.len() - 1))),
        ("bad_version", flip(2)),
        ("bad_hiding", flip(4)),
        ("bad_truncated", Box::new(|_, proof| proof.truncate(proof.len() - 1))),
        ("bad_empty", Box::new(|_, proof| proof.truncate(5))),
        ("bad_longer", Box::new(|_, proof| proof.push(0))),
        (
            "bad_scalar_order",
            Box::new(move |_, proof| {
                proof[tree..tree + 32].copy_from_slice(&order);
            }),
        ),
        ("bad_root_zero", Box::new(move |_, proof| proof[tree..tree + 128].fill(0))),
        ("bad_root", flip(tree + 31)),
        ("bad_round", flip(tree + 128 + 31)),
        ("bad_layer", flip(tree + 128 + 96 + 31)),
        ("bad_evaluation_last", flip(length - 96 - 128 - 96 - 1)),
        ("bad_symmetric", Box::new(move |_, proof| proof.copy_within(length - 96.., length - 320))),
        ("bad_ends", flip(length - 97)),
        (
            "bad_quotient",
            Box::new(move |_, proof| proof.copy_within(length - 320..length - 224, length - 96)),
        ),
        ("bad_quotient_infinity", Box::new(move |_, proof| proof[length - 96..].fill(0))),
    ];
    let case = |(name, tamper): Tampering<'_>| {
        let (mut statement, mut proof) = (good.statement.clone(), good.proof.clone());
        tamper(&mut statement, &mut proof);
        let rejection = verify(key.model_key(), &statement, &proof).unwrap_err();
        let result = rejection.code().to_owned();
        Case { name: name.to_owned(), key: good.key.clone(), statement, proof, result }
    };
    cases.into_iter().map(case).collect()
}
