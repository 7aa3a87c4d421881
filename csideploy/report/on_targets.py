"""Latency on targets, time that a link has, and the verdict against a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from csideploy.errors import InputError
from csideploy.package import LinkPackage
from csideploy.report import preprocessing, timing
from csideploy.report.budget import Budget, read_budget
from csideploy.report.verdict import verdict
from csideploy.targets.files import CONFIDENCES, HOST, Target, load
from csideploy.targets.side import side_time


@dataclass(frozen=True)
class Wanted:
    """What a report is asked for beside the footprint.

    targets: as they were asked for, and their files. share: of all sides, before those of the
    budget; None, if it is not to be judged.
    """

    targets: tuple[tuple[str, Target], ...]
    budget: Budget | None
    numerology: int
    share: float | None

    @staticmethod
    def read(
        targets: Sequence[str],
        budget: Path | None,
        *,
        numerology: int | None,
        budget_share: float | None,
        build: bool = False,
    ) -> Wanted:
        """Read and check the options before anything is measured.

        Raises:
            InputError: an option that cannot be followed.
        """
        mu = 1 if numerology is None else numerology
        timing.check_numerology(mu)
        if budget_share is not None and not 0 < budget_share <= 1:
            raise InputError(f"--budget-share {budget_share}: above 0, at most 1 is needed")
        limits = None if budget is None else read_budget(budget)
        # A budget's host is this machine as it is measured, which needs no file.
        named = [*targets, *(name for name in (limits.targets() if limits else ()) if name != HOST)]
        files = tuple((name, load(name)) for name in dict.fromkeys(named))
        _check_names(files)
        wanted = Wanted(files, limits, mu, budget_share)
        if limits is not None and not build:
            wanted._check_code(limits, str(budget))
        return wanted

    def to_build(self) -> list[str]:
        """Targets to build for, if that is asked for; none: this machine alone."""
        named = [name for name, _ in self.targets]
        host = self.budget is not None and HOST in self.budget.targets()
        return [*named, HOST] if named and host and HOST not in named else named

    def device(self, side: str) -> str:
        """On which one a side is judged: the one named, else the first for such sides, else here.

        Args:
            side: of a report.

        Returns:
            As it was asked for.
        """
        kind = side.split("-")[0]
        fitting = [name for name, target in self.targets if target.side == kind]
        named = self.budget.target_of(side) if self.budget else None
        return named or (fitting[0] if fitting else HOST)

    def _check_code(self, limits: Budget, where: str) -> None:
        for side in limits.limited():
            device = self.device(side)
            if limits.of(side).code is not None and device != HOST:
                raise InputError(
                    f"{where}: {side}.code: is judged on {device}, for which --build builds it: "
                    "add --build"
                )


def _check_names(files: Sequence[tuple[str, Target]]) -> None:
    """Reports and tables tell targets apart by the names of their files."""
    known: dict[str, str] = {}
    for given, target in files:
        other = known.setdefault(target.name, given)
        if other != given:
            raise InputError(
                f"--target {given}: {other} is called {target.name} too: give one of them, or "
                "rename its file"
            )


@dataclass(frozen=True)
class Running:
    """What a side runs for one sample, block or group of users.

    layers: each with how often it runs. measured_s: here, the median of whole runs.
    """

    layers: list[tuple[Mapping[str, Any], int]]
    measured_s: float
    arena_bytes: int
    totals: dict[str, int]


def add(result: dict[str, Any], link: LinkPackage, wanted: Wanted) -> None:
    """Add `preprocessing`, `targets`, `timing`, `totals` and `verdict` to a report.

    Raises:
        InputError: the budget is of a side that the link lacks.
    """
    sides = running(result, link)
    before = _preprocessing(result, link)
    allowed = _timing(sides, link, wanted)
    result["preprocessing"] = before
    result["totals"] = {side: own.totals for side, own in sides.items()}
    result["timing"] = {
        "numerology": wanted.numerology,
        "sides": {side: own.figures() for side, own in allowed.items()},
    }
    result["targets"] = [
        _here(result, sides, before, allowed),
        *(_modelled(name, target, sides, before, allowed) for name, target in wanted.targets),
    ]
    _add_shares(result, allowed)
    devices = {side: wanted.device(side) for side in sides}
    result["verdict"] = verdict(result, wanted.budget, devices)


def _add_shares(result: dict[str, Any], allowed: Mapping[str, timing.Allowed]) -> None:
    """What part of its side's time each layer took here, and all together: `share`."""
    for side, data in result["sides"].items():
        # A transceiver's quantizers have the time of their side.
        seconds = allowed[side if side in allowed else side.split("-")[0]].seconds
        for entry in (*data["layers"], data):
            entry["share"] = entry["latency_s"]["median"] / seconds


def running(result: dict[str, Any], link: LinkPackage) -> dict[str, Running]:
    """What each side runs.

    With several bit budgets the quantizer of the largest; of a transceiver its most users.
    """
    if "transceiver" in result:
        return _transceiver(result, link)
    bits = result["latency"]["bits"]
    found = {}
    for side, data in result["sides"].items():
        layers = [(layer, 1) for layer in data["layers"] if layer.get("budget", bits) == bits]
        found[side] = Running(
            layers,
            data["run_latency_s"]["median"],
            data["arena_bytes"],
            {
                "memory_bytes": data["memory_bytes"],
                **{key: sum(layer[key] for layer, _ in layers) for key in ("macs", "flops")},
            },
        )
    return found


