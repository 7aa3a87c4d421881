"""Latency on targets, time that a link has, and the verdict against a budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from csideploy.errors import InputError
from csideploy.package import LinkPackage
from csideploy.report import preprocessing, timing
from csideploy.report.budget import Budget, read_budget
from csideploy.report.verdict import verdict
from csideploy.targets.files import HOST, Target, load
from csideploy.targets.model import is_integer, place, predict


@dataclass(frozen=True)
class Wanted:
    """What a report is asked for beside the footprint.

    targets: as they were asked for, and their files. share: None, if it is not to be judged.
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
        named = [*targets, *(limits.targets() if limits else ())]
        files = tuple((name, load(name)) for name in dict.fromkeys(named))
        return Wanted(files, limits, mu, budget_share)


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
        "share_allowed": 1.0 if wanted.share is None else wanted.share,
        "sides": {side: own.figures() for side, own in allowed.items()},
    }
    result["targets"] = [
        _here(result, sides, before, allowed),
        *(_modelled(name, target, sides, before, allowed) for name, target in wanted.targets),
    ]
    _add_shares(result, allowed)
    result["verdict"] = verdict(result, wanted.budget, wanted.share)


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
    return {
        side: timing.allowed(
            side,
            wanted.numerology,
            users_per_slot=budget.of(side).users_per_slot or 1,
            prbs=budget.of(side).prbs or timing.PRBS,
            block=block,
        )
        for side in sides
    }


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
        "largest_memory_bytes": None,
        "sides": found,
    }


def _modelled(
    given: str,
    target: Target,
    sides: Mapping[str, Running],
    before: dict[str, Any] | None,
    allowed: Mapping[str, timing.Allowed],
) -> dict[str, Any]:
    floats = target.mac_per_cycle.fp32 is None and any(
        layer["macs"] and not is_integer(layer, "fp32")
        for own in sides.values()
        for layer, _ in own.layers
    )
    precision = "int8" if floats else "fp32"
    found = {}
    for side, own in sides.items():
        layers = [layer for layer, _ in own.layers]
        times = predict(layers, target, precision=precision, arena_bytes=own.arena_bytes)
        placed = place(layers, target, precision=precision, arena_bytes=own.arena_bytes)
        rows = []
        for time, (_, count) in zip(times, own.layers, strict=True):
            row = asdict(time)
            rows.append({key: _times(value, count) for key, value in row.items()})
        first = None
        if before and before["side"] == side:
            rate = target.elementwise_per_cycle.value * target.shares.elements.elementwise
            first = before["flops"] / (rate * target.clock_hz.value)
        found[side] = {
            "layers": rows,
            **_summed(sum(row["latency_s"] for row in rows), first, allowed[side]),
            "weights_in": placed.weights.name,
            "fits": placed.fits,
        }
    return {
        # The machine at hand was measured above; this is what the model says of it.
        "target": f"{HOST}-model" if target.name == HOST else target.name,
        "given": given,
        "title": target.title,
        "for_side": target.side,
        "mark": "modelled",
        "confidence": target.confidence,
        "precision": "int8 (it has no fp32 units)" if floats else "as compiled",
        "note": target.note,
        "largest_memory_bytes": max(memory.bytes for memory in target.memories),
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
