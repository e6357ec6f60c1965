//! ONNX files, good and hostile.

use prost::Message;

use super::{
    ImportError,
    proto::{
        Attribute, Dimension, GraphProto, ModelProto, NodeProto, OperatorSetId, TensorProto,
        TensorShape, TensorType, TypeProto, ValueInfo,
    },
};
use crate::{Graph, QuantiseError, Quantised, graph::Kind, quantise};

fn tensor(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw_data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let dims = dims.to_vec();
    TensorProto { name: name.into(), dims, data_type: 1, raw_data, ..TensorProto::default() }
}

fn node(op_type: &str, input: &[&str], output: &str, attribute: Vec<Attribute>) -> NodeProto {
    let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    NodeProto {
        input: strings(input),
        output: strings(&[output]),
        name: format!("{op_type}/{output}"),
        op_type: op_type.into(),
        attribute,
        ..NodeProto::default()
    }
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.into(), ints: ints.to_vec(), ..Attribute::default() }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.into(), i, ..Attribute::default() }
}

fn value(name: &str, dims: &[i64]) -> ValueInfo {
    let dimension = |size: &i64| Dimension { dim_value: *size, ..Dimension::default() };
    let dim = dims.iter().map(dimension).collect();
    let tensor_type = Some(TensorType { shape: Some(TensorShape { dim }) });
    ValueInfo { name: name.into(), r#type: Some(TypeProto { tensor_type }) }
}

fn ramp(count: usize) -> Vec<f32> {
    (0..count).map(|i| (f32::from(u8::try_from(i * 7 % 19).unwrap()) - 9.0) / 10.0).collect()
}

/// Convolution, normalisation, `Relu`, both pools, flattening, two products.
fn model() -> ModelProto {
    let node = vec![
        node(
            "Conv",
            &["x", "w", "b"],
            "c",
            vec![ints("kernel_shape", &[3, 3]), ints("pads", &[1; 4])],
        ),
        node("BatchNormalization", &["c", "s", "b", "m", "v"], "n", vec![]),
        node("Relu", &["n"], "r", vec![]),
        node("MaxPool", &["r"], "p", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
        node("AveragePool", &["p"], "a", vec![ints("kernel_shape", &[2, 2])]),
        node("Flatten", &["a"], "f", vec![int("axis", 1)]),
        node("Gemm", &["f", "g", "h"], "d", vec![int("transB", 1)]),
        node("Relu", &["d"], "e", vec![]),
        node("MatMul", &["e", "k"], "l", vec![]),
        node("Add", &["l", "j"], "y", vec![]),
    ];
    let initializer = vec![
        tensor("w", &[2, 1, 3, 3], &ramp(18)),
        tensor("b", &[2], &[0.1, -0.2]),
        tensor("s", &[2], &[1.5, 0.5]),
        tensor("m", &[2], &[0.0, 0.3]),
        tensor("v", &[2], &[1.0, 4.0]),
        tensor("g", &[5, 2], &ramp(10)),
        tensor("h", &[5], &ramp(5)),
        tensor("k", &[5, 3], &ramp(15)),
        tensor("j", &[3], &ramp(3)),
    ];
    let (input, output) = (vec![value("x", &[1, 1, 4, 4])], vec![value("y", &[1, 3])]);
    let opset = OperatorSetId { domain: String::new(), version: 13 };
    let graph = GraphProto { node, initializer, input, output };
    ModelProto { graph: Some(graph), opset_import: vec![opset] }
}

fn changed(change: impl FnOnce(&mut GraphProto)) -> ImportError {
    let mut model = model();
    change(model.graph.as_mut().unwrap());
    Graph::from_onnx(&model.encode_to_vec()).unwrap_err()
}

#[test]
fn a_network_computes_what_its_operators_say() {
    let graph = Graph::from_onnx(&model().encode_to_vec()).unwrap();
    assert_eq!(graph.input, [1, 4, 4]);
    assert_eq!(graph.shape(graph.nodes.len()), [3]);
    let input = ramp(16);
    let values = graph.run(&input).unwrap();
    // The convolution's first channel at row 1, column 1, by hand, with the folded normalisation.
    let weights = ramp(18);
    let taps = (0..9).map(|i| weights[i] * input[i / 3 * 4 + i % 3]);
    let expected = (taps.sum::<f32>() + 0.1) / (1.0f32 + 1e-5).sqrt() * 1.5 + 0.1;
    assert!((values[1][5] - expected).abs() < 1e-5);
    assert!(matches!(graph.nodes[5].kind, Kind::Relu { .. }));
    assert_eq!(values.last().unwrap().len(), 3);

    let calibration: Vec<Vec<f32>> = (0..8).map(|i| ramp(16 + i)[i..].to_vec()).collect();
    let quantised = quantise(&graph, &calibration).unwrap();
    assert_eq!(Quantised::from_bytes(&quantised.to_bytes()).as_ref(), Ok(&quantised));
    let trace = quantised.model.run(&quantised.encode(&input)).unwrap();
    let output = quantised.decode(trace.outputs.last().unwrap());
    for (integer, float) in output.iter().zip(values.last().unwrap()) {
        assert!((integer - f64::from(*float)).abs() < 0.05, "{integer} for {float}");
    }
}

/// Exporters name a tensor twice by Identity, and leave weights to be transposed.
#[test]
fn constants_have_other_names_and_orders() {
    let plain = Graph::from_onnx(&model().encode_to_vec()).unwrap();
    let mut other = model();
    let graph = other.graph.as_mut().unwrap();
    graph.initializer[5] = tensor("g", &[2, 5], &{
        let rows = ramp(10);
        (0..10).map(|i| rows[i % 5 * 2 + i / 5]).collect::<Vec<_>>()
    });
    graph.node[6].input[1] = "turned".into();
    graph.node[1].input[3] = "again".into();
    graph.node.insert(0, node("Identity", &["m"], "again", vec![]));
    graph.node.insert(0, node("Transpose", &["g"], "turned", vec![ints("perm", &[1, 0])]));
    let read = Graph::from_onnx(&other.encode_to_vec()).unwrap();
    assert_eq!(read.run(&ramp(16)), plain.run(&ramp(16)));
}

/// A product has as many outputs as there are channels, along another dimension.
#[test]
fn factors_by_channel_are_no_product_s() {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.input[0] = value("x", &[1, 4, 2, 3]);
    let factors = [1.0, 10.0, 100.0, 1000.0];
    graph.initializer = vec![tensor("w", &[3, 4], &[1.0; 12]), tensor("s", &[4, 1, 1], &factors)];
    graph.node =
        vec![node("MatMul", &["x", "w"], "p", vec![]), node("Mul", &["p", "s"], "y", vec![])];
    let graph = Graph::from_onnx(&model.encode_to_vec()).unwrap();
    let output = graph.run(&[1.0; 24]).unwrap().pop().unwrap();
    let expected = factors.iter().flat_map(|factor| [3.0 * factor; 8]);
    assert_eq!(output, expected.collect::<Vec<_>>());
}

/// As many channels as columns: a factor for each channel is none for each column.
#[test]
fn channels_are_excited_and_not_columns() {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.input[0] = value("x", &[1, 2, 2, 2]);
    let axes = TensorProto {
        name: "axes".into(),
        dims: vec![2],
        data_type: 7,
        raw_data: [2i64, 3].iter().flat_map(|axis| axis.to_le_bytes()).collect(),
        ..TensorProto::default()
    };
    graph.initializer = vec![tensor("w", &[2, 2], &[1.0, 0.0, 0.0, 10.0]), axes];
    graph.node = vec![
        node("GlobalAveragePool", &["x"], "a", vec![]),
        node("Flatten", &["a"], "f", vec![]),
        node("Gemm", &["f", "w"], "g", vec![]),
        node("Unsqueeze", &["g", "axes"], "u", vec![]),
        node("Mul", &["x", "u"], "y", vec![]),
    ];
    let graph = Graph::from_onnx(&model.encode_to_vec()).unwrap();
    let output = graph.run(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]).unwrap().pop().unwrap();
    assert_eq!(output, [1.0, 1.0, 1.0, 1.0, 40.0, 40.0, 40.0, 40.0]);
}

/// What has lost its batch gets it back, or is read by nothing else.
#[test]
fn values_without_their_batch() {
    let read = |change: &dyn Fn(&mut GraphProto)| {
        let mut model = model();
        let graph = model.graph.as_mut().unwrap();
        graph.input[0] = value("x", &[1, 2, 2, 2]);
        graph.initializer = vec![tensor("w", &[2, 2], &[1.0, 0.0, 0.0, 10.0])];
        graph.node = vec![
            node("GlobalAveragePool", &["x"], "a", vec![]),
            node("Squeeze", &["a"], "s", vec![]),
            node("Constant", &[], "axes", vec![ints("value_ints", &[0])]),
            node("Unsqueeze", &["s", "axes"], "u", vec![]),
            node("Gemm", &["u", "w"], "y", vec![]),
        ];
        change(graph);
        Graph::from_onnx(&model.encode_to_vec())
    };
    let graph = read(&|_| ()).unwrap();
    let output = graph.run(&[1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]).unwrap().pop().unwrap();
    assert_eq!(output, [1.0, 20.0]);
    for change in [
        &|graph: &mut GraphProto| graph.node[4].input[0] = "s".into(),
        &|graph: &mut GraphProto| graph.node[2].attribute[0].ints = vec![1],
    ] as [&dyn Fn(&mut GraphProto); 2]
    {
        let error = read(change).unwrap_err();
        assert!(error.to_string().contains("without its batch"), "{error}");
    }
}

#[test]
fn names_are_given_once() {
    let error = changed(|g| g.node[8].output[0] = "r".into());
    assert!(error.to_string().contains("a name to a second value"), "{error}");
    let error = changed(|g| g.node[2].output[0] = "w".into());
    assert!(error.to_string().contains("a name to a second value"), "{error}");
}

/// A tensor of nothing may not say how much nothing it has.
#[test]
fn tensors_without_values_have_no_other_dimensions() {
    for dims in [[0, 1 << 62], [1 << 62, 0]] {
        let error = changed(|g| {
            g.initializer[5] = TensorProto { dims: dims.to_vec(), ..tensor("g", &[0], &[]) };
        });
        assert!(matches!(error, ImportError::Tensor(_)), "{error}");
    }
}

/// Kernels of a few weights may be spread over many.
#[test]
fn spread_kernels_are_counted_before_they_are_made() {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.initializer[0] = tensor("w", &[1 << 10, 1 << 10, 2, 2], &vec![0.5; 1 << 22]);
    graph.node[0].attribute = vec![ints("dilations", &[15, 15])];
    let error = Graph::from_onnx(&model.encode_to_vec()).unwrap_err();
    assert!(matches!(error, ImportError::Size), "{error}");
}

/// A small file may have one large tensor read by many nodes.
#[test]
fn tensors_that_many_read_are_counted_each_time() {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.push(tensor("large", &[1 << 20], &vec![0.5; 1 << 20]));
    for i in 0..129 {
        graph.node.insert(0, node("Identity", &["large"], &format!("copy{i}"), vec![]));
    }
    let error = Graph::from_onnx(&model.encode_to_vec()).unwrap_err();
    assert!(matches!(error, ImportError::Size), "{error}");
}

#[test]
fn what_is_not_supported_is_named() {
    let error = changed(|g| g.node[2].op_type = "Einsum".into());
    assert!(
        matches!(&error, ImportError::Operator { node, operator } if node == "Relu/r" && operator == "Einsum")
    );
    assert!(error.to_string().contains("supported are Abs, Add"));
    let error = changed(|g| g.node[2].domain = "custom".into());
    assert!(matches!(error, ImportError::Operator { .. }));
    let error = changed(|g| g.node[0].attribute.push(int("group", 3)));
    assert!(matches!(error, ImportError::Shape { .. }));
    let error = changed(|g| g.node[4].attribute.push(ints("dilations", &[1, 2])));
    assert!(matches!(error, ImportError::Unsupported { .. }));
    let error = changed(|g| g.node[3].attribute.push(ints("dilations", &[2, 2])));
    assert!(matches!(error, ImportError::Unsupported { .. }));
    let error = changed(|g| g.node[0].attribute.push(ints("dilations", &[1, 9])));
    assert!(matches!(error, ImportError::Unsupported { .. }));
    for step in [0, -1, i64::MAX, 6_148_914_691_236_517_205] {
        let error = changed(|g| g.node[0].attribute.push(ints("dilations", &[step, 1])));
        assert!(matches!(error, ImportError::Unsupported { .. }), "{step}");
    }
    let error = changed(|g| g.node[3].attribute.push(ints("pads", &[2, 0, 0, 0])));
    assert!(matches!(error, ImportError::Unsupported { .. }));
    let error = changed(|g| g.node[0].attribute.push(ints("strides", &[0, 1])));
    assert!(matches!(error, ImportError::Unsupported { .. }));
    let error = changed(|g| g.node[8].input[0] = "later".into());
    assert!(matches!(error, ImportError::Unknown { value, .. } if value == "later"));
}

fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.into(), f, ..Attribute::default() }
}