def _transceiver(result: dict[str, Any], link: LinkPackage) -> dict[str, Running]:
    from csideploy.transceiver.export import largest

    mark, own = largest(link.transceiver()), result["transceiver"]
    users = own["max_users"]
    found = {}
    for side, times, measured in (
        ("ue", 1, own["ue_latency_s"]),
        ("bs", users, own["users"][-1]["bs_latency_s"]),
    ):
        parts = [(result["sides"][side], 1), (result["sides"][f"{side}-quantizer-{mark}"], times)]
        layers = [(layer, count) for part, count in parts for layer in part["layers"]]
        found[side] = Running(
            layers,
            measured["median"],
            max(part["arena_bytes"] for part, _ in parts),
            {
                "memory_bytes": sum(part["bundle_bytes"] for part, _ in parts)
                + max(part["arena_bytes"] for part, _ in parts),
                **{
                    key: sum(layer[key] * count for layer, count in layers)
                    for key in ("macs", "flops")
                },
            },
        )
    return found


def _preprocessing(result: dict[str, Any], link: LinkPackage) -> dict[str, Any] | None:
    """Of CSI feedback; a precoder's pilots and a fronthaul's blocks come as they are."""
    if link.is_precoder or link.is_fronthaul or link.is_transceiver:
        return None
    from csideploy.runtime import Part

    shape = Part(link.open_bundle("ue")).inputs[0].shape
    antennas, delays = (int(size) for size in shape[2:])
    return preprocessing.figures(antennas, delays, result["latency"]["rounds"])


def _timing(
    sides: Mapping[str, Running], link: LinkPackage, wanted: Wanted
) -> dict[str, timing.Allowed]:
    budget = wanted.budget or Budget()
    kinds = {side.split("-")[0] for side in sides}
    for side in budget.limited():
        if side not in kinds:
            raise InputError(
                f"budget: [{side}]: {link.path} has no such side; {', '.join(sorted(kinds))} are "
                "its sides"
            )
    block = int(link.manifest["block"]) if link.is_fronthaul else None
    found = {}
    for side in sides:
        limits = budget.of(side)
        own = timing.allowed(
            side,
            wanted.numerology,
            users_per_slot=limits.users_per_slot or 1,
            prbs=limits.prbs or timing.PRBS,
            block=block,
            seconds=limits.time,
            symbols=limits.symbols,
        )
        # The command line is more particular than a file.
        share = limits.share if wanted.share is None else wanted.share
        judged = [] if share is None else [own.seconds * share]
        if share is None and limits.users_per_slot is not None:
            judged.append(own.seconds)
        judged += [] if limits.latency is None else [limits.latency]
        judged += [] if limits.decodes_per_second is None else [1 / limits.decodes_per_second]
        found[side] = replace(own, share=share, most=min(judged, default=own.seconds))
    return found


def _here(
    result: dict[str, Any],
    sides: Mapping[str, Running],
    before: dict[str, Any] | None,
    allowed: Mapping[str, timing.Allowed],
) -> dict[str, Any]:
    from csideploy.report.footprint import host

    found = {}
    for side, own in sides.items():
        first = before["measured_s"]["median"] if before and before["side"] == side else None
        rows = [
            {
                **dict.fromkeys(("arithmetic_s", "memory_s", "overhead_s", "bound")),
                "name": layer["name"],
                "latency_s": layer["latency_s"]["median"] * count,
            }
            for layer, count in own.layers
        ]
        found[side] = {
            "layers": rows,
            **_summed(own.measured_s, first, allowed[side]),
            "weights_in": "memory of this host",
            "fits": True,
            "excess": [],
            "confidence": "P",
        }
    return {
        "target": HOST,
        "given": HOST,
        "title": f"{host()}, {result['latency']['isa']} (this host)",
        "for_side": None,
        "mark": "measured",
        "confidence": "P",
        "precision": "as compiled",
        "note": None,
        "sides": found,
    }


def _modelled(
    given: str,
    target: Target,
    sides: Mapping[str, Running],
    before: dict[str, Any] | None,
    allowed: Mapping[str, timing.Allowed],
) -> dict[str, Any]:
    found = {}
    integers = False
    for side, own in sides.items():
        first = before["flops"] if before and before["side"] == side else None
        layers = [layer for layer, _ in own.layers]
        made = side_time(layers, target, arena_bytes=own.arena_bytes, before=first)
        integers |= made.precision == "int8"
        rows = []
        for time, (_, count) in zip(made.layers, own.layers, strict=True):
            row = asdict(time)
            rows.append({key: _times(value, count) for key, value in row.items()})
        seconds = sum(row["latency_s"] for row in rows)
        found[side] = {
            "layers": rows,
            **_summed(seconds, made.before_s, allowed[side]),
            "weights_in": made.placed.weights.name,
            "fits": made.placed.fits,
            "excess": [
                {"what": one.what, "memory": one.memory, "bytes": one.nbytes, "limit": one.most}
                for one in made.placed.excess
            ],
            "confidence": made.confidence,
        }
    return {
        # The machine at hand was measured above; this is what the model says of it.
        "target": f"{HOST}-model" if target.name == HOST else target.name,
        "given": given,
        "title": target.title,
        "for_side": target.side,
        "mark": "modelled",
        "confidence": max(
            (own["confidence"] for own in found.values()), key=list(CONFIDENCES).index
        ),
        "precision": "int8 (it has no fp32 units)" if integers else "as compiled",
        "note": target.note,
        "sides": found,
    }


def _times(value: Any, count: int) -> Any:
    return value * count if isinstance(value, float) else value


def _summed(layers: float, first: float | None, allowed: timing.Allowed) -> dict[str, Any]:
    latency = layers + (first or 0.0)
    return {
        "preprocessing_s": first,
        "latency_s": latency,
        "runs_per_second": 1 / latency,
        "share": latency / allowed.seconds,
    }
