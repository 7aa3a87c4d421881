"""The memory planner: where each buffer lies in the arena.

Two buffers may share bytes when no step needs both. Finding the smallest arena is NP-hard, so
two algorithms try, each in several variants and each with and without reuse in place, and the
smallest arena wins:

- first fit: all buffers are known; in an order of importance (size, area, time) each takes the
  lowest place where nothing of its time lies;
- best fit: the steps are walked, forwards or backwards, as an allocator would meet them; each
  buffer takes the tightest hole between those alive, and only then the top.

Both are followed by a search that lets the buffer on top of the arena choose earlier, for as long
as that helps. `memory_check` verifies the finished plan with code of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

ALIGNMENT = 16
"""Bytes; enough for 128-bit vector loads."""


@dataclass(frozen=True)
class Lifetime:
    """One buffer: its bytes and the first and the last step that need it, both included."""

    nbytes: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether some step needs both."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Reuse:
    """Buffer `result` may be written over buffer `operand`, if the operand dies at that step."""

    result: int
    operand: int


@dataclass(frozen=True)
class Placement:
    """Offsets in bytes, buffer by buffer, and the arena that they need."""

    offsets: tuple[int, ...]
    arena_bytes: int
    algorithm: str


def _by_size(lifetime: Lifetime) -> tuple[int, int]:
    return (-lifetime.nbytes, lifetime.first)


def _in_order(lifetime: Lifetime) -> tuple[int, int]:
    return (lifetime.first, -lifetime.nbytes)


def _by_area(lifetime: Lifetime) -> tuple[int, int]:
    return (-lifetime.nbytes * (lifetime.last - lifetime.first + 1), lifetime.first)


ORDERS: dict[str, Callable[[Lifetime], tuple[int, int]]] = {
    "by size": _by_size,
    "in order": _in_order,
    "by area": _by_area,
}
"""First fit: which buffer chooses next."""

ROUNDS = 40
"""Rounds of the search; each costs one first fit, and most arenas are at their bound before."""


def plan_memory(lifetimes: Sequence[Lifetime], reuses: Sequence[Reuse] = ()) -> Placement:
    """Place all buffers; the smallest arena of all algorithms."""
    tries = []
    groups_of = {"": [[i] for i in range(len(lifetimes))], ", in place": _merge(lifetimes, reuses)}
    for how, groups in groups_of.items():
        merged = [_span([lifetimes[i] for i in group]) for group in groups]
        for name, starts in _placed(merged):
            offsets = [0] * len(lifetimes)
            for group, start in zip(groups, starts, strict=True):
                for index in group:
                    offsets[index] = start
            tries.append(Placement(tuple(offsets), _end(merged, starts), name + how))
    return min(tries, key=lambda placement: placement.arena_bytes)


def _placed(lifetimes: Sequence[Lifetime]) -> Iterator[tuple[str, list[int]]]:
    """The offsets that each variant of each algorithm finds."""
    everything = range(len(lifetimes))
    orders = [sorted(everything, key=lambda i: key(lifetimes[i])) for key in ORDERS.values()]
    for name, order in zip(ORDERS, orders, strict=True):
        yield f"first fit {name}", _first_fit(lifetimes, order)
    yield "best fit forwards", _best_fit(lifetimes)
    mirrored = [Lifetime(x.nbytes, -x.last, -x.first) for x in lifetimes]
    yield "best fit backwards", _best_fit(mirrored)
    bound = lower_bound(lifetimes)
    for name, order in zip(ORDERS, orders, strict=True):
        yield f"first fit {name}, searched", _search(lifetimes, order, bound)


def lower_bound(lifetimes: Sequence[Lifetime]) -> int:
    """Bytes of the fullest step without reuse in place: no placement without it needs less."""
    steps = {lifetime.first for lifetime in lifetimes}
    return max(
        (sum(_aligned(x.nbytes) for x in lifetimes if x.first <= step <= x.last) for step in steps),
        default=0,
    )


def _aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def _span(lifetimes: Sequence[Lifetime]) -> Lifetime:
    return Lifetime(
        max(x.nbytes for x in lifetimes),
        min(x.first for x in lifetimes),
        max(x.last for x in lifetimes),
    )


def _merge(lifetimes: Sequence[Lifetime], reuses: Sequence[Reuse]) -> list[list[int]]:
    """Groups of buffers that lie on one another: chains of legal reuses."""
    group = list(range(len(lifetimes)))
    overwritten: set[int] = set()
    written_over: set[int] = set()
    for reuse in reuses:
        result, operand = lifetimes[reuse.result], lifetimes[reuse.operand]
        if not operand.first < operand.last == result.first or operand.nbytes != result.nbytes:
            continue
        if reuse.result in written_over or reuse.operand in overwritten:
            continue
        written_over.add(reuse.result)
        overwritten.add(reuse.operand)
        old, new = group[reuse.result], group[reuse.operand]
        group = [new if g == old else g for g in group]
    members: dict[int, list[int]] = {}
    for index, head in enumerate(group):
        members.setdefault(head, []).append(index)
    return list(members.values())


def _end(lifetimes: Sequence[Lifetime], offsets: Sequence[int]) -> int:
    return max((o + x.nbytes for o, x in zip(offsets, lifetimes, strict=True)), default=0)


def _first_fit(lifetimes: Sequence[Lifetime], order: Sequence[int]) -> list[int]:
    """Each buffer in turn at the lowest aligned offset where no buffer of its time lies."""
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    for index in order:
        own = lifetimes[index]
        busy = sorted(
            (offsets[other], offsets[other] + lifetimes[other].nbytes)
            for other in placed
            if lifetimes[other].meets(own)
        )
        start = 0
        for begin, end in busy:
            if start + own.nbytes <= begin:
                break
            start = max(start, _aligned(end))
        offsets[index] = start
        placed.append(index)
    return offsets


def _best_fit(lifetimes: Sequence[Lifetime]) -> list[int]:
    """Each buffer, when its time comes, in the smallest hole that takes it; else on top.

    Large ones first where several begin at one step.
    """
    offsets = [0] * len(lifetimes)
    alive: list[int] = []
    for index in sorted(range(len(lifetimes)), key=lambda i: _in_order(lifetimes[i])):
        own = lifetimes[index]
        alive = [other for other in alive if lifetimes[other].last >= own.first]
        top, holes = 0, []
        for start, end in sorted((offsets[i], offsets[i] + lifetimes[i].nbytes) for i in alive):
            if start - top >= own.nbytes:
                holes.append((start - top, top))
            top = max(top, _aligned(end))
        offsets[index] = min(holes)[1] if holes else top
        alive.append(index)
    return offsets


def _search(lifetimes: Sequence[Lifetime], order: Sequence[int], bound: int) -> list[int]:
    """First fit again and again: the buffer that ends highest moves to the front of the order.

    An order that makes the arena larger is taken back, and the next highest buffer is tried.
    """
    best = list(order)
    offsets = _first_fit(lifetimes, best)
    refused: set[int] = set()
    for _ in range(ROUNDS):
        arena = _end(lifetimes, offsets)
        movable = [i for i in best[1:] if i not in refused]
        if _aligned(arena) <= bound or not movable:
            break
        top = max(movable, key=lambda i: offsets[i] + lifetimes[i].nbytes)
        tried = [top, *(i for i in best if i != top)]
        found = _first_fit(lifetimes, tried)
        if _end(lifetimes, found) > arena:
            refused.add(top)
            continue
        if _end(lifetimes, found) < arena:
            refused.clear()
        else:
            refused.add(top)
        best, offsets = tried, found
    return offsets