/// What a file of these nodes computes of an input of a shape.
fn computed(
    node: Vec<NodeProto>,
    initializer: Vec<TensorProto>,
    (shape, x): (&[i64], &[f32]),
) -> Result<Vec<f32>, ImportError> {
    let opset = OperatorSetId { domain: String::new(), version: 18 };
    let (input, output) = (vec![value("x", shape)], vec![value("y", &[1, 1])]);
    let graph = GraphProto { node, initializer, input, output };
    let model = ModelProto { graph: Some(graph), opset_import: vec![opset] };
    let graph = Graph::from_onnx(&model.encode_to_vec())?;
    Ok(graph.run(x).unwrap().pop().unwrap())
}

#[test]
fn functions_of_one_number() {
    let x = [-3.0f32, -0.5, 0.0, 0.25, 2.0];
    let check = |made: NodeProto, initializer: Vec<TensorProto>, expected: &dyn Fn(f32) -> f32| {
        let name = made.op_type.clone();
        let own = computed(vec![made], initializer, (&[1, 5], &x)).unwrap();
        let near = |(own, x): (&f32, &f32)| (own - expected(*x)).abs() < 1e-5;
        assert!(own.iter().zip(&x).all(near), "{name}: {own:?}");
    };
    let plain = |operator: &str| node(operator, &["x"], "y", vec![]);
    check(plain("Abs"), vec![], &f32::abs);
    check(plain("Elu"), vec![], &|x| if x > 0.0 { x } else { x.exp() - 1.0 });
    let selu = |x: f32| 1.050_701 * if x > 0.0 { x } else { 1.673_263_2 * (x.exp() - 1.0) };
    check(plain("Selu"), vec![], &selu);
    let celu = |x: f32| if x > 0.0 { x } else { 2.0 * ((x / 2.0).exp() - 1.0) };
    check(node("Celu", &["x"], "y", vec![float("alpha", 2.0)]), vec![], &celu);
    check(plain("Softplus"), vec![], &|x| x.exp().ln_1p());
    check(plain("Softsign"), vec![], &|x| x / (1.0 + x.abs()));
    check(plain("Mish"), vec![], &|x| x * x.exp().ln_1p().tanh());
    let one = |name: &str, value: f32| tensor(name, &[], &[value]);
    let both = || vec![one("a", -1.0), one("b", 0.5)];
    check(node("Clip", &["x", "a", "b"], "y", vec![]), both(), &|x| x.clamp(-1.0, 0.5));
    let far = || vec![one("a", f32::MIN), one("b", f32::MAX), one("c", 1.0), one("z", 0.0)];
    check(node("Clip", &["x", "a", "b"], "y", vec![]), far(), &|x| x);
    check(node("Clip", &["x", "a", "c"], "y", vec![]), far(), &|x| x.min(1.0));
    check(node("Clip", &["x", "z", "b"], "y", vec![]), far(), &|x| x.max(0.0));
    check(node("Clip", &["x", "a"], "y", vec![]), both(), &|x| x.max(-1.0));
    check(node("Clip", &["x", "", "b"], "y", vec![]), both(), &|x| x.min(0.5));
    check(node("Max", &["x", "b"], "y", vec![]), both(), &|x| x.max(0.5));
    check(node("Min", &["a", "x"], "y", vec![]), both(), &|x| x.min(-1.0));
    check(node("Max", &["x", "z"], "y", vec![]), vec![one("z", 0.0)], &|x| x.max(0.0));
    let slope = |x: f32| if x > 0.0 { x } else { 0.3 * x };
    check(node("PRelu", &["x", "s"], "y", vec![]), vec![tensor("s", &[1], &[0.3])], &slope);
    let slopes = tensor("s", &[5], &[0.5, 2.0, 3.0, 4.0, 5.0]);
    let own = computed(vec![node("PRelu", &["x", "s"], "y", vec![])], vec![slopes], (&[1, 5], &x));
    assert_eq!(own.unwrap(), [-1.5, -1.0, 0.0, 0.25, 2.0]);
    // One for each column is not one for each channel.
    let slopes = tensor("s", &[2], &[0.5, 2.0]);
    let columns = node("PRelu", &["x", "s"], "y", vec![]);
    let refused = computed(vec![columns], vec![slopes], (&[1, 2, 1, 2], &x[..4]));
    assert!(matches!(refused, Err(ImportError::Unsupported { .. })));
    let sum = vec![node("Sum", &["x", "x", "x"], "y", vec![])];
    assert_eq!(computed(sum, vec![], (&[1, 5], &x)).unwrap(), x.map(|x| 3.0 * x));
    let likely = computed(vec![plain("LogSoftmax")], vec![], (&[1, 5], &x)).unwrap();
    let sum: f32 = x.iter().map(|x| x.exp()).sum();
    assert!(likely.iter().zip(&x).all(|(own, x)| (own - (x - sum.ln())).abs() < 1e-5));
    let of_two = vec![node("Exp", &["x"], "e", vec![]), node("Max", &["x", "e"], "y", vec![])];
    let refused = computed(of_two, vec![], (&[1, 5], &x));
    assert!(matches!(refused, Err(ImportError::Unsupported { .. })));
}

