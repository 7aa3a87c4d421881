"""Cluster centres of weighted points: k-means, and its soft form (DKM).

Lloyd's two steps, assignment and centroid, from starts by k-means++ (Arthur and Vassilvitskii
2007); DKM replaces the assignment by a softmax of distances (Cho et al. 2022; paper 000,
eq. 25-27). Distances are float32 matrix products in chunks; sums are float64.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

Floats = NDArray[np.float64]
Start = Literal["kmeans++", "sample"]
STARTS = ("kmeans++", "sample")

_CHUNK = 1 << 21
_ROUNDS = 1024
"""Of drawing: up to so many centres each is drawn alone, as k-means++ has it; more in batches."""


def plus_plus(
    points: NDArray[np.float32], weights: Floats, count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Centres drawn from the points, each far from those before it.

    The probability is proportional to weight x squared distance to the centres drawn already. Where
    that is zero everywhere (all points with a weight are centres already), by the distance
    alone; where that is zero too, evenly.

    Args:
        points: (n, D).
        weights: (n,), not negative, not all zero.
        count: of centres, at most n unless points are to stand twice.
        rng: of the draws.

    Returns:
        float32 (count, D).
    """
    norms = np.square(points).sum(axis=1)
    chosen = [int(rng.choice(len(points), p=weights / weights.sum()))]
    distance = np.full(len(points), np.inf, np.float32)
    batch = max(1, count // _ROUNDS)
    while True:
        new = points[chosen[-batch:]]
        for at in range(0, len(points), step := max(1, _CHUNK // len(new))):
            part = slice(at, at + step)
            squared = norms[part, None] - 2 * (points[part] @ new.T) + np.square(new).sum(axis=1)
            np.minimum(distance[part], squared.min(axis=1), out=distance[part])
        # A centre's own distance is rounding and must not be drawn again while others are left.
        distance[chosen[-batch:]] = 0
        np.maximum(distance, 0, out=distance)
        missing = count - len(chosen)
        if not missing:
            return points[chosen]
        mass = weights * distance
        if not mass.sum() > 0:
            mass = distance.astype(np.float64)
        if not mass.sum() > 0:
            mass = np.ones(len(points))
        sums = np.cumsum(mass)
        draws = rng.random(min(batch, missing)) * sums[-1]
        chosen += np.minimum(np.searchsorted(sums, draws, side="right"), len(points) - 1).tolist()


def assign(
    points: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int64], Floats]:
    """The nearest centre of each point, and the squared distance to it, not negative.

    Args:
        points: (n, D).
        centres: (J, D).

    Returns:
        int64 (n,), float64 (n,).
    """
    found = np.empty(len(points), np.int64)
    turned = np.ascontiguousarray(-2 * centres.T)
    norms = np.square(centres).sum(axis=1)
    step = max(1, _CHUNK // len(centres))
    for at in range(0, len(points), step):
        scores = points[at : at + step] @ turned
        scores += norms
        found[at : at + step] = scores.argmin(axis=1)
    return found, np.square(points - centres[found], dtype=np.float64).sum(axis=1)


def sums_by_cell(
    points: NDArray[np.float32], weights: Floats, cell: NDArray[np.int64], count: int
) -> tuple[Floats, Floats]:
    """Weighted sum of each cell's points, (count, D), and its weight, (count,)."""
    order = np.argsort(cell, kind="stable")
    cells, starts = np.unique(cell[order], return_index=True)
    sums = np.zeros((count, points.shape[1]))
    sums[cells] = np.add.reduceat(points[order] * weights[order, None], starts, axis=0)
    return sums, np.bincount(cell, weights, count).astype(np.float64)


def lloyd(
    points: NDArray[np.float32],
    centres: NDArray[np.float32],
    weights: Floats,
    *,
    iterations: int,
    progress: Advance = quiet,
) -> tuple[NDArray[np.float32], float]:
    """Assignment and centroid in turns until no point changes its cell.

    A cell without weight takes the point that weighs most in the error (weight x squared distance),
    a different one each: the error only falls. The error never rises from step to step, but for the
    rounding of float32.

    Args:
        points: (n, D).
        centres: (J, D), where to start.
        weights: (n,), not negative, not all zero.
        iterations: at most.
        progress: called with iterations done and in all.

    Returns:
        float32 (J, D), and the weighted mean squared distance to them.
    """
    centres = centres.copy()
    before: NDArray[np.int64] | None = None
    for iteration in range(iterations):
        cell, squared = assign(points, centres)
        if before is not None and np.array_equal(cell, before):
            progress(iterations, iterations)
            break
        before = cell
        sums, mass = sums_by_cell(points, weights, cell, len(centres))
        filled = mass > 0
        centres[filled] = sums[filled] / mass[filled, None]
        empty = np.flatnonzero(~filled)
        if len(empty):
            worst = np.argsort(-(weights * squared), kind="stable")[: len(empty)]
            centres[empty[: len(worst)]] = points[worst]
        progress(iteration + 1, iterations)
    return centres, error(points, centres, weights)


def error(points: NDArray[np.float32], centres: NDArray[np.float32], weights: Floats) -> float:
    """Weighted mean of the squared distance to the nearest centre."""
    return float(weights @ assign(points, centres)[1] / weights.sum())


def nearest_neighbour(points: NDArray[np.float32]) -> float:
    """Median of the distance from a point to the nearest other one."""
    found = np.empty(len(points))
    wide = points.astype(np.float64)
    norms = np.square(wide).sum(axis=1)
    step = max(1, _CHUNK // len(points))
    for at in range(0, len(points), step):
        part = wide[at : at + step]
        squared = norms[at : at + step, None] - 2 * (part @ wide.T) + norms
        squared[np.arange(len(part)), at + np.arange(len(part))] = np.inf
        found[at : at + step] = squared.min(axis=1)
    return float(np.median(np.sqrt(np.maximum(found, 0))))


def dkm(
    points: NDArray[np.float32],
    centres: NDArray[np.float32],
    weights: Floats,
    temperature: float,
    *,
    iterations: int,
    accuracy: float = 1e-8,
) -> tuple[NDArray[np.float32], float]:
    """Soft k-means: Algorithm 2 with eq. 27 transposed, weighted, and with a temperature.

    With points q_i (old codewords) and centres c_j (new ones),
    A_ij = softmax over j of -||q_i - c_j|| / temperature, and c_j = sum_i u_i A_ij q_i /
    sum_i u_i A_ij. As printed, eq. 27 sums over j for codeword i, though A is (old x new): a new
    codeword is a mean of old ones, so the sum is over the old. As temperature -> 0 it is Lloyd's
    step; when it is large beside all distances, A is constant and all centres become the mean.

    Args:
        points: (n, D).
        centres: (J, D), where to start.
        weights: u, (n,), not negative, not all zero.
        temperature: in the unit of the distances; above 0.
        iterations: at most.
        accuracy: epsilon; it stops when ||new - old||^2 <= epsilon ||old||^2.

    Returns:
        float32 (J, D), and the weighted mean squared distance to the nearest, as `lloyd` has it.
    """
    now = centres.astype(np.float64)
    wide = points.astype(np.float64)
    step = max(1, _CHUNK // len(now))
    for _ in range(iterations):
        sums, mass = np.zeros_like(now), np.zeros(len(now))
        for at in range(0, len(wide), step):
            part = wide[at : at + step]
            squared = np.square(part).sum(axis=1)[:, None] - 2 * (part @ now.T)
            squared += np.square(now).sum(axis=1)
            logits = np.sqrt(np.maximum(squared, 0)) / -temperature
            soft = np.exp(logits - logits.max(axis=1, keepdims=True))
            soft *= weights[at : at + step, None] / soft.sum(axis=1, keepdims=True)
            sums += soft.T @ part
            mass += soft.sum(axis=0)
        # A centre that nobody attends to to double precision stays where it is.
        new = np.divide(sums, mass[:, None], out=now.copy(), where=mass[:, None] > 0)
        moved, size = np.square(new - now).sum(), np.square(now).sum()
        now = new
        if moved <= accuracy * size:
            break
    made = now.astype(np.float32)
    return made, error(points, made, weights)


def check_start(start: str) -> None:
    """A known way to start.

    Raises:
        InputError: it is none.
    """
    if start not in STARTS:
        raise InputError(f"start {start!r}: one of {', '.join(STARTS)}")
