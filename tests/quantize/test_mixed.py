"""Integers in the heavy layers alone: the form of the file, and what it computes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from csideploy.errors import UnsupportedError
from csideploy.export.compile import compile_model
from csideploy.export.plan import DType
from csideploy.export.quantize.mixed import MixedStudy, heavy_layers, settle_mixed
from csideploy.export.quantize.prepare import prepare
from csideploy.onnx_oracle import Oracle

CHANNELS = 8


def block() -> ModelProto:
    """conv 1x3 (2 -> 8), PReLU, conv 5x5 in pairs, PReLU, conv 3x1 (8 -> 2), + x."""
    rng = np.random.default_rng(3)

    def weight(name: str, *shape: int) -> TensorProto:
        values = rng.normal(0, 1 / np.sqrt(np.prod(shape[1:]) or 1), shape)
        return numpy_helper.from_array(values.astype(np.float32), name)

    c = CHANNELS
    stored = [
        *(weight("w1", c, 2, 1, 3), weight("b1", c)),
        *(weight("w2", c, 2, 5, 5), weight("b2", c)),
        *(weight("w3", 2, c, 3, 1), weight("b3", 2)),
        numpy_helper.from_array(np.full((c, 1, 1), 0.25, np.float32), "s1"),
        numpy_helper.from_array(np.full((c, 1, 1), 0.3, np.float32), "s2"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="wide", pads=[0, 1, 0, 1]),
        helper.make_node("PRelu", ["a", "s1"], ["p"], name="p"),
        helper.make_node(
            "Conv", ["p", "w2", "b2"], ["m"], name="pairs", pads=[2, 2, 2, 2], group=c // 2
        ),
        helper.make_node("PRelu", ["m", "s2"], ["q"], name="q"),
        helper.make_node("Conv", ["q", "w3", "b3"], ["n"], name="narrow", pads=[1, 0, 1, 0]),
        helper.make_node("Add", ["n", "x"], ["y"], name="sum"),
    ]
    shape = ["n", 2, 16, 16]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "block", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def data() -> list[NDArray[np.float32]]:
    rng = np.random.default_rng(4)
    return [rng.normal(0, 1, (16, 2, 16, 16)).astype(np.float32) for _ in range(2)]


@pytest.fixture(scope="module")
def written() -> ModelProto:
    study = MixedStudy(block(), data(), trials=2, seed=1)
    return study.model(advance=lambda: None)


def test_the_grouped_layer_is_the_heavy_one() -> None:
    assert [layer.name for layer in heavy_layers(prepare(block()))] == ["pairs"]


def test_what_are_codes(written: ModelProto) -> None:
    """Codes of scale 1 in front of it, a float bias, and the edges beside it."""
    nodes = list(written.graph.node)
    made = {name: node for node in nodes for name in node.output}
    quantizers = [node for node in nodes if node.op_type == "QuantizeLinear"]
    assert [node.input[0] for node in quantizers] == ["x", "p", "q"]
    quantizer = quantizers[1]
    stored = {t.name: numpy_helper.to_array(t) for t in written.graph.initializer}
    assert quantizer.input[0] == "p"
    assert stored[quantizer.input[1]] == 1.0
    assert stored[quantizer.input[2]].dtype == np.uint8
    layer = next(node for node in nodes if node.name == "pairs")
    assert made[layer.input[0]].op_type == "DequantizeLinear"
    assert stored[made[layer.input[1]].input[0]].dtype == np.int8
    assert stored[layer.input[2]].dtype == np.float32


def test_it_computes_nearly_the_same(written: ModelProto) -> None:
    """8 bits are worth 6 dB each, less what the tails take: 30 dB and more are left."""
    x = np.random.default_rng(5).normal(0, 1, (16, 2, 16, 16)).astype(np.float32)
    exact = Oracle(block().SerializeToString(), name="block").run(x)["y"].astype(np.float64)
    made = Oracle(written.SerializeToString(), name="mixed").run(x)["y"]
    assert 0 < np.sum((made - exact) ** 2) < 1e-3 * np.sum(exact**2)


def test_it_compiles(written: ModelProto) -> None:
    plan = compile_model(written, part="block", side="bs")
    (step,) = (step for step in plan.steps if step.op.name == "CONV_BLOCK")
    assert plan.tensors[step.inputs[3]].dtype is DType.I8  # its middle
    assert not {"QUANTIZE", "DEQUANTIZE", "CONV2D"} & {one.op.name for one in plan.steps}


def test_a_budget_of_nothing_is_refused() -> None:
    study = MixedStudy(block(), data(), trials=2, seed=1)
    with pytest.raises(UnsupportedError, match=r"within 0\.01 dB"):
        settle_mixed([study], lambda models: 1.0, advance=lambda: None, budget_db=0.01)
