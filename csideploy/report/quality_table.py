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
    for column in ("bits an\noutput", "NMSE\ndB", "95 %\ninterval", "SGCS"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("UE\nbundle", "UE bundle\n+ arena", "UE\nMACs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("spread\n5 to 95 %", justify="right", no_wrap=True)
    before = None
    for row in result["rows"]:
        if before not in (None, row["payload_bits"]):
            table.add_section()
        before = row["payload_bits"]
        low, high = row["nmse_db_interval"]
        table.add_row(
            f"{row['payload_bits']:,}",
            row["system"],
            str(row["bits"]),
            f"{row['nmse_db']:.2f}",
            f"{low:.2f} {high:.2f}",
            f"{row['sgcs']:.4f}",
            binary(row["ue_bundle_bytes"]),
            binary(row["ue_memory_bytes"]),
            f"{row['ue_macs'] / 1e6:.2f} M",
            spread(row["spread"]),
        )
    console.print(table)
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
