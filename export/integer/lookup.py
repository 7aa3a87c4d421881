"""QTABLE and QTHRESHOLD: functions of one code, with no arithmetic at run time."""

from __future__ import annotations

import numpy as np

from csideploy.export.integer.rounding import Array


def qtable(x: Array, table: Array) -> Array:
    """table[x], where the bits of an i8 x are read as a u8: entry 128 is that of -128.

    Args:
        x: u8 or i8, any shape.
        table: (256,) of the result's type.
    """
    return np.asarray(table[x.view(np.uint8)])


def qthreshold(x: Array, thresholds: Array) -> Array:
    """The number of thresholds <= x, as u8.

    Args:
        x: u8, i8 or i16, any shape.
        thresholds: int32 (T,), T <= 255, never falling.
    """
    count = np.searchsorted(thresholds, x.astype(np.int32), side="right")
    return np.asarray(count.astype(np.uint8))
