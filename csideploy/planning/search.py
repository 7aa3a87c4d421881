"""Algorithm 1 of the ACRNet paper (Lu et al.) over what was measured.

The paper chooses step by step: the largest width within the BS's resources, 1-bit layers where
memory does not suffice, then eta and B for the feedback bits. Here all of these are searched at
once, by the accuracy that was measured: the choice is the best one that meets every limit, so that
a wide network in integers may beat a narrow one in floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

from csideploy import registry
from csideploy.planning.candidates import Candidate, Identity, base_figures, named
from csideploy.planning.footprints import Footprints, Link
from csideploy.planning.latency import Devices
from csideploy.planning.limits import Limit
from csideploy.registry import BINARIZE, BITS, COMPRESSIONS

PRECISIONS = ("fp32", "auto", "int8", "mixed")
WIDTHS = range(1, 21)


def meets(figures: Mapping[str, float], limits: Sequence[Limit]) -> bool:
    """Whether figures are within all limits."""
    return all(limit.holds(figures) for limit in limits)


def front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that no other is at least as good as in everything, the most accurate first.

    Accuracy, payload, memory and operations of both sides, and latency where there is a target.
    What is still to be trained takes nothing away that is ready.
    """
    ordered = sorted(candidates, key=order)
    return [own for own in ordered if not any(_dominates(other, own) for other in ordered)]


def _costs(candidate: Candidate) -> dict[str, float]:
    # SGCS says what NMSE says; as a cost of its own it would keep ties of noise on the front.
    # A device pays for what is executed, not for the network's own count.
    apart = ("sgcs", "ue_fit", "bs_fit", "ue_network_macs", "bs_network_macs")
    return {key: value for key, value in candidate.figures.items() if key not in apart}


def _dominates(one: Candidate, other: Candidate) -> bool:
    if other.ready and not one.ready:
        return False
    a, b = _costs(one), _costs(other)
    if a == b:  # Of equals the one that is ready stays.
        return one.ready and not other.ready
    return all(a[key] <= b[key] for key in a)


def order(candidate: Candidate) -> tuple[float, ...]:
    """A key to sort by: the most accurate first, of equals the smaller one."""
    figures = candidate.figures
    return (
        figures["nmse_db"],
        figures["payload_bits"],
        figures["ue_memory"] + figures["bs_memory"],
        figures["ue_macs"] + figures["bs_macs"],
        not candidate.ready,
    )


def choose(candidates: Sequence[Candidate], limits: Sequence[Limit]) -> Candidate | None:
    """The most accurate that meets the limits; of equals the smaller one."""
    fit = [own for own in candidates if meets(own.figures, limits)]
    return min(fit, key=order, default=None)


@dataclass(frozen=True)
class Neighbour:
    """One step from the choice.

    axis: "width", "eta", "B", "binarize" or "precision"; "widest" for the largest width that fits,
        step 1 of the algorithm; "" for one that was only more accurate.
    broken: limits that it misses, one sentence each. candidate: None, if it was not measured.
    left_out_by: the option that left it out, if it was measured but not asked for.
    """

    axis: str
    name: str
    broken: tuple[str, ...]
    figures: dict[str, float]
    candidate: Candidate | None
    gap_db: float | None
    left_out_by: str = ""

    @property
    def why(self) -> str:
        """Why it was not chosen."""
        if self.left_out_by:
            return "; ".join([f"measured, but filtered by {self.left_out_by}", *self.broken])
        unmeasured = "not measured"
        if self.candidate is None and not self.figures:
            return unmeasured
        if self.broken:
            end = "" if self.candidate else f"; {unmeasured}"
            return "; ".join(self.broken) + end
        if self.candidate is None:
            return f"{unmeasured}; it would fit"
        assert self.gap_db is not None
        if self.gap_db > 0:
            return f"{self.gap_db:.3f} dB worse"
        if not self.candidate.ready:
            return f"{-self.gap_db:.3f} dB better, but to be trained: add --trainable"
        return "as good, and larger"

    def describe(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "axis": self.axis or None,
            "name": self.name,
            "measured": self.candidate is not None,
            "ready": bool(self.candidate and self.candidate.ready),
            "figures": self.figures,
            "worse_by_db": self.gap_db,
            "broken": list(self.broken),
            "left_out_by": self.left_out_by or None,
            "why": self.why,
        }