/// A limit that is never met takes no precision away.
#[test]
fn distant_limits_are_none() {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.initializer.extend([tensor("zero", &[], &[0.0]), tensor("far", &[], &[f32::MAX])]);
    graph.node[7] = node("Clip", &["d", "zero", "far"], "e", vec![]);
    let graph = Graph::from_onnx(&model.encode_to_vec()).unwrap();
    let quantised = quantise(&graph, &[ramp(16)]).unwrap();
    let trace = quantised.model.run(&quantised.encode(&ramp(16))).unwrap();
    let output = quantised.decode(trace.outputs.last().unwrap());
    let float = graph.run(&ramp(16)).unwrap().pop().unwrap();
    let near = |(own, float): (&f64, &f32)| (own - f64::from(*float)).abs() < 0.05;
    assert!(output.iter().zip(&float).all(near), "{output:?} for {float:?}");
}

/// What a small file could ask for: many nodes of one, numbers without weights, a huge list.
#[test]
fn what_grows_by_itself_is_refused() {
    let many = vec![node("Sum", &vec!["x"; 5000], "y", vec![])];
    let refused = computed(many, vec![], (&[1, 2], &[1.0, 2.0])).unwrap_err();
    assert!(refused.to_string().contains("more than 2048 values"), "{refused}");
    let none = vec![
        node("Gather", &["w", "none"], "g", vec![]),
        node("Conv", &["x", "g"], "y", vec![int("group", (1 << 62) + 1)]),
    ];
    let constants = vec![tensor("w", &[2, 4, 3, 3], &ramp(72)), integers("none", &[0], &[])];
    assert!(computed(none, constants, (&[1, 4, 3, 3], &ramp(36))).is_err());
    let long = vec![
        node("Concat", &["list"; 20], "a", vec![int("axis", 0)]),
        node("Reshape", &["x", "a"], "y", vec![]),
    ];
    let list = integers("list", &[100], &[1; 100]);
    assert!(computed(long, vec![list], (&[1, 2], &[1.0, 2.0])).is_err());
    let axes = integers("axes", &[50_000], &vec![1; 50_000]);
    let ones = vec![node("Unsqueeze", &["x", "axes"], "y", vec![])];
    assert!(computed(ones, vec![axes], (&[1, 2], &[1.0, 2.0])).is_err());
}

