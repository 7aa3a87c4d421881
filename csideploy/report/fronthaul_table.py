"""The tables of `evaluate` for the fronthaul: efficiency and symbol errors against bits."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table

_FOOT = (
    "log2 det(I + E) - log2 det(E), the paper's measure, is 1 bit a stream where nothing gets "
    "through; -log2 det(E) is 0 there. SER: 16-QAM on all streams; CP has one where its links have "
    "room for that. cp: the best of its configurations at these bits, code rate 0.5 as in its "
    "paper; cp-mod: layers by O-RAN's modulation compression, weights in block floating point with "
    "9 bits, the best code rate up to NR's highest, 948/1024 [M]. Link full: the constellation or "
    "the coded bits, not the radio link, set the efficiency. bfp: O-RAN block "
    "floating point of the precoded samples. Systems with bundles ran through them."
)


def show(result: dict[str, Any], console: Console) -> None:
    """Print it: one table a channel, the rows in order of their bits."""
    for kind in dict.fromkeys(row["channel"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["channel"] == kind]
        table = plain_table(
            f"{kind}: {result['blocks']} channels, {result['uses']} symbols each, "
            f"{result['receiver']} receiver; 95 % intervals over channels"
        )
        table.add_column("system", no_wrap=True)
        table.add_column("bits a channel use\nand RU", justify="right")
        table.add_column("sum efficiency\nbit/s/Hz", justify="right", no_wrap=True)
        table.add_column("over linear,\npaired", justify="right", no_wrap=True)
        table.add_column("-log2 det E", justify="right", no_wrap=True)
        table.add_column("16-QAM SER", justify="right", no_wrap=True)
        for row in sorted(rows, key=_order):
            table.add_row(
                _name(row),
                "no limit" if row["bits"] is None else f"{row['bits']:.4g}",
                _with_interval(row, "efficiency"),
                _with_interval(row, "margin"),
                f"{row['plain']:.2f}" if "plain" in row else "",
                f"{row['symbol_errors']:.2g}" if "symbol_errors" in row else "",
            )
        console.print(table)
    console.print(_FOOT, style="dim")


def show_sweep(result: dict[str, Any], console: Console) -> None:
    """Print a sweep: a row a value, a column a system."""
    name, rows = result["over"], result["rows"]
    systems = list(dict.fromkeys(row["system"] for row in rows))
    table = plain_table(
        f"Sum efficiency, bit/s/Hz, over {name.replace('_', ' ')}; {result['channel']}, "
        f"{result['blocks']} channels; 95 % intervals"
    )
    table.add_column(name.replace("_", " "), justify="right")
    for system in systems:
        table.add_column(system, justify="right", no_wrap=True)
    for value in dict.fromkeys(row[name] for row in rows):
        own = {row["system"]: row for row in rows if row[name] == value}
        table.add_row(
            f"{value:g}", *(_with_interval(own.get(s, {}), "efficiency") for s in systems)
        )
    console.print(table)


def _order(row: dict[str, Any]) -> tuple[float, float]:
    bits = float("inf") if row["bits"] is None else row["bits"]
    return bits, -row["efficiency"]


def _name(row: dict[str, Any]) -> str:
    limit = ", link full" if row.get("link_limited") else ""
    if row["system"] == "bfp":
        return f"bfp, {row['width']} bits"
    if row["system"] == "cp-mod":
        symbols = "QPSK" if row["order"] == 2 else f"{2 ** row['order']}-QAM"
        return f"cp-mod, {symbols}, {row['reuse'] // 168} PRB{limit}"
    if row["system"] == "cp":
        shared = row["reuse"] // 168
        return f"cp, W {row['precoder_bits']} bits, {shared} PRB{limit}"
    return str(row["system"])


def _with_interval(row: dict[str, Any], name: str) -> str:
    if name not in row:
        return ""
    return f"{row[name]:.2f} +-{row[f'{name}_interval'][1] - row[name]:.2f}"
