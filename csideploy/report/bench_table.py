"""What `bench` measured, as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.report.units import duration


def show(result: dict[str, Any], console: Console) -> None:
    """Print the times, the ratios, and what the model says where it was asked."""
    console.print(f"{result['package']}: {result['name']}")
    table = plain_table("One sample, one thread, CPU time")
    table.add_column("side")
    table.add_column("runtime")
    for head in ("min", "median", "min / min", "paired"):
        table.add_column(head, justify="right")
    for side, figures in result["sides"].items():
        for name, seconds in figures["seconds"].items():
            ratio = figures["speedup"].get(name)
            table.add_row(
                side.upper(),
                name,
                duration(seconds["min"]),
                duration(seconds["median"]),
                f"{ratio['min']:.2f}x" if ratio else "",
                f"{ratio['paired']:.2f}x" if ratio else "",
            )
    console.print(table)
    if "model" in result:
        table = plain_table("What the calibrated model says of this host")
        table.add_column("side")
        for head in ("predicted", "measured, min", "error"):
            table.add_column(head, justify="right")
        for side, own in result["model"]["sides"].items():
            table.add_row(
                side.upper(),
                duration(own["predicted_s"]),
                duration(own["measured_s"]),
                f"{100 * own['error']:+.1f} %",
            )
        console.print(table)
    lines = [
        f"csideploy ran on {result['isa']}; {result['rounds']} rounds, in turns, windows of "
        f"{duration(result['window_s'])}."
    ]
    if len(next(iter(result["sides"].values()))["seconds"]) > 1:
        lines.append(
            "Ratios: how many times as long the peer takes; its least time over ours, and the "
            "median of each round's. Peers run the fp32 file."
        )
    for line in lines:
        console.print(line, style="dim")