#[test]
fn padding_names_its_axes() {
    let x = ramp(6);
    let constants = vec![integers("p", &[2], &[1, 2]), integers("a", &[1], &[-1])];
    let nodes = |from: &str| {
        vec![node("Pad", &[from, "p", "", "a"], "q", vec![]), node("Relu", &["q"], "y", vec![])]
    };
    let padded: Vec<f32> = x.chunks(3).flat_map(|row| [&[0.0], row, &[0.0; 2]].concat()).collect();
    let expected: Vec<f32> = padded.iter().map(|x| x.max(0.0)).collect();
    for shape in [&[1, 1, 2, 3][..], &[1, 2, 3]] {
        assert_eq!(computed(nodes("x"), constants.clone(), (shape, &x)).unwrap(), expected);
    }
}

fn integers(name: &str, dims: &[i64], values: &[i64]) -> TensorProto {
    let (int64_data, dims) = (values.to_vec(), dims.to_vec());
    TensorProto { name: name.into(), dims, data_type: 7, int64_data, ..TensorProto::default() }
}

#[test]
fn padding_is_a_window_s_or_a_value_of_its_own() {
    let x: Vec<f32> = ramp(12);
    let shape = [1, 1, 3, 4];
    let pads = |pads: &[i64]| integers("p", &[8], pads);
    let pad = || node("Pad", &["x", "p"], "a", vec![]);
    let run = |after: NodeProto, all: &[i64]| {
        let constants = vec![pads(all), tensor("w", &[1, 1, 2, 2], &[1.0, -2.0, 3.0, 0.5])];
        computed(vec![pad(), after], constants, (&shape, &x))
    };
    let kernel = || ints("kernel_shape", &[2, 2]);
    let conv =
        |more: Vec<Attribute>| node("Conv", &["a", "w"], "y", [vec![kernel()], more].concat());
    let weights = vec![tensor("w", &[1, 1, 2, 2], &[1.0, -2.0, 3.0, 0.5])];
    let padded = node("Conv", &["x", "w"], "y", vec![kernel(), ints("pads", &[2, 1, 1, 0])]);
    let expected = computed(vec![padded], weights.clone(), (&shape, &x)).unwrap();
    assert_eq!(run(conv(vec![]), &[0, 0, 2, 1, 0, 0, 1, 0]).unwrap(), expected);
    let own = run(conv(vec![ints("pads", &[1, 1, 0, 0])]), &[0, 0, 1, 0, 0, 0, 1, 0]).unwrap();
    assert_eq!(own, expected);
    // What was cut off is not found again.
    let cut = run(conv(vec![ints("pads", &[0, 1, 1, 0])]), &[0, 0, 0, -1, 0, 0, -1, 0]).unwrap();
    let left: Vec<f32> = [1, 2, 3, 5, 6, 7].map(|at| x[at]).to_vec();
    let alone = node("Conv", &["x", "w"], "y", vec![kernel(), ints("pads", &[0, 1, 1, 0])]);
    assert_eq!(cut, computed(vec![alone], weights.clone(), (&[1, 1, 2, 3], &left)).unwrap());
    // A maximum is of zeros too; less than nothing is cut off.
    let bare: Vec<f32> = x.iter().map(|x| -x.abs() - 1.0).collect();
    let maximum = |all: &[i64]| {
        let pool = node("MaxPool", &["a"], "y", vec![kernel()]);
        computed(vec![pad(), pool], vec![pads(all)], (&shape, &bare)).unwrap()
    };
    let largest = |at: [usize; 4]| at.map(|at| bare[at]).into_iter().fold(f32::MIN, f32::max);
    let padded = maximum(&[0, 0, 0, 0, 0, 0, 0, 1]);
    assert_eq!(padded[..3], [[0, 1, 4, 5], [1, 2, 5, 6], [2, 3, 6, 7]].map(largest));
    assert_eq!(padded[3].to_bits(), 0);
    assert_eq!(maximum(&[0, 0, 0, -1, 0, 0, 0, -1]), [[1, 2, 5, 6], [5, 6, 9, 10]].map(largest));
    let nothing = node("Relu", &["a"], "y", vec![]);
    assert_eq!(run(nothing, &[0; 8]).unwrap().len(), 12);
    for wrong in [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, i64::MAX, 0, 0, 0, i64::MAX, 0],
        [0, 0, i64::MIN, 0, 0, 0, 0, 0],
        [0, 0, -2, 0, 0, 0, -1, 0],
        [0, 0, 128, 0, 0, 0, 0, 0],
    ] {
        let error = run(conv(vec![]), &wrong).unwrap_err();
        assert!(matches!(error, ImportError::Unsupported { .. }), "{wrong:?}: {error}");
    }
    let reflected =
        Attribute { name: "mode".into(), s: b"reflect".to_vec(), ..Attribute::default() };
    let nodes = vec![node("Pad", &["x", "p"], "a", vec![reflected]), conv(vec![])];
    let constants = [weights, vec![pads(&[0, 0, 1, 1, 0, 0, 1, 1])]].concat();
    assert!(computed(nodes, constants, (&shape, &x)).is_err());
}

