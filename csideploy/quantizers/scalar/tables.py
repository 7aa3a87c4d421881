"""Fits the codebooks of all outputs and tells their distortions, the l of paper 001, eq. 2 and 3.

How the cells are searched, and what exact and fast mean, is in `fits`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.quantizers.scalar.codebook import MOST_BITS, Codebook
from csideploy.quantizers.scalar.fits import fits
from csideploy.quantizers.scalar.samples import Samples

Real = NDArray[np.float64]
Index = NDArray[np.int64]

_CHUNK = 32
_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Tables:
    """What every output loses at every width, and the codebooks that lose it.

    Attributes:
        table: mean squared error, float64 (M, most_bits + 1), never rising with the width.
        values: the fitted values, float32 (M, 2^(most_bits + 1) - 1), those of b bits from
            2^b - 1 on. All are kept: 1 MB for 512 outputs.
    """

    table: Real
    values: NDArray[np.float32]

    def codebook(self, widths: NDArray[np.uint8]) -> Codebook:
        """The fitted codebooks at widths (M,), 0 to most_bits; nothing is fitted again.

        Raises:
            InputError: widths do not fit the tables.
        """
        checked = _widths(widths, len(self.table))
        if int(checked.max()) >= self.table.shape[1]:
            raise InputError(
                f"width {int(checked.max())}; the tables go to {self.table.shape[1] - 1} bits"
            )
        ends = np.left_shift(2, checked.astype(np.int64)) - 1
        books = [row[end // 2 : end] for row, end in zip(self.values, ends, strict=True)]
        return Codebook(checked, np.concatenate(books))


def distortions(
    z: NDArray[np.floating],
    *,
    most_bits: int = MOST_BITS,
    exact: bool = False,
    progress: Advance = quiet,
) -> Tables:
    """Codebooks of 0 to `most_bits` bits for every output, with their errors.

    Args:
        z: samples of the outputs, finite (n, M).
        most_bits: 0 to 8.
        exact: the optimum, slowly.
        progress: is told the outputs done.

    Raises:
        InputError: wrong shape or type, no samples, a value that is not finite.
    """
    samples = _checked(z)
    if not 0 <= most_bits <= MOST_BITS:
        raise InputError(f"most_bits {most_bits}; 0 to {MOST_BITS} are right")
    outputs = samples.shape[1]
    table = np.empty((outputs, most_bits + 1))
    values = np.empty((outputs, (2 << most_bits) - 1), dtype=np.float32)
    everything = np.arange(most_bits + 1)
    for first, part in _chunks(samples, np.arange(outputs), exact, progress):
        wanted = np.tile(everything, (len(part.counts), 1))
        for row, bits, book, error in fits(part, wanted, exact):
            table[first + row, bits] = error
            values[first + row, (1 << bits) - 1 : (2 << bits) - 1] = book
    for bits in range(1, most_bits + 1):
        # A rise can only be rounding, or few values: the narrower book, each value twice.
        for m in np.flatnonzero(table[:, bits] > table[:, bits - 1]):
            table[m, bits] = table[m, bits - 1]
            narrow = values[m, (1 << bits - 1) - 1 : (1 << bits) - 1]
            values[m, (1 << bits) - 1 : (2 << bits) - 1] = np.repeat(narrow, 2)
    return Tables(table, values)


def fit_codebook(
    z: NDArray[np.floating],
    widths: NDArray[np.uint8],
    *,
    exact: bool = False,
    progress: Advance = quiet,
) -> Codebook:
    """Codebooks of samples (n, M) at widths (M,) alone.

    Args, raises: as `distortions`.
    """
    samples = _checked(z)
    checked = _widths(widths, samples.shape[1])
    found: list[NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(checked)
    # Like widths together, so that no output is fitted at widths that only others need.
    order = np.argsort(checked, kind="stable")
    for first, part in _chunks(samples, order, exact, progress):
        wanted = checked[order[first : first + len(part.counts)], None].astype(np.int64)
        for row, _, book, _ in fits(part, wanted, exact):
            found[int(order[first + row])] = book
    return Codebook(checked, np.concatenate(found))


def uniform_widths(m: int, bits: int) -> NDArray[np.uint8]:
    """The same number of bits, 0 to 8, for each of m outputs: uint8 (m,)."""
    if m < 1 or not 0 <= bits <= MOST_BITS:
        raise InputError(f"{m} outputs of {bits} bits; at least 1 output of 0 to {MOST_BITS} bits")
    return np.full(m, bits, dtype=np.uint8)


def _checked(z: NDArray[np.floating]) -> NDArray[np.floating]:
    if z.ndim != 2 or not z.size or not np.issubdtype(z.dtype, np.floating):
        raise InputError(f"outputs {z.dtype} {z.shape}; floating (n, M), both at least 1, needed")
    # NumPy sorts 32 and 64 bits fast.
    wide = z.astype(np.float32) if z.dtype.itemsize < 4 else z
    for start in range(0, len(wide), 4096):
        right = (np.abs(wide[start : start + 4096]) <= _MOST).all(axis=0)
        if not right.all():
            m = int(np.flatnonzero(~right)[0])
            raise InputError(f"output {m} has a sample that is not a finite float32")
    return wide


def _widths(widths: NDArray[np.uint8], outputs: int) -> NDArray[np.uint8]:
    if widths.shape != (outputs,) or not np.issubdtype(widths.dtype, np.integer):
        raise InputError(f"widths {widths.dtype} {widths.shape}; integers ({outputs},) needed")
    if widths.min() < 0 or widths.max() > MOST_BITS:
        raise InputError(f"widths {widths.min()} to {widths.max()}; 0 to {MOST_BITS} are right")
    return widths.astype(np.uint8)


def _chunks(
    z: NDArray[np.floating], order: Index, exact: bool, progress: Advance
) -> Iterator[tuple[int, Samples]]:
    """The outputs in order, some at a time: where they start in it, and their samples.

    32 outputs of 100,000 samples take 80 MB, in arrays that the allocator keeps from one chunk to
    the next. The exact mode gains nothing from company: few at a time, so that progress is seen.
    """
    size = 4 if exact else _CHUNK
    total = len(order)
    progress(0, total)
    for first in range(0, total, size):
        own = order[first : first + size]
        last = int(own[-1]) + 1
        # A view, where it can be: to pick columns one by one takes longer than to sort them.
        neighbours = last - int(own[0]) == len(own) and (np.diff(own) == 1).all()
        yield first, Samples.of(z[:, own[0] : last] if neighbours else z[:, own])
        progress(min(first + size, total), total)
