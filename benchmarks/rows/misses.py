"""Where the time goes in rows that miss what they are for: a table for `benchmarks/README.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.rows.measure import OURS
from benchmarks.rows.table import micro, share

STEPS = 4
"""Longest steps that are named."""


def missed(row: dict[str, Any]) -> list[str]:
    """What of a row is below its "at least" or its goal, by its worst run."""
    found = []
    for kind, unit in (("peers", "x"), ("limits", " us")):
        for name in row["runs"][0][kind]:
            runs = [run[kind][name] for run in row["runs"]]
            worst = (min if kind == "peers" else max)(runs, key=lambda own: float(own["min"]))
            most = worst.get("at_least", worst.get("at_most"))
            wanted = most if worst["holds"] is False else worst["goal"]
            if worst["holds"] is not False and worst["reaches_goal"] is not False:
                continue
            what = "at least" if worst["holds"] is False else "goal"
            if kind == "limits":
                what = "at most" if worst["holds"] is False else "goal"
                found.append(f"{name}: {micro(worst['min'])} us, {what} {micro(wanted)} us")
            else:
                found.append(f"{name}: {worst['min']:.1f}{unit}, {what} {wanted:g}x")
    found += [check["says"] for check in row["checks"] if not check["holds"]]
    return found


def profile(row: dict[str, Any]) -> str:
    """The longest steps, as shares of all; and what of a call is outside of the steps."""
    steps = [(step["step"], float(step["seconds"])) for step in row["profile"]]
    if not steps:
        return "no steps"
    total = sum(seconds for _, seconds in steps)
    call = min(run["seconds"][OURS]["min"] for run in row["runs"])
    steps.sort(key=lambda step: -step[1])
    said = [
        f"{name} {micro(seconds)} us ({seconds / total:.0%})" for name, seconds in steps[:STEPS]
    ]
    rest = sum(seconds for _, seconds in steps[STEPS:])
    if rest > 0:
        said.append(f"{len(steps) - STEPS} more {micro(rest)} us")
    if call > total:
        said.append(f"around them {micro(call - total)} us")
    return ", ".join(said)


def lines(results: dict[str, Any]) -> Iterator[str]:
    """Markdown, a row a line."""
    yield "| row | below | share of the limit | steps, longest first |"
    yield "|---|---|---|---|"
    for row in results["rows"]:
        found = missed(row)
        if not found:
            continue
        best = min(row["runs"], key=lambda run: float(run["seconds"][OURS]["min"]))
        reached = share(row, best)
        limit = "-" if reached is None else f"{reached:.0%} of {row['limit']['binds']}"
        title = f"{row['row']} {row['case']}".strip()
        yield f"| {title} | {'; '.join(found)} | {limit} | {profile(row)} |"
