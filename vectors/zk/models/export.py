#!/usr/bin/env python3
"""Writes small models as PyTorch exports them with a batch of any size, with samples of what PyTorch makes of
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


class Shuffled(nn.Module):
    """Channels split, joined and shuffled, parts of pictures, pixels as tokens, features side by side."""

    def __init__(self):
        super().__init__()
        self.first, self.branch = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)
        self.second, self.tokens = nn.Conv2d(8, 5, 1), nn.Linear(5, 6)
        self.outer = nn.Linear(6 + 3 * 4 * 3, 4)

    def forward(self, x):
        x = F.relu(self.first(x))
        one, other = x.split(4, 1)
        x = torch.cat([one, F.relu(self.branch(other))], 1)
        batch, channels, rows, columns = x.size()
        x = x.view(batch, 2, channels // 2, rows, columns).transpose(1, 2).contiguous()
        x = self.second(x.view(batch, channels, rows, columns))
        tokens = torch.tanh(self.tokens(x.flatten(2).transpose(1, 2))).mean(1)
        return self.outer(torch.cat([tokens, x[:, 1:-1, 1:, ::2].flatten(1)], 1))


class Series(nn.Module):
    """One dimension; averages and maxima that leave padding out."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv1d(3, 6, 5, 2, 2, bias=False), nn.BatchNorm1d(6), nn.LeakyReLU(0.2))
        self.second = nn.Sequential(nn.Conv1d(6, 8, 3, dilation=2), nn.Tanh(), nn.Conv1d(8, 6, 1), nn.PReLU(6))
        self.third = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(8))
        self.outer = nn.Linear(25, 4)
        with torch.no_grad():
            for norm in (self.first[1], self.third[1]):
                norm.running_mean.uniform_(-0.2, 0.2)
                norm.running_var.uniform_(0.5, 2)

    def forward(self, x):
        x = F.max_pool1d(self.first(x), 3, 2, padding=1)
        x = self.second(F.avg_pool1d(x, 3, 1, padding=1, count_include_pad=False))
        x = self.third(torch.cat([x, x[:, :2] * 0.7], 1))
        whole = x.unsqueeze(2).flatten(2)
        picture = F.avg_pool2d(x.unsqueeze(1), 3, 2, 1, count_include_pad=False, ceil_mode=True)
        many = torch.cat([whole.mean(-1), F.adaptive_max_pool1d(x, 1).flatten(1)], 1)
        return self.outer(torch.cat([many, picture.mean(3).squeeze(1), x[:, 4:, 0]], 1))


class Heads(nn.Module):
    """Attention of two heads by sizes of the value itself, and what goes number by number when flattened."""

    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(6, 8) for _ in range(3))
        self.norm, self.outer = nn.LayerNorm(8), nn.Linear(32, 4)

    def forward(self, x):
        parts = [part(x) for part in self.parts]
        q, k, v = (p.view(p.size(0), p.size(1), 2, 4).transpose(1, 2) for p in parts)
        x = torch.softmax(q @ k.transpose(-1, -2) / k.size(-1) ** 0.5, -1) @ v
        x = x.transpose(1, 2).flatten(2)
        return self.outer(F.hardtanh(self.norm(x[:, 1:]).flatten(1), -1.5, 1.2))


def export(name, model, *shape):
    model.eval()
    x = torch.randn(24, *shape)
    path = os.path.join(HERE, name)
    torch.onnx.export(
        model, x[:1], f"{path}.onnx", opset_version=13, input_names=["x"], output_names=["y"],
        dynamic_axes={"x": {0: "batch"}, "y": {0: "batch"}}, **OPTIONS,
    )
    with torch.no_grad():
        out = model(x)
    short = lambda values: [[round(float(v), 5) for v in row.flatten()] for row in values]
    samples = {"x": short(x), "y": out.argmax(1).tolist(), "out": short(out)}
    with open(f"{path}.json", "w") as file:
        json.dump(samples, file, separators=(",", ":"))
        file.write("\n")


OPTIONS = {"dynamo": False} if "dynamo" in torch.onnx.export.__code__.co_varnames else {}
torch.manual_seed(3)
export("exported", Exported(), 2, 9, 8)
export("shuffled", Shuffled(), 3, 10, 9)
export("series", Series(), 3, 40)
export("heads", Heads(), 5, 6)
