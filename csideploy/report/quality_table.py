"""The table of `evaluate`: quality against payload bits, with what the UE pays."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.report.units import binary


def show(result: dict[str, Any], console: Console) -> None:
    """Print it: payloads rising, within one the best system last."""
    table = plain_table(f"Link quality, {result['channels']}")
    table.add_column("payload\nbits", justify="right", no_wrap=True)
    table.add_column("system", no_wrap=True)
    by_band = any("sgcs_subband" in row for row in result["rows"])
    more = ("SGCS by\nsub-band",) if by_band else ()
    for column in ("bits an\noutput", "NMSE\ndB", "95 %\ninterval", "SGCS", *more):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("UE\nbundle", "UE bundle\n+ arena", "UE\nMACs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("spread\n5 to 95 %", justify="right", no_wrap=True)
    before = None
    for row in result["rows"]:
        if before not in (None, row["payload_bits"]):
            table.add_section()
        before = row["payload_bits"]
        loss = ["", "", ""]
        cost = ["", "", ""]
        if row["nmse_db"] is not None:
            low, high = row["nmse_db_interval"]
            loss = [str(row["bits"]), f"{row['nmse_db']:.2f}", f"{low:.2f} {high:.2f}"]
            cost = [
                binary(row["ue_bundle_bytes"]),
                binary(row["ue_memory_bytes"]),
                f"{row['ue_macs'] / 1e6:.2f} M",
            ]
        table.add_row(
            f"{row['payload_bits']:,}",
            _name(row),
            *loss,
            f"{row['sgcs']:.4f}",
            *([f"{row['sgcs_subband']:.4f}"] if by_band else []),
            *cost,
            spread(row["spread"]),
        )
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
