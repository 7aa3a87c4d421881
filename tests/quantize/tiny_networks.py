"""Small networks to quantize, and inputs for them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from csideploy.export.functions import DOMAIN, attach_functions

Array = NDArray[Any]
Constants = dict[str, Array]


def floats(*shape: int, seed: int, low: float = -1.0, high: float = 1.0) -> Array:
    """Seeded numbers, none of them zero."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(np.float32)


def network(
    nodes: list[NodeProto], constants: Constants, shape: tuple[Any, ...], out: str, opset: int = 21
) -> ModelProto:
    """A network from x to one float output; nodes are named after what they make."""
    for entry in nodes:
        entry.name = entry.name or f"node.{entry.output[0]}"
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
        stored,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    attach_functions(made)
    return made


def residual(seed: int = 0) -> ModelProto:
    """Conv, batch norm, PRelu, a residual block, Conv, Relu, Gemm: what CSI networks are made of.

    The channels between the two convolutions of the block differ in size by factors up to 40.
    """
    node = helper.make_node
    sizes = np.geomspace(0.1, 4.0, 6, dtype=np.float32).reshape(-1, 1, 1, 1)
    constants = {
        "w1": floats(3, 2, 3, 3, seed=seed),
        "g": floats(3, seed=seed + 1, low=0.5),
        "b": floats(3, seed=seed + 2),
        "m": floats(3, seed=seed + 3),
        "v": floats(3, seed=seed + 4, low=0.3),
        "s1": np.array([0.2, -0.1, 0.4], np.float32).reshape(3, 1, 1),
        "w2": floats(6, 3, 1, 5, seed=seed + 5) * sizes,
        "b2": floats(6, seed=seed + 6),
        "s2": floats(6, seed=seed + 7, low=0.1).reshape(6, 1, 1),
        "w3": floats(3, 6, 5, 1, seed=seed + 8),
        "b3": floats(3, seed=seed + 9),
        "s3": np.array([0.3, 0.3, -0.2], np.float32).reshape(3, 1, 1),
        "w4": floats(2, 3, 3, 3, seed=seed + 10),
        "b4": floats(2, seed=seed + 11),
        "flat": np.array([-1, 72], np.int64),
        "w5": floats(72, 10, seed=seed + 12),
        "b5": floats(10, seed=seed + 13),
    }
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "g", "b", "m", "v"], ["n1"], epsilon=1e-3),
        node("PRelu", ["n1", "s1"], ["a1"]),
        node("Conv", ["a1", "w2", "b2"], ["c2"], pads=[0, 2, 0, 2]),
        node("PRelu", ["c2", "s2"], ["a2"]),
        node("Conv", ["a2", "w3", "b3"], ["c3"], pads=[2, 0, 2, 0]),
        node("Add", ["c3", "a1"], ["sum"]),
        node("PRelu", ["sum", "s3"], ["a3"]),
        node("Conv", ["a3", "w4", "b4"], ["c4"], pads=[1, 1, 1, 1]),
        node("Relu", ["c4"], ["a4"]),
        node("Reshape", ["a4", "flat"], ["row"]),
        node("Gemm", ["row", "w5", "b5"], ["y"], alpha=0.5, beta=2.0),
    ]
    return network(nodes, constants, ("n", 2, 6, 6), "y")


def encoder(seed: int = 0, bits: int = 3) -> ModelProto:
    """Conv, PRelu, 1-bit layer, sigmoid, uniform quantizer, payload."""
    node = helper.make_node
    signs = np.random.default_rng(seed).integers(0, 256, (12, 9), dtype=np.uint8)
    constants = {
        "w": floats(2, 2, 3, 3, seed=seed),
        "b": floats(2, seed=seed + 1),
        "s": np.array([0.2, -0.3], np.float32).reshape(2, 1, 1),
        "flat": np.array([-1, 72], np.int64),
        "signs": signs,
        "fc.scale": np.array([0.3], np.float32),
        "fc.bias": floats(12, seed=seed + 2, low=-0.1, high=0.1),
    }
    nodes = [
        node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        node("PRelu", ["c", "s"], ["a"]),
        node("Reshape", ["a", "flat"], ["row"]),
        node(
            "BinaryLinear",
            ["row", "signs", "fc.scale", "fc.bias"],
            ["fc"],
            domain=DOMAIN,
            in_features=72,
        ),
        node("Sigmoid", ["fc"], ["feature"]),
        node("UniformQuantize", ["feature"], ["codes"], domain=DOMAIN, bits=bits),
        node("PackBits", ["codes"], ["payload"], domain=DOMAIN, bits=bits),
    ]
    made = network(nodes, constants, ("n", 2, 6, 6), "codes")
    del made.graph.output[:]
    for name in ("codes", "payload"):
        made.graph.output.append(helper.make_tensor_value_info(name, TensorProto.UINT8, None))
    return made


def inputs(samples: int, seed: int = 0) -> Array:
    """x (samples, 2, 6, 6) in [0, 1]: mostly near 0.5, as CSI is, with a few large entries."""
    random = np.random.default_rng(seed)
    small = random.normal(0, 0.03, (samples, 2, 6, 6))
    large = random.normal(0, 0.4, small.shape) * (random.random(small.shape) < 0.15)
    return np.clip(0.5 + small + large, 0, 1).astype(np.float32)


def chunks(samples: int = 64, seed: int = 0) -> list[Array]:
    """The same, cut in two."""
    return np.array_split(inputs(samples, seed), 2)
