"""Operations and parameters of the network itself, the same at every precision.

Integers execute more than the network asks for: they round behind each layer, and a layer with
weights of 16 bits runs as two of 8 (`csideploy.export.quantize.weights`: NAME.rest and NAME.sum are
added). A device pays for what is executed, papers and 3GPP count the network: its plan in fp32,
which an export counts beside the one in integers. `network_macs`, `network_flops` and
`network_parameters` of a side are of all its bundles, as `macs`, `flops` and `parameters` are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from csideploy.export.macs import costs, total
from csideploy.export.plan import Plan

EXECUTED = {
    "network_macs": "macs",
    "network_flops": "flops",
    "network_parameters": "parameters",
}
"""What is executed, by the key of what the network asks for."""
ROWS = (
    ("parameters of the network", "network_parameters"),
    ("MACs of the network", "network_macs"),
    ("FLOPs of the network", "network_flops"),
)
"""Words for tables, and keys."""
NOTE = (
    "Of the network: its count in fp32, the same at every precision. Integers execute more: they "
    "round behind each layer, and a layer with weights of 16 bits runs as two."
)

Sides = dict[str, dict[str, Any]]


def of_executed(sides: Mapping[str, Mapping[str, Any]]) -> Sides:
    """Of a package in fp32: what it executes.

    Args:
        sides: of the report.
    """
    return {
        side: {key: data[executed] for key, executed in EXECUTED.items()}
        for side, data in sides.items()
    }


def of_plans(plans: Iterable[Plan]) -> Sides:
    """Of plans in fp32, summed by side."""
    found: Sides = {}
    for plan in plans:
        cost = total(costs(plan))
        flops = 2 * cost.macs + cost.elementwise
        own = found.setdefault(plan.side, dict.fromkeys(EXECUTED, 0))
        for key, value in zip(EXECUTED, (cost.macs, flops, cost.parameters), strict=True):
            own[key] += value
    return found


def of_stored(sides: Mapping[str, Mapping[str, Any]]) -> Sides:
    """What the report.json of a package in integers has; {} of sides from an older export."""
    return {
        side: {key: data[key] for key in EXECUTED if key in data} for side, data in sides.items()
    }


def add(result: dict[str, Any], counted: Sides) -> None:
    """Put the counts into a report, with a note where they are not what is executed."""
    for side, own in counted.items():
        result["sides"][side] |= own
    if differing(result["sides"]):
        result["notes"].append(NOTE)


def differing(sides: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Keys of the counts that are not what is executed, at any side; [] where there are none."""
    return [
        key
        for key, executed in EXECUTED.items()
        if all(key in data for data in sides.values())
        and any(data[key] != data[executed] for data in sides.values())
    ]
