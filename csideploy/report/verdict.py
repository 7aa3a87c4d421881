"""Whether a report keeps to a budget: one check a limit, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from csideploy.report.budget import Budget


def verdict(
    result: dict[str, Any], budget: Budget | None, devices: Mapping[str, str]
) -> dict[str, Any]:
    """The checks.

    Args:
        result: a report with its targets and timing, which has the share of each side's time.
        budget: limits, if there are any.
        devices: by side the target that it is judged on, as it was asked for.

    Returns:
        `checks`, each with `name`, `side` (None: the payload), `target` (None: no latency),
        `value`, `limit`, `unit`, `holds`; and `holds`, of all together.
    """
    checks: list[dict[str, Any]] = []
    if budget is not None and budget.payload is not None:
        bits = payload_bits(result)
        checks.append(_most("payload", None, None, bits, budget.payload.bits, "bits"))
    for side in result["timing"]["sides"]:
        checks += _of_side(side, result, budget or Budget(), devices[side])
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
    side: str, result: dict[str, Any], budget: Budget, device: str
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
    # The host was measured, and stands before what the model says of it.
    entry = next(entry for entry in result["targets"] if entry["given"] == device)
    own, name = entry["sides"][side], entry["target"]
    part = result["timing"]["sides"][side]["share"]
    if limits.code is not None:
        yield _code(side, result, limits.code, entry)
    timed = (limits.latency, part, limits.decodes_per_second, limits.users_per_slot)
    if any(limit is not None for limit in timed) or _named(side, budget):
        # Where it does not fit, its latency says nothing.
        for one in own["excess"]:
            what = f"{title} {one['what']} in {one['memory']}"
            yield _most(what, side, name, one["bytes"], one["limit"], "bytes")
    if limits.latency is not None:
        yield _most(f"{title} latency", side, name, own["latency_s"], limits.latency, "s")
    if part is not None:
        yield _most(f"{title} share of its time", side, name, own["share"], part, "")
    if limits.decodes_per_second is not None:
        yield _least(
            *(f"{title} decodes a second", side, name),
            *(1 / own["latency_s"], limits.decodes_per_second, "1/s"),
        )
    if limits.users_per_slot is not None and part is None:
        yield _most(f"{title} share of a slot", side, name, own["share"], 1.0, "")


def _named(side: str, budget: Budget) -> bool:
    """Whether a budget of this side names a device, on which the side must have room then."""
    kind = side.split("-")[0]
    return kind in budget.limited() and budget.target_of(side) is not None


def _code(side: str, result: dict[str, Any], limit: int, entry: dict[str, Any]) -> dict[str, Any]:
    # Of RUs of equal sizes the first one is built.
    same = result.get("same", {}).get(side, side)
    builds = [b for b in result.get("builds", []) if b["given"] == entry["given"]]
    if builds:
        own = builds[0]["sides"].get(same)
        # The bundle apart; None: the compiler is missing.
        value = own and own["text_bytes"] + own["rodata_bytes"]
        name = f"{side.upper()} code" + ("" if own else " (not built)")
        return _most(name, side, entry["target"], value, limit, "bytes")
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
