"""QLINEAR, QBINARY_LINEAR and BITS_NETWORK: integer products of rows, requantized."""

from __future__ import annotations

from typing import Any

import numpy as np

from csideploy.export.integer.elementwise import dequantize
from csideploy.export.integer.rounding import Array, requantize


def _products(x: Array, weight: Array, bias: Array | None, x_zero: int) -> Array:
    """Sum of bias and (x - x_zero) w in int64: nothing is rounded, so order does not matter."""
    total = (x.astype(np.int64) - x_zero) @ weight.astype(np.int64).T
    return np.asarray(total if bias is None else total + bias.astype(np.int64))


def qlinear(
    x: Array,
    weight: Array,
    bias: Array | None,
    multiplier: Array,
    *,
    x_zero: int,
    y_zero: int,
    low: int,
    high: int,
    dtype: Any,
) -> Array:
    """requantize(bias + (x - x_zero) weight^T).

    Args:
        x: (..., K) of u8, i8 or i16.
        weight: (M, K) int8.
        bias: (M,) int32, in units of x_scale * w_scale.
        multiplier: (M,) float32, `scales.multiplier`.
        x_zero: zero point of x.
        y_zero: zero point of the result.
        low: least code of the result; an activation that only cuts off lies in these bounds.
        high: greatest code of the result.
        dtype: type of the result.

    Returns:
        (..., M) of `dtype`.
    """
    total = _products(x, weight, bias, x_zero)
    return requantize(total, multiplier, y_zero, low, high, dtype)


def signs(weight: Array, inputs: int) -> Array:
    """Packed signs (M, ceil(K / 8)) as int8 (M, K): bit 1 is +1, the first input the MSB."""
    bits = np.unpackbits(weight, axis=1, count=inputs)
    return bits.astype(np.int8) * np.int8(2) - np.int8(1)


def qbinary_linear(
    x: Array,
    weight: Array,
    bias: Array | None,
    multiplier: Array,
    *,
    x_zero: int,
    y_zero: int,
    low: int,
    high: int,
    dtype: Any,
) -> Array:
    """`qlinear` with weights +1 and -1: weight u8 (M, ceil(K / 8)), multiplier (1,) or (M,)."""
    return qlinear(
        x,
        signs(weight, x.shape[-1]),
        bias,
        multiplier,
        x_zero=x_zero,
        y_zero=y_zero,
        low=low,
        high=high,
        dtype=dtype,
    )


def bits_network(
    payload: Array,
    hidden_weight: Array,
    hidden_bias: Array | None,
    hidden_multiplier: Array,
    weight: Array,
    bias: Array | None,
    multiplier: Array,
    *,
    hidden_zero: int,
    hidden_low: int,
    hidden_high: int,
    y_zero: int,
    low: int,
    high: int,
    y_scale: float,
) -> Array:
    """Two `qlinear` from packed bits to floats; see `operations.py`.

    Args:
        payload: uint8 (n, ceil(R B / 8)); B being 8 or more, R is what it has room for.
        hidden_weight: int8 (D, B).
        hidden_bias: int32 (D,).
        hidden_multiplier: float32 (D,).
        weight: int8 (M, D).
        bias: int32 (M,).
        multiplier: float32 (M,).
        hidden_zero: zero point of the hidden codes.
        hidden_low: the least of them.
        hidden_high: the greatest.
        y_zero: zero point of the codes behind the second layer.
        low: the least of them.
        high: the greatest.
        y_scale: what a step of them is.

    Returns:
        float32 (n, R, M).
    """
    bits = hidden_weight.shape[1]
    rows = payload.shape[1] * 8 // bits
    unpacked = np.unpackbits(payload, axis=1, count=rows * bits).reshape(-1, rows, bits)
    total = _products(unpacked, hidden_weight, hidden_bias, 0)
    hidden = requantize(
        total, hidden_multiplier, hidden_zero, hidden_low, hidden_high, np.dtype(np.uint8)
    )
    total = _products(hidden, weight, bias, hidden_zero)
    codes = requantize(total, multiplier, y_zero, low, high, np.dtype(np.uint8))
    return dequantize(codes, y_scale, y_zero)
