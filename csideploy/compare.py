"""Comparing two encoders code by code, and two float outputs sample by sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.onnx_oracle import Arrays
from csideploy.payload import pack_codes

BAND = 1e-5
"""Half the width around a threshold in which a float path may move a code."""
TOLERANCE = 1e-4


def float_error(a: NDArray[Any], b: NDArray[Any]) -> tuple[float, float]:
    """Largest |a - b|, and the bound that it must keep, 1e-4 max(1, max|b|)."""
    error = float(np.max(np.abs(a - b), initial=0.0))
    return error, TOLERANCE * max(1.0, float(np.max(np.abs(b), initial=0.0)))


def near_threshold(value: NDArray[np.floating], bits: int) -> NDArray[np.bool_]:
    """Whether each value lies within `BAND` of a threshold k / 2^B, k = 1 .. 2^B - 1."""
    levels = 2.0**bits
    nearest = np.clip(np.rint(value.astype(np.float64) * levels), 1, levels - 1) / levels
    close: NDArray[np.bool_] = np.abs(value - nearest) < BAND
    return close


def near_codebook(
    value: NDArray[np.floating], thresholds: NDArray[np.float32], widths: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """The same for thresholds of each output: within `BAND`, or that part of a larger threshold.

    Args:
        value: (n, M), before the quantizer.
        thresholds: (sum (2^B_m - 1),), output after output.
        widths: B_m, (M,).
    """
    close = np.zeros(value.shape, np.bool_)
    begin = 0
    for m, bits in enumerate(widths.tolist()):
        own = thresholds[begin : begin + (1 << bits) - 1].astype(np.float64)
        begin += len(own)
        if len(own):
            x = value[:, m].astype(np.float64)
            above = np.searchsorted(own, x).clip(0, len(own) - 1)
            for nearest in (own[above], own[(above - 1).clip(0)]):
                close[:, m] |= np.abs(x - nearest) < BAND * np.maximum(1.0, np.abs(nearest))
    return close


@dataclass
class CodeCount:
    """How many codes and bits differ between two encoders, summed over chunks."""

    bits: int
    codes: int = 0
    codes_differ: int = 0
    codes_differ_in_band: int = 0
    bits_differ: int = 0
    codes_in_band: int = 0
    packed_wrong: int = 0
    culprit: int | None = None
    """Index of the first sample with a code that differs outside the band."""

    def add(
        self,
        start: int,
        ours: Arrays,
        theirs: Arrays,
        before: NDArray[np.floating] | None,
    ) -> None:
        """Count one chunk; `before` is the tensor before the quantizer, None if unknown."""
        a, b = ours["codes"], theirs["codes"]
        differ = a != b
        band = near_threshold(before, self.bits) if before is not None else np.zeros_like(differ)
        self.codes += a.size
        self.codes_differ += int(differ.sum())
        self.codes_differ_in_band += int((differ & band).sum())
        self.codes_in_band += int(band.sum())
        self.bits_differ += int(np.bitwise_count(ours["payload"] ^ theirs["payload"]).sum())
        self.packed_wrong += int((pack_codes(a, self.bits) != ours["payload"]).any(axis=1).sum())
        outside = np.flatnonzero((differ & ~band).any(axis=1))
        if self.culprit is None and outside.size:
            self.culprit = start + int(outside[0])

    @property
    def holds(self) -> bool:
        """Whether no code differs outside the band."""
        return self.codes_differ == self.codes_differ_in_band

    @property
    def detail(self) -> str:
        """The counts, for people."""
        return (
            f"{self.codes_differ} of {self.codes:,} codes differ ({self.bits_differ} bits), "
            f"{self.codes_differ_in_band} of them inside the band"
        )

    def figures(self, side: str) -> dict[str, int]:
        """The counts, for scripts."""
        names = ("codes", "codes_differ", "codes_differ_in_band", "codes_in_band", "bits_differ")
        return {f"{side}_{name}": getattr(self, name) for name in names}


@dataclass
class FloatError:
    """Largest error of a float output, over chunks, against the bound of each chunk."""

    error: float = 0.0
    bound: float = TOLERANCE
    holds: bool = True
    culprit: int | None = None

    def add(self, start: int, ours: NDArray[Any], theirs: NDArray[Any]) -> None:
        """Compare one chunk sample by sample."""
        for offset, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            error, bound = float_error(a, b)
            self.error, self.bound = max(self.error, error), max(self.bound, bound)
            # A NaN compares with nothing, and an infinite output has an infinite bound.
            if not (math.isfinite(error) and error <= bound):
                self.error = error if math.isnan(error) else self.error
                self.holds = False
                if self.culprit is None:
                    self.culprit = start + offset

    @property
    def detail(self) -> str:
        """Error and bound, for people."""
        return f"max error {self.error:.3g}, bound {self.bound:.3g}"

    def figures(self, side: str) -> dict[str, float]:
        """Error and bound, for scripts."""
        return {f"{side}_max_error": self.error, f"{side}_bound": self.bound}
