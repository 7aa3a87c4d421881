"""Scales, quantized weights and biases, tables and thresholds: what the compiler computes."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from csideploy.export.integer import functions, lookup, scales, steps, tables
from csideploy.export.integer.elementwise import dequantize
from csideploy.export.integer.rounding import to_code
from csideploy.export.operations import Activation, Op, Unary

Array = NDArray[Any]


def nearest_even(value: Fraction) -> int:
    return round(value)  # Python rounds fractions half to even


def test_to_code_against_exact_fractions() -> None:
    rng = np.random.default_rng(0)
    halves = rng.integers(-300, 300, 200) / 2
    values = np.concatenate([halves, rng.normal(0, 60, 200), [1e30, -1e30]]).astype(np.float32)
    for zero, low, high in ((0, -128, 127), (17, -5, 90), (-128, -128, 127)):
        expected = [min(max(nearest_even(Fraction(float(v))) + zero, low), high) for v in values]
        assert to_code(values, zero, low, high, np.int8).tolist() == expected


def test_multiplier_rounds_after_each_operation() -> None:
    rng = np.random.default_rng(1)
    x, y = np.float32(0.0137), np.float32(0.0611)
    w = rng.uniform(1e-3, 1e-2, 500).astype(np.float32)
    result = scales.multiplier(x, w, y)
    products = [np.float32(float(x) * float(v)) for v in w]  # exact in float64, rounded once
    exact = [np.float32(float(Fraction(float(p)) / Fraction(float(y)))) for p in products]
    assert result.tolist() == [float(v) for v in exact]
    assert result.dtype == np.float32
    other_order = (x / y) * w
    assert (result != other_order).any()


@pytest.mark.parametrize(("w", "y"), [(1e-30, 1e30), (1e30, 1e-30), (0.0, 1.0), (np.nan, 1.0)])
def test_multiplier_refuses(w: float, y: float) -> None:
    with pytest.raises(ValueError, match="not a positive float32"):
        scales.multiplier(np.float32(1e-9 if w < 1 else 1.0), np.array([w], np.float32), y)


def test_quantize_weight() -> None:
    rng = np.random.default_rng(2)
    weight = rng.normal(size=(5, 3, 2, 2)).astype(np.float32)
    weight[3] = 0
    codes, scale = scales.quantize_weight(weight)
    assert codes.dtype == np.int8
    assert codes.shape == weight.shape
    assert scale.shape == (5,)
    assert scale[3] == 1
    assert (np.abs(codes).max(axis=(1, 2, 3)) == [127, 127, 127, 0, 127]).all()
    error = np.abs(codes * scale[:, None, None, None].astype(np.float64) - weight)
    # Half a step, and the rounding of the quotient to float32.
    assert (error <= scale[:, None, None, None] * (0.5 + 127 * 2.0**-23)).all()
    one, single = scales.quantize_weight(weight, axis=None)
    assert single.shape == (1,)
    assert np.abs(one).max() == 127
    along, each = scales.quantize_weight(weight, axis=1)
    assert each.shape == (3,)
    assert (np.abs(along).max(axis=(0, 2, 3)) == 127).all()


def test_a_bias_always_fits() -> None:
    """An output whose weights are next to 0 gets a scale that its bias can bear."""
    weight = np.array([[1.0, -0.5], [1e-12, 2e-13], [1e-44, 0.0]], np.float32)
    bias = np.array([0.3, -0.7, 5.0], np.float32)
    least = scales.least_weight_scale(bias, 0.01)
    codes, scale = scales.quantize_weight(weight, least_scale=least)
    stored = scales.quantize_bias(bias, 0.01, scale)
    assert stored.dtype == np.int32
    assert np.abs(stored.astype(np.int64)).max() <= 2**30 + 128
    assert scales.accumulator_bound(2, stored) <= scales.ACCUMULATOR_LIMIT
    np.testing.assert_allclose(stored * scale.astype(np.float64) * np.float32(0.01), bias, 1e-2)
    assert codes[0].tolist() == [127, -64]


def test_quantize_bias_saturates() -> None:
    unit = np.full(3, 2.0**-13, np.float32)
    stored = scales.quantize_bias(np.array([1.0, -1.0, 2.5 * 2.0**-30]), 2.0**-17, unit)
    assert stored.tolist() == [2**30, -(2**30), 2]
    stored = scales.quantize_bias(np.array([1.0, -1.0, 0.0]), 2.0**-20, unit)
    assert stored.tolist() == [2**31 - 1, -(2**31), 0]


def test_accumulator_bound() -> None:
    assert scales.accumulator_bound(65536, None) == 65536 * 255 * 128 < 2**31
    bias = np.array([-(2**31), 5], np.int32)
    assert scales.accumulator_bound(3, bias) == 3 * 255 * 128 + 2**31
    assert scales.accumulator_bound(3, bias, binary=True) == 3 * 255 + 2**31


ORACLES: dict[Activation | Unary, Any] = {
    Activation.SIGMOID: special.expit,
    Activation.TANH: np.tanh,
    Unary.ERF: special.erf,
    Unary.SOFTPLUS: lambda x: np.logaddexp(0, x),
    Unary.MISH: lambda x: x * np.tanh(np.logaddexp(0, x)),
    Unary.GELU: lambda x: x * special.ndtr(x),
    Unary.SWISH: lambda x: x * special.expit(0.3 * x),
    Unary.ELU: lambda x: np.where(x < 0, 0.3 * np.expm1(x), x),
    Unary.HARD_SIGMOID: lambda x: np.clip(0.3 * x + 0.7, 0, 1),
    Unary.EXP: np.exp,
}


@pytest.mark.parametrize("kind", ORACLES)
def test_functions(kind: Activation | Unary) -> None:
    x = np.linspace(-8, 8, 4001).astype(np.float32)
    y = functions.evaluate([functions.function_of(kind, 0.3, 0.7)], x)
    assert y.dtype == np.float32
    # One rounding to float32, and a few units of float64, which cancel where 1 + erf is small.
    np.testing.assert_allclose(y, ORACLES[kind](x.astype(np.float64)), rtol=6.1e-8, atol=1e-15)


def test_every_function_of_one_number_is_there() -> None:
    for kind in (*Unary, *(a for a in Activation if a not in (Activation.NONE, Activation.PRELU))):
        value = functions.evaluate([functions.function_of(kind, 0.5, 0.5)], np.float32([0.7]))
        assert np.isfinite(value).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_table_order_and_composition(dtype: Any) -> None:
    """Entry i belongs to the code whose bits are i; functions apply one after the other."""
    chain = [functions.function_of(Unary.EXP), functions.function_of(Activation.TANH)]
    zero = 128 if dtype is np.uint8 else -3
    table = tables.table_of(
        chain,
        x_scale=0.01,
        x_zero=zero,
        x_dtype=dtype,
        y_scale=2.0**-15,
        y_zero=0,
        y_dtype=np.int16,
    )
    x = np.arange(256, dtype=np.uint8).view(dtype)
    real = np.tanh(np.exp((x.astype(np.float64) - zero) * 0.01))
    # One step of 2^-15: half from rounding, the rest from x_scale and the stages in float32.
    assert np.abs(lookup.qtable(x, table) - real * 2**15).max() < 0.51


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_thresholds(dtype: Any, bits: int) -> None:
    info = np.iinfo(dtype)
    scale = np.float32(12 / (info.max - info.min))
    zero = (info.max + info.min) // 2
    sigmoid = functions.function_of(Activation.SIGMOID)
    found = tables.thresholds_of(
        [sigmoid], x_scale=float(scale), x_zero=zero, x_dtype=dtype, bits=bits
    )
    assert found.dtype == np.int32
    assert found.shape == (2**bits - 1,)
    assert (np.diff(found) >= 0).all()
    x = np.arange(info.min, info.max + 1).astype(dtype)
    value = functions.evaluate([sigmoid], dequantize(x, float(scale), zero))
    codes = np.minimum(np.floor(value.astype(np.float64) * 2**bits), 2**bits - 1)
    assert np.array_equal(lookup.qthreshold(x, found), codes)
    assert len(np.unique(codes)) > 1


def test_thresholds_of_what_falls() -> None:
    with pytest.raises(ValueError, match="code 7 at 4 falls to 6 at 5"):
        tables.thresholds_of([lambda x: 1 - x], x_scale=1 / 32, x_zero=0, x_dtype=np.uint8, bits=3)


def test_codes_that_are_never_reached() -> None:
    half = tables.thresholds_of(
        [lambda x: x / 2], x_scale=1 / 256, x_zero=0, x_dtype=np.uint8, bits=2
    )
    assert half.tolist() == [128, 256, 256]
    assert lookup.qthreshold(np.uint8([127, 128, 255]), half).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("op", "inputs", "params", "message"),
    [
        (Op.QTABLE, [], {}, "QTABLE: its first input is absent"),
        (Op.QTABLE, [np.uint8([1])], {}, "QTABLE: its second input is absent"),
        (Op.QLINEAR, [np.uint8([[1]]), np.int8([[1]])], {}, "QLINEAR: its multiplier is absent"),
        (Op.CONV2D, [np.uint8([1])] * 4, {}, "CONV2D is no integer operation"),
        (
            Op.QACTIVATION,
            [np.uint8([1])],
            {
                "activation": Activation.TANH,
                "alpha": 0.0,
                **dict.fromkeys(("x_scale", "x_zero", "y_scale", "y_zero"), 1),
            },
            "only NONE, RELU, LEAKY and PRELU",
        ),
    ],
)
def test_steps_refuse(op: Op, inputs: list[Any], params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        steps.run_step(op, inputs, params, np.uint8)
