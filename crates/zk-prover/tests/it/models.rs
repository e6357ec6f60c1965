//! The models of `vectors/zk/models`, beside what onnxruntime makes of them.

use std::fs;

use probity_zk::{range::cannot_wrap, verify};
use probity_zk_prover::{Graph, ProvingKey, Quantised, prove, quantise};
use serde_json::Value;

/// A model, its samples, and onnxruntime's outputs.
struct Case {
    graph: Graph,
    inputs: Vec<Vec<f32>>,
    outputs: Vec<Vec<f32>>,
}

fn rows(value: &Value) -> Vec<Vec<f32>> {
    #[expect(clippy::cast_possible_truncation, reason = "written from f32")]
    let row =
        |row: &Value| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
    value.as_array().unwrap().iter().map(row).collect()
}

fn case(name: &str) -> Case {
    let path = format!("{}/../../vectors/zk/models/{name}", env!("CARGO_MANIFEST_DIR"));
    let graph = Graph::from_onnx(&fs::read(format!("{path}.onnx")).unwrap()).unwrap();
    let samples = fs::read(format!("{path}.json")).unwrap();
    let samples: Value = serde_json::from_slice(&samples).unwrap();
    Case { graph, inputs: rows(&samples["x"]), outputs: rows(&samples["out"]) }
}

fn furthest(a: &[f64], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max)
}

fn largest(values: &[f64]) -> usize {
    (0..values.len()).fold(0, |best, i| if values[i] > values[best] { i } else { best })
}

fn integers(quantised: &Quantised, input: &[f32]) -> Vec<f64> {
    let trace = quantised.model.run(&quantised.encode(input)).unwrap();
    quantised.decode(trace.outputs.last().unwrap())
}

const MODELS: [&str; 13] = [
    "convolution",
    "transformer",
    "decomposed",
    "joined",
    "causal",
    "windows",
    "images",
    "last_channel",
    "grey",
    "exported",
    "shuffled",
    "series",
    "heads",
];
/// As onnxruntime quantised them: pairs of quantisation around each operator, and operators of
/// integers. Their outputs are those of integers too.
const QUANTISED: [&str; 3] = ["convolution_qdq", "joined_qdq", "convolution_qoperator"];

#[test]
fn floats_are_onnxruntime_s() {
    for name in MODELS {
        let case = case(name);
        for (input, output) in case.inputs.iter().zip(&case.outputs) {
            let own = case.graph.run(input).unwrap().pop().unwrap();
            let own: Vec<f64> = own.into_iter().map(f64::from).collect();
            assert!(furthest(&own, output) < 1e-4, "{name}: {own:?} for {output:?}");
        }
    }
}

#[test]
fn integers_are_near_and_proved() {
    for name in MODELS.into_iter().chain(QUANTISED) {
        let case = case(name);
        let quantised = quantise(&case.graph, &case.inputs).unwrap();
        let errors = case.inputs.iter().zip(&case.outputs);
        let errors: Vec<f64> = errors.map(|(x, y)| furthest(&integers(&quantised, x), y)).collect();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        assert!(worst < 0.12, "{name}: {worst}");
        let same = case.inputs.iter().zip(&case.outputs).filter(|(x, y)| {
            let y: Vec<f64> = y.iter().copied().map(f64::from).collect();
            largest(&integers(&quantised, x)) == largest(&y)
        });
        assert!(same.count() + 1 >= case.inputs.len(), "{name}: predictions differ");

        assert_eq!(Quantised::from_bytes(&quantised.to_bytes()).unwrap(), quantised);
        // Hidden weights of each would be shown to be bounded.
        assert_eq!(cannot_wrap(quantised.model.network()), Ok(()), "{name}");
        let key = ProvingKey::new(quantised.model.clone()).unwrap();
        let inputs: Vec<i8> =
            case.inputs.iter().take(2).flat_map(|x| quantised.encode(x)).collect();
        let (mut statement, proof) = prove(&key, [3; 32], &inputs).unwrap();
        assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));
        statement.output[5] ^= 1;
        assert!(verify(key.model_key(), &statement, &proof).is_err());
    }
}

/// Longer sequences, of odd lengths too, halve by several rules.
#[test]
fn softmax_of_rows_of_any_length() {
    use probity_zk_prover::graph::{Kind, Node};
    for length in [1u32, 2, 3, 5, 17, 255, 257] {
        let kind = Kind::Softmax { input: 0, mask: None };
        let node = Node { name: "softmax".to_owned(), shape: vec![2, length], kind };
        let graph = Graph { input: vec![2, length], nodes: vec![node] };
        let value = |i: u32| f32::from(u8::try_from(i * i * 7 % 101).unwrap()) / 12.0 - 4.0;
        let input: Vec<f32> = (0..2 * length).map(value).collect();
        let quantised = quantise(&graph, std::slice::from_ref(&input)).unwrap();
        let float = graph.run(&input).unwrap().pop().unwrap();
        let worst = furthest(&integers(&quantised, &input), &float);
        assert!(worst < 0.02, "{length}: {worst}");
    }
}

