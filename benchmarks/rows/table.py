"""The results as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.rows.measure import OURS, holds


def micro(seconds: float) -> str:
    """Microseconds in three digits or more."""
    value = seconds * 1e6
    return f"{value:.3f}" if value < 10 else f"{value:,.1f}" if value < 1000 else f"{value:,.0f}"


def _times(figures: dict[str, float]) -> str:
    return f"{micro(figures['min'])} / {micro(figures['median'])}"


def _factor(value: float | None) -> str:
    return "-" if value is None else f"{value:g}x"


def word(held: bool | None) -> str:
    """Of something that is judged, or not."""
    return {True: "yes", False: "NO", None: "-"}[held]


def share(row: dict[str, Any], run: dict[str, Any]) -> float | None:
    """Of the machine's limit that a run reaches."""
    least = (row.get("limit") or {}).get("seconds")
    return None if least is None else float(least / run["seconds"][OURS]["min"])


def lines(row: dict[str, Any]) -> Iterator[list[str]]:
    """Cells of a row: first ours, then a line a peer; of the worst of its runs."""
    first = min(row["runs"], key=lambda run: _worst(run))
    reached = share(row, first)
    bound = row.get("limit") or {}
    limit = "-"
    if reached is not None:
        limit = f"{micro(bound['seconds'])} us, {bound['binds']}: {100 * reached:.0f} %"
    title = f"{row['row']} {row['case']}".strip()
    limits = first["limits"].get(OURS, {})
    yield [
        title,
        "ours",
        _times(first["seconds"][OURS]),
        "",
        "",
        *(_seconds_wanted(limits)),
        limit,
    ]
    for name, figures in first["seconds"].items():
        if name == OURS:
            continue
        peer, own = first["peers"].get(name), first["limits"].get(name, {})
        if peer is None:
            yield ["", name, _times(figures), "", "", *_seconds_wanted(own), ""]
            continue
        held = [run["peers"][name]["holds"] for run in row["runs"]]
        yield [
            "",
            name,
            _times(figures),
            f"{peer['min']:.2f}x",
            f"{peer['paired']:.2f}x",
            _factor(peer["at_least"]),
            _factor(peer["goal"]),
            _said(held, peer["reaches_goal"]),
            "",
        ]
    for name, why in row["missing"].items():
        yield ["", name, why, "", "", "", "", "", ""]


def _seconds_wanted(limits: dict[str, Any]) -> tuple[str, str, str]:
    if not limits:
        return "", "", ""
    most, goal = limits["at_most"], limits["goal"]
    return (
        "" if most is None else f"{micro(most)} us",
        "" if goal is None else f"{micro(goal)} us",
        _said([limits["holds"]], limits["reaches_goal"]),
    )


def _said(held: list[bool | None], goal: bool | None) -> str:
    if all(one is None for one in held):
        return "goal" if goal else "-"
    count = f" in {sum(map(bool, held))} of {len(held)}" if len(held) > 1 else ""
    return word(all(held)) + count + (", goal" if goal else "")


def _worst(run: dict[str, Any]) -> float:
    """How far the worst ratio of a run is above what is asked for."""
    ratios = [peer["min"] / peer["at_least"] for peer in run["peers"].values() if peer["at_least"]]
    return min(ratios, default=0.0)


def show(results: dict[str, Any], console: Console) -> None:
    """All rows, then what was checked besides time."""
    machine, limits = results["machine"], results["limits"]
    table = Table(title=f"{machine['processor']}, {machine['isa']}: one thread, CPU time")
    for name, justify in (
        ("row", "left"),
        ("candidate", "left"),
        ("min / median, us", "right"),
        ("min/min", "right"),
        ("paired", "right"),
        ("at least", "right"),
        ("goal", "right"),
        ("holds?", "left"),
        ("limit: share reached", "left"),
    ):
        table.add_column(name, justify="left" if justify == "left" else "right")
    for row in results["rows"]:
        for cells in lines(row):
            table.add_row(*cells)
        table.add_section()
    console.print(table)
    rates = ", ".join(f"{kind} {rate / 1e9:.0f} G/s" for kind, rate in limits["rates"].items())
    read = ", ".join(f"{level} {rate / 1e9:.0f} GB/s" for level, rate in limits["read"].items())
    console.print(f"This core: {rates}. Reading: {read}.")
    for row in results["rows"]:
        title = f"{row['row']} {row['case']}".strip()
        for check in row["checks"]:
            console.print(f"{title}: {check['says']}: {word(check['holds'])}")
        for note in row["notes"]:
            console.print(f"{title}: {note}")
    failed = [
        f"{row['row']} {row['case']}".strip()
        for row in results["rows"]
        if any(holds({**run, "checks": row["checks"]}) is False for run in row["runs"])
    ]
    if not results["judged"]:
        console.print("Not judged: this is no x86 core with AVX-512 VNNI.")
    elif failed:
        console.print(f"Below what is asked for: {', '.join(failed)}")
    else:
        console.print("Every row that is judged holds.")
