"""Searches the edges of the cells of each output, at the widths that are wanted.

Two modes. *Exact* is k-means by dynamic programming, on the distinct values where an output has at
most 4096 of them, else on 4096 bins and then refined on the samples: 0.1 to 0.2 s an output. *Fast*
is what training needs, some 0.015 s an output:

1. up to 6 bits, dynamic programming on 384 bins, then rounds on the samples (`refine`);
2. from 7 bits on, the cells of the width below are cut in two; a second start has the density of
   fine quantization; rounds improve both, and the best edges of either are taken.

Both end with two rounds of Lloyd's iteration, which makes the cells those that the quantizer uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from csideploy.quantizers.scalar.exact import partitions, partitions_of_few
from csideploy.quantizers.scalar.refine import marry, refine, split, transfer
from csideploy.quantizers.scalar.samples import Samples

Index = NDArray[np.int64]

_EXACT_BINS = 4096
_BINS = 384
_BINNED_BITS = 6
_LLOYD = 2

# Rounds, found by trial on ten kinds of samples (`tests/quantizers/scalar/kinds.py`).
_MOVE = 0.0
"""In a schedule: `transfer`; any other number is the reach of a round."""
_BINNED = (1.0, 0.25, 1 / 16)
_EXACT = (0.5, 1 / 8, 1 / 32)
_START = (_MOVE, _MOVE, _MOVE, 2.0, 1.0, 0.25, _MOVE, _MOVE, 2.0, 1.0, 0.25)
_FINISH = (_MOVE, _MOVE, 2.0, 1.0, 0.25, 0.1, 0.03)


def fits(
    samples: Samples, wanted: Index, exact: bool
) -> Iterator[tuple[int, int, NDArray[np.float32], float]]:
    """Row, bits, book float32 (2^bits,) and mean squared error, for wanted bits (R, any)."""
    few = samples.counts[:, None] <= np.left_shift(1, wanted)
    searched = np.where(few, 0, wanted)
    solve = _exact_edges if exact else _fast_edges
    for bits, rows, edges in solve(samples, searched):
        hit = (wanted[rows] == bits).any(axis=1)
        for row, own in zip(rows[hit].tolist(), edges[hit], strict=True):
            yield row, bits, *_settled(samples.row(row), own)
    for row, column in zip(*np.nonzero(few), strict=True):
        # A value for each distinct sample; the last one repeats.
        bits = int(wanted[row, column])
        one = samples.row(int(row))
        book = np.pad(one.points, (0, (1 << bits) - len(one.points)), mode="edge")
        yield int(row), bits, (book + one.centres[0]).astype(np.float32), 0.0


def _settled(one: Samples, edges: Index) -> tuple[NDArray[np.float32], float]:
    """Book and error after some rounds of Lloyd's iteration."""
    for _ in range(_LLOYD):
        edges = one.nearest(one.means(edges))
    means = one.means(edges)
    error = one.error(means, one.nearest(means))
    return (means + one.centres[0]).astype(np.float32), error


def _scheduled(samples: Samples, rows: Index, edges: Index, schedule: Iterable[float]) -> Index:
    for reach in schedule:
        if reach == _MOVE:
            edges = transfer(samples, rows, edges)
        else:
            edges = refine(samples, rows, edges, reach)
    return edges


def _exact_edges(samples: Samples, searched: Index) -> Iterator[tuple[int, Index, Index]]:
    for row, own in enumerate(searched):
        one = samples.row(row)
        grid = one.grid(_EXACT_BINS)
        widths = np.unique(own).tolist()
        cells = [1 << int(bits) for bits in widths]
        found = partitions(one.weights[grid], one.sums[grid], cells)
        rows = np.array([row])
        for bits, edges in zip(widths, found, strict=True):
            placed = grid[edges][None]
            if bits and len(grid) <= one.counts[0]:
                placed = _scheduled(samples, rows, placed, _EXACT)
            yield int(bits), rows, placed


def _fast_edges(samples: Samples, searched: Index) -> Iterator[tuple[int, Index, Index]]:
    # Those above the binned widths start from the highest binned one.
    top = searched.max(axis=1)
    low = np.unique(searched.clip(0, _BINNED_BITS))
    binned: dict[int, list[Index]] = {int(bits): [] for bits in low}
    owners: dict[int, list[int]] = {int(bits): [] for bits in low}
    for row, own in enumerate(searched.clip(0, _BINNED_BITS)):
        one = samples.row(row)
        grid = one.grid(_BINS)
        widths = [int(bits) for bits in np.unique(own)]
        found = partitions_of_few(one.weights[grid], one.sums[grid], [1 << bits for bits in widths])
        for bits, edges in zip(widths, found, strict=True):
            binned[bits].append(grid[edges])
            owners[bits].append(row)
    rows, placed = np.empty(0, dtype=np.int64), np.empty((0, 1), dtype=np.int64)
    for bits in binned:
        rows, placed = np.array(owners[bits]), np.array(binned[bits])
        if bits:
            placed = _scheduled(samples, rows, placed, _BINNED)
        yield bits, rows, placed
    for bits in range(_BINNED_BITS + 1, int(top.max()) + 1):
        climbing = top[rows] >= bits
        rows, placed = rows[climbing], placed[climbing]
        first = _scheduled(samples, rows, split(samples, rows, placed), _START)
        fine = np.array([_fine(samples.row(int(row)), 1 << bits) for row in rows])
        second = _scheduled(samples, rows, fine, _START)
        placed = _scheduled(samples, rows, marry(samples, rows, first, second), _FINISH)
        yield bits, rows, placed


def _fine(one: Samples, cells: int) -> Index:
    """Edges (cells + 1,) of the density of fine quantization; the last cells may be empty."""
    grid = one.grid(cells)
    return np.pad(grid, (0, cells + 1 - len(grid)), mode="edge")
