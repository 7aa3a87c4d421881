"""Shares out the bits of a sample among the outputs (paper 001, section III-A).

Given l[m, b], what output m loses with b bits, find widths 0 to most with a given sum and the
least loss. Three ways:

*Exchange*, the paper's. Eq. 2 and 3: take a bit from d, the output that loses least by it, and give
it to a, the one that gains most. The paper goes on "until the total loss remains unchanged" and
says that it cannot rise. Neither holds. The pair is chosen for each end alone, and d may be a:
then no bit moves. And a pair whose loss is greater than its gain is still a pair; exchanging it
raises the loss, and the next one takes it back, for ever. So the exchange stops where d is a, or
where the gain is not strictly above the loss. Then it ends: with g the rounded differences of
the table, each step raises the sum of all g[m, b] below the widths, in exact arithmetic, and there
are finitely many widths.

With convex rows (each bit gains no more than the one before) its end is the optimum: no gain that
is left exceeds a loss that is there, and then any other widths with the same sum give back more
than they take. *Greedy* gives bits one by one to the highest gain and is optimal there too.

Where a row is not convex (an output of two values gains nothing by a second bit, one of three
modes little by the first), both can stop anywhere. *Optimal* is dynamic programming over outputs,

    L_m[t] = min over b of L_(m-1)[t - b] + l[m, b].

`allocate` is the entry for all tables: the exchange, checked by a bound that any widths obey,

    loss >= sum over m of min over b (l[m, b] + price b) - price total,

for every price (Lagrangian duality); where the exchange is not within 0.1 % of the best such bound,
the dynamic programme decides.
"""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.quantizers.scalar.codebook import MOST_BITS

Real = NDArray[np.float64]
Widths = NDArray[np.uint8]

SLACK = 1e-3
"""What `allocate` may lose against the optimum, as a part of it."""

_PRICES = 64
_MOST_LOSS = 1e300


def loss(table: Real, widths: Widths) -> float:
    """Total of table (M, most + 1) at widths (M,)."""
    return float(table[np.arange(len(table)), widths].sum())


def allocate(table: Real, total: int) -> Widths:
    """Widths uint8 (M,) with sum `total` and a loss within 0.1 % of the least.

    Args:
        table: l, float64 (M, most + 1), finite and at least 0, most at most 8; a row should
            not rise (then more bits are never worse), but any is taken.
        total: bits a sample, 0 to most M.

    Raises:
        InputError: wrong shape, a loss that is negative or not finite, a total out of range.
    """
    widths = exchange(table, total)
    if loss(table, widths) <= (1 + SLACK) * bound(table, total):
        return widths
    best = optimal(table, total)
    return best if loss(table, best) < loss(table, widths) else widths


def exchange(table: Real, total: int, *, start: Widths | None = None) -> Widths:
    """The paper's exchange of single bits, with the stop rule above.

    Args, raises: as `allocate`.
        start: widths with this sum to start from; without it, all equal (the first outputs have one
            more where M does not divide the total).
    """
    most = _check(table, total)
    count = len(table)
    widths = np.full(count, total // count)
    widths[: total % count] += 1
    if start is not None:
        if start.shape != (count,) or not np.issubdtype(start.dtype, np.integer):
            raise InputError(f"start {start.dtype} {start.shape}; integers ({count},) needed")
        if start.min() < 0 or start.max() > most or int(start.sum()) != total:
            raise InputError(
                f"start of {int(start.sum())} bits, {start.min()} to {start.max()} each; {total} "
                f"bits, 0 to {most} each, needed"
            )
        widths = start.astype(np.int64)
    gains = np.empty((count, most + 2))
    # A bit below 0 costs, and a bit beyond the last one gains, what nobody would take it for.
    gains[:, 0], gains[:, -1] = np.inf, -np.inf
    np.subtract(table[:, :-1], table[:, 1:], out=gains[:, 1:-1])
    rows = np.arange(count)
    taken, given = gains[rows, widths], gains[rows, widths + 1]
    while True:
        d, a = int(taken.argmin()), int(given.argmax())
        if d == a or not given[a] > taken[d]:
            return widths.astype(np.uint8)
        widths[d] -= 1
        widths[a] += 1
        for m in (d, a):
            taken[m], given[m] = gains[m, widths[m]], gains[m, widths[m] + 1]


def greedy(table: Real, total: int) -> Widths:
    """Bits one by one to the highest gain, the lowest m of equal ones.

    Args, returns, raises: as `allocate`; optimal where all rows are convex.
    """
    most = _check(table, total)
    gains = (table[:, :-1] - table[:, 1:]).tolist()
    widths = np.zeros(len(table), dtype=np.uint8)
    queue = [(-gain[0], m) for m, gain in enumerate(gains)] if most else []
    heapq.heapify(queue)
    for _ in range(total):
        _, m = heapq.heappop(queue)
        widths[m] += 1
        if widths[m] < most:
            heapq.heappush(queue, (-gains[m][widths[m]], m))
    return widths


def optimal(table: Real, total: int) -> Widths:
    """The least loss there is, by dynamic programming in M total (most + 1) steps.

    Args, returns, raises: as `allocate`.
    """
    most = _check(table, total)
    least = np.full(total + 1, np.inf)
    least[0] = 0.0
    choice = np.zeros((len(table), total + 1), dtype=np.uint8)
    for m, row in enumerate(table):
        before = least
        least = before + row[0]
        for bits in range(1, min(most, total) + 1):
            trial = before[:-bits] + row[bits]
            better = trial < least[bits:]
            np.copyto(least[bits:], trial, where=better)
            np.copyto(choice[m, bits:], np.uint8(bits), where=better)
    widths = np.zeros(len(table), dtype=np.uint8)
    for m in range(len(table) - 1, -1, -1):
        widths[m] = choice[m, total]
        total -= int(widths[m])
    return widths


def bound(table: Real, total: int) -> float:
    """No widths with sum `total` lose less: the best dual bound of some 64 prices.

    The bound is concave in the price; its slope is the bits that the price buys less the total, so
    that bisection between a price at which nobody buys and 0 finds its top.
    """
    most = _check(table, total)
    bits = np.arange(most + 1)
    low, high = 0.0, float(np.ptp(table)) or 1.0
    best = -np.inf
    for _ in range(_PRICES):
        price = (low + high) / 2
        paid = table + price * bits
        best = max(best, float(paid.min(axis=1).sum()) - price * total)
        if int(paid.argmin(axis=1).sum()) > total:
            low = price
        else:
            high = price
    return best


def _check(table: Real, total: int) -> int:
    """The largest width, most."""
    if table.ndim != 2 or not table.size or table.shape[1] > MOST_BITS + 1:
        raise InputError(f"table {table.shape}; (M, bits + 1), 0 to {MOST_BITS} bits, needed")
    # A NaN is not within either; sums of as many as fit in memory stay finite.
    right = ((table >= 0) & (table <= _MOST_LOSS)).all(axis=1)
    if not right.all():
        m = int(np.flatnonzero(~right)[0])
        raise InputError(f"table: output {m} has a loss that is negative, too large or NaN")
    most = int(table.shape[1]) - 1
    if not 0 <= total <= most * len(table):
        raise InputError(
            f"{total} bits; 0 to {most * len(table)} can be given to {len(table)} outputs"
        )
    return most