/// Of the input itself, in any number of dimensions, and the sums' logarithms.
#[test]
fn softmax_in_any_number_of_dimensions() {
    use probity_zk_prover::graph::{Kind, Node};
    let value = |i: u32| f32::from(u8::try_from(i * i * 7 % 101).unwrap()) / 12.0 - 4.0;
    for shape in [&[5][..], &[2, 5], &[3, 2, 5], &[2, 3, 2, 5]] {
        for logarithm in [false, true] {
            let (kind, mut out) = (Kind::Softmax { input: 0, mask: None }, shape.to_vec());
            let kind = if logarithm { Kind::LogSumExp { input: 0 } } else { kind };
            if let Some(last) = out.last_mut().filter(|_| logarithm) {
                *last = 1;
            }
            let node = Node { name: "softmax".to_owned(), shape: out, kind };
            let graph = Graph { input: shape.to_vec(), nodes: vec![node] };
            let input: Vec<f32> = (0..shape.iter().product()).map(value).collect();
            let quantised = quantise(&graph, std::slice::from_ref(&input)).unwrap();
            let float = graph.run(&input).unwrap().pop().unwrap();
            let worst = furthest(&integers(&quantised, &input), &float);
            assert!(worst < if logarithm { 0.05 } else { 0.02 }, "{shape:?}: {worst}");
        }
    }
}

/// Of values below zero too, where padding has to be below them all.
#[test]
fn maxima_under_windows_of_any_size() {
    use probity_zk::Window;
    use probity_zk_prover::graph::{Kind, Node};
    let (input, seven) =
        (vec![2u32, 7, 6], |i: u32| f32::from(u8::try_from(i * i * 7 % 101).unwrap()));
    for (kernel, stride, pad) in [
        ([2, 2], [2, 2], [0, 0]),
        ([2, 2], [3, 1], [1, 1]),
        ([3, 3], [2, 2], [1, 1]),
        ([3, 2], [1, 2], [2, 0]),
        ([1, 4], [1, 1], [0, 3]),
        ([7, 6], [1, 1], [0, 0]),
    ] {
        let count = |axis: usize| {
            let size = input[axis + 1] + 2 * u32::try_from(pad[axis]).unwrap();
            (size - u32::from(kernel[axis])) / u32::from(stride[axis]) + 1
        };
        let window = Window { kernel, stride, pad };
        let kind = Kind::MaxPool { input: 0, window };
        let shape = vec![2, count(0), count(1)];
        let node = Node { name: "maximum".to_owned(), shape, kind };
        let graph = Graph { input: input.clone(), nodes: vec![node] };
        for least in [0.0, -60.0, -110.0] {
            let x: Vec<f32> = (0..84).map(|i| (seven(i) + least).clamp(-127.0, 127.0)).collect();
            let quantised = quantise(&graph, std::slice::from_ref(&x)).unwrap();
            let float = graph.run(&x).unwrap().pop().unwrap();
            let worst = furthest(&integers(&quantised, &x), &float);
            assert!(worst <= 0.5, "{window:?} {least}: {worst}");
            let key = ProvingKey::new(quantised.model.clone()).unwrap();
            let (statement, proof) = prove(&key, [3; 32], &quantised.encode(&x)).unwrap();
            assert_eq!(verify(key.model_key(), &statement, &proof), Ok(()));
        }
    }
}

#[test]
fn damaged_models_never_panic() {
    let mut quantised = 0;
    for (name, seed) in [
        ("transformer", 11u64),
        ("decomposed", 12),
        ("joined_qdq", 13),
        ("causal", 14),
        ("exported", 15),
        ("shuffled", 16),
        ("series", 17),
        ("heads", 18),
    ] {
        let path = format!("{}/../../vectors/zk/models/{name}.onnx", env!("CARGO_MANIFEST_DIR"));
        let (bytes, mut random) = (fs::read(path).unwrap(), seed);
        let inputs = case(name).inputs;
        for _ in 0..300 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let mut damaged = bytes.clone();
            // Half of the time in the graph, which comes before and after the weights.
            let at = usize::try_from(random >> 33).unwrap();
            let near = if random & 1 == 0 { at % 2500 } else { at % damaged.len() };
            damaged[near] ^= random.to_le_bytes()[3] | 1;
            if let Ok(graph) = Graph::from_onnx(&damaged) {
                let size: u32 = graph.input.iter().product();
                let input = inputs[0].iter().copied().cycle().take(size.min(4096) as usize);
                quantised += usize::from(quantise(&graph, &[input.collect()]).is_ok());
            }
        }
    }
    assert!(quantised > 60, "{quantised}");
}
