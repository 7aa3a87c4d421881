"""A plan for people: limits, front, choice, and why the others lost."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.planning.limits import FIT, QUANTITIES, written
from csideploy.report.tables import plain_table
from csideploy.report.units import duration

_SIDES = ("ue", "bs")
AXES = {
    "width": "width k",
    "widest": "widest that fits",
    "eta": "eta = 1/cr",
    "B": "bits B",
    "binarize": "1-bit layers",
    "precision": "precision",
}
WIDE = 110
"""Columns of a terminal, and ten more for each latency."""
MORE_ACCURATE = 6
"""Lines; --json has all."""


def show(result: dict[str, Any], console: Console) -> None:
    """Print it all; a plan without a choice ends behind the table."""
    test = result["test"]
    console.print(f"Limits: {_limits(result) or 'none'}.", soft_wrap=True)
    for side, device in result["targets"].items():
        console.print(
            f"{side.upper()} latency: {device['mark']} for {device['target']} ({device['title']}), "
            f"confidence {device['confidence']}.",
            soft_wrap=True,
        )
    _show_front(result, console)
    console.print(
        f"{result['measured']} were measured on {test['samples']:,} samples, {test['scenario']}, "
        f"seed {test['seed']} ({test['sha256'][:8]}). Memory: bundle and arena, in bytes.",
        style="dim",
        soft_wrap=True,
    )
    for other in result["other_tests"]:
        console.print(
            f"{other['figures']} figures of another test are left out: --test "
            f"{other['sha256'][:8]} ({other['scenario']}, seed {other['seed']}).",
            style="dim",
            soft_wrap=True,
        )
    if result["without_zoo"] is not None:
        console.print(
            f"Only --results was read: {result['without_zoo']}.", style="dim", soft_wrap=True
        )
    for reason, count in result["passed_over"].items():
        console.print(f"Passed over: {count} ({reason}).", style="dim", soft_wrap=True)
    if result["choice"] is not None:
        _show_choice(result, console)


def _limits(result: dict[str, Any]) -> str:
    return ", ".join(
        f"{QUANTITIES[limit['key']].what} at {'least' if limit['at_least'] else 'most'} "
        f"{written(limit['value'], limit['unit'])}"
        for limit in result["limits"]
        if limit["unit"] != FIT
    )


def _show_front(result: dict[str, Any], console: Console) -> None:
    latencies = [side for side in _SIDES if side in result["targets"]]
    table = plain_table("What was measured and meets the limits: the Pareto front")
    if result["listed"] == "all":
        table.title = "All that was measured"
    # A narrow terminal breaks names, not figures, and goes without SGCS, and without operations
    # where there are latencies.
    wide = console.width >= WIDE + 10 * len(latencies)
    counted = _SIDES if wide or not latencies else ()
    table.add_column("system", overflow="fold", no_wrap=wide)
    sgcs = ["\nSGCS"] if wide else []
    for column in ("NMSE\ndB", *sgcs, "payload\nbits", "UE\nmemory", "BS\nmemory"):
        table.add_column(column, justify="right", no_wrap=True)
    for what, shown in (("MMAC", counted), ("latency", latencies)):
        for side in shown:
            table.add_column(f"{side.upper()}\n{what}", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in result["front"]:
        figures = row["figures"]
        mark = "" if row["ready"] else "to be trained"
        if row["chosen"]:
            mark = "chosen"
        if row["broken"]:
            mark = "breaks a limit"
        table.add_row(
            row["name"],
            f"{figures['nmse_db']:.2f}",
            *([f"{figures['sgcs']:.4f}"] if wide else []),
            *(f"{figures[key]:,.0f}" for key in ("payload_bits", "ue_memory", "bs_memory")),
            *(_millions(figures, side) for side in counted),
            *(duration(figures[f"{side}_latency"]) for side in latencies),
            mark,
        )
    if not result["front"]:
        console.print("Nothing that was measured meets the limits.")
        return
    console.print(table)
    if any("(" in _millions(row["figures"], side) for row in result["front"] for side in counted):
        console.print(
            "MMAC: executed, which limits are about; in brackets the network's own, where a layer "
            "with weights of 16 bits runs as two.",
            style="dim",
            soft_wrap=True,
        )


def _millions(figures: dict[str, Any], side: str) -> str:
    """`42.21`: MACs executed; below them (23.11), those of the network, where they differ."""
    executed, network = (figures[f"{side}_{key}"] for key in ("macs", "network_macs"))
    also = "" if executed == network else f"\n({network / 1e6:.2f})"
    return f"{executed / 1e6:.2f}{also}"


def _show_choice(result: dict[str, Any], console: Console) -> None:
    choice = result["choice"]
    figures = choice["figures"]
    console.print()
    console.print(
        f"Choice: {choice['name']}, {figures['nmse_db']:.3f} dB, SGCS {figures['sgcs']:.4f}, "
        f"{figures['payload_bits']:,.0f} bits, UE {written(figures['ue_memory'], 'B')}, "
        f"BS {written(figures['bs_memory'], 'B')}.",
        style="bold",
        soft_wrap=True,
    )
    for command in choice["commands"]:
        console.print(f"    {command}", soft_wrap=True)
    console.print()
    table = plain_table("Why its neighbours lost")
    table.add_column("one step in", no_wrap=True)
    table.add_column("to", no_wrap=True)
    table.add_column("", overflow="fold")
    for row in result["neighbours"]:
        table.add_row(AXES[row["axis"]], row["name"], row["why"])
    console.print(table)
    better = result["more_accurate"]
    if better:
        table = plain_table("More accurate, and why not")
        table.add_column("system", no_wrap=True)
        table.add_column("dB", justify="right", no_wrap=True)
        table.add_column("", overflow="fold")
        for row in better[:MORE_ACCURATE]:
            table.add_row(row["name"], f"{row['figures']['nmse_db']:.2f}", row["why"])
        console.print(table)
        if len(better) > MORE_ACCURATE:
            console.print(f"... and {len(better) - MORE_ACCURATE} more (--json).", style="dim")
