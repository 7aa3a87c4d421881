"""`csideploy systems`: what there is, how big it is, and which weights are at hand."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from csideploy import registry, zoo
from csideploy.errors import InputError

SHOWN_WIDTHS = (1, 10, 20)
"""Of the twenty widths of ACRNet, those that the papers report most; --all shows the others."""


def collect(*, cr: int, bits: int, every: bool) -> dict[str, Any]:
    """All figures of the table.

    Args:
        cr: compression ratio that sizes and payload are given for.
        bits: bits a feature, likewise.
        every: all widths of a family, not a selection.

    Raises:
        InputError: cr or bits outside the systems' range.
    """
    entries, note = _zoo_entries()
    weighted = {entry["system"] for entry in entries}
    rows = []
    for spec in registry.SYSTEMS.values():
        if not (every or _shown(spec) or spec.name in weighted):
            continue
        _, checked_bits, binarize = registry.check_options(spec, cr, bits, None)
        parameters = registry.parameters(spec, cr, binarize)
        macs = registry.macs(spec, cr, binarize)
        rows.append(
            {
                "system": spec.name,
                "paper": spec.paper,
                "cr": cr,
                "bits": checked_bits,
                "binarize": binarize,
                "payload_bits": registry.payload_bits(cr, bits),
                "parts": [
                    {"part": part, "side": side, "macs": macs[part], "parameters": parameters[part]}
                    for part, side in spec.parts
                ],
                "zoo": [entry["entry"] for entry in entries if entry["system"] == spec.name],
            }
        )
    return {"cr": cr, "bits": bits, "systems": rows, "zoo": entries, "zoo_note": note}


def _shown(spec: registry.SystemSpec) -> bool:
    return spec.family != "acrnet" or spec.width in SHOWN_WIDTHS


def _zoo_entries() -> tuple[list[dict[str, Any]], str | None]:
    try:
        found = zoo.entries()
    except InputError as error:
        return [], str(error)
    return [{"entry": entry.path.name, **entry.card} for entry in found], None


def _millions(count: int) -> str:
    return f"{count / 1e6:.3f} M"


def _thousands(count: int) -> str:
    return f"{count / 1e3:,.1f} k"


def show(result: dict[str, Any], console: Console) -> None:
    """Print the systems, then the zoo."""
    table = Table(title=f"Systems at cr {result['cr']}, {result['bits']} bits a feature")
    table.add_column("system", no_wrap=True)
    table.add_column("1-bit FC")
    table.add_column("payload\nbits", justify="right")
    for side in ("UE encoder", "BS decoder"):
        table.add_column(f"{side}\nMACs", justify="right", no_wrap=True)
        table.add_column("\nparameters", justify="right", no_wrap=True)
    for row in result["systems"]:
        cells = []
        for part in row["parts"]:
            cells += [_millions(part["macs"]), _thousands(part["parameters"])]
        table.add_row(row["system"], row["binarize"], f"{row['payload_bits']:,}", *cells)
    console.print(table)
    console.print(
        "MACs of convolutions and FC layers; a 1-bit FC counts its weights / 32 as parameters. "
        "acrnet and bacrnet come in widths 1x to 20x (--all).",
        style="dim",
    )
    _show_zoo(result, console)


def _show_zoo(result: dict[str, Any], console: Console) -> None:
    if not result["zoo"]:
        console.print(f"No trained weights at hand: {result['zoo_note'] or 'the zoo is empty'}")
        return
    table = Table(title="Zoo: trained weights, figures of held-back generated samples")
    table.add_column("entry", no_wrap=True)
    table.add_column("1-bit FC")
    table.add_column("payload\nbits", justify="right")
    table.add_column("NMSE\ndB", justify="right")
    table.add_column("SGCS", justify="right")
    table.add_column("trained on")
    for entry in result["zoo"]:
        payload = (
            "float" if entry["bits"] is None else entry["bits"] * registry.features(entry["cr"])
        )
        table.add_row(
            entry["entry"],
            entry["binarize"],
            payload,
            f"{entry['metrics']['nmse_db']:.2f}",
            f"{entry['metrics']['sgcs']:.4f}",
            f"{entry['data']['samples']:,} {entry['data']['scenario']}",
        )
    console.print(table)
