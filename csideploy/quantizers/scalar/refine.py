"""Improves the edges of many outputs at once: dynamic programming in windows.

Lloyd's iteration moves each edge by what its two cells ask for, so that a shortage of values at one
end of the range takes hundreds of rounds to be felt at the other, and a value in the wrong mode
stays there. Here every edge may go to one of W places, from the edge before it to the edge after
it, and the best choice for all edges together is found exactly:

    best_j[q] = max over p <= q of best_(j-1)[p] + gain of the cell from p to q.

One round can hand a value from any cell to any other (all edges between the two move by one cell),
and no round loses, as "stay" is among the places. Rounds with ever smaller steps then settle the
edges.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.quantizers.scalar.samples import Samples

Real = NDArray[np.float64]
Index = NDArray[np.int64]


def refine(samples: Samples, rows: Index, edges: Index, reach: float) -> Index:
    """One round.

    Args:
        samples: of all outputs.
        rows: the outputs to improve, (R,).
        edges: their edges, positions (R, k + 1), never falling, k at least 2.
        reach: how far an edge may go, as a part of the cell on that side, up to 1.

    Returns:
        Edges (R, k + 1), whose gain is not lower.
    """
    return _choose(samples, rows, edges, _places(edges, reach, 4))


def marry(samples: Samples, rows: Index, first: Index, second: Index) -> Index:
    """The best edges that take each place from either of two solutions, or from near it.

    One solution may be better at one end of the range and one at the other; and one may have some
    values more than the other on the way, so that the neighbours' places are open too.
    Args, returns: as `refine`; the gain is not lower than either's.
    """
    places = np.concatenate([_places(first, 1.0, 2), _places(second, 1.0, 2)], axis=1)
    return _choose(samples, rows, first, places)


def _places(edges: Index, reach: float, sides: int) -> Index:
    """Edges (R, k + 1) -> where the inner ones may go, (k - 1, 2 sides + 1, R)."""
    ends = edges.T
    last = len(ends) - 1
    inner = np.arange(1, last)[:, None]
    away = np.arange(1, sides + 1) * (reach / sides)
    whole = np.ceil(away).astype(np.int64)
    part = (away - whole + 1)[:, None]
    # Rounded away from the edge, so that the smallest move is one point and not none.
    near, far = ends[np.maximum(inner - whole + 1, 0)], ends[np.maximum(inner - whole, 0)]
    down = near - np.ceil((near - far) * part).astype(np.int64)
    near, far = ends[np.minimum(inner + whole - 1, last)], ends[np.minimum(inner + whole, last)]
    up = near + np.ceil((far - near) * part).astype(np.int64)
    return np.concatenate([down, ends[1:-1, None], up], axis=1)


def _choose(samples: Samples, rows: Index, edges: Index, places: Index) -> Index:
    """Inner edges of the highest gain from places (k - 1, W, R); the outer ones stay."""
    starts = samples.starts[rows]
    weight = samples.weights[places + starts]
    total = samples.sums[places + starts]
    whole = samples.weights[starts + edges[:, -1]]

    # (k - 2, W before, W behind, R); an empty cell gains nothing, a negative one is no cell.
    width = weight[1:, None] - weight[:-1, :, None]
    gain = total[1:, None] - total[:-1, :, None]
    gain *= gain
    gain /= np.maximum(width, 0.5)
    gain[width < 0] = -np.inf

    best = np.empty(weight.shape)
    best[0] = total[0] ** 2 / np.maximum(weight[0], 0.5)
    for j in range(1, len(best)):
        np.max(best[j - 1][:, None] + gain[j - 1], axis=0, out=best[j])
    last = (samples.sums[starts + edges[:, -1]] - total[-1]) ** 2
    last /= np.maximum(whole - weight[-1], 0.5)

    row = np.arange(len(rows))
    moved = edges.copy()
    taken = np.argmax(best[-1] + last, axis=0)
    moved[:, -2] = places[-1, taken, row]
    for j in range(len(best) - 2, -1, -1):
        taken = np.argmax(best[j] + gain[j][:, taken, row], axis=0)
        moved[:, j + 1] = places[j, taken, row]
    return moved


def split(samples: Samples, rows: Index, edges: Index) -> Index:
    """Cuts every cell at its mean: edges (R, k + 1) -> (R, 2k + 1)."""
    twice = np.empty((len(rows), 2 * edges.shape[1] - 1), dtype=np.int64)
    twice[:, ::2] = edges
    for at, row in enumerate(rows):
        own = samples.row(int(row))
        means = own.means(edges[at])
        cut = np.searchsorted(own.points, means, side="right")
        twice[at, 1::2] = np.clip(cut, edges[at, :-1], edges[at, 1:])
    return twice


def transfer(samples: Samples, rows: Index, edges: Index) -> Index:
    """Takes edges from where they help least to where they help most, many at once.

    An edge between two cells is worth the gain that merging them loses; a cell is worth cutting, at
    its mean, by the gain of its halves. The cheapest edges go to the dearest cuts, as long as a
    move wins; of neighbouring edges only one may go, and no cut is made beside one that goes, so
    that the wins add up.

    Args, returns: as `refine`, whose rounds carry one edge from place to place; k at least 4.
    """
    starts = samples.starts[rows][:, None]
    weight = np.diff(samples.weights[edges + starts], axis=1)
    total = np.diff(samples.sums[edges + starts], axis=1)
    gain = total**2 / np.maximum(weight, 0.5)
    joined = (total[:, 1:] + total[:, :-1]) ** 2 / np.maximum(weight[:, 1:] + weight[:, :-1], 0.5)
    loss = gain[:, 1:] + gain[:, :-1] - joined

    middle = split(samples, rows, edges)[:, 1::2]
    low = np.diff(np.stack([edges[:, :-1], middle]), axis=0)[0]
    first = samples.weights[middle + starts] - samples.weights[edges[:, :-1] + starts]
    part = samples.sums[middle + starts] - samples.sums[edges[:, :-1] + starts]
    win = part**2 / np.maximum(first, 0.5)
    win += (total - part) ** 2 / np.maximum(weight - first, 0.5) - gain
    win[low == 0] = 0.0

    # A strict minimum among its neighbours, of equal ones the first: no two side by side.
    fence = np.full((len(rows), 1), np.inf)
    walled = np.concatenate([fence, loss, fence], axis=1)
    free = (loss < walled[:, :-2]) & (loss <= walled[:, 2:])
    loss = np.where(free, loss, np.inf)
    beside = np.zeros(gain.shape, dtype=bool)
    cheap = np.argsort(loss, axis=1, kind="stable")
    order = np.take_along_axis(loss, cheap, axis=1)
    dear = np.sort(win, axis=1)[:, ::-1][:, : order.shape[1]]
    count = np.count_nonzero(order < dear, axis=1)
    moved = edges.copy()
    for at in np.flatnonzero(count):
        away = cheap[at, : count[at]]
        beside[at, away] = beside[at, away + 1] = True
        cut = np.argsort(-np.where(beside[at], 0.0, win[at]), kind="stable")[: count[at]]
        pays = loss[at, away] < np.where(beside[at], 0.0, win[at])[cut]
        moved[at, away[pays] + 1] = middle[at, cut[pays]]
    moved.sort(axis=1)
    return moved
