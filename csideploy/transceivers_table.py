"""What `csideploy systems` says of transceivers for any number of bits and users."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy import zoo
from csideploy.errors import InputError
from csideploy.report.tables import plain_table
from csideploy.transceiver import costs
from csideploy.transceiver.setup import Setup
from csideploy.transceiver.weights import PAPER, SYSTEM

USERS = (3, 8)
"""K that a BS's MACs are given for."""
SIZES = (16, 32, 64, 128)
"""M of the long list; a quarter as many pilots, twice as many numbers in a feature."""
FORMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("anchored", {"anchor": "rzf"}),
    ("the paper's", {}),
    ("node form", {"form": "node", "start": [1024, 512], "layers": 2, "end": 256}),
)


def collect(*, every: bool = False) -> list[dict[str, Any]]:
    """The networks in the forms that can be trained, at M = 16 or at all M of `SIZES`."""
    setups = (
        [Setup(antennas=m, pilots=m // 4, feature=2 * m) for m in SIZES] if every else [Setup()]
    )
    return [
        _sizes(setup, {**costs.PAPER_WIDTHS, **own}, form)
        for setup in setups
        for form, own in FORMS
    ]


def entries() -> list[dict[str, Any]]:
    """The zoo's; [] without one."""
    try:
        return [
            {
                "entry": entry.path.name,
                **entry.card,
                "sizes": _sizes(Setup(**entry.card["setup"]), entry.card["widths"], "zoo"),
            }
            for entry in zoo.transceiver_entries()
        ]
    except InputError:
        return []


def _sizes(setup: Setup, widths: dict[str, Any], form: str) -> dict[str, Any]:
    encoder, quantizer = costs.encoder(setup, widths), costs.quantizer(setup)
    precoders = {users: costs.precoder(setup, widths, users) for users in USERS}
    return {
        "system": SYSTEM,
        "paper": PAPER,
        "form": form,
        "setup": setup.describe(),
        "widths": widths,
        "payload_bits": "any",
        "trained_bits": setup.bits,
        "parts": [
            {"part": "encoder", "side": "ue", **encoder},
            {"part": "quantizer", "side": "ue", **quantizer},
            {
                "part": "precoder",
                "side": "bs",
                "parameters": precoders[USERS[0]]["parameters"],
                "macs": {str(users): own["macs"] for users, own in precoders.items()},
            },
        ],
    }


def show(result: dict[str, Any], console: Console) -> None:
    """Print the table, and a line for each entry of the zoo."""
    tiers = "+".join(map(str, Setup().tiers))
    table = plain_table(f"Transceivers for any bits and any users, L = M / 4, D = 2 M, B {tiers}")
    table.add_column("system", no_wrap=True)
    table.add_column("M", justify="right", no_wrap=True)
    table.add_column("form", no_wrap=True)
    heads = ["UE\nMACs", "UE\nparameters", *(f"BS MACs,\nK = {users}" for users in USERS)]
    for column in (*heads, "BS\nparameters"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in [*result["transceivers"], *(e["sizes"] for e in result["transceiver_zoo"])]:
        encoder, quantizer, precoder = row["parts"]
        table.add_row(
            row["system"],
            str(row["setup"]["antennas"]),
            row["form"],
            _millions(encoder["macs"] + quantizer["macs"]),
            _millions(encoder["parameters"] + quantizer["parameters"]),
            *(_millions(macs) for macs in precoder["macs"].values()),
            _millions(precoder["parameters"]),
        )
    console.print(table)
    console.print(
        "UE: feature extractor, and the scan over all codewords of the trained tiers.", style="dim"
    )
    for entry in result["transceiver_zoo"]:
        console.print(f"Zoo: {entry['entry']}, {Setup(**entry['setup'])}{_reached(entry)}.")


def _reached(entry: dict[str, Any]) -> str:
    rows = entry["metrics"].get("sum_rate")
    if not rows:
        reached = entry.get("training", {}).get("validation_sum_rate")
        if reached is None:
            return ""
        return f": {reached:.3f} bit/s/Hz on validation users, in training"
    found = ", ".join(
        f"{row['sum_rate']:.2f} ({row['users']} users, {row['bits']} bits)" for row in rows
    )
    return f": sum rate {found} bit/s/Hz at {rows[0]['snr_db']:g} dB, test users"


def _millions(count: int) -> str:
    return f"{count / 1e6:.3f} M"
