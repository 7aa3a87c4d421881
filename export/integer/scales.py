"""Scales, and the weights and biases that go with them: made once, when a part is compiled."""

from __future__ import annotations

from typing import Any

import numpy as np

from csideploy.export.integer.rounding import Array

WEIGHT_LIMIT = 127
"""Weights use -127..127: the range is symmetric, and a product with a u8 stays a 16-bit number."""
WIDE_LIMIT, WIDE_SUM = 32767, 65535
"""Of int16 weights in front of int16 codes: their size, and their sum, which leaves the sum of
products below 2^31 for all codes there are: 32,768 x 65,535."""
WIDE_PRODUCTS = 8192
"""Of such a sum at most: each weight has 8 on average then."""
ACCUMULATOR_LIMIT = 2**31 - 1
"""What the 32-bit sums of 8-bit activations may reach."""


def multiplier(x_scale: Any, weight_scale: Any, y_scale: Any) -> Array:
    """(x_scale * weight_scale) / y_scale, each operation rounded to float32, in this order.

    ONNX Runtime computes it in the same order; (x_scale / y_scale) * weight_scale differs in the
    last bit of about every third result.

    Args:
        x_scale: float32.
        weight_scale: float32, one or one for each output (M,).
        y_scale: float32.

    Returns:
        float32 (1,) or (M,).

    Raises:
        ValueError: the result is not finite and positive for some output.
    """
    product = np.float32(x_scale) * np.asarray(weight_scale, np.float32)
    with np.errstate(over="ignore", divide="ignore"):
        result = np.atleast_1d(product / np.float32(y_scale))
    if not (np.isfinite(result) & (result > 0)).all():
        raise ValueError("x_scale * weight_scale / y_scale is not a positive float32")
    return result


def accumulator_bound(products: int, bias: Array | None, *, binary: bool = False) -> int:
    """The most that a 32-bit sum of `products` products of 8-bit numbers and the bias can reach.

    The verifier refuses a step with 8-bit x whose bound is above ACCUMULATOR_LIMIT.

    Args:
        products: K of a linear step; C / groups * kh * kw of a convolution.
        bias: int32, or None.
        binary: weights are +1 and -1.
    """
    most = 0 if bias is None else int(np.abs(bias.astype(np.int64)).max())
    return products * 255 * (1 if binary else 128) + most


def quantize_weight(
    weight: Array, *, axis: int | None = 0, least_scale: Array | float = 0.0
) -> tuple[Array, Array]:
    """Weights as int8 -127..127 with zero point 0: rint(w / scale), scale = max|w| / 127.

    Args:
        weight: float, any shape.
        axis: the axis with one scale an index (0: the outputs of Conv and of Linear); None: one
            scale for all.
        least_scale: no scale falls below it; see `least_weight_scale`.

    Returns:
        int8 of the same shape, and float32 scales (weight.shape[axis],) or (1,). Weights that are
        all 0 have scale 1, unless `least_scale` is larger.
    """
    exact = weight.astype(np.float32)
    others = tuple(i for i in range(weight.ndim) if axis is None or i != axis)
    largest = np.abs(exact).max(axis=others)
    scale = np.atleast_1d((largest / np.float32(WEIGHT_LIMIT)).astype(np.float32))
    tiny = np.finfo(np.float32).tiny
    scale = np.where(scale < tiny, np.float32(1), scale)
    scale = np.maximum(scale, np.asarray(least_scale, np.float32)).astype(np.float32)
    shape = [1] * weight.ndim
    if axis is not None:
        shape[axis] = -1
    codes = np.rint(exact / scale.reshape(shape))
    return np.clip(codes, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8), scale


def quantize_wide(weight: Array, *, axis: int | None = 0) -> tuple[Array, Array]:
    """Weights as int16 with zero point 0 whose sizes add up to WIDE_SUM at most in each output.

    Args:
        weight: float (M, ...), of WIDE_PRODUCTS an output at most.
        axis: 0: one scale an output; None: one scale for all.

    Returns:
        int16 of the same shape, and float32 scales (M,) or (1,). Weights that are all 0 have
        scale 1.
    """
    exact = weight.astype(np.float64).reshape(len(weight), -1)
    # Rounding adds half a code to each at most; one more is room for the rounding of the scale.
    room = WIDE_SUM - exact.shape[1] / 2 - 1
    size = np.abs(exact)
    scale = np.maximum(size.max(1) / WIDE_LIMIT, size.sum(1) / room)
    if axis is None:
        scale = scale.max(keepdims=True)
    scale = scale.astype(np.float32)
    scale = np.where(scale < np.finfo(np.float32).tiny, np.float32(1), scale)
    codes = np.clip(np.rint(exact / scale[:, None]), -WIDE_LIMIT, WIDE_LIMIT)
    return codes.astype(np.int16).reshape(weight.shape), scale


def least_weight_scale(bias: Array, x_scale: float) -> Array:
    """The scale below which a bias would not fit 30 bits: |b| / (x_scale 2^30), float32 (M,).

    An output with weights near 0 and a bias far from 0 has such a small weight scale that its bias
    in units of x_scale * weight_scale overflows. A larger scale costs that output's weights
    nothing that shows: they are below 2^-30 of the bias each.
    """
    return (np.abs(bias.astype(np.float64)) / (float(x_scale) * 2.0**30)).astype(np.float32)


def quantize_bias(bias: Array, x_scale: float, weight_scale: Array) -> Array:
    """rint(b / (x_scale * weight_scale)) in float64, saturated to int32: (M,).

    Args:
        bias: float (M,).
        x_scale: float32.
        weight_scale: float32 (M,) or (1,).
    """
    unit = np.float64(np.float32(x_scale)) * weight_scale.astype(np.float64)
    codes = np.rint(bias.astype(np.float64) / unit)
    limit = np.iinfo(np.int32)
    return np.clip(codes, limit.min, limit.max).astype(np.int32)