@dataclass(frozen=True)
class Search:
    """A search space.

    Attributes:
        candidates: of one test set.
        limits: to be met.
        footprints: of what was not measured.
        devices: that latencies are of.
        precisions: that may be chosen.
        left_out: candidates of the test set that were not asked for, with the option that says so.
    """

    candidates: Sequence[Candidate]
    limits: Sequence[Limit]
    footprints: Footprints
    devices: Devices
    precisions: Sequence[str] = PRECISIONS
    left_out: Sequence[tuple[Candidate, str]] = ()

    def neighbours(self, choice: Candidate) -> list[Neighbour]:
        """All one step from the choice: on each axis the nearest measured, else the very next."""
        own = choice.identity
        steps: list[tuple[str, Identity]] = []
        if own.family == "acrnet":
            steps += [("width", replace(own, width=k)) for k in self._next(own, "width", WIDTHS)]
            steps += [
                ("widest", wide) for wide in self._widest(choice) if ("width", wide) not in steps
            ]
        steps += [("eta", replace(own, cr=cr)) for cr in self._next(own, "cr", COMPRESSIONS)]
        steps += [("B", replace(own, bits=bits)) for bits in self._next(own, "bits", BITS)]
        steps += [
            ("binarize", replace(own, binarize=kind)) for kind in BINARIZE if kind != own.binarize
        ]
        steps += [
            ("precision", replace(own, precision=kind))
            for kind in self.precisions
            if kind != own.precision
        ]
        return [self._neighbour(axis, identity, choice) for axis, identity in steps]

    def more_accurate(self, choice: Candidate) -> list[Neighbour]:
        """All measured that are more accurate than the choice, the best first."""
        better = [
            own for own in self.candidates if own.figures["nmse_db"] < choice.figures["nmse_db"]
        ]
        return [
            self._judged("", own.name, own.figures, own, choice)
            for own in sorted(better, key=order)
        ]

    def _next(self, own: Identity, field: str, values: Sequence[int]) -> list[int]:
        """Below and above the choice's value: the nearest that was measured, else the next."""
        here = getattr(own, field)
        known = {
            getattr(other.identity, field)
            for other in (*self.candidates, *(other for other, _ in self.left_out))
            if replace(other.identity, **{field: here}) == own
        }
        found = []
        for side in (
            [value for value in reversed(values) if value < here],
            [value for value in values if value > here],
        ):
            measured = [value for value in side if value in known]
            found += measured[:1] or side[:1]
        return found

    def _widest(self, choice: Candidate) -> list[Identity]:
        """The largest width at fp32 that would meet the limits, if it is wider than the choice."""
        own = replace(choice.identity, precision="fp32")
        for width in reversed(WIDTHS):
            wide = replace(own, width=width)
            footprint = self._footprint(wide, _system(wide, choice.line.system))
            if width > own.width and footprint is not None:
                payload = registry.payload_bits(wide.cr, wide.bits)
                figures = base_figures(footprint, payload) | self.devices.figures(footprint)
                if meets(figures, self.limits):
                    return [wide]
        return []

    def _neighbour(self, axis: str, identity: Identity, choice: Candidate) -> Neighbour:
        same = [own for own in self.candidates if own.identity == identity]
        if same:
            # The ready one, if there are two: it could have been the choice.
            own = min(same, key=lambda one: (not one.ready, one.figures["nmse_db"]))
            return self._judged(axis, own.name, own.figures, own, choice)
        for other, option in self.left_out:
            if other.identity == identity:
                found = self._judged(axis, other.name, other.figures, other, choice)
                return replace(found, left_out_by=option)
        system = _system(identity, choice.line.system)
        figures: dict[str, float] = {}
        footprint = self._footprint(identity, system)
        if footprint is not None:
            figures = base_figures(footprint, registry.payload_bits(identity.cr, identity.bits))
            figures |= self.devices.figures(footprint)
        return self._judged(axis, named(system, identity), figures, None, choice)

    def _footprint(self, identity: Identity, system: str) -> Link | None:
        if identity.precision != "fp32" or identity.quantizer != "uniform":
            return None
        spec = registry.get(system)
        return self.footprints.of_system(spec, identity.cr, identity.bits, identity.binarize)

    def _judged(
        self,
        axis: str,
        name: str,
        figures: dict[str, float],
        candidate: Candidate | None,
        choice: Candidate,
    ) -> Neighbour:
        broken = tuple(
            limit.broken_by(figures) for limit in self.limits if not limit.holds(figures)
        )
        gap = None
        if candidate is not None:
            gap = round(figures["nmse_db"] - choice.figures["nmse_db"], 3)
        return Neighbour(axis, name, broken, figures, candidate, gap)

    def conflict(self) -> list[Limit]:
        """Limits that no candidate meets: each one alone, else the smallest set together; or []."""
        alone = [limit for limit in self.limits if self.none_meet([limit])]
        if alone:
            return alone
        for size in range(2, len(self.limits) + 1):
            for some in combinations(self.limits, size):
                if self.none_meet(some):
                    return list(some)
        return []

    def none_meet(self, limits: Sequence[Limit]) -> bool:
        """Whether no candidate meets these."""
        return not any(meets(own.figures, limits) for own in self.candidates)

    def nearest(self, limit: Limit, others: Sequence[Limit] = ()) -> Candidate | None:
        """Of those that meet other limits the one that comes nearest to a limit."""
        able = [
            own
            for own in self.candidates
            if meets(own.figures, others) and limit.key in own.figures
        ]
        sign = -1 if limit.quantity.at_least else 1
        return min(able, key=lambda own: sign * own.figures[limit.key], default=None)


def _system(identity: Identity, like: str) -> str:
    """The name of a system: ACRNet's with 1-bit layers is BACRNet."""
    if identity.family != "acrnet":
        return like
    return f"{'acrnet' if identity.binarize == 'none' else 'bacrnet'}{identity.width}x"
