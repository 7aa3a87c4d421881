"""One row for each condition of the verifier's rules for integer operations.

Each operation has one sound step; a row changes a single operand or parameter of it.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sound_steps import Operand, Tensor, changed, image

from csideploy.errors import FormatError
from csideploy.export.operations import Activation, Op
from csideploy.runtime import Part

U8, I8, I16, I32, F32 = np.uint8, np.int8, np.int16, np.int32, np.float32


def floats(*values: float) -> NDArray[Any]:
    return np.array(values, F32)


WINDOW = {
    **dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
    **dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 0),
}
BOUNDS = {"x_zero": 128, "y_zero": 3, "low": 0, "high": 255}
SCALES = {"y_scale": 0.1, "y_zero": 3, "activation": Activation.NONE, "alpha": 0.0}
SOUND: dict[Op, tuple[dict[str, Operand], dict[str, Any]]] = {
    Op.QUANTIZE: (
        {"x": Tensor(("n", 4), F32), "y": image(4)},
        {"scale": 0.1, "zero": 128},
    ),
    Op.DEQUANTIZE: (
        {"x": image(4), "y": Tensor(("n", 4), F32)},
        {"scale": 0.1, "zero": 128},
    ),
    Op.QCONV2D: (
        {
            "x": image(4, 5, 6),
            "weight": np.ones((6, 2, 3, 2), I8),
            "bias": np.arange(6, dtype=I32),
            "multiplier": np.full(6, 0.01, F32),
            "y": image(6, 3, 5),
        },
        {"groups": 2, **WINDOW, **BOUNDS},
    ),
    Op.QLINEAR: (
        {
            "x": image(2, 4),
            "weight": np.ones((3, 4), I8),
            "bias": np.arange(3, dtype=I32),
            "multiplier": floats(0.1, 1e-45, 3.4e38),
            "y": image(2, 3),
        },
        BOUNDS,
    ),
    Op.QBINARY_LINEAR: (
        {
            "x": image(2, 9),
            "weight": np.ones((3, 2), U8),
            "bias": np.array([-(2**31), 0, 2**31 - 1], I32),
            "multiplier": floats(0.1, 0.2, 0.3),
            "y": image(2, 3),
        },
        BOUNDS,
    ),
    Op.QADD: (
        {"a": image(3, 2), "b": image(3, 2), "slope": None, "y": image(3, 2)},
        {"a_scale": 0.1, "a_zero": 1, "b_scale": 0.2, "b_zero": 2, **SCALES},
    ),
    Op.QACTIVATION: (
        {"x": image(3, 2), "slope": None, "y": image(3, 2)},
        {"x_scale": 0.1, "x_zero": 1, **SCALES},
    ),
    Op.BITS_NETWORK: (
        {
            "payload": image(4),
            "hidden_weight": np.ones((4, 10), I8),
            "hidden_bias": np.array([-(2**31), 0, 1, 2**31 - 1], I32),
            "hidden_multiplier": floats(0.1, 0.2, 0.3, 3.4e38),
            "weight": np.ones((2, 4), I8),
            "bias": np.array([-(2**31), 2**31 - 1], I32),
            "multiplier": floats(0.1, 1e-45),
            "y": Tensor(("n", 3, 2), F32),
        },
        {
            **{"hidden_zero": 3, "hidden_low": 0, "hidden_high": 255},
            **{"y_zero": 4, "low": 0, "high": 255, "y_scale": 0.5},
        },
    ),
    Op.QTABLE: ({"x": image(4), "table": np.arange(256, dtype=U8), "y": image(4)}, {}),
    Op.QTHRESHOLD: (
        {"x": image(4), "thresholds": np.array([3, 3, 9], I32), "codes": image(4)},
        {},
    ),
}


def bundle(op: Op, **changes: Any) -> bytes:
    return changed(SOUND, op, **changes)


def wide_network(hidden: int) -> dict[str, Any]:
    return {
        "hidden_weight": np.ones((hidden, 10), I8),
        "hidden_bias": None,
        "hidden_multiplier": np.ones(hidden, F32),
        "weight": np.ones((2, hidden), I8),
    }


PRELU = Activation.PRELU
ACCEPTED: dict[str, tuple[Op, dict[str, Any]]] = {
    **{op.name: (op, {}) for op in SOUND},
    "quantize to i16": (Op.QUANTIZE, {"y": Tensor(("n", 4), I16), "zero": -32768}),
    "dequantize i32": (Op.DEQUANTIZE, {"x": Tensor(("n", 4), I32), "zero": -65535}),
    "dequantize i16": (Op.DEQUANTIZE, {"x": Tensor(("n", 4), I16), "zero": 32767}),
    "conv without bias": (Op.QCONV2D, {"bias": None}),
    "conv of i16": (
        Op.QCONV2D,
        {"x": Tensor(("n", 4, 5, 6), I16), "bias": np.full(6, -(2**31), I32)},
    ),
    "linear without bias": (Op.QLINEAR, {"bias": None}),
    "linear of i8": (Op.QLINEAR, {"x": Tensor(("n", 2, 4), I8), "x_zero": -128}),
    "linear to i16": (
        Op.QLINEAR,
        {"y": Tensor(("n", 2, 3), I16), "y_zero": -32768, "low": -32768, "high": 32767},
    ),
    "linear of the largest bias": (
        Op.QLINEAR,
        {"bias": np.array([0, 2**31 - 1 - 4 * 32640, -(2**31) + 1 + 4 * 32640], I32)},
    ),
    "linear of the most products": (
        Op.QLINEAR,
        {"x": image(2, 65536), "weight": np.ones((3, 65536), I8)},
    ),
    "network without biases": (Op.BITS_NETWORK, {"hidden_bias": None, "bias": None}),
    "network of the most bits": (
        Op.BITS_NETWORK,
        {"payload": image(192), "hidden_weight": np.ones((4, 512), I8)},
    ),
    "network of the fewest bits": (
        Op.BITS_NETWORK,
        {"payload": image(3), "hidden_weight": np.ones((4, 8), I8)},
    ),
    "network of the most hidden": (Op.BITS_NETWORK, wide_network(512)),
    "binary without bias": (Op.QBINARY_LINEAR, {"bias": None}),
    "binary of one scale": (Op.QBINARY_LINEAR, {"multiplier": floats(0.1)}),
    "binary of the most signs": (
        Op.QBINARY_LINEAR,
        {"x": image(2, 32768), "weight": np.ones((3, 4096), U8)},
    ),
    "add of PReLU": (Op.QADD, {"activation": PRELU, "slope": floats(1, 2, 3)}),
    "add of rank 1": (
        Op.QADD,
        {**dict.fromkeys("aby", image()), "activation": PRELU, "slope": floats(1)},
    ),
    "add over users": (
        Op.QADD,
        {**dict.fromkeys("aby", image("k")), "activation": PRELU, "slope": floats(1)},
    ),
    "add of mixed types": (Op.QADD, {"a": Tensor(("n", 3, 2), I16), "a_zero": -1000}),
    "activation of PReLU": (Op.QACTIVATION, {"activation": PRELU, "slope": floats(1)}),
    "table of i16": (
        Op.QTABLE,
        {"table": np.arange(256, dtype=I16), "y": Tensor(("n", 4), I16)},
    ),
    "one threshold": (Op.QTHRESHOLD, {"thresholds": np.array([5], I32)}),
    "255 thresholds": (Op.QTHRESHOLD, {"thresholds": np.arange(255, dtype=I32)}),
}

SHAPE, PARAM, RANGE = "BAD_SHAPE", "BAD_PARAM", "FIELD_RANGE"
ROWS: dict[str, tuple[Op, dict[str, Any], str]] = {
    "quantize shape": (Op.QUANTIZE, {"y": image(5)}, SHAPE),
    "quantize zero": (Op.QUANTIZE, {"zero": 256}, PARAM),
    "quantize zero below": (Op.QUANTIZE, {"zero": -1}, PARAM),
    "quantize zero of i8": (Op.QUANTIZE, {"y": Tensor(("n", 4), I8)}, PARAM),
    "quantize zero below i8": (Op.QUANTIZE, {"y": Tensor(("n", 4), I8), "zero": -129}, PARAM),
    "quantize zero of i16": (Op.QUANTIZE, {"y": Tensor(("n", 4), I16), "zero": 32768}, PARAM),
    "dequantize shape": (Op.DEQUANTIZE, {"x": image(5)}, SHAPE),
    "dequantize zero": (Op.DEQUANTIZE, {"zero": 256}, PARAM),
    "conv of rank 3": (Op.QCONV2D, {"x": image(4, 5)}, SHAPE),
    "conv rows of users": (Op.QCONV2D, {"y": image(6, "k", 5)}, SHAPE),
    "conv columns of users": (Op.QCONV2D, {"y": image(6, 3, "k")}, SHAPE),
    "conv size": (Op.QCONV2D, {"stride_h": 2}, SHAPE),
    "conv bias": (Op.QCONV2D, {"bias": np.zeros(5, I32)}, SHAPE),
    "conv multiplier": (Op.QCONV2D, {"multiplier": np.ones(5, F32)}, SHAPE),
    "conv one multiplier": (Op.QCONV2D, {"multiplier": np.ones(1, F32)}, SHAPE),
    "conv of too many products": (
        Op.QCONV2D,
        {
            "x": image(2, 257, 256),
            "weight": np.ones((2, 1, 257, 256), I8),
            "bias": None,
            "multiplier": np.ones(2, F32),
            "y": image(2, 1, 1),
        },
        SHAPE,
    ),
    "conv zero": (Op.QCONV2D, {"x_zero": 256}, PARAM),
    "conv multiplier is 0": (
        Op.QCONV2D,
        {"multiplier": floats(1, 1, 1, 1, 1, 0)},
        RANGE,
    ),
    "conv bias too large": (
        Op.QCONV2D,
        {"bias": np.array([0, 0, 0, 0, 0, 2**31 - 12 * 32640], I32)},
        RANGE,
    ),
    "network payload of rank 3": (Op.BITS_NETWORK, {"payload": image(4, 1)}, SHAPE),
    "network y of rank 2": (Op.BITS_NETWORK, {"y": Tensor(("n", 6), F32)}, SHAPE),
    "network first of rank 3": (
        Op.BITS_NETWORK,
        {"hidden_weight": np.ones((4, 10, 1), I8)},
        SHAPE,
    ),
    "network second of rank 1": (Op.BITS_NETWORK, {"weight": np.ones(8, I8)}, SHAPE),
    "network batch": (Op.BITS_NETWORK, {"payload": Tensor((1, 4))}, SHAPE),
    "network rows of users": (Op.BITS_NETWORK, {"y": Tensor(("n", "k", 2), F32)}, SHAPE),
    "network of 7 bits": (
        Op.BITS_NETWORK,
        {"payload": image(3), "hidden_weight": np.ones((4, 7), I8)},
        SHAPE,
    ),
    "network of 513 bits": (
        Op.BITS_NETWORK,
        {"payload": image(193), "hidden_weight": np.ones((4, 513), I8)},
        SHAPE,
    ),
    "network of 513 hidden": (Op.BITS_NETWORK, wide_network(513), SHAPE),
    "network second's inputs": (Op.BITS_NETWORK, {"weight": np.ones((2, 5), I8)}, SHAPE),
    "network outputs": (Op.BITS_NETWORK, {"weight": np.ones((3, 4), I8)}, SHAPE),
    "network payload too short": (Op.BITS_NETWORK, {"payload": image(3)}, SHAPE),
    "network payload too long": (Op.BITS_NETWORK, {"payload": image(5)}, SHAPE),
    "network hidden bias": (Op.BITS_NETWORK, {"hidden_bias": np.zeros(3, I32)}, SHAPE),
    "network hidden multiplier": (Op.BITS_NETWORK, {"hidden_multiplier": floats(1)}, SHAPE),
    "network bias": (Op.BITS_NETWORK, {"bias": np.zeros(3, I32)}, SHAPE),
    "network multiplier": (Op.BITS_NETWORK, {"multiplier": floats(1)}, SHAPE),
    "network y_zero below": (Op.BITS_NETWORK, {"y_zero": -1}, PARAM),
    "network y_zero above": (Op.BITS_NETWORK, {"y_zero": 256}, PARAM),
    "network low": (Op.BITS_NETWORK, {"low": -1}, PARAM),
    "network high": (Op.BITS_NETWORK, {"high": 256}, PARAM),
    "network low above high": (Op.BITS_NETWORK, {"low": 9, "high": 8}, PARAM),
    "network hidden low above high": (
        Op.BITS_NETWORK,
        {"hidden_low": 9, "hidden_high": 8},
        PARAM,
    ),
    "network hidden multiplier is 0": (
        Op.BITS_NETWORK,
        {"hidden_multiplier": floats(1, 0, 1, 1)},
        RANGE,
    ),
    "network multiplier is infinite": (
        Op.BITS_NETWORK,
        {"multiplier": floats(1, np.inf)},
        RANGE,
    ),
    "linear of rank 1": (Op.QLINEAR, {"x": image(), "y": image()}, SHAPE),
    "linear weight of rank 3": (Op.QLINEAR, {"weight": np.ones((3, 4, 1), I8)}, SHAPE),
    "linear rows": (Op.QLINEAR, {"y": image(3, 3)}, SHAPE),
    "linear inputs": (Op.QLINEAR, {"weight": np.ones((3, 5), I8)}, SHAPE),
    "linear outputs": (Op.QLINEAR, {"y": image(2, 4)}, SHAPE),
    "linear of too many products": (
        Op.QLINEAR,
        {"x": image(2, 65537), "weight": np.ones((3, 65537), I8)},
        SHAPE,
    ),
    "linear bias": (Op.QLINEAR, {"bias": np.zeros(2, I32)}, SHAPE),
    "linear multiplier": (Op.QLINEAR, {"multiplier": floats(1)}, SHAPE),
    "linear x_zero": (Op.QLINEAR, {"x_zero": -1}, PARAM),
    "linear y_zero": (Op.QLINEAR, {"y_zero": 256}, PARAM),
    "linear low": (Op.QLINEAR, {"low": -1}, PARAM),
    "linear high": (Op.QLINEAR, {"high": 256}, PARAM),
    "linear low above high": (Op.QLINEAR, {"low": 9, "high": 8}, PARAM),
    "linear multiplier is 0": (Op.QLINEAR, {"multiplier": floats(1, 0, 1)}, RANGE),
    "linear multiplier is -0": (Op.QLINEAR, {"multiplier": floats(1, -0.0, 1)}, RANGE),
    "linear multiplier sign": (Op.QLINEAR, {"multiplier": floats(1, -1, 1)}, RANGE),
    "linear multiplier is infinite": (Op.QLINEAR, {"multiplier": floats(1, 1, np.inf)}, RANGE),
    "linear multiplier is NaN": (Op.QLINEAR, {"multiplier": floats(1, 1, np.nan)}, RANGE),
    "linear bias too large": (
        Op.QLINEAR,
        {"bias": np.array([0, 0, 2**31 - 4 * 32640], I32)},
        RANGE,
    ),
    "linear bias too small": (
        Op.QLINEAR,
        {"bias": np.array([0, 0, -(2**31) + 4 * 32640], I32)},
        RANGE,
    ),
    "binary of rank 1": (Op.QBINARY_LINEAR, {"x": image(), "y": image()}, SHAPE),
    "binary weight of rank 3": (Op.QBINARY_LINEAR, {"weight": np.ones((3, 2, 1), U8)}, SHAPE),
    "binary rows": (Op.QBINARY_LINEAR, {"y": image(3, 3)}, SHAPE),
    "binary users": (Op.QBINARY_LINEAR, {"x": image(2, "k")}, SHAPE),
    "binary row bytes": (Op.QBINARY_LINEAR, {"weight": np.ones((3, 1), U8)}, SHAPE),
    "binary outputs": (Op.QBINARY_LINEAR, {"y": image(2, 4)}, SHAPE),
    "binary of too many signs": (
        Op.QBINARY_LINEAR,
        {"x": image(2, 32769), "weight": np.ones((3, 4097), U8)},
        SHAPE,
    ),
    "binary bias": (Op.QBINARY_LINEAR, {"bias": np.zeros(2, I32)}, SHAPE),
    "binary multiplier": (Op.QBINARY_LINEAR, {"multiplier": floats(1, 1)}, SHAPE),
    "binary zero": (Op.QBINARY_LINEAR, {"x_zero": 256}, PARAM),
    "binary multiplier sign": (Op.QBINARY_LINEAR, {"multiplier": floats(-1)}, RANGE),
    "add of another": (Op.QADD, {"a": image(3, 3)}, SHAPE),
    "add to another": (Op.QADD, {"b": image(3, 3)}, SHAPE),
    "add a_zero": (Op.QADD, {"a_zero": 256}, PARAM),
    "add b_zero": (Op.QADD, {"b_zero": 256}, PARAM),
    "add y_zero": (Op.QADD, {"y_zero": 256}, PARAM),
    "add sigmoid": (Op.QADD, {"activation": Activation.SIGMOID}, PARAM),
    "add slope": (Op.QADD, {"activation": PRELU, "slope": floats(1, 2)}, SHAPE),
    "add slope without PReLU": (Op.QADD, {"slope": floats(1)}, SHAPE),
    "activation shape": (Op.QACTIVATION, {"x": image(3, 3)}, SHAPE),
    "activation x_zero": (Op.QACTIVATION, {"x_zero": -1}, PARAM),
    "activation y_zero": (Op.QACTIVATION, {"y_zero": -1}, PARAM),
    "activation tanh": (Op.QACTIVATION, {"activation": Activation.TANH}, PARAM),
    "activation without slope": (Op.QACTIVATION, {"activation": PRELU}, SHAPE),
    "table shape": (Op.QTABLE, {"x": image(5)}, SHAPE),
    "table of 255": (Op.QTABLE, {"table": np.zeros(255, U8)}, SHAPE),
    "table of rank 2": (Op.QTABLE, {"table": np.zeros((256, 1), U8)}, SHAPE),
    "table of another type": (Op.QTABLE, {"table": np.zeros(256, I8)}, "BAD_DTYPE"),
    "table of i16 x": (Op.QTABLE, {"x": Tensor(("n", 4), I16)}, "BAD_DTYPE"),
    "threshold shape": (Op.QTHRESHOLD, {"x": image(5)}, SHAPE),
    "thresholds of rank 2": (Op.QTHRESHOLD, {"thresholds": np.zeros((3, 1), I32)}, SHAPE),
    "256 thresholds": (Op.QTHRESHOLD, {"thresholds": np.zeros(256, I32)}, SHAPE),
    "a threshold falls": (Op.QTHRESHOLD, {"thresholds": np.array([1, 5, 4], I32)}, RANGE),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_sound(name: str) -> None:
    op, changes = ACCEPTED[name]
    Part(bundle(op, **changes))


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    op, changes, status = ROWS[name]
    with pytest.raises(FormatError, match="refused at step 0") as error:
        Part(bundle(op, **changes))
    assert f"[{status}]" in str(error.value)
