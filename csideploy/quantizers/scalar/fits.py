"""Searches the edges of the cells of each output, at the widths that are wanted.

Two modes. *Exact* is k-means by dynamic programming, on the distinct values where an output has at
most 4096 of them, else on 4096 bins and then refined on the samples: 0.1 s an output. *Fast* is
what training needs, a tenth of that:

1. dynamic programming on bins, up to 5 bits all of them in one go, then a width at a time with
   cells of a few bins;
2. there also the cells of the width below, cut in two, with edges moved to where they help
   most; the best edges of either start are taken;
3. rounds on the samples (`refine`).

Both end with two rounds of Lloyd's iteration, which makes the cells those that the quantizer uses.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from csideploy.quantizers.scalar.exact import (
    partition_of_narrow,
    partitions,
    partitions_of_few,
)
from csideploy.quantizers.scalar.refine import marry, refine, split, transfer
from csideploy.quantizers.scalar.samples import Samples

Index = NDArray[np.int64]

_LLOYD = 2
_EXACT_BINS = 4096
_BINS = 384
_BINNED_BITS = 5
_NARROW = {6: (768, 40), 7: (896, 20), 8: (1280, 13)}
"""Bins and the most bins of a cell, about three times their mean, at the higher widths."""
_WIDENINGS = 2

_MOVE = 0.0
"""In a schedule: `transfer`; any other number is the reach of a round."""
_SETTLE = (1.0, 0.25, 1 / 16)
_EXACT = (0.5, 1 / 8, 1 / 32)
_NARROWED = (1.0, 0.25)
_SPLIT = (_MOVE, _MOVE, 1.0)
_MARRIED = (1.0, 0.25, 0.1, 0.03)


def fits(
    samples: Samples, wanted: Index, exact: bool
) -> Iterator[tuple[int, int, NDArray[np.float32], float]]:
    """Row, bits, book float32 (2^bits,) and mean squared error, for wanted bits (R, any)."""
    few = samples.counts[:, None] <= np.left_shift(1, wanted)
    searched = np.where(few, 0, wanted)
    ones = [samples.row(row) for row in range(len(searched))]
    solve = _exact_edges if exact else _fast_edges
    for bits, rows, edges in solve(samples, ones, searched):
        hit = (wanted[rows] == bits).any(axis=1)
        for row, own in zip(rows[hit].tolist(), edges[hit], strict=True):
            yield row, bits, *_settled(ones[row], own)
    for row, column in zip(*np.nonzero(few), strict=True):
        # A value for each distinct sample; the last one repeats.
        bits = int(wanted[row, column])
        one = ones[row]
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


def _exact_edges(
    samples: Samples, ones: list[Samples], searched: Index
) -> Iterator[tuple[int, Index, Index]]:
    for row, own in enumerate(searched):
        one = ones[row]
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


def _fast_edges(
    samples: Samples, ones: list[Samples], searched: Index
) -> Iterator[tuple[int, Index, Index]]:
    top = searched.max(axis=1)
    owners: list[list[int]] = [[] for _ in range(_BINNED_BITS + 1)]
    binned: list[list[Index]] = [[] for _ in range(_BINNED_BITS + 1)]
    for row, own in enumerate(searched):
        widths = [int(bits) for bits in np.unique(own.clip(0, _BINNED_BITS))]
        one = ones[row]
        grid = one.grid(_BINS)
        found = partitions_of_few(one.weights[grid], one.sums[grid], [1 << b for b in widths])
        for bits, edges in zip(widths, found, strict=True):
            owners[bits].append(row)
            binned[bits].append(grid[edges])
    rows, below = np.empty(0, dtype=np.int64), np.empty((0, 1), dtype=np.int64)
    for bits, found in enumerate(binned):
        if found:
            rows = np.array(owners[bits])
            below = _scheduled(samples, rows, np.array(found), _SETTLE if bits else ())
            yield bits, rows, below
    # From here on a width needs the one below: all rows that are to get higher climb along.
    for bits in range(_BINNED_BITS + 1, int(top.max()) + 1):
        climbing = top[rows] >= bits
        rows, below = rows[climbing], below[climbing]
        edges = np.array([_narrow(ones[row], bits) for row in rows])
        edges = _scheduled(samples, rows, edges, _NARROWED)
        cut = _scheduled(samples, rows, split(samples, rows, below), _SPLIT)
        edges = _scheduled(samples, rows, marry(samples, rows, edges, cut), _MARRIED)
        below = edges
        yield bits, rows, edges


def _narrow(one: Samples, bits: int) -> Index:
    """Edges (2^bits + 1,) on bins; cells that are as wide as allowed are allowed to be wider."""
    bins, widest = _NARROW[bits]
    grid = one.grid(bins)
    most = len(grid) - 1
    widest = max(widest, -(-most >> bits))
    for _ in range(_WIDENINGS + 1):
        widest = min(widest, most)
        edges = partition_of_narrow(one.weights[grid], one.sums[grid], 1 << bits, widest)
        if widest == most or int(np.diff(edges).max()) < widest:
            break
        widest *= 2
    found: Index = grid[edges]
    return found
