"""Comparing two encoders code by code, and two float outputs sample by sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.band import Near
from csideploy.onnx_oracle import Arrays
from csideploy.payload import Layout

TOLERANCE = 1e-4


def float_error(a: NDArray[Any], b: NDArray[Any]) -> tuple[float, float]:
    """Largest |a - b|, and the bound that it must keep, 1e-4 max(1, max|b|)."""
    error = float(np.max(np.abs(a - b), initial=0.0))
    return error, TOLERANCE * max(1.0, float(np.max(np.abs(b), initial=0.0)))


@dataclass
class CodeCount:
    """How many codes and bits differ between two encoders, summed over chunks.

    layout: of the payload. near: the band of their quantizer; None if it is not known.
    """

    layout: Layout
    near: Near | None = None
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
        """Count one chunk; `before` is what went into the quantizer, None if it is not known."""
        a, b = ours["codes"], theirs["codes"]
        differ = a != b
        band = np.zeros_like(differ)
        if self.near is not None and before is not None:
            band = self.near(before)
        self.codes += a.size
        self.codes_differ += int(differ.sum())
        self.codes_differ_in_band += int((differ & band).sum())
        self.codes_in_band += int(band.sum())
        self.bits_differ += int(np.bitwise_count(ours["payload"] ^ theirs["payload"]).sum())
        self.packed_wrong += int((self.layout.pack(a) != ours["payload"]).any(axis=1).sum())
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
