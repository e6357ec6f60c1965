#!/usr/bin/env python3
"""Writes the small models that tests import, with samples of what onnxruntime makes of them.

Needs onnx 1.23, onnxruntime 1.32 and numpy 2. Weights are random, by seed: what counts is the operators."""
import json, os
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = os.path.dirname(os.path.abspath(__file__))


class Graph:
    def __init__(self, seed):
        self.random, self.nodes, self.constants = np.random.default_rng(seed), [], []

    def constant(self, values):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, *shape):
        fan_in = np.prod(shape[1:]) if len(shape) > 2 else shape[0]
        values = self.random.normal(0, 1.0 / np.sqrt(fan_in), shape)
        return self.constant(values.astype(np.float32))

    def vector(self, size, middle=0.0):
        return self.constant((middle + self.random.normal(0, 0.2, size)).astype(np.float32))

    def add(self, operator, *inputs, **attributes):
        return self.several(1, operator, *inputs, **attributes)[0]

    def several(self, count, operator, *inputs, **attributes):
        names = [f"v{len(self.nodes)}" + (f".{i}" if count > 1 else "") for i in range(count)]
        self.nodes.append(helper.make_node(operator, inputs, names, f"{operator}{len(self.nodes)}", **attributes))
        return names

    def save(self, name, opset, shape, output, count=24, rows=None):
        """With `rows`, inputs are numbers below it."""
        classes = [1, 4]
        graph = helper.make_graph(
            self.nodes, name,
            [helper.make_tensor_value_info("x", TensorProto.INT64 if rows else TensorProto.FLOAT, [1, *shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, classes)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, os.path.join(HERE, f"{name}.onnx"))
        session = onnxruntime.InferenceSession(model.SerializeToString())
        if rows:
            x = self.random.integers(0, rows, (count, *shape))
        else:
            x = self.random.normal(0, 1, (count, *shape)).astype(np.float32)
        out = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
        short = lambda values: [[round(float(v), 5) for v in row.flatten()] for row in values]
        samples = {"x": short(x), "y": [int(i) for i in out.argmax(1)], "out": short(out)}
        with open(os.path.join(HERE, f"{name}.json"), "w") as file:
            json.dump(samples, file, separators=(",", ":"))
            file.write("\n")


def convolution():
    g = Graph(1)
    v = g.add("Conv", "x", g.weights(4, 1, 3, 3), g.vector(4), kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    v = g.add("Relu", v)
    v = g.add("MaxPool", v, kernel_shape=[2, 2], strides=[2, 2])
    v = g.add("Flatten", v)
    v = g.add("Gemm", v, g.weights(36, 4), g.vector(4))
    g.save("convolution", 13, [1, 6, 6], v)


def attention(g, v, tokens, width, heads, size, names):
    """Multi-head attention as exporters write it."""
    def heads_of(order):
        m = g.add("Add", g.add("MatMul", v, g.weights(width, heads * size)), g.vector(heads * size))
        m = g.add("Reshape", m, g.constant(np.array([names, tokens, heads, size], np.int64)))
        return g.add("Transpose", m, perm=order)

    q, k, x = heads_of([0, 2, 1, 3]), heads_of([0, 2, 3, 1]), heads_of([0, 2, 1, 3])
    s = g.add("Div", g.add("MatMul", q, k), g.constant(np.float32(np.sqrt(size))))
    m = g.add("MatMul", g.add("Softmax", s, axis=-1), x)
    m = g.add("Reshape", g.add("Transpose", m, perm=[0, 2, 1, 3]), g.constant(np.array([names, tokens, heads * size], np.int64)))
    return g.add("MatMul", m, g.weights(heads * size, width))


def transformer():
    """Operator set 20: LayerNormalization and Gelu, five tokens of twelve, three heads of four."""
    g = Graph(2)
    v = g.add("Add", g.add("MatMul", "x", g.weights(6, 12)), g.vector(12))
    v = g.add("Add", v, g.constant(g.random.normal(0, 0.3, (1, 5, 12)).astype(np.float32)))
    n = g.add("LayerNormalization", v, g.vector(12, 1.0), g.vector(12), axis=-1, epsilon=1e-5)
    v = g.add("Add", v, attention(g, n, 5, 12, 3, 4, 1))
    n = g.add("LayerNormalization", v, g.vector(12, 1.0), g.vector(12), axis=-1)
    h = g.add("Gelu", g.add("Add", g.add("MatMul", n, g.weights(12, 20)), g.vector(20)), approximate="none")
    v = g.add("Add", v, g.add("MatMul", h, g.weights(20, 12)))
    v = g.add("ReduceMean", v, g.constant(np.array([1], np.int64)), keepdims=0)
    g.save("transformer", 20, [5, 6], g.add("Gemm", v, g.weights(12, 4), g.vector(4)))


def decomposed():
    """Operator set 13: normalisation after the sum and GELU in parts, one head, gates."""
    g = Graph(3)

    def norm(v):
        c = g.add("Sub", v, g.add("ReduceMean", v, axes=[-1]))
        d = g.add("ReduceMean", g.add("Pow", c, g.constant(np.float32(2))), axes=[-1])
        d = g.add("Sqrt", g.add("Add", d, g.constant(np.float32(1e-5))))
        return g.add("Add", g.add("Mul", g.add("Div", c, d), g.vector(8, 1.0)), g.vector(8))

    v = g.add("MatMul", "x", g.weights(6, 8))
    m = lambda: g.add("MatMul", v, g.weights(8, 8))
    s = g.add("MatMul", m(), g.add("Transpose", m(), perm=[0, 2, 1]))
    s = g.add("Softmax", g.add("Mul", s, g.constant(np.float32(0.35))), axis=2)
    v = norm(g.add("Add", v, g.add("MatMul", s, m())))
    h = g.add("MatMul", v, g.weights(8, 10))
    e = g.add("Erf", g.add("Div", h, g.constant(np.float32(np.sqrt(2)))))
    h = g.add("Mul", g.add("Mul", h, g.add("Add", e, g.constant(np.float32(1)))), g.constant(np.float32(0.5)))
    v = norm(g.add("Add", v, g.add("MatMul", h, g.weights(10, 8))))
    gate = g.add("Sigmoid", g.add("MatMul", v, g.weights(8, 8)))
    v = g.add("Mul", v, gate)
    v = g.add("ReduceMean", v, axes=[1], keepdims=0)
    g.save("decomposed", 13, [7, 6], g.add("Gemm", v, g.weights(8, 4), g.vector(4)))


def joined():
    """Operator set 13: two branches side by side, channels and then features."""
    g = Graph(4)
    conv = lambda v, to, of, k: g.add("Relu", g.add("Conv", v, g.weights(to, of, k, k), g.vector(to), kernel_shape=[k, k], pads=[k // 2] * 4))
    v = g.add("Concat", conv("x", 3, 2, 3), conv("x", 2, 2, 1), axis=1)
    v = conv(v, 3, 5, 3)
    flat = g.add("Flatten", v)
    a = g.add("Gemm", flat, g.weights(75, 6), g.vector(6))
    b = g.add("Relu", g.add("Gemm", flat, g.weights(75, 5), g.vector(5)))
    v = g.add("Concat", a, b, axis=-1)
    g.save("joined", 13, [2, 5, 5], g.add("Gemm", v, g.weights(11, 4), g.vector(4)))


def causal():
    """Operator set 17: a decoder as exporters write it. Numbers of eleven letters, six at a time; places; what
    is ahead is masked by a choice of minus infinity; the last place decides."""
    g = Graph(5)
    table = lambda rows: g.constant(g.random.normal(0, 0.7, (rows, 12)).astype(np.float32))
    places = g.add("Gather", table(8), g.constant(np.arange(6)[None]))
    v = g.add("Add", g.add("Gather", table(11), "x"), places)
    ahead = g.constant(np.triu(np.ones((1, 1, 6, 6), bool), 1))
    far = g.constant(np.float32(-np.inf))
    for _ in range(2):
        n = g.add("LayerNormalization", v, g.vector(12, 1.0), g.vector(12), axis=-1)
        n = g.add("Add", g.add("MatMul", n, g.weights(12, 36)), g.vector(36))
        parts = g.several(3, "Split", n, g.constant(np.array([12, 12, 12])), axis=2)
        heads = [g.add("Reshape", part, g.constant(np.array([1, 6, 3, 4]))) for part in parts]
        q, k, x = (g.add("Transpose", part, perm=order) for part, order in zip(heads, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])))
        s = g.add("Mul", g.add("MatMul", q, k), g.constant(np.float32(0.5)))
        s = g.add("Softmax", g.add("Where", ahead, far, s), axis=-1)
        m = g.add("Transpose", g.add("MatMul", s, x), perm=[0, 2, 1, 3])
        m = g.add("Reshape", m, g.constant(np.array([1, 6, 12])))
        v = g.add("Add", v, g.add("Add", g.add("MatMul", m, g.weights(12, 12)), g.vector(12)))
        n = g.add("LayerNormalization", v, g.vector(12, 1.0), g.vector(12), axis=-1)
        h = g.add("Relu", g.add("Add", g.add("MatMul", n, g.weights(12, 20)), g.vector(20)))
        v = g.add("Add", v, g.add("MatMul", h, g.weights(20, 12)))
    v = g.add("Gather", v, g.constant(np.array(-1)), axis=1)
    g.save("causal", 17, [6], g.add("Gemm", v, g.weights(12, 4), g.vector(4)), rows=11)


def windows():
    """Operator set 13: attention within three windows of four, two heads, products over windows and heads,
    and a mask that is added."""
    g = Graph(6)
    v = g.add("Add", g.add("MatMul", "x", g.weights(5, 8)), g.vector(8))

    def heads_of(order):
        m = g.add("Add", g.add("MatMul", v, g.weights(8, 8)), g.vector(8))
        m = g.add("Reshape", m, g.constant(np.array([1, 3, 4, 2, 4])))
        return g.add("Transpose", m, perm=order)

    q, k, x = heads_of([0, 1, 3, 2, 4]), heads_of([0, 1, 3, 4, 2]), heads_of([0, 1, 3, 2, 4])
    s = g.add("Div", g.add("MatMul", q, k), g.constant(np.float32(2)))
    ahead = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    s = g.add("Softmax", g.add("Add", s, g.constant(ahead[None, None])), axis=-1)
    m = g.add("Transpose", g.add("MatMul", s, x), perm=[0, 1, 3, 2, 4])
    m = g.add("Reshape", m, g.constant(np.array([1, 3, 4, 8])))
    v = g.add("Add", v, g.add("MatMul", m, g.weights(8, 8)))
    v = g.add("ReduceMean", v, axes=[1, 2], keepdims=0)
    g.save("windows", 13, [3, 4, 5], g.add("Gemm", v, g.weights(8, 4), g.vector(4)))


class Samples(CalibrationDataReader):
    def __init__(self, name):
        with open(os.path.join(HERE, f"{name}.json")) as file:
            rows = json.load(file)["x"]
        shape = onnx.load(os.path.join(HERE, f"{name}.onnx")).graph.input[0].type.tensor_type.shape
        shape = [d.dim_value for d in shape.dim]
        self.rows = iter([{"x": np.array(row, np.float32).reshape(shape)} for row in rows])

    def get_next(self):
        return next(self.rows, None)


def normalise(g, v, size):
    """As batch normalisation that nothing can be folded into."""
    variance = g.constant(g.random.uniform(0.5, 2, size).astype(np.float32))
    return g.add("BatchNormalization", v, g.vector(size, 1.0), g.vector(size), g.vector(size), variance)


def images():
    """Operator set 19: colours normalised, padding of each kind, dilations, factors by channel, activations
    that are not ReLU, normalisation after them."""
    g = Graph(8)
    colour = lambda middle: g.constant((middle + g.random.normal(0, 0.1, (1, 3, 1, 1))).astype(np.float32))
    v = g.add("Div", g.add("Sub", "x", colour(0.4)), colour(0.6))
    v = g.add("Conv", v, g.weights(4, 3, 3, 3), auto_pad="SAME_UPPER", strides=[2, 2])
    v = normalise(g, g.add("LeakyRelu", v, alpha=0.1), 4)
    v = g.add("MaxPool", g.add("Relu", v), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    v = g.add("Conv", v, g.weights(4, 4, 2, 2), g.vector(4), dilations=[2, 1], pads=[1, 0, 1, 1])
    v = g.add("HardSwish", g.add("Mul", v, g.constant(g.random.normal(1, 0.3, (4, 1, 1)).astype(np.float32))))
    v = g.add("HardSigmoid", normalise(g, v, 4), alpha=0.3, beta=0.4)
    v = g.add("Flatten", g.add("GlobalAveragePool", v))
    g.save("images", 19, [3, 9, 11], g.add("Gemm", v, g.weights(4, 4), g.vector(4)))


def last_channel():
    """Operator set 13: a picture whose one channel comes last, as Keras has it."""
    g = Graph(9)
    v = g.add("Reshape", "x", g.constant(np.array([-1, 1, 7, 6], np.int64)))
    v = g.add("Conv", v, g.weights(3, 1, 3, 2), g.vector(3), auto_pad="SAME_LOWER", strides=[2, 2])
    v = g.add("MaxPool", g.add("Relu", v), kernel_shape=[2, 2], auto_pad="SAME_UPPER", strides=[2, 1])
    v = normalise(g, g.add("Flatten", v), 18)
    g.save("last_channel", 13, [7, 6, 1], g.add("Gemm", v, g.weights(18, 4), g.vector(4)))


def grey():
    """Operator set 13: a picture without channels, averaged as a whole."""
    g = Graph(10)
    v = g.add("Unsqueeze", "x", g.constant(np.array([1], np.int64)))
    v = g.add("Relu", g.add("Conv", v, g.weights(5, 1, 3, 3), g.vector(5)))
    v = g.add("Squeeze", g.add("GlobalAveragePool", v), g.constant(np.array([-1, 2], np.int64)))
    g.save("grey", 13, [20, 19], g.add("Gemm", v, g.weights(5, 4), g.vector(4)))


def quantised(name, form):
    """onnxruntime's own quantisation of a model, and what it then computes of the same samples."""
    path, made = (os.path.join(HERE, f"{file}.onnx") for file in (name, f"{name}_{form}"))
    qdq = form == "qdq"
    quantize_static(
        path, made, Samples(name), per_channel=qdq,
        quant_format=QuantFormat.QDQ if qdq else QuantFormat.QOperator,
        activation_type=QuantType.QInt8 if qdq else QuantType.QUInt8, weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "MatMul", "Gemm", "Relu", "MaxPool", "Concat"] if qdq else ["Conv", "MatMul"],
    )
    session = onnxruntime.InferenceSession(made)
    out = [session.run(None, row)[0].flatten() for row in Samples(name).rows]
    with open(os.path.join(HERE, f"{name}.json")) as file:
        samples = json.load(file)
    samples["out"] = [[round(float(v), 5) for v in row] for row in out]
    samples["y"] = [int(np.argmax(row)) for row in out]
    with open(made.replace(".onnx", ".json"), "w") as file:
        json.dump(samples, file, separators=(",", ":"))
        file.write("\n")


convolution()
transformer()
decomposed()
joined()
causal()
windows()
images()
last_channel()
grey()
quantised("convolution", "qdq")
quantised("joined", "qdq")
quantised("convolution", "qoperator")
