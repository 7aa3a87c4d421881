"""The integer operations equal ONNX Runtime's QDQ graphs bit for bit, at 8 bits.

Each graph is DequantizeLinear, a float operator, QuantizeLinear. Where ONNX Runtime has an integer
kernel for the whole, it is used, and the test says so by the name of the node that has run.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hand_plan import run_step
from numpy.typing import NDArray
from qdq_graph import QdqGraph

from csideploy.export.integer import functions, scales, steps, tables
from csideploy.export.operations import Activation, Op, Unary

Array = NDArray[Any]
SMALL = (np.uint8, np.int8)
OUTPUTS = 100_000


def codes(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def weights(rng: np.random.Generator, x_type: Any, *shape: int) -> Array:
    """The whole range with u8 x. With i8 x seven bits: on an x86 without VNNI, ONNX Runtime
    saturates sums of two products to 16 bits, and these do not reach so far (2 x 255 x 64)."""
    return (
        codes(rng, np.int8, *shape) if x_type is np.uint8 else rng.integers(-64, 64, shape, np.int8)
    )


def zero_point(rng: np.random.Generator, dtype: Any) -> int:
    """In the middle of the range, not at 0."""
    info = np.iinfo(dtype)
    quarter = (info.max - info.min) // 4
    return int(rng.integers(info.min + quarter, info.max - quarter))


def both(op: Op, inputs: list[Array | None], params: dict[str, Any], dtype: Any) -> Array:
    """The C kernel's result, after a comparison with the specification."""
    expected = steps.run_step(op, inputs, params, dtype)
    is_input = [i == 0 or (op is Op.QADD and i == 1) for i in range(len(inputs))]
    y = run_step(op, inputs, [not i for i in is_input], expected.shape, dtype, **params)
    assert np.array_equal(y, expected)
    return expected


def agree(ours: Array, theirs: Array, dtype: Any) -> None:
    """Equal, over enough outputs, of which neither all nor almost all are saturated."""
    info = np.iinfo(dtype)
    assert ours.size >= OUTPUTS
    assert ((ours == info.min) | (ours == info.max)).mean() < 0.6
    assert len(np.unique(ours)) > 50
    different = int((ours != theirs).sum())
    assert different == 0, f"{different} of {ours.size}"


