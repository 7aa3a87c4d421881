"""The table of `evaluate`: quality against payload bits, with what the UE pays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.report.units import binary

DROPPED = ("spread\n5 to 95 %", "UE\nbundle", "UE\nMACs", "bits an\noutput", "95 %\ninterval")
"""Columns that a terminal too narrow for all does without, in this order; the JSON has all."""


def show(result: dict[str, Any], console: Console) -> None:
    """Print it: payloads rising, within one the best system last."""
    by_band = any("sgcs_subband" in row for row in result["rows"])
    columns = _columns(result["rows"], by_band)
    for head in DROPPED:
        if sum(map(_width, columns.items())) > console.width:
            del columns[head]
    table = plain_table(f"Link quality, {result['channels']}")
    for head in columns:
        if head == "system":
            table.add_column(head, overflow="fold")
        else:
            table.add_column(head, justify="right", no_wrap=True)
    before = None
    for row, cells in zip(result["rows"], zip(*columns.values(), strict=True), strict=True):
        if before not in (None, row["payload_bits"]):
            table.add_section()
        before = row["payload_bits"]
        table.add_row(*cells)
    console.print(table)
    if by_band:
        console.print(
            "etype2: Rel-16 codebook, the array's halves as two polarisations; it sends a "
            "direction a sub-band (13), no scale and no phase, and so has no NMSE. Its bits: all "
            "coefficients that may be there.",
            style="dim",
        )
    _show_left_out(result, console)
    console.print(
        "Through our runtime, payload bits as sent. Spread: standard deviations of the encoder's "
        "outputs over their mean, 5 % and 95 % quantile: bits allocated pay where they differ.",
        style="dim",
    )


def _columns(rows: list[dict[str, Any]], by_band: bool) -> dict[str, list[str]]:
    """Heads and cells; what a codebook does not have stays empty."""
    columns: dict[str, list[str]] = {
        "payload\nbits": [f"{row['payload_bits']:,}" for row in rows],
        "system": [_name(row) for row in rows],
    }

    def add(head: str, cell: Callable[[dict[str, Any]], str]) -> None:
        columns[head] = ["" if row["nmse_db"] is None else cell(row) for row in rows]

    add("bits an\noutput", lambda row: str(row["bits"]))
    add("NMSE\ndB", lambda row: f"{row['nmse_db']:.2f}")
    add("95 %\ninterval", lambda row: "{:.2f} {:.2f}".format(*row["nmse_db_interval"]))
    columns["SGCS"] = [f"{row['sgcs']:.4f}" for row in rows]
    if by_band:
        columns["SGCS by\nsub-band"] = [f"{row['sgcs_subband']:.4f}" for row in rows]
    add("UE\nbundle", lambda row: binary(row["ue_bundle_bytes"]))
    add("UE bundle\n+ arena", lambda row: binary(row["ue_memory_bytes"]))
    add("UE\nMACs", lambda row: f"{row['ue_macs'] / 1e6:.2f} M")
    columns["spread\n5 to 95 %"] = [spread(row["spread"]) for row in rows]
    return columns


def _width(column: tuple[str, list[str]]) -> int:
    """Of a column with the space around it."""
    head, cells = column
    return 2 + max(len(text) for text in (*head.split("\n"), *cells))


def spread(falling: list[float]) -> str:
    """`0.12 3.4`: the 5 % and the 95 % quantile of values that fall."""
    if not falling:
        return ""
    last = len(falling) - 1
    return f"{falling[round(0.95 * last)]:.2f} {falling[round(0.05 * last)]:.2f}"


def show_directions(result: dict[str, Any], console: Console) -> None:
    """Print what `evaluate_panel` found, as `show`."""
    table = plain_table(f"Directions by sub-band, {result['channels']}")
    table.add_column("payload\nbits", justify="right", no_wrap=True)
    table.add_column("system", no_wrap=True)
    for column in ("bits sent,\nmean", "SGCS", "95 %\ninterval", "by layer", "UE search\nFLOPs"):
        table.add_column(column, justify="right", no_wrap=True)
    before = None
    for row in result["rows"]:
        if before not in (None, row["payload_bits"]):
            table.add_section()
        before = row["payload_bits"]
        low, high = row["sgcs_interval"]
        table.add_row(
            f"{row['payload_bits']:,}",
            _name(row),
            f"{row['mean_bits']:.1f}",
            f"{row['sgcs']:.4f}",
            f"{low:.4f} {high:.4f}",
            " ".join(f"{value:.4f}" for value in row["sgcs_layers"]),
            f"{row['search_flops'] / 1e6:.2f} M",
        )
    console.print(table)
    console.print(
        "etype2: payload bits as reserved, from the bits that were sent. Without finding the "
        "directions themselves, which all need.",
        style="dim",
    )
    for text in result["notes"]:
        console.print(text)
    _show_left_out(result, console)


def _show_left_out(result: dict[str, Any], console: Console) -> None:
    if result["left_out"]:
        console.print(f"Left out: {'; '.join(result['left_out'])}.", style="dim")


def _name(row: dict[str, Any]) -> str:
    """A system, and of eType II the combination."""
    combination, note = row.get("combination"), row.get("note")
    name = str(row["system"]) if combination is None else f"{row['system']}, PC {combination}"
    return f"{name} *" if note else name
