"""Whether a report keeps to a budget: one check a limit, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from csideploy.report.budget import Budget


def verdict(result: dict[str, Any], budget: Budget | None, share: float | None) -> dict[str, Any]:
    """The checks.

    Args:
        result: a report with its targets and timing.
        budget: limits, if there are any.
        share: what part of its time every side may take, if that is to be judged.

    Returns:
        `checks`, each with `name`, `side` (None: the payload), `target` (None: no latency),
        `value`, `limit`, `unit`, `holds`; and `holds`, of all together.
    """
    checks: list[dict[str, Any]] = []
    if budget is not None and budget.payload is not None:
        bits = payload_bits(result)
        checks.append(_most("payload", None, None, bits, budget.payload.bits, "bits"))
    for side in result["timing"]["sides"]:
        checks += _of_side(side, result, budget or Budget(), share)
    return {"checks": checks, "holds": all(check["holds"] for check in checks)}


def payload_bits(result: dict[str, Any]) -> int | None:
    """Of one sample, with the largest budget of bits; of a fronthaul, a channel use of all RUs.

    None: the feature leaves as floats.
    """
    if "fronthaul" in result:
        return sum(int(bits) for bits in result["fronthaul"]["bits_per_use"])
    if "transceiver" in result:
        return int(result["transceiver"]["bits"][-1])
    return int(result["budgets"][-1]["bits_per_sample"]) if result["budgets"] else None


def _of_side(
    side: str, result: dict[str, Any], budget: Budget, share: float | None
) -> Iterator[dict[str, Any]]:
    limits, figures = budget.of(side), result["totals"][side]
    title = side.upper()
    for name, key, limit, unit in (
        ("memory", "memory_bytes", limits.memory, "bytes"),
        ("MACs", "macs", limits.macs, "MACs"),
        ("FLOPs", "flops", limits.flops, "FLOPs"),
    ):
        if limit is not None:
            yield _most(f"{title} {name}", side, None, figures[key], limit, unit)
    if limits.code is not None:
        yield _code(side, result, limits.code, budget.target_of(side))
    entry = judged(side, result, budget.target_of(side))
    own, name = entry["sides"][side], entry["target"]
    if not own["fits"]:
        largest = entry["largest_memory_bytes"]
        yield _check(
            f"{title} fits", side, name, figures["memory_bytes"], largest, "bytes", holds=False
        )
    if limits.latency is not None:
        yield _most(f"{title} latency", side, name, own["latency_s"], limits.latency, "s")
    part = share if limits.share is None else limits.share
    if part is not None:
        yield _most(f"{title} share of its time", side, name, own["share"], part, "")
    if limits.decodes_per_second is not None:
        yield _least(
            *(f"{title} decodes a second", side, name),
            *(1 / own["latency_s"], limits.decodes_per_second, "1/s"),
        )
    if limits.users_per_slot is not None and part is None:
        yield _most(f"{title} share of a slot", side, name, own["share"], 1.0, "")


def judged(side: str, result: dict[str, Any], named: str | None) -> dict[str, Any]:
    """The target whose latency counts: the one named, else the first for such sides, else here."""
    entries: list[dict[str, Any]] = result["targets"]
    if named is not None:
        return next(entry for entry in entries if named in (entry["target"], entry["given"]))
    fitting = [entry for entry in entries if entry["for_side"] == side.split("-")[0]]
    return fitting[0] if fitting else entries[0]


def _code(side: str, result: dict[str, Any], limit: int, named: str | None) -> dict[str, Any]:
    builds = [b for b in result.get("builds", []) if side in b["sides"]]
    builds = [b for b in builds if named in (None, b["target"])]
    if builds:
        own = builds[0]["sides"][side]
        value = own["text_bytes"] + own["rodata_bytes"]  # the bundle apart
        return _most(f"{side.upper()} code", side, builds[0]["target"], value, limit, "bytes")
    name = f"{side.upper()} code (all kernels, on this host)"
    return _most(name, side, None, result["runtime_code_bytes"], limit, "bytes")


def _most(
    name: str, side: str | None, target: str | None, value: float | None, limit: float, unit: str
) -> dict[str, Any]:
    holds = value is not None and value <= limit
    return _check(name, side, target, value, limit, unit, holds=holds)


def _least(
    name: str, side: str | None, target: str | None, value: float, limit: float, unit: str
) -> dict[str, Any]:
    return _check(name, side, target, value, limit, unit, holds=value >= limit)


def _check(
    name: str,
    side: str | None,
    target: str | None,
    value: float | None,
    limit: float,
    unit: str,
    *,
    holds: bool,
) -> dict[str, Any]:
    return {
        "name": name,
        "side": side,
        "target": target,
        "value": value,
        "limit": limit,
        "unit": unit,
        "holds": holds,
    }