#[test]
fn features_of_a_picture_are_normalised() {
    let nodes = vec![
        node("GlobalAveragePool", &["x"], "p", vec![]),
        node("Flatten", &["p"], "f", vec![]),
        node("LayerNormalization", &["f", "s"], "y", vec![]),
    ];
    let scale = tensor("s", &[2], &[1.0, 2.0]);
    let x = [1.0, 2.0, 3.0, 4.0, 8.0, 7.0, 6.0, 5.0];
    let own = computed(nodes, vec![scale], (&[1, 2, 2, 2], &x)).unwrap();
    assert!((own[0] + 1.0).abs() < 1e-4 && (own[1] - 2.0).abs() < 1e-4, "{own:?}");
}

#[test]
fn a_whole_picture_has_a_maximum() {
    let x = ramp(24);
    let nodes = vec![node("GlobalMaxPool", &["x"], "y", vec![])];
    let own = computed(nodes, vec![], (&[1, 2, 3, 4], &x)).unwrap();
    let largest = |x: &[f32]| x.iter().copied().fold(f32::MIN, f32::max);
    assert_eq!(own, [largest(&x[..12]), largest(&x[12..])]);
}

#[test]
fn hostile_tensors_are_refused() {
    let error = changed(|g| g.initializer[0].data_location = 1);
    assert!(matches!(error, ImportError::External(name) if name == "w"));
    for value in [f32::NAN, f32::INFINITY] {
        let error = changed(|g| g.initializer[5] = tensor("g", &[5, 2], &[value; 10]));
        assert!(matches!(error, ImportError::NotFinite(name) if name == "g"));
    }
    let error = changed(|g| g.initializer[0].dims = vec![2, 1, 3, 4]);
    assert!(matches!(error, ImportError::Tensor(_)));
    let error = changed(|g| g.initializer[0].dims = vec![-2, 1, 3, 3]);
    assert!(matches!(error, ImportError::Tensor(_)));
    let error = changed(|g| g.initializer[0].dims = vec![i64::MAX, 4, 4]);
    assert!(matches!(error, ImportError::Tensor(_)));
    let error = changed(|g| g.initializer[0] = tensor("w", &[0, 1, 3, 3], &[]));
    assert!(matches!(error, ImportError::Tensor(_)));
    let error = changed(|g| g.initializer[5] = tensor("g", &[2, 5], &ramp(10)));
    assert!(matches!(error, ImportError::Shape { .. }));
    for dims in
        [&[1, 1, 0, 4][..], &[1, 1, -1, 4], &[1, 1, 1 << 40, 4], &[1, 1, 1 << 16, 1 << 16], &[1]]
    {
        let error = changed(|g| g.input[0] = value("x", dims));
        assert!(matches!(error, ImportError::Dynamic(name) if name == "x"));
    }
    let mut old = model();
    old.opset_import[0].version = 9;
    assert!(matches!(Graph::from_onnx(&old.encode_to_vec()), Err(ImportError::Opset(9))));
    assert!(matches!(Graph::from_onnx(&[]), Err(ImportError::Graph)));
}

