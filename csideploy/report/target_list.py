"""Targets as tables: all of them, or one with its sources."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.report.units import binary
from csideploy.targets.files import CONFIDENCES, ESTIMATED, Figure, Target


def figures(target: Target) -> dict[str, Any]:
    """For scripts: the file, with the defaults that it leaves out."""
    return {
        "name": target.name,
        **target.model_dump(exclude={"name", "utilisation"}),
        "utilisation": target.shares.model_dump(),
        "confidence": target.confidence,
    }


def show(targets: Sequence[Target], console: Console) -> None:
    """One row a target; the tag behind a figure is how sure it is."""
    table = plain_table("Targets: one core of each")
    for head in ("target", "for", "clock", "fp32", "int8", "memories"):
        table.add_column(head, justify="left" if head in ("target", "for", "memories") else "right")
    for target in targets:
        table.add_row(
            target.name,
            target.side.upper(),
            f"{target.clock_hz.value / 1e9:.3g} GHz [{target.clock_hz.confidence}]",
            _peak(target.mac_per_cycle.fp32),
            _peak(target.mac_per_cycle.int8),
            ", ".join(f"{memory.name} {_size(memory.bytes)}" for memory in target.memories),
        )
    console.print(table)
    console.print("fp32, int8: peak multiply-accumulates a cycle.", style="dim")
    console.print(_meanings(), style="dim")
    console.print("csideploy targets NAME has the sources of one.", style="dim")


def show_one(target: Target, console: Console) -> None:
    """Every figure with its source."""
    console.print(f"{target.name}: {target.title}; for the {target.side.upper()}")
    if target.note:
        console.print(target.note)
    table = plain_table("Figures")
    table.add_column("key")
    table.add_column("value", justify="right")
    table.add_column("source", overflow="fold")
    for key, value, source, confidence in target.figures():
        shown = _size(int(value)) if key.endswith(".bytes") else f"{value:,.6g}"
        if key.endswith(".bandwidth"):
            shown = f"{value / 1e9:,.4g} GB/s"
        table.add_row(key, shown, f"{source} [{confidence}]")
    console.print(table)
    shares = target.shares
    table = plain_table("Parts of the peaks that kinds of layers reach")
    table.add_column("kind")
    for head in ("fp32", "int8"):
        table.add_column(head, justify="right")
    for kind, share in shares.fp32.model_dump().items():
        table.add_row(kind, f"{share:.3g}", f"{getattr(shares.int8, kind):.3g}")
    table.add_row("binary_linear", f"{shares.binary:.3g}", f"{shares.binary_int8:.3g}")
    console.print(table)
    rest = ", ".join(f"{kind} {share:.3g}" for kind, share in shares.elements.model_dump().items())
    console.print(f"Of the element-wise rate: {rest}.")
    console.print(f"These: {shares.source} [{shares.confidence}]", style="dim")
    if shares.estimated:
        console.print(f"Estimates: {', '.join(shares.estimated)} [{ESTIMATED}]", style="dim")
    if target.calibration:
        about = ", ".join(f"{key} {value}" for key, value in target.calibration.items())
        console.print(f"Calibrated: {about}.", style="dim")
    console.print(_meanings(), style="dim")


def _peak(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:,.3g} [{figure.confidence}]"


def _size(size: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20)):
        if size >= factor:
            return f"{size / factor:,.3g} {unit}"
    return binary(size)


def _meanings() -> str:
    return "; ".join(f"[{tag}] {text}" for tag, text in CONFIDENCES.items()) + "."
