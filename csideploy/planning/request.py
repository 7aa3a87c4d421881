"""What `csideploy plan` was asked, from its options to its answer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from csideploy import precoders, registry
from csideploy.errors import InputError
from csideploy.fronthaul.systems import FRONTHAUL
from csideploy.options import parse_memory, parse_time
from csideploy.planning.candidates import Candidate, Collected, collect
from csideploy.planning.footprints import Footprints
from csideploy.planning.latency import Devices
from csideploy.planning.limits import FIT, Limit, written
from csideploy.planning.results import TestSet
from csideploy.planning.search import PRECISIONS, Search, choose, front, meets, order


@dataclass(frozen=True)
class Asked:
    """Options that are no limits.

    scenario, test: of the test set, the latter the beginning of its hash; None: the one with the
    most figures. trainable: the choice may be one that is still to be trained. every: list all that
    was measured, not the front alone.
    """

    systems: tuple[str, ...] = ()
    scenario: str | None = None
    test: str | None = None
    precisions: tuple[str, ...] = PRECISIONS
    results: tuple[Path, ...] = ()
    trainable: bool = False
    every: bool = False


def read_limits(
    *,
    max_bits: int | None,
    memory: dict[str, str | None],
    macs: dict[str, float | None],
    latency: dict[str, str | None],
    min_nmse: float | None,
    min_sgcs: float | None,
    devices: Devices,
) -> list[Limit]:
    """The limits of the command line.

    Args:
        max_bits: of the payload.
        memory: by side, such as "200kB".
        macs: by side.
        latency: by side, such as "1ms".
        min_nmse: in dB, such as -15.
        min_sgcs: 0 to 1.
        devices: that latencies are of.

    Raises:
        InputError: a size or time cannot be read, a number is none, or a latency has no device.
    """
    numbers = {f"--{side}-macs": count for side, count in macs.items()}
    for option, number in (numbers | {"--min-nmse": min_nmse, "--min-sgcs": min_sgcs}).items():
        if number is not None and not math.isfinite(number):
            raise InputError(f"{option} {number}: a finite number")
    limits = []
    if max_bits is not None:
        limits.append(Limit("payload_bits", max_bits, str(max_bits)))
    for side, text in memory.items():
        if text is not None:
            size = parse_memory(text, f"--{side}-memory")
            limits.append(Limit(f"{side}_memory", size, text.strip()))
    for side, count in macs.items():
        if count is not None:
            limits.append(Limit(f"{side}_macs", count, f"{count:,.0f}"))
    for side, text in latency.items():
        if text is not None:
            if side not in devices.targets:
                raise InputError(
                    f"--{side}-latency {text}: on what? add --target or --{side}-target "
                    "(`csideploy targets` lists them)"
                )
            seconds = parse_time(text, f"--{side}-latency")
            limits.append(Limit(f"{side}_latency", seconds, text.strip()))
    limits += devices.limits()
    if min_nmse is not None:
        limits.append(Limit("nmse_db", min_nmse, f"{min_nmse:g}"))
    if min_sgcs is not None:
        limits.append(Limit("sgcs", min_sgcs, f"{min_sgcs:g}"))
    return limits


def check_systems(names: Sequence[str]) -> None:
    """Refuse what is no CSI feedback system.

    Raises:
        InputError: another kind of system, or none.
    """
    for name in names:
        if name in precoders.PRECODERS or name in FRONTHAUL or name.startswith("rvq-egat"):
            raise InputError(
                f"--system {name}: plan chooses among CSI feedback systems; precoders, fronthaul "
                "quantizers and transceivers are compared by `csideploy evaluate`"
            )
        registry.get(name)


def plan(asked: Asked, limits: Sequence[Limit], devices: Devices) -> dict[str, Any]:
    """Search, and say what was found.

    Returns:
        One object for scripts; `choice` is None where no limits can be met, and `conflict` then
        says why.

    Raises:
        InputError: nothing was measured that is asked for, or a file cannot be read.
    """
    check_systems(asked.systems)
    footprints = Footprints.load()
    collected = collect(asked.results, footprints)
    test = _test_set(collected, asked)
    measured = [
        replace(own, figures=own.figures | devices.figures(own.footprint))
        for own in collected.candidates
        if own.line.test == test
    ]
    group = [own for own in measured if not _left_out_by(own, asked)]
    left_out = [(own, option) for own in measured if (option := _left_out_by(own, asked))]
    if not group:
        raise InputError(
            f"nothing of {', '.join(asked.systems) or 'that precision'} was measured on "
            f"{_test_text(test)}; `csideploy plan --all` lists what was"
        )
    able = [own for own in group if own.ready or asked.trainable]
    search = Search(group, limits, footprints, devices, asked.precisions, left_out)
    choice = choose(able, limits)
    others = [
        {**found.model_dump(), "figures": count}
        for found, count in collected.tests()
        if found != test
    ]
    result: dict[str, Any] = {
        "limits": [limit.describe() for limit in limits],
        "targets": devices.describe(),
        "test": test.model_dump(),
        "other_tests": others,
        "measured": len(group),
        "passed_over": dict(collected.passed_over),
        "without_zoo": collected.without_zoo,
        "listed": "all" if asked.every else "front",
        "front": [
            _listed(own, limits, chosen=own is choice)
            for own in _listing(group, limits, asked, choice)
        ],
        "choice": None,
        "neighbours": [],
        "more_accurate": [],
        "conflict": None,
    }
    if choice is not None:
        result["choice"] = choice.describe() | {"commands": list(choice.commands)}
        result["neighbours"] = [own.describe() for own in search.neighbours(choice)]
        result["more_accurate"] = [own.describe() for own in search.more_accurate(choice)]
    else:
        # Where nothing is ready, limits are to blame only if nothing at all meets them.
        result["conflict"] = _conflict(replace(search, candidates=able or group), group)
    return result


def _left_out_by(own: Candidate, asked: Asked) -> str:
    """The option that does not ask for it; "" for none."""
    if asked.systems and own.line.system not in asked.systems:
        return "--system"
    return "" if own.line.precision in asked.precisions else "--precision"


def _listing(
    group: list[Candidate], limits: Sequence[Limit], asked: Asked, choice: Candidate | None
) -> list[Candidate]:
    if asked.every:
        return sorted(group, key=order)
    found = front([own for own in group if meets(own.figures, limits)])
    # Latency and single sides are on the front, but do not decide between equals.
    if choice is not None and not any(own is choice for own in found):
        found = sorted([*found, choice], key=order)
    return found


def _listed(own: Candidate, limits: Sequence[Limit], *, chosen: bool) -> dict[str, Any]:
    broken = [limit.broken_by(own.figures) for limit in limits if not limit.holds(own.figures)]
    return own.describe() | {"broken": broken, "chosen": chosen}


def _test_set(collected: Collected, asked: Asked) -> TestSet:
    tests = [test for test, _ in collected.tests()]
    able = [
        test
        for test in tests
        if asked.scenario in (None, test.scenario)
        and (asked.test is None or test.sha256.startswith(asked.test))
    ]
    if able:
        return able[0]
    if not tests:
        raise InputError("plan: nothing was measured: the zoo has no cards; name --results FILE")
    there = ", ".join(_test_text(test) for test in tests)
    words = [f"--scenario {asked.scenario}"] if asked.scenario else []
    words += [f"--test {asked.test}"] if asked.test else []
    raise InputError(
        f"{' '.join(words) or 'plan'}: no figures of such a test set; there is {there}"
    )


def _test_text(test: TestSet) -> str:
    return f"{test.scenario} {test.sha256[:8]}"


def _conflict(search: Search, group: Sequence[Candidate]) -> dict[str, Any]:
    """Which limits cannot be met, and what comes nearest to each of them."""
    limits = search.conflict()
    alone = all(search.none_meet([limit]) for limit in limits)
    nearest = []
    for limit in limits:
        others = [] if alone else [other for other in limits if other is not limit]
        best = search.nearest(limit, others)
        if best is not None:
            nearest.append(
                {
                    "limit": str(limit),
                    "value": best.figures[limit.key],
                    "unit": limit.quantity.unit,
                    "name": best.name,
                }
            )
    return {
        "limits": [str(limit) for limit in limits],
        "alone": alone,
        "nearest": nearest,
        "trainable_would": choose(group, search.limits) is not None,
    }


def conflict_text(conflict: dict[str, Any]) -> str:
    """One line: which limits, and the least that anything measured needs."""
    least = [
        f"{own['limit']}: "
        + (
            "nothing fits its memories"
            if own["unit"] == FIT
            else f"the nearest is {written(own['value'], own['unit'])} ({own['name']})"
        )
        for own in conflict["nearest"]
    ]
    if not conflict["limits"]:
        return (
            "nothing that was measured has its weights at hand; one that is to be trained meets "
            "all limits: add --trainable"
        )
    if conflict["alone"]:
        text = f"nothing measured meets {'; nor '.join(least or conflict['limits'])}"
    else:
        text = f"nothing measured meets {' and '.join(conflict['limits'])} together"
        text += f"; with the others met, for {'; for '.join(least)}" if least else ""
    if conflict["trainable_would"]:
        text += "; one that is to be trained meets all limits: add --trainable"
    return text
