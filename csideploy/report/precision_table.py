"""What 8 bits cost each layer, for people."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy.report.tables import plain_table

NOTE = (
    "16 bits where 8 cost more than 0.05 dB, in front of the payload's quantizer, and where what "
    "is left at 8 would add up to more than 0.08 dB. Weights of 16 bits (where 8 cost more than "
    "0.02 dB) are two int8 layers: the second is NAME.rest, NAME.sum adds them."
)
NOTE_MIXED = (
    "The layers that hold the work; all others are fp32. A grouped convolution gets 16 bits in "
    "front of it, and then fp32, where the whole would cost more than 0.08 dB; weights are int8 "
    "or 1-bit. An edge stands beside it and goes with it: int16 codes and weights, or fp32 where "
    "these cost more than 0.01 dB."
)


def show(quantization: dict[str, Any], console: Console) -> None:
    """Print the table of dB against bits: `Quantized.figures()`."""
    table = plain_table("Bits of each layer, and what 8 bits alone would cost it")
    for heading in ("side", "layer", "of"):
        table.add_column(heading, overflow="fold")
    table.add_column("bits", justify="right")
    table.add_column("8 bits cost", justify="right", no_wrap=True)
    for row in quantization["layers"]:
        cost = row["cost_db"]
        text = "not tried" if cost is None else f"{cost:+.3f} dB"
        bits = "fp32" if row["bits"] == 32 else str(row["bits"])
        table.add_row(row["side"].upper(), row["layer"], row["kind"], bits, text)
    console.print(table)
    if any(row["kind"] == "layer" for row in quantization["layers"]):
        console.print(NOTE_MIXED, style="dim")
    elif any(row["bits"] == 16 for row in quantization["layers"]):
        console.print(NOTE, style="dim")
    console.print(
        f"All together, on the calibration data: {quantization['loss_db']:+.3f} dB against fp32."
    )
