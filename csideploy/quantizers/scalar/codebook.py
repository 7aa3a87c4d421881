"""A codebook for every encoder output, each with its own number of bits (paper 001, eq. 1).

Output m has B_m bits, 0 to 8, and 2^B_m ascending values. Its code is the rank of the nearest
value; a point midway goes to the lower one, so that

    code = number of midpoints (w_j + w_(j+1)) / 2 that are < z.

The UE needs the midpoints alone, sum (2^B_m - 1) thresholds; the BS needs the values. An output of
0 bits is not sent: its one value, the mean, stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

MOST_BITS = 8


@dataclass(frozen=True, eq=False)
class Codebook:
    """The codebooks of M outputs, one behind the other.

    Attributes:
        widths: B_m, uint8 (M,), 0 to 8.
        values: float32 (sum 2^B_m,), ascending within each output.

    Raises:
        InputError: sizes do not fit, or values fall or are not finite.
    """

    widths: NDArray[np.uint8]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.widths.dtype != np.uint8 or self.widths.ndim != 1 or not self.widths.size:
            raise InputError("codebook: widths are uint8 (M,), M at least 1")
        if int(self.widths.max()) > MOST_BITS:
            raise InputError(f"codebook: {int(self.widths.max())} bits; 0 to {MOST_BITS} are right")
        wanted = (int(self.sizes.sum()),)
        if self.values.dtype != np.float32 or self.values.shape != wanted:
            raise InputError(
                f"codebook: values {self.values.dtype} {self.values.shape}; float32 {wanted} fit "
                "the widths"
            )
        if not np.isfinite(self.values).all():
            raise InputError("codebook: a value is not finite")
        falling = np.diff(self.values) < 0
        falling[self.ends[:-1] - 1] = False
        if falling.any():
            m = int(np.searchsorted(self.ends, int(np.flatnonzero(falling)[0]), side="right"))
            raise InputError(f"codebook: the values of output {m} are not in ascending order")

    @property
    def outputs(self) -> int:
        """M."""
        return len(self.widths)

    @property
    def bits(self) -> int:
        """Bits a sample, sum B_m."""
        return int(self.widths.sum())

    @property
    def sizes(self) -> NDArray[np.int64]:
        """2^B_m, (M,)."""
        return np.left_shift(1, self.widths.astype(np.int64))

    @cached_property
    def ends(self) -> NDArray[np.int64]:
        """Where the values of each output end, (M,)."""
        return np.cumsum(self.sizes)

    @cached_property
    def thresholds(self) -> NDArray[np.float32]:
        """The midpoints, float32 (sum (2^B_m - 1),), never falling within an output.

        Added in float64 and rounded once, so that every machine has the same ones.
        """
        middle = (self.values[:-1].astype(np.float64) + self.values[1:]) / 2
        inner = np.ones(len(self.values) - 1, dtype=bool)
        inner[self.ends[:-1] - 1] = False
        return middle[inner].astype(np.float32)

    def book(self, m: int) -> NDArray[np.float32]:
        """The values of output m, (2^B_m,)."""
        end = int(self.ends[m])
        return self.values[end - int(self.sizes[m]) : end]

    def rounded(self) -> Codebook:
        """The same with values of float16, as the BS stores them.

        11 bits of each value stay: at most 0.006 dB where an output's mean is no more than a few
        times its spread, as an encoder's are; far more where an offset dwarfs the spread.
        """
        limit = np.finfo(np.float16).max
        half = np.clip(self.values, -limit, limit).astype(np.float16)
        return Codebook(self.widths, half.astype(np.float32))

    def quantize(self, z: NDArray[np.floating]) -> NDArray[np.uint8]:
        """Z (n, M) -> codes (n, M); a NaN, of which no midpoint is smaller, has code 0."""
        codes = np.zeros(z.shape, dtype=np.uint8)
        ends = np.cumsum(self.sizes - 1)
        for m in np.flatnonzero(self.widths):
            own = self.thresholds[ends[m] - self.sizes[m] + 1 : ends[m]]
            codes[:, m] = np.searchsorted(own, z[:, m], side="left")
        # A sort puts NaN last, so that the search would give it the highest code.
        codes[np.isnan(z)] = 0
        return codes

    def dequantize(self, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Codes (n, M) -> values (n, M); of a code only the low B_m bits are read."""
        low = codes & (self.sizes - 1)
        found: NDArray[np.float32] = self.values[self.ends - self.sizes + low]
        return found