#[test]
fn damaged_files_never_panic() {
    let bytes = model().encode_to_vec();
    let whole = (0..bytes.len()).filter(|length| Graph::from_onnx(&bytes[..*length]).is_ok());
    // All but the operator set, which comes last, may already be a model.
    assert!(whole.count() <= 1);
    let (mut random, mut quantised) = (7u64, 0);
    for _ in 0..3000 {
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut damaged = bytes.clone();
        let at = usize::try_from(random >> 40).unwrap() % damaged.len();
        damaged[at] ^= random.to_le_bytes()[4] | 1;
        if let Ok(graph) = Graph::from_onnx(&damaged) {
            let count = graph.input.iter().product::<u32>() as usize;
            quantised += usize::from(quantise(&graph, &[ramp(count.min(1 << 16))]).is_ok());
        }
    }
    // Most damage hits a weight or a name.
    assert!(quantised > 100, "{quantised}");
}

#[test]
fn calibration_is_checked() {
    let graph = Graph::from_onnx(&model().encode_to_vec()).unwrap();
    assert_eq!(quantise(&graph, &[]), Err(QuantiseError::Calibration { expected: 16 }));
    assert_eq!(
        quantise(&graph, &[vec![0.0; 15]]),
        Err(QuantiseError::Calibration { expected: 16 })
    );
    let error = quantise(&graph, &[vec![f32::MAX; 16]]);
    assert!(matches!(error, Err(QuantiseError::NotFinite(_))), "{error:?}");
    assert!(quantise(&graph, &[vec![0.0; 16]]).is_ok());
}

#[test]
fn groups_and_spatial_means() {
    let mut grouped = model();
    let graph = grouped.graph.as_mut().unwrap();
    graph.input[0] = value("x", &[1, 2, 4, 4]);
    graph.node[0].attribute.push(int("group", 2));
    // A mean instead of the average pool and the flattening.
    graph.node[4] =
        node("ReduceMean", &["p"], "f", vec![ints("axes", &[2, 3]), int("keepdims", 0)]);
    graph.node.remove(5);
    let graph = Graph::from_onnx(&grouped.encode_to_vec()).unwrap();
    let values = graph.run(&ramp(32)).unwrap();
    // Each output channel sees its own input channel only.
    let mut other = ramp(32);
    other[16..].fill(1.0);
    let changed = graph.run(&other).unwrap();
    assert_eq!(values[1][..16], changed[1][..16]);
    assert_ne!(values[1][16..], changed[1][16..]);
    let pooled = &values[3];
    let means: Vec<f32> = pooled.chunks(4).map(|plane| plane.iter().sum::<f32>() / 4.0).collect();
    assert_eq!(values[4], means);
}

