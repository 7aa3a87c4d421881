"""QCONV2D: an integer convolution, requantized."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from csideploy.export.integer.rounding import Array, requantize


def sums_of_products(x: Array, weight: Array, window: Mapping[str, Any]) -> Array:
    """The convolution of int64 x (n, C, H, W), padded with 0, by weight (O, C / groups, kh, kw).

    window: groups, stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left, pad_bottom,
        pad_right, as the plan names them.
    """
    top, left = int(window["pad_top"]), int(window["pad_left"])
    bottom, right = int(window["pad_bottom"]), int(window["pad_right"])
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    groups = int(window["groups"])
    stride_h, stride_w = int(window["stride_h"]), int(window["stride_w"])
    outputs, channels, kernel_h, kernel_w = weight.shape
    reach_h = (kernel_h - 1) * int(window["dilation_h"]) + 1
    reach_w = (kernel_w - 1) * int(window["dilation_w"]) + 1
    height = (x.shape[2] - reach_h) // stride_h + 1
    width = (x.shape[3] - reach_w) // stride_w + 1
    x = x.reshape(len(x), groups, channels, *x.shape[2:])
    split = weight.astype(np.int64).reshape(groups, outputs // groups, *weight.shape[1:])
    total = np.zeros((len(x), groups, outputs // groups, height, width), np.int64)
    for i in range(kernel_h):
        down = i * int(window["dilation_h"])
        for j in range(kernel_w):
            along = j * int(window["dilation_w"])
            rows = slice(down, down + (height - 1) * stride_h + 1, stride_h)
            columns = slice(along, along + (width - 1) * stride_w + 1, stride_w)
            taps = x[:, :, :, rows, columns]
            total += np.einsum("ngchw,goc->ngohw", taps, split[:, :, :, i, j])
    return total.reshape(len(x), outputs, height, width)


def qconv2d(
    x: Array,
    weight: Array,
    bias: Array | None,
    multiplier: Array,
    window: Mapping[str, Any],
    *,
    x_zero: int,
    y_zero: int,
    low: int,
    high: int,
    dtype: Any,
) -> Array:
    """requantize(bias + conv(x - x_zero, weight)); pads hold x_zero and so add nothing.

    Args:
        x: (n, C, H, W) of u8, i8 or i16.
        weight: (O, C / groups, kh, kw) int8.
        bias: (O,) int32, in units of x_scale * w_scale.
        multiplier: (O,) float32, `scales.multiplier`.
        window: as `sums_of_products`.
        x_zero: zero point of x.
        y_zero: zero point of the result.
        low: least code of the result; an activation that only cuts off lies in these bounds.
        high: greatest code of the result.
        dtype: type of the result.

    Returns:
        (n, O, H', W') of `dtype`.
    """
    total = sums_of_products(x.astype(np.int64) - x_zero, weight, window)
    if bias is not None:
        total = total + bias.astype(np.int64)[:, None, None]
    return requantize(total, multiplier[:, None, None], y_zero, low, high, dtype)
