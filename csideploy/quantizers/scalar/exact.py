"""Exact k-means of weighted points on a line, by dynamic programming.

With G_k[j] the highest gain (`samples`) of k cells over the first j points,

    G_k[j] = max over i <= j of G_(k-1)[i] + (S_j - S_i)^2 / (W_j - W_i).

The error of a cell obeys the quadrangle inequality, so the best i never falls as j rises (Groenlund
et al., arXiv:1701.07204, section 2). Hence, once the best i of every second j is known, those of
the others lie between their neighbours', and all of them are found with at most n + n / 2 trials: a
layer of k costs n log n, in log n vectorised sweeps.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Real = NDArray[np.float64]
Index = NDArray[np.int64]


def layer(before: Real, weights: Real, sums: Real) -> tuple[Real, Index]:
    """G_(k-1) (n + 1,) and prefix sums (n + 1,) -> G_k and the best i of each j (the lowest)."""
    end = len(before)
    after = np.zeros(end)
    best = np.zeros(end, dtype=np.int64)
    # Known are j = 0 and, after each sweep, all multiples of the stride.
    for level in range((end - 1).bit_length() - 1, -1, -1):
        stride = 1 << level
        to = np.arange(stride, end, 2 * stride)
        low = best[to - stride]
        above = to + stride
        high = np.where(above < end, best[np.minimum(above, end - 1)], to)
        np.minimum(high, to, out=high)
        length = high - low + 1
        first = np.cumsum(length) - length
        owner = np.repeat(np.arange(len(to)), length)
        start = np.arange(len(owner)) - first[owner] + low[owner]
        weight = weights[to][owner] - weights[start]
        gain = sums[to][owner] - sums[start]
        gain *= gain
        # An empty cell gains nothing; weights of points are at least 1.
        gain /= np.maximum(weight, 0.5)
        gain += before[start]
        top = np.maximum.reduceat(gain, first)
        hit = np.flatnonzero(gain == top[owner])[::-1]
        best[to[owner[hit]]] = start[hit]
        after[to] = top
    return after, best


def partitions(weights: Real, sums: Real, cells: list[int]) -> list[Index]:
    """The best partition of n weighted points for each number of cells.

    Args:
        weights: weight before each position, float64 (n + 1,).
        sums: weighted sum before each position, float64 (n + 1,).
        cells: ascending numbers of cells, each at least 1.

    Returns:
        Edges (k + 1,) from 0 to n, for each k of `cells`; cells are empty where k > n.
    """
    end = len(weights) - 1
    most = min(cells[-1], end)
    gains = np.zeros(end + 1)
    gains[1:] = sums[1:] ** 2 / weights[1:]
    back = np.zeros((most, end + 1), dtype=np.int32)
    for k in range(1, most):
        gains, back[k] = layer(gains, weights, sums)
    return _traced(back, cells)


def partitions_of_few(weights: Real, sums: Real, cells: list[int]) -> list[Index]:
    """The same for some hundred points: all pairs at once are faster than sweeps there."""
    end = len(weights) - 1
    most = min(cells[-1], end)
    width = weights[:, None] - weights
    pair = sums[:, None] - sums
    pair *= pair
    pair /= np.maximum(width, 0.5)
    # Row j, column i: no cell ends before it starts.
    pair[width < 0] = -np.inf
    gains = pair[:, 0].copy()
    back = np.zeros((most, end + 1), dtype=np.int32)
    trial = np.empty_like(pair)
    rows = np.arange(end + 1)
    for k in range(1, most):
        np.add(pair, gains, out=trial)
        back[k] = trial.argmax(axis=1)
        gains = trial[rows, back[k]]
    return _traced(back, cells)


def _traced(back: NDArray[np.int32], cells: list[int]) -> list[Index]:
    """Edges from the best starts of the last cell, back (most, n + 1)."""
    most, end = len(back), back.shape[1] - 1
    found = []
    for count in cells:
        edges = np.full(count + 1, end, dtype=np.int64)
        for k in range(min(count, most) - 1, 0, -1):
            edges[k] = back[k, edges[k + 1]]
        edges[0] = 0
        found.append(edges)
    return found


def partition_of_narrow(weights: Real, sums: Real, cells: int, widest: int) -> Index:
    """The best partition into cells of at most `widest` points each: edges (cells + 1,).

    For bins of about equal worth and many cells no cell has many bins, so that a layer costs
    n widest. Needs cells widest >= n.
    """
    end = len(weights) - 1
    # Column j of `pair`: the gain of cells that end at j and have widest, .., 1, 0 points.
    start = np.arange(end + 1) - np.arange(widest, -1, -1)[:, None]
    inside = np.maximum(start, 0)
    pair = sums - sums[inside]
    pair *= pair
    pair /= np.maximum(weights - weights[inside], 0.5)
    pair[start < 0] = -np.inf
    # Column j of the windows: the gains before, at j - widest, .., j.
    gains = np.full((cells + 1, widest + end + 1), -np.inf)
    gains[0, widest] = 0.0
    windows = sliding_window_view(gains, end + 1, axis=1)
    trial = np.empty_like(pair)
    for k in range(cells):
        np.add(windows[k], pair, out=trial)
        np.max(trial, axis=0, out=gains[k + 1, widest:])
    edges = np.full(cells + 1, end, dtype=np.int64)
    for k in range(cells - 1, -1, -1):
        to = edges[k + 1]
        edges[k] = to - widest + int((windows[k, :, to] + pair[:, to]).argmax())
    return edges
