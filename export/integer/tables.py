"""Tables and thresholds: functions of one code, evaluated for every code by the compiler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from csideploy.export.integer.elementwise import dequantize, quantize
from csideploy.export.integer.functions import Function, evaluate
from csideploy.export.integer.rounding import Array, code_range


def table_of(
    functions: Sequence[Function],
    *,
    x_scale: float,
    x_zero: int,
    x_dtype: Any,
    y_scale: float,
    y_zero: int,
    y_dtype: Any,
) -> Array:
    """The table of QTABLE: quantize(functions(dequantize(x))) for all 256 codes x.

    Args:
        functions: applied one after the other; each result is rounded to float32 (`evaluate`).
        x_scale: float32, what a step of x is worth.
        x_zero: zero point of x.
        x_dtype: u8 or i8.
        y_scale: what a step of the entries is worth.
        y_zero: zero point of the entries.
        y_dtype: u8, i8 or i16.

    Returns:
        (256,) of y_dtype, in the order of the bits of x read as u8.
    """
    codes = np.arange(256, dtype=np.uint8).view(x_dtype)
    value = evaluate(functions, dequantize(codes, x_scale, x_zero))
    return quantize(value, y_scale, y_zero, y_dtype)


def uniform_codes(value: Array, bits: int) -> Array:
    """QUANTIZE_UNIFORM of float32 values: min(floor(v 2^bits), 2^bits - 1); 0 below 0 and for NaN.

    `v 2^bits` is exact in float32 but for an overflow, which saturates.
    """
    levels = np.float32(2**bits)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = value * levels
        inside = np.where(scaled > 0, np.minimum(scaled, levels - np.float32(1)), np.float32(0))
    return np.asarray(np.floor(inside).astype(np.int64))


def thresholds_of(
    functions: Sequence[Function],
    *,
    x_scale: float,
    x_zero: int,
    x_dtype: Any,
    bits: int,
) -> Array:
    """The thresholds of QTHRESHOLD: where uniform_codes(functions(dequantize(x))) steps up.

    Args:
        functions: as `table_of`.
        x_scale: float32, what a step of x is worth.
        x_zero: zero point of x.
        x_dtype: u8, i8 or i16.
        bits: of the payload's codes.

    Returns:
        int32 (2^bits - 1,), never falling: element k - 1 is the least x whose code is at least k,
        or one above the type's range where no code reaches k.

    Raises:
        ValueError: the code falls somewhere as x rises.
    """
    low, high = code_range(x_dtype)
    x = np.arange(low, high + 1, dtype=np.int64)
    codes = uniform_codes(evaluate(functions, dequantize(x, x_scale, x_zero)), bits)
    falls = np.flatnonzero(np.diff(codes) < 0)
    if falls.size:
        at = int(x[falls[0]])
        raise ValueError(
            f"code {codes[falls[0]]} at {at} falls to {codes[falls[0] + 1]} at {at + 1}; "
            "thresholds need a function that never falls"
        )
    return np.asarray(
        (low + np.searchsorted(codes, np.arange(1, 2**bits), side="left")).astype(np.int32)
    )


def codebook_thresholds_of(
    functions: Sequence[Function],
    thresholds: Array,
    *,
    x_scale: float,
    x_zero: int,
    x_dtype: Any,
) -> Array:
    """The thresholds of QCODEBOOK: which codes x pass functions(dequantize(x)) > threshold.

    Args:
        functions: as `table_of`.
        thresholds: float32 (T,), those of QUANTIZE_CODEBOOK.
        x_scale: float32, what a step of x is worth.
        x_zero: zero point of x.
        x_dtype: u8, i8 or i16.

    Returns:
        int32 (T,): the least x that passes, or one above the type's range where none does.

    Raises:
        ValueError: an x passes a threshold that a larger one does not.
    """
    low, high = code_range(x_dtype)
    x = np.arange(low, high + 1, dtype=np.int64)
    value = evaluate(functions, dequantize(x, x_scale, x_zero))
    value = np.where(np.isnan(value), -np.inf, value).astype(np.float32)  # passes nothing
    first = np.searchsorted(np.maximum.accumulate(value), thresholds, side="right")
    # The smallest of all from there on passes as well.
    least = np.append(np.minimum.accumulate(value[::-1])[::-1], np.float32(np.inf))
    if not (least[first] > thresholds).all():
        raise ValueError("thresholds need a function that never falls")
    return np.asarray((low + first).astype(np.int32))
