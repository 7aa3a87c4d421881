"""What a report says of a precoder beside its layers: the paper's counts, and the table."""

from __future__ import annotations

from typing import Any

from csideploy.downlink.forms import parse_form
from csideploy.downlink.setup import Setup
from csideploy.precoders import macs, parameters, receiver_flops


def precoder_figures(manifest: dict[str, Any]) -> dict[str, Any]:
    """Figures for scripts.

    Args:
        manifest: of a package of kind precoder.

    Returns:
        `setup`, `snr_db`; of kd-precoder `receiver_flops`, `parameters` and `macs` by the formulas
        of paper 004; of a table `form`, `rows`, `bytes` and the rate `loss` that was measured.
    """
    setup = Setup(**manifest["setup"])
    figures: dict[str, Any] = {"setup": setup.describe(), "snr_db": manifest["snr_db"]}
    if manifest["system"] == "kd-precoder":
        figures |= {
            "receiver_flops": receiver_flops(setup),
            "parameters": parameters(setup),
            "macs": macs(setup),
        }
    about = manifest["table"]
    if about is not None and about["form"] is not None:
        form = parse_form(about["form"])
        lost = next(row["loss"] for row in about["candidates"] if row["form"] == about["form"])
        figures["table"] = {
            "form": str(form),
            "rows": form.rows(setup),
            "bytes": form.nbytes(setup),
            "loss": lost,
        }
    return figures


def lines(figures: dict[str, Any]) -> list[str]:
    """The same for people."""
    setup = Setup(**figures["setup"])
    said = [f"Downlink: {setup}; P {figures['snr_db']:g} dB. The payload is one user's."]
    if "receiver_flops" in figures:
        said.append(
            f"Receiver by the formula of paper 004: {figures['receiver_flops']:,} FLOPs "
            "(10MN(16LN + 360MN - 9) + B(40MN - 1)). Parameters by the paper's layers: receiver "
            f"{figures['parameters']['receiver']:,}, transmitter "
            f"{figures['parameters']['transmitter']:,}, without an input for P."
        )
    if "table" in figures:
        table = figures["table"]
        said.append(
            f"Table: {table['form']}, {table['rows']:,} rows, {table['bytes']:,} bytes; it costs "
            f"{table['loss']:+.4f} bit/s/Hz."
        )
    return said
