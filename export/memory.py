"""The memory planner: where each buffer lies in the arena.

Two buffers may share bytes when no step needs both. Finding the smallest arena is NP-hard, so
several greedy orders are tried, each with and without reuse in place, and the smallest arena
wins. `memory_check` verifies the finished plan with code of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


ALGORITHMS: dict[str, Callable[[Lifetime], tuple[int, int]]] = {
    "by size": _by_size,
    "in order": _in_order,
    "by area": _by_area,
}
"""Greedy orders: which buffer is placed next."""


def plan_memory(lifetimes: Sequence[Lifetime], reuses: Sequence[Reuse] = ()) -> Placement:
    """Place all buffers; the smallest arena of all algorithms."""
    tries = []
    groups_of = {"": [[i] for i in range(len(lifetimes))], ", in place": _merge(lifetimes, reuses)}
    for how, groups in groups_of.items():
        merged = [_span([lifetimes[i] for i in group]) for group in groups]
        for name, order in ALGORITHMS.items():
            starts, total = _greedy(merged, order)
            offsets = [0] * len(lifetimes)
            for group, start in zip(groups, starts, strict=True):
                for index in group:
                    offsets[index] = start
            tries.append(Placement(tuple(offsets), total, name + how))
    return min(tries, key=lambda placement: placement.arena_bytes)


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


def _greedy(
    lifetimes: Sequence[Lifetime], order: Callable[[Lifetime], tuple[int, int]]
) -> tuple[list[int], int]:
    """Each buffer in turn at the lowest aligned offset where no buffer of its time lies."""
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    for index in sorted(range(len(lifetimes)), key=lambda i: order(lifetimes[i])):
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
    total = max((o + x.nbytes for o, x in zip(offsets, lifetimes, strict=True)), default=0)
    return offsets, total
