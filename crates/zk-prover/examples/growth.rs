//! How proving grows: `growth [SECONDS]` proves made-up networks of growing size, a JSON line each,
//! and begins nothing new after so many seconds.
//!
//! Three families, each growing in one way: a perceptron's parameters, convolutions' activations, a
//! perceptron's batch. Parts of the time are measured beside the whole: running the network, committing
//! as many rows, the opening's two multiplications; the rest are lookups and sumchecks.

#![expect(clippy::print_stdout, reason = "figures are this program's output")]

use std::{error::Error, time::Instant};

use probity_zk::{
    Window,
    field::{Fr, powers},
    plan::Plan,
    verify,
};
use probity_zk_prover::{
    Graph, ProvingKey, ceremony,
    graph::{Kind, Node},
    prove, quantise,
};
use serde_json::json;

const RUNS: usize = 3;

/// Numbers from -1 to 1 that look random.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or(0)) / 32768.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn node(name: &str, shape: &[u32], kind: Kind) -> Node {
    Node { name: name.to_owned(), shape: shape.to_vec(), kind }
}

fn dense(input: usize, from: u32, to: u32) -> Kind {
    let weights = numbers((from * to) as usize, from + to);
    Kind::Dense { input, kept: 0, weights, bias: numbers(to as usize, to) }
}

fn perceptron(inputs: u32) -> Graph {
    let relu = Kind::Relu { input: 1, limit: None };
    let nodes = vec![
        node("first", &[64], dense(0, inputs, 64)),
        node("relu", &[64], relu),
        node("second", &[10], dense(2, 64, 10)),
    ];
    Graph { input: vec![inputs], nodes }
}

fn convolutions(side: u32) -> Graph {
    let conv = |input, from: u32, to: u32, kernel: u8| {
        let pad = i8::try_from(kernel / 2).unwrap_or(0);
        let window = Window { kernel: [kernel; 2], stride: [1, 1], pad: [pad; 2] };
        let taps = u32::from(kernel) * u32::from(kernel);
        let weights = numbers((from * to * taps) as usize, 9 * to + from);
        Kind::Conv { input, window, weights, bias: numbers(to as usize, to) }
    };
    let relu = |input| Kind::Relu { input, limit: None };
    let (wide, last) = ([8, side, side], [1, side, side]);
    let nodes = vec![
        node("first", &wide, conv(0, 1, 8, 3)),
        node("relu", &wide, relu(1)),
        node("second", &wide, conv(2, 8, 8, 3)),
        node("relu", &wide, relu(3)),
        node("last", &last, conv(4, 8, 1, 1)),
    ];
    Graph { input: vec![1, side, side], nodes }
}

/// The least milliseconds of the runs.
fn least<T>(mut work: impl FnMut() -> T) -> f64 {
    let one = |_| {
        let start = Instant::now();
        std::hint::black_box(work());
        start.elapsed().as_secs_f64() * 1000.0
    };
    (0..RUNS).map(one).fold(f64::INFINITY, f64::min)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn measure(family: &str, graph: &Graph, batch: usize) -> Result<(), Box<dyn Error>> {
    let size: u32 = graph.input.iter().product();
    let rows: Vec<Vec<f32>> = (1..5).map(|seed| numbers(size as usize, seed)).collect();
    let quantised = quantise(graph, &rows)?;
    let key = ProvingKey::new(quantised.model.clone())?;
    let one: Vec<Vec<i8>> = rows.iter().map(|row| quantised.encode(row)).collect();
    let input: Vec<i8> = one.iter().cycle().take(batch).flatten().copied().collect();
    let prove_ms = least(|| prove(&key, [0; 32], &input));
    let (statement, proof) = prove(&key, [0; 32], &input)?;
    verify(key.model_key(), &statement, &proof)?;

    let network = quantised.model.network();
    let plan = Plan::new(network, u32::try_from(batch)?)?;
    let length = 1usize << network.row_bits;
    let small: Vec<i32> = (0..length).map(|i| i32::try_from(i * i % 256).unwrap_or(0)).collect();
    let field = powers(Fr::from(7), length);
    let run_ms = least(|| one.iter().cycle().take(batch).all(|x| quantised.model.run(x).is_ok()));
    let rows = plan.witness.rows(network.row_bits);
    let commit_ms = least(|| ceremony::commit_small(&small)) * rows as f64;
    let opening_ms = least(|| ceremony::commit(&field)) * 2.0;
    let looked_up =
        |op: &probity_zk::Operation| if op.table.is_some() { op.shape.len() } else { 0 };
    let activations: usize = network.operations.iter().map(looked_up).sum();
    println!(
        "{}",
        json!({
            "family": family, "parameters": graph.parameters(), "activations": activations,
            "batch": batch, "proveMs": prove_ms, "runMs": run_ms, "commitMs": commit_ms,
            "openingMs": opening_ms, "restMs": (prove_ms - run_ms - commit_ms - opening_ms).max(0.0),
            "proofBytes": proof.len(),
        })
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(60), |seconds| seconds.parse())?;
    let start = Instant::now();
    let mut cases: Vec<(&str, Graph, usize)> = vec![];
    for inputs in [64, 512, 4096, 32768, 65536] {
        cases.push(("parameters", perceptron(inputs), 1));
    }
    for side in [8, 16, 32, 64] {
        cases.push(("activations", convolutions(side), 1));
    }
    for batch in [1, 4, 16, 64, 256] {
        cases.push(("batch", perceptron(1024), batch));
    }
    for (family, graph, batch) in cases {
        if start.elapsed().as_secs() < seconds {
            measure(family, &graph, batch)?;
        }
    }
    Ok(())
}
