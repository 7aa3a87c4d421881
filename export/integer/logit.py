"""Where sigmoid and uniform quantizer step up: a code without an exponential.

The code min(floor(s 2^B), 2^B - 1) of s = sigmoid(x) changes only where s passes k / 2^B. The
executor's sigmoid (`csd_sigmoid`, kernels/elementary.h) rounds often and falls now and then by one
unit of the last place, but over all 2^32 float32 it never falls from k / 256 or above to below
it (`tests/kernels/every_logit.c` looks at each). So for B <= 8 the code is the number of thresholds
t_k < x, where t_k is the largest float32 whose sigmoid is below k / 2^B: the same code for every x.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.integer.rounding import Array

_F = np.float32
_POWERS = (0.000197644142, 0.00139323808, 0.00833354332, 0.0416664928, 0.166666657, 0.5)
_LOG2_E, _LN2_HIGH, _LN2_LOW = _F(1.44269502), _F(0.693145752), _F(1.42860677e-6)
_ROUNDER = _F(12582912.0)


def sigmoid(x: Array) -> Array:
    """`csd_sigmoid` on float32, operation by operation: the executor's bits for |x| < 87."""
    bounded = -np.abs(x)
    k = (bounded * _LOG2_E + _ROUNDER) - _ROUNDER
    r = (bounded - k * _LN2_HIGH) - k * _LN2_LOW
    p = np.full_like(r, _POWERS[0])
    for factor in _POWERS[1:]:
        p = p * r + _F(factor)
    e = np.ldexp(_F(1) + (r + r * r * p), k.astype(np.int32))
    return np.asarray(np.where(x < 0, e, _F(1)) / (_F(1) + e))


def sigmoid_thresholds(bits: int) -> Array:
    """The thresholds of QUANTIZE_LOGIT that stand for a sigmoid and QUANTIZE_UNIFORM.

    They are found by bisection over the bit patterns of float32, so they are exact and the same on
    every machine with IEEE 754 arithmetic.

    Args:
        bits: 1 to 8.

    Returns:
        float32 (2^bits - 1,), ascending: element k - 1 is the largest x with
        sigmoid(x) < k / 2^bits.
    """
    levels = np.arange(1, 1 << bits, dtype=np.float32) / _F(1 << bits)
    low = np.full(levels.shape, _ordinal(_F(-8)), np.int64)  # sigmoid(-8) < 1 / 256
    high = np.full(levels.shape, _ordinal(_F(8)), np.int64)
    while (high - low).max() > 1:
        middle = (low + high) // 2
        below = sigmoid(_number(middle)) < levels
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return _number(low)


def logit_codes(x: Array, thresholds: Array) -> Array:
    """QUANTIZE_LOGIT: the number of thresholds < x, 0 for NaN; u8 of x's shape."""
    counted = np.searchsorted(thresholds, x, side="left")
    return np.asarray(np.where(np.isnan(x), 0, counted).astype(np.uint8))


def _ordinal(x: np.float32) -> int:
    """Position in the order of all float32; both zeros at 0."""
    word = int(x.view(np.int32))
    return word if word >= 0 else -(word & 0x7FFFFFFF)


def _number(ordinal: Array) -> Array:
    """The float32 at a position."""
    magnitude = np.abs(ordinal).astype(np.int32).view(np.float32)
    return np.asarray(np.where(ordinal < 0, -magnitude, magnitude))
