"""Targets, time and verdict as cells, for a terminal and for a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csideploy.report.units import binary, duration, percent
from csideploy.targets.files import CONFIDENCES

Tables = list[tuple[str, Sequence[str], list[list[str]]]]

SHOWN = 4
"""Targets that a table by layer has room for; the JSON has all."""


def tables(result: dict[str, Any], sides: Sequence[str]) -> Tables:
    """Caption, heads and rows.

    Args:
        result: a report with its targets.
        sides: those to show.
    """
    sides = [side for side in sides if side in result["timing"]["sides"]]
    found: Tables = [
        ("On targets", ("target", "side", "latency", "of its time", "a second", "weights in"), [])
    ]
    for entry in result["targets"]:
        for side in sides:
            found[0][2].append(_on_target(entry, side))
    modelled = [entry for entry in result["targets"] if entry["mark"] != "measured"][:SHOWN]
    for side in sides if modelled else ():
        rows = _by_layer(side, modelled)
        heads = ("layer", *(entry["target"] for entry in modelled))
        found.append((f"{side.upper()} by layer, modelled", heads, rows))
    spacing = 15 * 2 ** result["timing"]["numerology"]
    caption = (
        f"Time that the link leaves ({spacing} kHz, numerology {result['timing']['numerology']})"
    )
    time = [
        [side.upper(), duration(own["seconds"]), f"{own['what']} [{own['confidence']}]"]
        for side, own in result["timing"]["sides"].items()
        if side in sides
    ]
    found.append((caption, ("side", "time", "what"), time))
    checks = result["verdict"]["checks"]
    if checks:
        holds = "PASS" if result["verdict"]["holds"] else "FAIL"
        heads = ("check", "on", "value", "limit", "")
        found.append((f"Verdict: {holds}", heads, [_check(check) for check in checks]))
    return found


def _on_target(entry: dict[str, Any], side: str) -> list[str]:
    own = entry["sides"][side]
    place = own["weights_in"] if own["fits"] else "does not fit"
    return [
        f"{entry['target']}, {entry['mark']} [{own['confidence']}]",
        side.upper(),
        duration(own["latency_s"]),
        percent(own["share"]),
        f"{own['runs_per_second']:,.0f}",
        place.removeprefix("memory of "),
    ]


def _by_layer(side: str, entries: Sequence[dict[str, Any]]) -> list[list[str]]:
    columns = [entry["sides"][side] for entry in entries]
    rows = []
    for at, layer in enumerate(columns[0]["layers"]):
        cells = [
            f"{duration(own['layers'][at]['latency_s'])} {own['layers'][at]['bound'][0]}"
            for own in columns
        ]
        rows.append([layer["name"].split(".", 1)[-1], *cells])
    if columns[0]["preprocessing_s"] is not None:
        rows.append(["before: FFT, truncation", *(duration(c["preprocessing_s"]) for c in columns)])
    return [*rows, ["total", *(duration(own["latency_s"]) for own in columns)]]


def _check(check: dict[str, Any]) -> list[str]:
    value, limit = (_number(check[key], check["unit"]) for key in ("value", "limit"))
    return [
        check["name"],
        check["target"] or "",
        value,
        limit,
        "PASS" if check["holds"] else "FAIL",
    ]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "none"
    if unit == "bytes":
        return binary(int(value))
    if unit == "s":
        return duration(value)
    if not unit:
        return percent(value)
    return f"{value:,.0f} {unit}"


def lines(result: dict[str, Any]) -> list[str]:
    """What has to be said below."""
    said = [
        "Of time: the part of the time that the link leaves to the side; by layer the medians of "
        "layers and their sum, on targets whole runs with what stands before the encoder."
    ]
    before = result["preprocessing"]
    if before is not None:
        said.append(
            f"Before the encoder, within the UE's latency: {before['what']}; "
            f"{before['flops']:,} FLOPs, {duration(before['measured_s']['median'])} here. Channel "
            "estimation is not counted."
        )
    modelled = [entry["target"] for entry in result["targets"] if entry["mark"] != "measured"]
    if len(modelled) > SHOWN:
        said.append(
            f"By layer, modelled: the first {SHOWN} of {len(modelled)} targets; --format json has "
            f"{', '.join(modelled[SHOWN:])} too."
        )
    for entry in result["targets"]:
        if entry["precision"] != "as compiled":
            said.append(f"{entry['target']}: float layers taken as {entry['precision']}.")
        if entry["note"]:
            said.append(f"{entry['target']}: {entry['note']}")
    used = {own["confidence"] for entry in result["targets"] for own in entry["sides"].values()}
    used |= {own["confidence"] for own in result["timing"]["sides"].values()}
    meanings = "; ".join(f"[{tag}] {text}" for tag, text in CONFIDENCES.items() if tag in used)
    said.append(f"Confidence, of the least sure figure used: {meanings}.")
    if len(result["targets"]) > 1:
        said.append(
            "Modelled times by layer: bound by a, arithmetic; m, memory; o, overhead of a call. "
            "csideploy targets NAME prints the figures behind them and their sources."
        )
    return said
