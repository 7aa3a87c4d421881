"""The table of `export --table`: forms of a precoder's table, their bytes, their rates."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table


def show(result: dict[str, Any], console: Console) -> None:
    """Print every form that a table may have, and which was taken."""
    about = result["table"]
    table = plain_table(f"Forms of the table at P = {result['snr_db']:g} dB")
    table.add_column("", no_wrap=True)
    table.add_column("form", no_wrap=True)
    for column in ("rows", "bytes", "sum rate\nbit/s/Hz", "lost", "95 % interval"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in about["candidates"]:
        taken = row["form"] == about["form"]
        low, high = row["loss_interval"]
        table.add_row(
            "->" if taken else "" if row["fits"] else "too large",
            row["form"],
            f"{row['rows']:,}",
            f"{row['bytes']:,}",
            f"{row['rate']:.4f}",
            f"{row['loss']:+.4f}",
            f"{low:+.4f} {high:+.4f}",
        )
    console.print(table)
    if about["form"] is None:
        console.print(
            f"No table fits: the BS's part is the transmitter itself, "
            f"{about['transmitter_bytes']:,} bytes with its arena. For channels that change "
            "slowly, csd_cache_run keeps what it has computed (runtime/include/csideploy/cache.h)."
        )
    elif about.get("transmitter_bytes") is not None:
        console.print(
            f"The transmitter without a table: {about['transmitter_bytes']:,} bytes with its arena."
        )
