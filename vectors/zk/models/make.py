#!/usr/bin/env python3
"""Writes the small models that tests import, with samples of what onnxruntime makes of them.

Needs onnx 1.23, onnxruntime 1.32 and numpy 2. Weights are random, by seed: what counts is the operators."""
import json, os
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

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
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], f"{operator}{len(self.nodes)}", **attributes))
        return name

    def save(self, name, opset, shape, output, count=24):
        classes = [1, 4]
        graph = helper.make_graph(
            self.nodes, name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, *shape])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, classes)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, os.path.join(HERE, f"{name}.onnx"))
        session = onnxruntime.InferenceSession(model.SerializeToString())
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


convolution()