GEOMETRY = {
    "plain": (1, 1, 1, (3, 3), (0, 0, 0, 0)),
    "groups": (2, 1, 1, (3, 3), (1, 1, 1, 1)),
    "depthwise": (8, 1, 1, (3, 3), (1, 1, 1, 1)),
    "dilated": (1, 1, 2, (3, 2), (2, 1, 2, 1)),
    "strided": (1, 2, 1, (1, 9), (0, 4, 1, 3)),
    "pointwise": (1, 1, 1, (1, 1), (0, 0, 0, 0)),
}


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("name", GEOMETRY)
def test_convolution(tmp_path: Path, name: str, dtype: Any) -> None:
    qdq = QdqGraph()
    groups, stride, dilation, kernel, pads = GEOMETRY[name]
    rng = np.random.default_rng(len(name))
    side = 64 * stride
    x, w = codes(rng, dtype, 4, 8, side, side), weights(rng, dtype, 8, 8 // groups, *kernel)
    bias = rng.integers(-20000, 20000, 8).astype(np.int32)
    per_channel = name != "dilated"
    x_scale = np.float32(0.02)
    w_scale = rng.uniform(0.5, 1.5, 8 if per_channel else 1).astype(np.float32) / np.float32(100)
    y_scale = np.float32(x_scale * w_scale.mean() * 90 * np.sqrt(w[0].size))
    x_zero, y_zero = zero_point(rng, dtype), zero_point(rng, dtype)
    stored = w_scale if per_channel else w_scale[0]
    last = qdq.node(
        "Conv",
        [
            qdq.input("x", x, x_scale, x_zero),
            qdq.constant("w", w, stored, 0),
            qdq.constant("b", bias, np.asarray(x_scale * stored)),
        ],
        group=groups,
        strides=[stride] * 2,
        dilations=[dilation] * 2,
        pads=pads,
    )
    qdq.output(last, y_scale, y_zero, dtype)
    (theirs,), operators = qdq.run(tmp_path)
    assert "QLinearConv" in operators
    info = np.iinfo(dtype)
    window = {
        "groups": groups,
        **dict.fromkeys(("stride_h", "stride_w"), stride),
        **dict.fromkeys(("dilation_h", "dilation_w"), dilation),
        **dict(zip(("pad_top", "pad_left", "pad_bottom", "pad_right"), pads, strict=True)),
    }
    bounds = {"x_zero": x_zero, "y_zero": y_zero, "low": info.min, "high": info.max}
    scale = np.broadcast_to(scales.multiplier(x_scale, w_scale, y_scale), 8)
    ours = both(Op.QCONV2D, [x, w, bias, scale.copy()], {**window, **bounds}, dtype)
    agree(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("form", ["Gemm", "MatMul", "MatMul+Add"])
@pytest.mark.parametrize("per_channel", [True, False])
def test_linear(tmp_path: Path, form: str, dtype: Any, per_channel: bool) -> None:
    qdq = QdqGraph()
    rng = np.random.default_rng(7)
    x, w = codes(rng, dtype, 1600, 300), weights(rng, dtype, 64, 300)
    bias = rng.integers(-20000, 20000, 64).astype(np.int32)
    if per_channel:
        x_scale = np.float32(0.013)
        w_scale = rng.uniform(0.5, 1.5, 64).astype(np.float32) / np.float32(90)
        y_scale = np.float32(x_scale * w_scale.mean() * 90 * np.sqrt(300))
    else:
        # A multiplier of 2^-11: every 2048th sum is a tie.
        x_scale, w_scale, y_scale = np.float32(0.5), np.float32([0.125]), np.float32(128)
    x_zero, y_zero = zero_point(rng, dtype), zero_point(rng, dtype)
    stored = w_scale if per_channel else w_scale[0]
    left = qdq.input("x", x, x_scale, x_zero)
    right = qdq.constant("w", w.T.copy(), stored, 1)
    if form == "MatMul":
        last = qdq.node("MatMul", [left, right])
    else:
        added = qdq.constant("b", bias, np.asarray(x_scale * stored))
        if form == "Gemm":
            last = qdq.node("Gemm", [left, right, added])
        else:
            last = qdq.node("Add", [qdq.node("MatMul", [left, right]), added])
    qdq.output(last, y_scale, y_zero, dtype)
    (theirs,), operators = qdq.run(tmp_path)
    assert operators == {"QLinearMatMul" if form == "MatMul" else "QGemm"}
    info = np.iinfo(dtype)
    scale = np.broadcast_to(scales.multiplier(x_scale, w_scale, y_scale), 64).copy()
    bounds = {"x_zero": x_zero, "y_zero": y_zero, "low": info.min, "high": info.max}
    operands = [x, w, None if form == "MatMul" else bias, scale]
    agree(both(Op.QLINEAR, operands, bounds, dtype), theirs, dtype)


def test_16_bit_convolution(tmp_path: Path) -> None:
    """ONNX Runtime computes in float32: within one step, and rarely that."""
    qdq = QdqGraph()
    rng = np.random.default_rng(21)
    x = np.clip(rng.normal(0, 9000, (4, 8, 64, 64)), -32768, 32767).astype(np.int16)
    w, bias = codes(rng, np.int8, 8, 8, 3, 3), rng.integers(-200000, 200000, 8).astype(np.int32)
    x_scale, y_scale = np.float32(1e-4), np.float32(3e-2)
    w_scale = rng.uniform(0.5, 1.5, 8).astype(np.float32) / np.float32(100)
    last = qdq.node(
        "Conv",
        [
            qdq.input("x", x, x_scale, 0),
            qdq.constant("w", w, w_scale),
            qdq.constant("b", bias, np.asarray(x_scale * w_scale)),
        ],
        pads=[1, 1, 1, 1],
    )
    qdq.output(last, y_scale, 0, np.int16)
    (theirs,), _ = qdq.run(tmp_path)
    window = {
        **dict.fromkeys(("groups", "stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
        **dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1),
    }
    bounds = {"x_zero": 0, "y_zero": 0, "low": -32768, "high": 32767}
    scale = scales.multiplier(x_scale, w_scale, y_scale)
    ours = both(Op.QCONV2D, [x, w, bias, scale], {**window, **bounds}, np.int16)
    difference = np.abs(ours.astype(int) - theirs)
    assert ours.std() > 100
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


ELEMENTWISE = {
    "Sum": Activation.NONE,
    "Add+PRelu": Activation.PRELU,
    "Add+LeakyRelu": Activation.LEAKY,
    "Add+Relu": Activation.RELU,
    "": Activation.NONE,
    "PRelu": Activation.PRELU,
    "LeakyRelu": Activation.LEAKY,
    "Relu": Activation.RELU,
}


@pytest.mark.parametrize("dtype", [*SMALL, np.int16])
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(tmp_path: Path, name: str, dtype: Any) -> None:
    """Float32 in ONNX Runtime as here, so that 16 bits are equal too."""
    qdq = QdqGraph()
    rng = np.random.default_rng(11)
    a, b = codes(rng, dtype, 4, 8, 64, 64), codes(rng, dtype, 4, 8, 64, 64)
    unit = np.float32(6 / (np.iinfo(dtype).max - np.iinfo(dtype).min))
    a_scale, b_scale = unit, np.float32(0.7) * unit
    y_scale = np.float32(1.3 if "Sum" in name or "Add" in name else 0.83) * unit
    zeros = [zero_point(rng, dtype) for _ in range(3)]
    operators = name.split("+")
    last = qdq.input("a", a, a_scale, zeros[0])
    adds = operators[0] in ("Sum", "Add")
    if adds:
        other = qdq.input("b", b, b_scale, zeros[1])
        last = qdq.node(operators.pop(0), [last, other])
    kind = ELEMENTWISE[name]
    slope = rng.uniform(-0.5, 0.9, 8).astype(np.float32) if kind is Activation.PRELU else None
    if slope is not None:
        qdq.constants["slope"] = slope.reshape(-1, 1, 1)
        last = qdq.node("PRelu", [last, "slope"])
    elif kind is Activation.LEAKY:
        last = qdq.node("LeakyRelu", [last], alpha=0.3)
    elif kind is Activation.RELU:
        last = qdq.node("Relu", [last])
    qdq.output(last, y_scale, zeros[2], dtype)
    (theirs,), _ = qdq.run(tmp_path)
    params = {
        "activation": kind,
        "alpha": float(np.float32(0.3)) if kind is Activation.LEAKY else 0.0,
        "y_scale": float(y_scale),
        "y_zero": zeros[2],
    }
    if adds:
        names = {"a_scale": a_scale, "a_zero": zeros[0], "b_scale": b_scale, "b_zero": zeros[1]}
        ours = both(Op.QADD, [a, b, slope], {**params, **names}, dtype)
    else:
        names = {"x_scale": a_scale, "x_zero": zeros[0]}
        ours = both(Op.QACTIVATION, [a, slope], {**params, **names}, dtype)
    agree(ours, theirs, dtype)


@pytest.mark.parametrize("dtype", SMALL)
def test_add_that_is_fused(tmp_path: Path, dtype: Any) -> None:
    """QLinearAdd has an order of its own: within one step. Sum, above, has none."""
    qdq = QdqGraph()
    rng = np.random.default_rng(19)
    a, b = codes(rng, dtype, 4, 8, 64, 64), codes(rng, dtype, 4, 8, 64, 64)
    zeros = [zero_point(rng, dtype) for _ in range(3)]
    added = [qdq.input("a", a, 0.031, zeros[0]), qdq.input("b", b, 0.017, zeros[1])]
    qdq.output(qdq.node("Add", added), 0.043, zeros[2], dtype)
    (theirs,), operators = qdq.run(tmp_path)
    assert operators == {"QLinearAdd"}
    params = dict(zip(("a_scale", "b_scale", "y_scale"), (0.031, 0.017, 0.043), strict=True))
    params.update(zip(("a_zero", "b_zero", "y_zero"), zeros, strict=True))
    ours = both(Op.QADD, [a, b], {**params, "activation": Activation.NONE, "alpha": 0.0}, dtype)
    difference = np.abs(ours.astype(int) - theirs)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("dtype", SMALL)
def test_concat(tmp_path: Path, dtype: Any) -> None:
    """Inputs of other scales are requantized by qactivation without a function."""
    qdq = QdqGraph()
    rng = np.random.default_rng(17)
    a, b = codes(rng, dtype, 4, 8, 64, 64), codes(rng, dtype, 4, 8, 64, 64)
    zeros = [zero_point(rng, dtype) for _ in range(3)]
    joined = [qdq.input("a", a, 0.031, zeros[0]), qdq.input("b", b, 0.017, zeros[1])]
    qdq.output(qdq.node("Concat", joined, axis=1), 0.027, zeros[2], dtype)
    (theirs,), operators = qdq.run(tmp_path)
    assert operators == {"QLinearConcat"}
    result = {"y_scale": 0.027, "y_zero": zeros[2], "activation": Activation.NONE, "alpha": 0.0}
    ours = [
        both(Op.QACTIVATION, [x], {"x_scale": scale, "x_zero": zero, **result}, dtype)
        for x, scale, zero in ((a, 0.031, zeros[0]), (b, 0.017, zeros[1]))
    ]
    agree(np.concatenate(ours, axis=1), theirs, dtype)


FUNCTIONS: dict[str, tuple[Activation | Unary, dict[str, float]]] = {
    "Sigmoid": (Activation.SIGMOID, {}),
    "Tanh": (Activation.TANH, {}),
    "LeakyRelu": (Activation.LEAKY, {"alpha": 0.3}),
    "Mish": (Unary.MISH, {}),
    "HardSigmoid": (Unary.HARD_SIGMOID, {"alpha": 0.2, "beta": 0.5}),
}


@pytest.mark.parametrize("dtype", SMALL)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_tables(tmp_path: Path, name: str, dtype: Any) -> None:
    """Every code under 400 pairs of scales and zero points: one node each, in one graph."""
    qdq = QdqGraph()
    rng = np.random.default_rng(13)
    kind, attributes = FUNCTIONS[name]
    function = functions.function_of(kind, **{k: np.float32(v) for k, v in attributes.items()})
    x = np.arange(256, dtype=np.uint8).view(dtype).reshape(1, 256)
    ours = []
    for i in range(OUTPUTS // 256 + 1):
        x_scale = np.float32(np.exp(rng.uniform(np.log(0.004), np.log(0.1))))
        x_zero, y_zero = zero_point(rng, dtype), zero_point(rng, dtype)
        reach = functions.evaluate([function], np.array([-100, 100], np.float32) * x_scale)
        y_scale = np.float32(np.ptp(reach) / 120)
        source = qdq.input(f"x{i}", x, x_scale, x_zero)
        last = qdq.node(name, [source], **attributes)
        qdq.output(last, y_scale, y_zero, dtype)
        table = tables.table_of(
            [function],
            x_scale=float(x_scale),
            x_zero=x_zero,
            x_dtype=dtype,
            y_scale=float(y_scale),
            y_zero=y_zero,
            y_dtype=dtype,
        )
        ours.append(both(Op.QTABLE, [x, table], {}, dtype))
    theirs, _ = qdq.run(tmp_path)
    agree(np.concatenate(ours), np.concatenate(theirs), dtype)