/// What joins the product before it must not change what others read of that product.
#[test]
fn a_product_that_several_read_stays_as_it_is() {
    for through in [true, false] {
        let read = if through { "i" } else { "d" };
        let mut model = model();
        let graph = model.graph.as_mut().unwrap();
        graph.node = vec![
            node("Flatten", &["x"], "f", vec![int("axis", 1)]),
            node("MatMul", &["f", "w"], "d", vec![]),
            node("Identity", &["d"], "i", vec![]),
            node("Add", &[read, "b"], "s", vec![]),
            node("Relu", &["d"], "r", vec![]),
            node("Add", &["s", "r"], "y", vec![]),
        ];
        graph.initializer =
            vec![tensor("w", &[16, 3], &ramp(48)), tensor("b", &[3], &[5.0, 6.0, 7.0])];
        let graph = Graph::from_onnx(&model.encode_to_vec()).unwrap();
        let own = graph.run(&ramp(16)).unwrap().pop().unwrap();
        let (input, weights) = (ramp(16), ramp(48));
        for (class, own) in own.iter().enumerate() {
            let product: f32 = (0..16).map(|i| input[i] * weights[i * 3 + class]).sum();
            let expected = product + [5.0, 6.0, 7.0][class] + product.max(0.0);
            assert!((own - expected).abs() < 1e-5, "{own} for {expected}");
        }
    }
}

/// Scores of two rows of three, masked, as the model's output.
fn masked(change: impl FnOnce(&mut GraphProto)) -> Result<Graph, ImportError> {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.input[0] = value("x", &[1, 2, 3]);
    let bools = |name: &str, values: &[u8]| TensorProto {
        name: name.into(),
        dims: vec![1, 2, 3],
        data_type: 9,
        raw_data: values.to_vec(),
        ..TensorProto::default()
    };
    let condition = bools("c", &[0, 1, 1, 0, 0, 1]);
    graph.initializer = vec![condition, tensor("far", &[], &[f32::NEG_INFINITY])];
    graph.node = vec![
        node("Where", &["c", "far", "x"], "m", vec![]),
        node("Softmax", &["m"], "y", vec![int("axis", -1)]),
    ];
    change(graph);
    Graph::from_onnx(&model.encode_to_vec())
}

#[test]
fn masked_scores_have_no_share() {
    let input = [1.0, 9.0, 9.0, 2.0, 2.0, 9.0];
    let expected = [1.0, 0.0, 0.0, 0.5, 0.5, 0.0];
    let added = |graph: &mut GraphProto| {
        let [zero, far] = [0.0, -1e9];
        let mask = tensor("t", &[1, 1, 2, 3], &[zero, far, far, zero, zero, f32::NEG_INFINITY]);
        graph.initializer.push(mask);
        graph.node[0] = node("Add", &["t", "x"], "m", vec![]);
    };
    for graph in [masked(|_| ()).unwrap(), masked(added).unwrap()] {
        assert_eq!(graph.run(&input).unwrap().pop().unwrap(), expected);
        let quantised = quantise(&graph, &[input.to_vec()]).unwrap();
        // Whatever the scores are, those that are masked have no share at all.
        for own in [input, [-9.0, 9.0, -9.0, 0.0, -9.0, 9.0], [0.0; 6]] {
            let trace = quantised.model.run(&quantised.encode(&own)).unwrap();
            let shares = trace.outputs.last().unwrap();
            assert_eq!([shares[1], shares[2], shares[5]], [0; 3], "{shares:?}");
            let shares = quantised.decode(shares);
            assert!((shares[0] - 1.0).abs() < 0.01 && (shares[3] + shares[4] - 1.0).abs() < 0.01);
        }
    }
}

#[test]
fn masks_are_for_softmax_alone() {
    let words = |error: Result<Graph, ImportError>| error.unwrap_err().to_string();
    let read = words(masked(|g| g.node[1] = node("Relu", &["m"], "y", vec![])));
    assert!(read.contains("only Softmax may read them"), "{read}");
    let nothing = words(masked(|g| g.initializer[0].raw_data = vec![0, 0, 0, 1, 1, 1]));
    assert!(nothing.contains("leaves nothing of a row"), "{nothing}");
    let near = words(masked(|g| g.initializer[1] = tensor("far", &[], &[-3.0])));
    assert!(near.contains("masks no scores"), "{near}");
    let varying = words(masked(|g| g.node[0].input[0] = "x".into()));
    assert!(varying.contains("condition that is not constant"), "{varying}");
    let shape = words(masked(|g| g.initializer[0].dims = vec![1, 3, 2]));
    assert!(shape.contains("a mask of [3, 2] on [2, 3]"), "{shape}");
    let infinite = words(masked(|g| g.node[0] = node("Mul", &["x", "far"], "m", vec![])));
    assert!(infinite.contains("`far` has a value that is not finite"), "{infinite}");
}

/// Rows of a table by number.
fn lettered(rows: usize, change: impl FnOnce(&mut GraphProto)) -> Result<Graph, ImportError> {
    let mut model = model();
    let graph = model.graph.as_mut().unwrap();
    graph.input[0] = value("x", &[1, 3]);
    let shape = [i64::try_from(rows).unwrap(), 2];
    graph.initializer = vec![tensor("t", &shape, &ramp(2 * rows)), tensor("w", &[2, 2], &ramp(4))];
    graph.node =
        vec![node("Gather", &["t", "x"], "e", vec![]), node("MatMul", &["e", "w"], "y", vec![])];
    change(graph);
    Graph::from_onnx(&model.encode_to_vec())
}

