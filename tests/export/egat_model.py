"""A small precoder over a graph of users and antennas, node by node: k is a dimension of its file.

feature (n, k, D) and snr_db (n, 1) -> W (n, k, M, 2), total power 1. An edge (user, antenna) has C
numbers; layers are those of paper 000, eq. 18 to 21, with the mean over antennas taken first.
"""

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper
from small_models import call, model, node


def precoder(
    antennas: int, width: int, channels: int, layers: int, *, function: bool, average: int = 1,
    seed: int = 0,
) -> ModelProto:  # fmt: skip
    """Random weights; attention as a call of our function, or something simpler in its place."""
    return _Builder(antennas, width, channels, layers, function, average, seed).proto()


class _Builder:
    def __init__(self, antennas: int, width: int, channels: int, layers: int, function: bool,
                 average: int, seed: int) -> None:  # fmt: skip
        self.m, self.d, self.c, self.layers = antennas, width, channels, layers
        self.function, self.average = function, average
        self.random = np.random.default_rng(seed)
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {
            "edges": np.array([0, 0, antennas, width // antennas], np.int64),
            "axes": np.array([1, 2], np.int64),
            "twenty": np.array([20.0], np.float32),
            "one": np.array([1.0], np.float32),
            "antennas_axis": np.array([2], np.int64),
            "all": np.array([1, 2, 3], np.int64),
            "full": np.array([1], np.int64),
        }

    def add(self, op: str, inputs: list[str], made: str, **attributes: Any) -> str:
        self.nodes.append(node(op, inputs, [made], name=made, **attributes))
        return made

    def linear(self, x: str, name: str, inputs: int, outputs: int, *, bias: bool = True) -> str:
        scale = 1 / np.sqrt(inputs)
        weight = self.random.normal(scale=scale, size=(inputs, outputs))
        self.constants[f"{name}.w"] = weight.astype(np.float32)
        y = self.add("MatMul", [x, f"{name}.w"], f"{name}.product")
        if not bias:
            return y
        self.constants[f"{name}.b"] = self.random.normal(scale=0.1, size=outputs).astype("f4")
        return self.add("Add", [y, f"{name}.b"], name)

    def attention(self, name: str, values: str, queries: str, keys: str) -> str:
        if self.function:
            entry = call("EdgeAttention", [values, queries, keys], [name], average=self.average)
            entry.name = name
            self.nodes.append(entry)
            return name
        # In place of attention: the other users' mean gate times their values' sum.
        self.constants["users"] = np.array([1], np.int64)
        gate = self.add("Mul", [queries, keys], f"{name}.gate")
        gate = self.add("ReduceMean", [gate, "users"], f"{name}.mean", keepdims=1)
        joined = self.add("ReduceSum", [values, "users"], f"{name}.joined", keepdims=1)
        rest = self.add("Sub", [joined, values], f"{name}.rest")
        return self.add("Mul", [rest, gate], name)

    def proto(self) -> ModelProto:
        each = self.d // self.m
        z = self.add("Reshape", ["feature", "edges"], "z.feature")
        self.add("Div", ["snr_db", "twenty"], "snr.scaled")
        self.add("Unsqueeze", ["snr.scaled", "axes"], "snr.4d")  # (n, 1, 1, 1)
        self.add("Shape", [z], "z.sizes", start=0, end=3)
        self.add("Concat", ["z.sizes", "full"], "snr.sizes", axis=0)
        self.add("Expand", ["snr.4d", "snr.sizes"], "snr.each")
        z = self.add("Concat", [z, "snr.each"], "z.in", axis=-1)
        z = self.add("Mish", [self.linear(z, "first", each + 1, self.c)], "z.0")
        for t in range(self.layers):
            own = self.linear(z, f"l{t}.f1", self.c, self.c)
            mean = self.add("ReduceMean", [z, "antennas_axis"], f"l{t}.mean", keepdims=1)
            others = self.linear(mean, f"l{t}.f2", self.c, self.c)
            v, q, k = (self.linear(z, f"l{t}.f{i}", self.c, self.c) for i in (3, 4, 5))
            seen = self.attention(f"l{t}.attention", v, q, k)
            total = self.add("Add", [own, others], f"l{t}.sum")
            total = self.add("Add", [total, seen], f"l{t}.all")
            z = self.add("Mish", [total], f"z.{t + 1}")
        w = self.linear(z, "w", self.c, 2)
        self.add("Mul", [w, w], "w.squares")
        self.add("ReduceSum", ["w.squares", "all"], "w.power", keepdims=1)
        self.add("Sqrt", ["w.power"], "w.length")
        self.add("Div", [w, "w.length"], "W")
        inputs = {"feature": ("n", "k", self.d), "snr_db": ("n", 1)}
        proto = model(self.nodes, inputs, ["W"], self.constants)
        del proto.graph.output[:]
        info = helper.make_tensor_value_info("W", TensorProto.FLOAT, ["n", "k", self.m, 2])
        proto.graph.output.append(info)
        return proto


def features(samples: int, users: int, width: int, seed: int) -> dict[str, np.ndarray]:
    """Inputs of such a precoder."""
    random = np.random.default_rng([seed, samples, users])
    return {
        "feature": random.normal(size=(samples, users, width)).astype(np.float32),
        "snr_db": random.uniform(0, 20, (samples, 1)).astype(np.float32),
    }
