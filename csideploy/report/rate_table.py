"""The table of `evaluate --snr`: sum rate of each system at each P."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table
from csideploy.report.units import binary


def show(result: dict[str, Any], console: Console) -> None:
    """Print it: a row a system, a column a P; then what to take."""
    rows = result["rows"]
    snrs = sorted({row["snr_db"] for row in rows})
    systems = list(dict.fromkeys(row["system"] for row in rows))
    table = plain_table(f"Sum rate, bit/s/Hz, 95 % interval; {result['channels']}")
    table.add_column("system", no_wrap=True)
    table.add_column("bits a\nuser", justify="right")
    for snr in snrs:
        table.add_column(f"P =\n{snr:g} dB", justify="right", no_wrap=True)
    table.add_column("UE\nbundle", justify="right", no_wrap=True)
    table.add_column("BS\nbundle", justify="right", no_wrap=True)
    for system in systems:
        own = {row["snr_db"]: row for row in rows if row["system"] == system}
        first = next(iter(own.values()))
        bits = first["feedback_bits"]
        sizes = [first.get(f"{side}_bundle_bytes") for side in ("ue", "bs")]
        table.add_row(
            system,
            "no end" if bits is None else str(bits),
            *(_rate(own.get(snr), result["best"]) for snr in snrs),
            *("" if size is None else binary(size) for size in sizes),
        )
    console.print(table)
    for line in _advice(result, systems):
        console.print(line)
    console.print(
        "* the best with bounded feedback. Conventional schemes in NumPy, their regularization "
        "found by brute force at each P; the others through our runtime.",
        style="dim",
    )


def _rate(row: dict[str, Any] | None, best: dict[str, str]) -> str:
    if row is None:
        return ""
    half = (row["sum_rate_interval"][1] - row["sum_rate_interval"][0]) / 2
    mark = "*" if best.get(f"{row['snr_db']:g}") == row["system"] else " "
    return f"{row['sum_rate']:.3f} +-{half:.3f}{mark}"


def _advice(result: dict[str, Any], systems: list[str]) -> list[str]:
    """What is deployed beside rank1-rzf, and whether a network is worth its bytes here."""
    lines = []
    for row in result["rows"]:
        if row["conventional"] or "margin" not in row:
            continue
        low, high = row["margin_interval"]
        verdict = "better than" if low > 0 else "worse than" if high < 0 else "not apart from"
        lines.append(
            f"{row['snr_db']:g} dB: {row['system']} is {verdict} rank1-rzf "
            f"({row['margin']:+.3f}, interval {low:+.3f} {high:+.3f})"
            + (": take rank1-rzf." if row["network"] and low <= 0 else ".")
        )
    return lines
