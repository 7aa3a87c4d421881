"""Candidates in turns, in CPU time of one process; a row and what it is judged by.

A window is about a millisecond of calls; every candidate has one a round, and the order is reversed
each round. Only ratios within a run mean something: min / min, and the median of the ratios of all
rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.rows.roofline import Work
from csideploy.runtime import Part

OURS = "csideploy"
Call = Callable[[], object]
Window = Callable[[int], float]
"""A number of calls -> seconds a call."""
WALKED = 96 << 20
"""Bytes written between two calls from cold caches."""


@dataclass(frozen=True)
class Peer:
    """How many times as fast as a peer we want to be; None: it is printed alone."""

    at_least: float | None = None
    goal: float | None = None


@dataclass(frozen=True)
class Check:
    """A condition besides time."""

    says: str
    holds: bool


@dataclass
class Row:
    """One workload with its candidates, ours under `OURS`.

    Attributes:
        name, case: "W3", "D = 128, n = 1".
        windows: by candidate.
        peers: those that are judged or printed; others of `windows` are forms of our own.
        missing: peers that are not here, with what installs them.
        at_most, goal_seconds: seconds for candidates of ours, where no ratio is asked for.
        work: what a call asks of the machine.
        part, given: what `profile` runs.
        samples: of one call.
    """

    name: str
    case: str
    what: str
    windows: dict[str, Window]
    peers: dict[str, Peer]
    missing: dict[str, str] = field(default_factory=dict)
    at_most: dict[str, float] = field(default_factory=dict)
    goal_seconds: dict[str, float] = field(default_factory=dict)
    work: Work | None = None
    part: Part | None = None
    given: tuple[NDArray[Any], ...] = ()
    samples: int = 1
    cold: bool = False
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Name and case."""
        return f"{self.name} {self.case}".strip()


def in_python(call: Call) -> Window:
    """Calls from Python, in CPU time of the process."""

    def window(calls: int) -> float:
        start = time.process_time_ns()
        for _ in range(calls):
            call()
        return (time.process_time_ns() - start) / calls * 1e-9

    return window


class Cold:
    """Windows of one call each with `WALKED` bytes written before it.

    The call alone is timed, by the thread's clock; what the clock itself takes after such a walk,
    the least of `EMPTY` times, is taken off.
    """

    EMPTY = 25

    def __init__(self) -> None:
        self._walked = np.zeros(WALKED, np.uint8)
        self._clock = 0.0
        self._clock = min(self.window(lambda: None)(1) for _ in range(self.EMPTY))

    def window(self, call: Call) -> Window:
        """One call a window, however many are asked for."""

        def window(_: int) -> float:
            np.add(self._walked, 1, out=self._walked)
            start = time.thread_time_ns()
            call()
            return (time.thread_time_ns() - start) * 1e-9 - self._clock

        return window


def profile_of(row: Row, rounds: int = 60) -> list[dict[str, Any]]:
    """Seconds of each step of our part."""
    if row.part is None:
        return []
    steps = row.part.profile(*row.given, rounds=rounds)
    return [{"step": step.name, "seconds": step.minimum} for step in steps]


def take_turns(
    windows: Mapping[str, Window], *, rounds: int, window_s: float, most_s: float
) -> dict[str, list[float]]:
    """Seconds a call by candidate, one number a round: as many as `most_s` allows, 5 at least."""
    counts, cost = {}, 0.0
    for name, window in windows.items():
        window(1)
        once = window(1)
        counts[name] = max(1, int(window_s / max(once, 1e-9)))
        if counts[name] > 1:  # what one call takes, is better known from several
            counts[name] = max(1, int(window_s / max(window(counts[name]), 1e-9)))
        start = time.perf_counter()
        window(counts[name])
        cost += time.perf_counter() - start
    rounds = max(5, min(rounds, int(most_s / max(cost, 1e-9))))
    found: dict[str, list[float]] = {name: [] for name in windows}
    order = list(windows)
    for _ in range(rounds):
        for name in order:
            found[name].append(windows[name](counts[name]))
        order.reverse()
    return found


def figures_of(row: Row, seconds: Mapping[str, list[float]]) -> dict[str, Any]:
    """Times and ratios of a row, and whether they are what is asked for."""
    ours = seconds[OURS]
    made: dict[str, Any] = {
        "row": row.name,
        "case": row.case,
        "what": row.what,
        "samples": row.samples,
        "rounds": len(ours),
        "seconds": {
            name: {"min": min(own), "median": statistics.median(own)}
            for name, own in seconds.items()
        },
        "peers": {},
        "limits": {},
        "checks": [{"says": check.says, "holds": check.holds} for check in row.checks],
        "missing": row.missing,
        "notes": row.notes,
    }
    for name, peer in row.peers.items():
        if name not in seconds:
            continue
        ratio = min(seconds[name]) / min(ours)
        paired = statistics.median(b / a for a, b in zip(ours, seconds[name], strict=True))
        made["peers"][name] = {
            "min": ratio,
            "paired": paired,
            "at_least": peer.at_least,
            "goal": peer.goal,
            "holds": None if peer.at_least is None else ratio >= peer.at_least,
            "reaches_goal": None if peer.goal is None else ratio >= peer.goal,
        }
    for name in {*row.at_most, *row.goal_seconds}:
        least, most, goal = min(seconds[name]), row.at_most.get(name), row.goal_seconds.get(name)
        made["limits"][name] = {
            "min": least,
            "at_most": most,
            "goal": goal,
            "holds": None if most is None else least <= most,
            "reaches_goal": None if goal is None else least <= goal,
        }
    return made


def holds(figures: Mapping[str, Any]) -> bool | None:
    """Whether a row's every "at least" and check holds; None: there is nothing to judge."""
    judged = [peer["holds"] for peer in (*figures["peers"].values(), *figures["limits"].values())]
    judged = [one for one in judged if one is not None]
    judged += [check["holds"] for check in figures["checks"]]
    return all(judged) if judged else None
