"""QTABLE, QTHRESHOLD, QCODEBOOK: functions of one code, with no arithmetic at run time."""

from __future__ import annotations

from typing import Literal

import numpy as np

from csideploy.export.integer.rounding import Array
from csideploy.export.widths import unpack_widths


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


def qcodebook(x: Array, thresholds: Array, widths: Array) -> Array:
    """The number of an output's thresholds <= x, as u8.

    Args:
        x: u8, i8 or i16 (n, M).
        thresholds: int32 (sum (2^B_m - 1),), never falling within an output.
        widths: the table of widths, u8 (ceil(M / 2),).
    """
    return rank(x.astype(np.int32), thresholds, widths, side="right")


def rank(x: Array, thresholds: Array, widths: Array, *, side: Literal["left", "right"]) -> Array:
    """How many thresholds of its output each element of x (n, M) has passed, as u8.

    side: "left": those < x, NaN passes none; "right": those <= x.
    """
    codes = np.zeros(x.shape, np.uint8)
    begin = 0
    for m, bits in enumerate(unpack_widths(widths, x.shape[1]).tolist()):
        own = thresholds[begin : begin + (1 << bits) - 1]
        codes[:, m] = np.searchsorted(own, x[:, m], side)
        begin += (1 << bits) - 1
    return np.where(np.isnan(x), 0, codes).astype(np.uint8)
