#!/usr/bin/env python3
"""Writes a small model as PyTorch exports it with a batch of any size, with samples of what PyTorch makes of
them.

Needs torch 1.13 or newer; newer ones without their second exporter. Weights are random, by seed."""
import json, os
import torch
from torch import nn
from torch.nn import functional as F

HERE = os.path.dirname(os.path.abspath(__file__))


class Exported(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3), nn.PReLU(4), nn.AvgPool2d(3, 2, padding=1))
        self.second = nn.Sequential(nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(4, 5, 2), nn.ELU())
        self.inner, self.outer = nn.Linear(45, 8), nn.Linear(8, 4)
        with torch.no_grad():
            self.first[1].weight.uniform_(-0.3, 0.6)

    def forward(self, x):
        x = F.pad(self.second(self.first(x)), (-1, 1, 1, 0))
        x = F.max_pool2d(F.softplus(x), (2, 1))
        x = x.view(x.size(0), -1)
        return F.log_softmax(self.outer(F.hardtanh(self.inner(x), -0.5, 0.6)), dim=1)


torch.manual_seed(3)
model = Exported().eval()
x = torch.randn(24, 2, 9, 8)
options = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
torch.onnx.export(
    model, x[:1], os.path.join(HERE, "exported.onnx"), opset_version=13, input_names=["x"], output_names=["y"],
    dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **options,
)
with torch.no_grad():
    out = model(x)
short = lambda values: [[round(float(v), 5) for v in row.flatten()] for row in values]
samples = {"x": short(x), "y": out.argmax(1).tolist(), "out": short(out)}
with open(os.path.join(HERE, "exported.json"), "w") as file:
    json.dump(samples, file, separators=(",", ":"))
    file.write("\n")
