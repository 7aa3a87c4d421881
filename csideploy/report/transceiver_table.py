"""The table of `evaluate` for transceivers."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table


def show(result: dict[str, Any], console: Console) -> None:
    """A table for each number of users and SNR: a row a system, a column a number of bits."""
    rows = result["rows"]
    bits = sorted({row["at_bits"] for row in rows})
    cells = dict.fromkeys((row["users"], row["snr_db"]) for row in rows)
    for users, snr in cells:
        own = [row for row in rows if (row["users"], row["snr_db"]) == (users, snr)]
        table = plain_table(f"Sum rate, bit/s/Hz, 95 % interval: K = {users}, SNR {snr:g} dB")
        table.add_column("system", no_wrap=True)
        for b in bits:
            table.add_column(f"B = {b}", justify="right", no_wrap=True)
        for system in dict.fromkeys(row["system"] for row in own):
            by_bits = {row["at_bits"]: row for row in own if row["system"] == system}
            style = "bold" if next(iter(by_bits.values()))["trained"] else None
            table.add_row(system, *(_cell(by_bits.get(b), bits) for b in bits), style=style)
        console.print(table)
    channel = result["channel"]
    console.print(
        f"{channel['file']}: {channel['test_users']} test users, M {channel['antennas']}, "
        f"L {result['pilots']}, {result['samples']} groups, seed {result['seed']}; baselines "
        f"fitted on the training users of {result['baselines_fitted_on']}. zf, rzf, wmmse know "
        "the channels, -lmmse the users' estimates, -lloyd the bits of channels that users know.",
        style="dim",
    )
    for check in result["checks"]:
        fails = check["fails"]
        where = "everywhere" if not fails else f"but not at {_places(fails)}"
        console.print(f"{check['system']}: {check['check']}, {check['cells']} cells: {where}")


def _cell(row: dict[str, Any] | None, bits: list[int]) -> str:
    """A baseline that knows no bits stands in the first column alone."""
    if row is None or (row["bits"] is None and row["at_bits"] != bits[0]):
        return ""
    return f"{row['sum_rate']:.3f} +-{row['half_interval']:.3f}"


def _places(fails: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"K {fail['users']}, {fail['snr_db']:g} dB, B {fail['bits']}" for fail in fails
    )
