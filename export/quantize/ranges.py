"""Scales of activations, from what calibration saw.

8 bits: uint8 with a zero point, which ONNX Runtime's integer kernels take on every processor. The
range is the one with the least mean square error of the codes over the values seen, not from the
least to the greatest: a few large values would cost all others a coarser step. 16 bits: int16 with
zero point 0, and a quarter more than the largest value seen, since there is room. Zero is a code
in both, because pads hold it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 2048
HEADROOM = 1.25
"""16 bits: how far beyond the largest value seen."""
_SHARES = np.linspace(0.05, 1.0, 39)
"""Parts of the range seen that are tried at either end."""

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Scale:
    """How a tensor's values become codes: q = saturate(rint(x / scale) + zero)."""

    scale: float
    zero: int
    bits: int

    @property
    def dtype(self) -> np.dtype[np.integer[Any]]:
        """uint8 or int16."""
        return np.dtype(np.uint8 if self.bits == 8 else np.int16)

    def fake(self, x: Values) -> Values:
        """The values that the codes of x stand for: DequantizeLinear(QuantizeLinear(x))."""
        info = np.iinfo(self.dtype)
        scale = np.float32(self.scale)
        codes = np.clip(np.rint(x / scale), info.min - self.zero, info.max - self.zero)
        return np.asarray(codes * scale, np.float32)


WHOLE = Scale(1.0, 0, 8)
"""Bytes as numbers: a code is its value, so that a layer reads unpacked bits as they are."""


def sixteen(low: float, high: float) -> Scale:
    """16 bits over [-m, m], m = 1.25 max(|low|, |high|)."""
    most = HEADROOM * max(abs(low), abs(high))
    return Scale(_single(most / 32767.0), 0, 16)


def fourteen(low: float, high: float) -> Scale:
    """Codes within +-8191 over the same range, kept as 16 bits: what is beyond it stays exact.

    Four of them add up within 16 bits, which fast products of 1-bit weights use.
    """
    most = HEADROOM * max(abs(low), abs(high))
    return Scale(_single(most / 8191.0), 0, 16)


def power_of_two(scale: Scale) -> Scale:
    """The next power of two at or above a scale: dividing by it is exact."""
    return Scale(float(2.0 ** np.ceil(np.log2(scale.scale))), scale.zero, scale.bits)


def exact(bits: int) -> Scale:
    """8 bits that hold the values (c + 0.5) / 2^B, c < 2^B, of a uniform dequantizer, B <= 7."""
    return Scale(2.0 ** -(bits + 1), 0, 8)


def eight(values: Values, low: float, high: float) -> Scale:
    """8 bits with the least mean square error over a sample of the values.

    Args:
        values: a sample of them, flat.
        low: the least of all.
        high: the greatest of all.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return Scale(1.0, 0, 8)
    counts, edges = np.histogram(values, BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    kept = counts > 0
    counts, centres = counts[kept], centres[kept]
    # One end after the other: the best low end for the full high end, then the best high end.
    best = _between(low, high)
    for ends in ([(share * low, high) for share in _SHARES], None):
        bottom = -best.scale * best.zero
        tried = ends or [(bottom, share * high) for share in _SHARES]
        for pair in tried:
            scale = _between(*pair)
            if _error(scale, centres, counts) < _error(best, centres, counts):
                best = scale
    return best


def _between(low: float, high: float) -> Scale:
    scale = _single((high - low) / 255.0)
    return Scale(scale, int(np.clip(np.rint(-low / scale), 0, 255)), 8)


def _error(scale: Scale, centres: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Sum of squares of what rounding and cutting off do."""
    codes = np.clip(np.rint(centres / scale.scale), -scale.zero, 255 - scale.zero)
    return float(np.sum(counts * (codes * scale.scale - centres) ** 2))


def _single(value: float) -> float:
    """Rounded to float32, in which scales are stored; 1 for what float32 cannot hold."""
    rounded = float(np.float32(value))
    return rounded if rounded >= float(np.finfo(np.float32).tiny) else 1.0
