"""The last step of every integer operation: a float32 becomes a code.

`float32` means IEEE 754 binary32 with rounding to nearest, ties to even, after every single
operation; NumPy's float32 arrays give exactly that.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def code_range(dtype: Any) -> tuple[int, int]:
    """Least and greatest code of u8, i8 or i16."""
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def to_code(value: Array, zero: int, low: int, high: int, dtype: Any) -> Array:
    """saturate(rint(value) + zero) to [low, high]: ties to even, a NaN as 0.

    The bounds are applied before the zero point is added, so that no number leaves the range in
    which float32 holds all integers: |low - zero| and |high - zero| are at most 65535.

    Args:
        value: float32, any shape; already divided by the scale.
        zero: zero point of the result.
        low: least code of the result.
        high: greatest code of the result.
        dtype: u8, i8 or i16.
    """
    known = np.where(np.isnan(value), np.float32(0), value).astype(np.float32)
    least, most = np.float32(low - zero), np.float32(high - zero)
    rounded = np.rint(np.minimum(np.maximum(known, least), most))
    return np.asarray((rounded.astype(np.int64) + zero).astype(dtype))


def requantize(
    total: Array, multiplier: Array, zero: int, low: int, high: int, dtype: Any
) -> Array:
    """A sum of products becomes a code: to_code(float32(total) * multiplier).

    Args:
        total: int64; its conversion to float32 is rounded once, to nearest even.
        multiplier: float32, broadcast against `total`.
        zero: as for `to_code`.
        low: as for `to_code`.
        high: as for `to_code`.
        dtype: as for `to_code`.
    """
    with np.errstate(over="ignore"):
        scaled = total.astype(np.float32) * multiplier.astype(np.float32)
    return to_code(scaled, zero, low, high, dtype)
