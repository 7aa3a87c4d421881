"""QDQ graphs of strangers: what becomes integer, and that it equals ONNX Runtime to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import ModelProto
from small_models import floats, model, node

from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import DType, Op, Plan
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

X = {"x": ("n", 3, 5, 5)}
Constants = dict[str, Any]


class Graph:
    """A QDQ graph that grows node by node; activations are uint8 unless said otherwise."""

    def __init__(self, dtype: Any = np.uint8) -> None:
        self.dtype = dtype
        self.nodes: list[Any] = []
        self.constants: Constants = {}

    def add(self, op: str, inputs: list[str], **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op, inputs, [name], **attributes))
        return name

    def quantize(self, x: str, scale: float = 0.02, zero: int = 100) -> str:
        """Q and DQ; `dtype` int8 and int16 have other zero points."""
        own = {np.uint8: zero, np.int8: zero - 128, np.int16: 0}[self.dtype]
        ends = [f"{x}.s", f"{x}.z"]
        self.constants[ends[0]] = np.array(scale, np.float32)
        self.constants[ends[1]] = np.array(own, self.dtype)
        codes = self.add("QuantizeLinear", [x, *ends])
        return self.add("DequantizeLinear", [codes, *ends])

    def weight(self, *shape: int, axis: int | None = 0, seed: int = 1) -> str:
        """int8 codes behind DQ: one scale an index of the axis, or one for all."""
        name = f"w{len(self.nodes)}"
        codes = np.random.default_rng(seed).integers(-127, 128, shape).astype(np.int8)
        count = 1 if axis is None else shape[axis]
        scale = floats(count, seed=seed, low=0.002, high=0.01)
        self.constants[name] = codes
        self.constants[f"{name}.s"] = scale.reshape(() if axis is None else -1)
        self.constants[f"{name}.z"] = np.zeros(self.constants[f"{name}.s"].shape, np.int8)
        ends = [name, f"{name}.s", f"{name}.z"]
        return self.add("DequantizeLinear", ends, **({} if axis is None else {"axis": axis}))

    def bias(self, weight: str, x_scale: float = 0.02) -> str:
        """int32 codes in units of x_scale * w_scale."""
        made = next(n for n in self.nodes if n.output[0] == weight)
        scale = self.constants[made.input[1]] * np.float32(x_scale)
        name = f"{weight}.bias"
        count = self.constants[made.input[0]].shape[0]
        codes = np.random.default_rng(7).integers(-9000, 9000, count).astype(np.int32)
        self.constants |= {name: codes, f"{name}.s": scale, f"{name}.z": np.int32(0 * codes)}
        if not scale.shape:
            self.constants[f"{name}.z"] = np.array(0, np.int32)
        axis = {"axis": 0} if scale.shape else {}
        return self.add("DequantizeLinear", [name, f"{name}.s", f"{name}.z"], **axis)

    def model(self, result: str, shape: Any = None) -> ModelProto:
        return model(self.nodes, shape or X, [result], self.constants)


def judge(made: ModelProto, *shape: int, samples: int = 40) -> Plan:
    """Our runtime equals ONNX Runtime to the bit, on many different values; returns the plan."""
    plan = compile_model(made, part="p", side="ue")
    x = floats(samples, *(shape or (3, 5, 5)), seed=11, low=-1.5, high=2.5)
    (ours,) = Part(write_bundle(plan)).run(x)
    (theirs,) = Oracle(made.SerializeToString(), name="test").run(x).values()
    assert len(np.unique(theirs)) > 10
    np.testing.assert_array_equal(ours, theirs)
    return plan


def ops(plan: Plan) -> list[Op]:
    return [step.op for step in plan.steps]


ENDS = (Op.QUANTIZE, Op.DEQUANTIZE)


def inner(plan: Plan) -> list[Op]:
    """What stands between the input's QUANTIZE and the output's DEQUANTIZE."""
    found = ops(plan)
    assert (found[0], found[-1]) == ENDS
    return found[1:-1]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize("axis", [None, 0])
def test_convolutions(dtype: Any, axis: int | None) -> None:
    g = Graph(dtype)
    w = g.weight(4, 3, 3, 3, axis=axis)
    y = g.add("Conv", [g.quantize("x"), w, g.bias(w)], strides=[2, 1], pads=[1, 0, 1, 2])
    # Two in a row: ONNX Runtime fuses int8 where it may turn it into uint8.
    v = g.weight(4, 2, 1, 2, axis=axis, seed=2)
    z = g.add("Conv", [g.quantize(y, 0.05), v], group=2)
    assert inner(judge(g.model(g.quantize(z, 0.03)))) == [Op.QCONV2D, Op.QCONV2D]


@pytest.mark.parametrize("form", ["gemm", "gemm transposed", "matmul"])
def test_linear(form: str) -> None:
    g = Graph()
    if form == "gemm":
        w = g.weight(6, 10)
        y = g.add("Gemm", [g.quantize("x"), w, g.bias(w)], transB=1)
    else:
        op = "Gemm" if form == "gemm transposed" else "MatMul"
        y = g.add(op, [g.quantize("x"), g.weight(10, 6, axis=1)])
    plan = judge(g.model(g.quantize(y, 0.05), {"x": ("n", 10)}), 10)
    assert inner(plan) == [Op.QLINEAR]
    weight = plan.tensors[plan.steps[1].inputs[1] or 0]
    assert (weight.dtype, weight.shape) == (DType.I8, (6, 10))


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_bytes_cast_to_float_are_codes_of_scale_one(dtype: str, scale: float) -> None:
    """With the same scale nothing is left between them and the layer; with another, one step."""
    g = Graph(np.dtype(dtype).type)
    x = g.quantize(g.add("Cast", ["x"], to=1), scale, 0 if dtype == "uint8" else 128)
    w = g.weight(6, 10)
    y = g.add("Gemm", [x, w, g.bias(w, scale)], transB=1)
    y = g.quantize(y, 9.0)
    made = model(g.nodes, {"x": ("n", 10)}, [y], g.constants, dtype=dtype)
    plan = compile_model(made, part="p", side="ue")
    first = [] if scale == 1 else [Op.QACTIVATION]
    assert ops(plan) == [*first, Op.QLINEAR, Op.DEQUANTIZE]
    codes = np.random.default_rng(3).integers(-128, 128, (40, 10)).astype(np.int8).view(dtype)
    (ours,) = Part(write_bundle(plan)).run(codes)
    (theirs,) = Oracle(made.SerializeToString(), name="test").run(codes).values()
    assert len(np.unique(theirs)) > 10
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("cut", ["Relu", "Clip", "both"])
def test_a_cut_in_front_of_quantize_is_a_bound(cut: str) -> None:
    g = Graph()
    y = g.add("Conv", [g.quantize("x"), g.weight(4, 3, 3, 3)])
    if cut != "Clip":
        y = g.add("Relu", [y])
    if cut != "Relu":
        g.constants |= {"low": np.float32(-0.31), "high": np.float32(0.73)}
        y = g.add("Clip", [y, "low", "high"])
    plan = judge(g.model(g.quantize(y, 0.01, 60)))
    assert inner(plan) == [Op.QCONV2D]
    low = {"Relu": 60, "Clip": 60 - 31, "both": 60}[cut]
    assert plan.steps[1].params["low"] == low
    assert plan.steps[1].params["high"] == (255 if cut == "Relu" else 60 + 73)


def test_an_activation_between_layer_and_quantize_keeps_the_layer_float() -> None:
    g = Graph()
    y = g.add("Conv", [g.quantize("x"), g.weight(4, 3, 3, 3)])
    made = g.model(g.quantize(g.add("LeakyRelu", [y], alpha=0.3), 0.05))
    plan = compile_model(made, part="p", side="ue")
    assert Op.CONV2D in ops(plan)
    assert Op.QCONV2D not in ops(plan)


@pytest.mark.parametrize("whole", [True, False])
def test_a_float_bias_must_be_whole(whole: bool) -> None:
    g = Graph()
    w = g.weight(4, 3, 3, 3)
    made = next(n for n in g.nodes if n.output[0] == w)
    unit = g.constants[made.input[1]] * np.float32(0.02)
    codes = np.array([1000, -20, 3, 90000], np.float32) + np.float32(0 if whole else 0.4)
    g.constants["b"] = unit * codes
    y = g.add("Conv", [g.quantize("x"), w, "b"])
    plan = compile_model(g.model(g.quantize(y, 0.05)), part="p", side="ue")
    assert (Op.QCONV2D in ops(plan)) is whole


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16])
def test_activations_and_sums(dtype: Any) -> None:
    g = Graph(dtype)
    x = g.quantize("x", 0.013)
    g.constants["slope"] = floats(3, 1, 1, seed=3)
    prelu = g.quantize(g.add("PRelu", [x, "slope"]), 0.017, 90)
    leaky = g.quantize(g.add("LeakyRelu", [x], alpha=0.2), 0.011, 30)
    total = g.add("PRelu", [g.add("Add", [prelu, leaky]), "slope"])
    relu = g.quantize(g.add("Relu", [g.quantize(total, 0.031, 80)]), 0.02, 0)
    plan = judge(g.model(relu))
    assert inner(plan) == [Op.QACTIVATION, Op.QACTIVATION, Op.QADD, Op.QACTIVATION]


@pytest.mark.parametrize("function", ["Sigmoid", "Tanh", "HardSigmoid", "Elu", "Softplus", "Erf"])
def test_functions_of_eight_bits_are_tables(function: str) -> None:
    g = Graph()
    y = g.add(function, [g.quantize("x", 0.0157)])
    # No ratio of small whole numbers between the scales: no result lies on a tie.
    plan = judge(g.model(g.quantize(y, 0.0093, 120)))
    assert inner(plan) == [Op.QTABLE]


def test_functions_of_sixteen_bits_stay_float() -> None:
    g = Graph(np.int16)
    y = g.add("Tanh", [g.quantize("x", 1e-4)])
    plan = compile_model(g.model(g.quantize(y, 1e-4)), part="p", side="ue")
    assert ops(plan) == [Op.QUANTIZE, Op.DEQUANTIZE, Op.ACTIVATION, Op.QUANTIZE, Op.DEQUANTIZE]


def test_moves_stay_in_integers() -> None:
    g = Graph()
    g.constants |= {
        "starts": np.array([0, 1], np.int64),
        "ends": np.array([3, 4], np.int64),
        "axes": np.array([1, 2], np.int64),
        "pads": np.array([0, 0, 1, 0, 0, 0, 0, 2], np.int64),
        "shape": np.array([-1, 60], np.int64),
    }
    x = g.quantize("x")
    y = g.add("Transpose", [x], perm=[0, 2, 1, 3])
    y = g.add("Slice", [y, "starts", "ends", "axes"])
    y = g.add("Pad", [y, "pads"])
    other = g.add("Transpose", [g.add("Relu", [x])], perm=[0, 2, 1, 3])
    other = g.add("Slice", [g.quantize(other), "starts", "ends", "axes"])
    other = g.add("Pad", [other, "pads"])
    joined = g.add("Concat", [y, other], axis=1)
    w = g.weight(2, 6, 3, 5)
    conv = g.add("Conv", [joined, w])
    plan = judge(g.model(g.quantize(conv, 0.04)))
    found = inner(plan)
    assert found.count(Op.CONCAT) == 1
    assert not {Op.QUANTIZE, Op.DEQUANTIZE, Op.CONV2D, Op.ACTIVATION} & set(found)
    moved = [step for step in plan.steps if step.op in (Op.TRANSPOSE, Op.SLICE, Op.PAD, Op.CONCAT)]
    assert moved
    assert {plan.tensors[step.outputs[0]].dtype for step in moved} == {DType.U8}


def test_another_scale_behind_a_move_is_a_requantization() -> None:
    g = Graph()
    x = g.quantize("x")
    made = g.add("Concat", [x, g.quantize(g.add("Relu", [x]), 0.03, 0)], axis=1)
    plan = judge(g.model(g.quantize(made, 0.025, 77)))
    assert sorted(inner(plan)) == [Op.CONCAT, Op.QACTIVATION, Op.QACTIVATION, Op.QACTIVATION]


def test_what_nothing_takes_up_stays_float_between_codes() -> None:
    g = Graph()
    x = g.quantize("x")
    soft = g.quantize(g.add("Softmax", [x], axis=1), 0.004, 0)
    plan = compile_model(g.model(soft), part="p", side="ue")
    assert ops(plan) == [Op.QUANTIZE, Op.DEQUANTIZE, Op.SOFTMAX, Op.QUANTIZE, Op.DEQUANTIZE]


def test_one_dequantize_for_all_that_read_floats() -> None:
    g = Graph()
    x = g.quantize("x")
    y = g.add("Mul", [g.add("Softmax", [x], axis=1), g.add("Exp", [x])])
    plan = compile_model(g.model(y), part="p", side="ue")
    assert ops(plan).count(Op.DEQUANTIZE) == 1


@pytest.mark.parametrize("broken", ["per input channel", "zero point", "too many products"])
def test_weights_that_integers_cannot_hold_stay_float(broken: str) -> None:
    g = Graph()
    width = 10
    if broken == "too many products":
        width = 70000
    w = g.weight(4, width, axis=1 if broken == "per input channel" else 0)
    if broken == "zero point":
        zero = next(n.input[2] for n in g.nodes if n.output[0] == w)
        g.constants[zero] = np.array([90, 0, 0, 0], np.int8)
    y = g.add("Gemm", [g.quantize("x"), w], transB=1)
    made = g.model(g.quantize(y, 0.5), {"x": ("n", width)})
    plan = compile_model(made, part="p", side="ue")
    assert Op.LINEAR in ops(plan)
    assert Op.QLINEAR not in ops(plan)