#[test]
fn numbers_name_rows() {
    let graph = lettered(5, |_| ()).unwrap();
    let quantised = quantise(&graph, &[vec![0.0, 2.0, 4.0]]).unwrap();
    assert_eq!(quantised.encode(&[0.0, 127.0, -3.0]), [0, 127, -3]);
    let (rows, weights) = (ramp(10), ramp(4));
    // Numbers that name no row stand for zeros, whatever they are.
    for numbers in [[0i8, 1, 2], [4, 3, 3], [5, 127, -128], [-1, 4, 0]] {
        let trace = quantised.model.run(&numbers).unwrap();
        let own = quantised.decode(trace.outputs.last().unwrap());
        for (place, number) in numbers.iter().enumerate() {
            let row = usize::try_from(*number).ok().and_then(|at| rows.get(2 * at..2 * at + 2));
            for class in 0..2 {
                let expected =
                    row.map_or(0.0, |r| r[0] * weights[class] + r[1] * weights[2 + class]);
                let own = own[2 * place + class];
                assert!(
                    (own - f64::from(expected)).abs() < 0.01,
                    "{numbers:?}: {own} for {expected}"
                );
            }
        }
    }
}

#[test]
fn tables_that_eight_bits_do_not_name_are_refused() {
    let words = |error: Result<Graph, ImportError>| error.unwrap_err().to_string();
    assert!(lettered(128, |_| ()).is_ok());
    let large = words(lettered(129, |_| ()));
    assert!(large.contains("a table of 129 rows: inputs of eight bits name 128"), "{large}");
    let computed = words(lettered(5, |g| {
        g.node[0].input[1] = "r".into();
        g.node.insert(0, node("Relu", &["x"], "r", vec![]));
    }));
    assert!(computed.contains("anything but the model's input"), "{computed}");
    let axis = words(lettered(5, |g| g.node[0].attribute.push(int("axis", 1))));
    assert!(axis.contains("rows of a constant, or one place of a value"), "{axis}");
}

/// Files of a few bytes must not ask for gigabytes.
#[test]
fn what_grows_beyond_its_file_is_refused() {
    let groups = changed(|g| {
        g.input[0] = value("x", &[1, 1 << 14, 1, 1]);
        g.initializer[0] = tensor("w", &[1 << 14, 1, 1, 1], &vec![0.5; 1 << 14]);
        g.node[0].attribute = vec![int("group", 1 << 14)];
    });
    assert!(matches!(groups, ImportError::Size), "{groups}");
    let rows = lettered(5, |g| {
        let dims = vec![1 << 14];
        let raw_data = vec![0; 8 << 14];
        let many =
            TensorProto { name: "n".into(), dims, data_type: 7, raw_data, ..tensor("", &[0], &[]) };
        g.initializer.push(many);
        g.initializer[0] = tensor("t", &[1, 1 << 13], &vec![0.5; 1 << 13]);
        g.node[0].input[1] = "n".into();
    });
    assert!(rows.unwrap_err().to_string().contains("a row that is not there"));
    let repeated = lettered(5, |g| {
        g.input[0] = value("x", &[1, 1 << 13, 1 << 13]);
        g.initializer.push(tensor("one", &[1 << 13], &vec![0.5; 1 << 13]));
        g.node.clear();
        let names: Vec<String> = (0..6).map(|i| format!("s{i}")).collect();
        for pair in names.windows(2) {
            g.node.push(node(
                "Relu",
                &[if pair[0] == "s0" { "x" } else { &pair[0] }],
                &pair[1],
                vec![],
            ));
        }
        g.output[0] = value("s5", &[1, 1 << 13, 1 << 13]);
    });
    assert!(repeated.unwrap_err().to_string().contains("more than 134217728 values"));
}

/// What reads a value in another shape than it was made in reads nonsense.
#[test]
fn constants_meet_values_in_their_own_shape() {
    let x = ramp(8);
    for operator in ["Add", "Mul"] {
        let nodes = vec![
            node("Flatten", &["x"], "f", vec![]),
            node(operator, &["f", "along"], "y", vec![]),
        ];
        let along: Vec<f32> = x.iter().rev().map(|x| x + 3.0).collect();
        let join = |(x, along): (&f32, &f32)| if operator == "Add" { x + along } else { x * along };
        let expected: Vec<f32> = x.iter().zip(&along).map(join).collect();
        let own = computed(nodes, vec![tensor("along", &[8], &along)], (&[1, 2, 2, 2], &x));
        assert_eq!(own.unwrap(), expected);
    }
}

/// A file whose sizes' product does not fit 32 bits, and whose tensors are empty for it.
#[test]
fn sizes_of_the_trainers_files_do_not_wrap() {
    let many = 1usize << 16;
    let data = vec![0u8; 4 * many];
    let view = |shape: Vec<usize>, data| {
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, data).unwrap()
    };
    let tensors = [
        ("fc1.weight", view(vec![many, 1], &data[..])),
        ("fc1.bias", view(vec![many], &data[..])),
        ("fc2.weight", view(vec![many, 0], &[])),
        ("fc2.bias", view(vec![many], &data[..])),
    ];
    let bytes = safetensors::serialize(tensors, None).unwrap();
    assert!(matches!(Graph::from_mlp(&bytes, 16), Err(ImportError::Tensor(_))));
}
