"""Sorted samples of several outputs and their prefix sums: what every fit reads.

A cell of a scalar quantizer is a slice of the sorted distinct values, so that its weight and its
sum are differences of prefix sums, and edges are positions in them. With cells of weight w and
sum s the squared error is

    sum (x - mean of its cell)^2 = sum x^2 - sum over cells s^2 / w,

so a fit maximises the gain, sum s^2 / w. The values are centred, so that little cancels in it. Its
rounding error is about 1e-15 of the variance, which bounds what a fit can see; distortions that are
reported are summed from the differences themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]
Index = NDArray[np.int64]

_FINE = 4096
_TAIL = 64
_ROUNDS = 3


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of R outputs, one behind the other; a row is an output.

    Attributes:
        points: distinct values less the row's centre, ascending, float64 (sum of counts,).
        weights: how many samples lie before a position, float64 (sum of counts + R,), each row
            from 0 to n.
        sums: the sum of the samples before a position, likewise.
        counts: distinct values of a row, (R,).
        centres: mean of a row, float64 (R,).
    """

    points: Real
    weights: Real
    sums: Real
    counts: Index
    centres: Real

    @staticmethod
    def of(z: NDArray[np.floating]) -> Samples:
        """From finite samples (n, R)."""
        size, rows = z.shape
        ordered = np.sort(np.ascontiguousarray(z.T), axis=1)
        fresh = np.ones(ordered.shape, dtype=bool)
        np.not_equal(ordered[:, 1:], ordered[:, :-1], out=fresh[:, 1:])
        counts = np.count_nonzero(fresh, axis=1).astype(np.int64)
        centres = ordered.mean(axis=1, dtype=np.float64)
        points = np.empty(int(counts.sum()))
        weights = np.zeros(len(points) + rows)
        sums = np.zeros(len(points) + rows)
        at = 0
        for row in range(rows):
            count = int(counts[row])
            starts = np.flatnonzero(fresh[row])
            own = points[at : at + count]
            np.subtract(ordered[row, starts], centres[row], out=own)
            first = at + row
            weights[first : first + count] = starts
            weights[first + count] = size
            np.cumsum(
                own * np.diff(weights[first : first + count + 1]), out=sums[first + 1 :][:count]
            )
            at += count
        return Samples(points, weights, sums, counts, centres)

    @cached_property
    def starts(self) -> Index:
        """Where the positions of each row begin in `weights` and `sums`, (R,)."""
        return np.cumsum(self.counts + 1) - self.counts - 1

    def row(self, row: int) -> Samples:
        """One row alone."""
        at = int(self.starts[row])
        count = int(self.counts[row])
        span = slice(at, at + count + 1)
        own = self.points[at - row : at - row + count]
        return Samples(
            own,
            self.weights[span],
            self.sums[span],
            self.counts[row : row + 1],
            self.centres[row : row + 1],
        )

    def means(self, edges: Index) -> Real:
        """Of a single row: edges (k + 1,) -> ascending means of the cells (k,), centred.

        An empty cell repeats the mean before it (the first ones: the first mean there is), so that
        values may repeat but never fall.
        """
        weight = np.diff(self.weights[edges])
        filled = weight > 0
        found = np.diff(self.sums[edges])[filled] / weight[filled]
        means: Real = np.maximum.accumulate(found)[np.maximum(np.cumsum(filled) - 1, 0)]
        return means

    def nearest(self, means: Real) -> Index:
        """Of a single row: edges (k + 1,) of the cells of ascending values (k,).

        A point midway is in the lower cell, as in the quantizer.
        """
        edges = np.empty(len(means) + 1, dtype=np.int64)
        edges[0], edges[-1] = 0, self.counts[0]
        edges[1:-1] = np.searchsorted(self.points, (means[1:] + means[:-1]) / 2, side="right")
        return edges

    def error(self, means: Real, edges: Index) -> float:
        """Of a single row: mean squared error of values (k,) on the cells of edges (k + 1,)."""
        away = self.points - np.repeat(means, np.diff(edges))
        away *= away
        away *= self._masses
        # Not a product of BLAS, which would start threads for it.
        return float(away.sum() / self.weights[-1])

    @cached_property
    def _masses(self) -> Real:
        return np.diff(self.weights)

    def grid(self, bins: int) -> Index:
        """Of a single row: ascending positions that make at most `bins` bins, 0 and count included.

        Their density is that of the values of a fine optimal quantizer, the cube root of the
        density of the samples (Panter and Dite 1951): a piece of weight w and length g weighs
        w^(1/3) g^(2/3).
        """
        count = int(self.counts[0])
        if count <= bins:
            return np.arange(count + 1)
        pieces, share = self._pieces
        places = np.diff(pieces)
        # A wide gap between two modes would draw bins that can only be empty.
        for _ in range(_ROUNDS):
            share = np.minimum(share, places * (share.sum() / bins))
        measure = np.concatenate([[0.0], np.cumsum(share)])
        inner = np.interp(np.arange(1, bins) / bins * measure[-1], measure, pieces)
        edges = np.unique(np.floor(inner).astype(np.int64) + 1)
        return np.concatenate([[0], edges[edges < count], [count]])

    @cached_property
    def _pieces(self) -> tuple[Index, Real]:
        """Points (p + 1,) between which pieces lie, and what each piece weighs in `grid`, (p,).

        The points are quantiles. The widest gap between two of them and the outermost samples are
        pieces of their own, for modes part there and one outlier can be worth a value.
        """
        count = int(self.counts[0])
        gaps = np.diff(self.points)
        stride = max(len(gaps) // _FINE, 1)
        whole = len(gaps) // stride * stride
        first = np.arange(0, whole, stride)
        widest = first + gaps[:whole].reshape(-1, stride).argmax(axis=1)
        tail = min(_TAIL, count)
        marks = np.zeros(count, dtype=bool)
        marks[:tail] = marks[count - tail :] = True
        for at in (first, widest, widest + 1):
            marks[at] = True
        pieces = np.flatnonzero(marks)
        length = np.diff(self.points[pieces])
        return pieces, np.cbrt(np.diff(self.weights[pieces]) * length * length)
