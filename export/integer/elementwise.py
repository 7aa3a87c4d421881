"""QUANTIZE, DEQUANTIZE, QADD and QACTIVATION: element by element, in float32.

Each is the sequence that a QDQ graph spells out, DequantizeLinear, the operator, QuantizeLinear,
with one rounding for every operation and nothing fused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from csideploy.export.integer.rounding import Array, code_range, to_code
from csideploy.export.operations import Activation

_PIECEWISE = (Activation.NONE, Activation.RELU, Activation.LEAKY, Activation.PRELU)


def quantize(x: Array, scale: float, zero: int, dtype: Any) -> Array:
    """saturate(rint(x / scale) + zero) of float32 x: a division, not a product by 1 / scale."""
    low, high = code_range(dtype)
    with np.errstate(over="ignore"):
        ratio = x.astype(np.float32) / np.float32(scale)
    return to_code(ratio, zero, low, high, dtype)


def dequantize(x: Array, scale: float, zero: int) -> Array:
    """(x - zero) * scale in float32: the difference is an exact integer below 2^24."""
    difference = (x.astype(np.int64) - zero).astype(np.float32)
    with np.errstate(over="ignore"):
        return np.asarray(difference * np.float32(scale))


def activate(value: Array, activation: int, slope: Array) -> Array:
    """value, or value * slope where value < 0; RELU has 0 there.

    Args:
        value: float32.
        activation: NONE, RELU, LEAKY or PRELU.
        slope: float32, broadcast against `value`: alpha of LEAKY, the slopes of PRELU.

    Raises:
        ValueError: another activation, which no integer operation fuses.
    """
    if activation not in _PIECEWISE:
        raise ValueError(f"activation {activation}: only NONE, RELU, LEAKY and PRELU are fused")
    if activation == Activation.NONE:
        return value
    with np.errstate(over="ignore", invalid="ignore"):
        below = np.float32(0) if activation == Activation.RELU else value * slope
    return np.asarray(np.where(value < 0, below, value), np.float32)


def _slopes(slope: Array | None, alpha: float, rank: int) -> Array:
    """The slopes along axis 1 of a tensor of `rank`, or alpha without them."""
    if slope is None:
        return np.array(alpha, np.float32)
    if slope.size == 1:
        return slope.astype(np.float32).reshape(())
    return slope.astype(np.float32).reshape(-1, *[1] * (rank - 2))


def qadd(
    a: Array,
    b: Array,
    slope: Array | None = None,
    *,
    a_scale: float,
    a_zero: int,
    b_scale: float,
    b_zero: int,
    y_scale: float,
    y_zero: int,
    dtype: Any,
    activation: int = Activation.NONE,
    alpha: float = 0.0,
) -> Array:
    """quantize(activation(dequantize(a) + dequantize(b))).

    Args:
        a: u8, i8 or i16.
        b: u8, i8 or i16, of the same shape.
        slope: float32 (C,) along axis 1, or (1,), of PRELU.
        a_scale: float32, what a step of a is worth.
        a_zero: zero point of a.
        b_scale: the same for b.
        b_zero: the same for b.
        y_scale: the same for the result.
        y_zero: the same for the result.
        dtype: type of the result.
        activation: NONE, RELU, LEAKY or PRELU.
        alpha: slope of LEAKY.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = dequantize(a, a_scale, a_zero) + dequantize(b, b_scale, b_zero)
    active = activate(total, activation, _slopes(slope, alpha, a.ndim))
    return quantize(active, y_scale, y_zero, dtype)


def qactivation(
    x: Array,
    slope: Array | None = None,
    *,
    x_scale: float,
    x_zero: int,
    y_scale: float,
    y_zero: int,
    dtype: Any,
    activation: int = Activation.NONE,
    alpha: float = 0.0,
) -> Array:
    """quantize(activation(dequantize(x))); NONE changes the scale alone. Arguments as `qadd`."""
    value = dequantize(x, x_scale, x_zero)
    active = activate(value, activation, _slopes(slope, alpha, x.ndim))
    return quantize(active, y_scale, y_zero, dtype)
