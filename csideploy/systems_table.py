"""`csideploy systems`: what there is, how big it is, and which weights are at hand."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from csideploy import precoders, registry, transceivers_table, zoo
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError
from csideploy.fronthaul.setup import Setup as FronthaulSetup
from csideploy.fronthaul.systems import FRONTHAUL, decoder_sizes
from csideploy.report.tables import plain_table

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
    return {
        "cr": cr,
        "bits": bits,
        "systems": rows,
        "zoo": entries,
        "zoo_note": note,
        "precoders": _precoders(),
        "precoder_zoo": _precoder_entries(),
        "fronthaul": _fronthaul(),
        "fronthaul_zoo": _fronthaul_entries(),
        "transceivers": transceivers_table.collect(every=every),
        "transceiver_zoo": transceivers_table.entries(),
    }


def _precoders() -> list[dict[str, Any]]:
    """The systems of the downlink at the default sizes."""
    setup = Setup()
    rows = []
    for spec in precoders.PRECODERS.values():
        row: dict[str, Any] = {
            "system": spec.name,
            "paper": spec.paper,
            "trained": spec.trained,
            "training": spec.training,
            "setup": setup.describe(),
            "payload_bits": setup.bits,
            "parts": [{"part": part, "side": side} for part, side in spec.parts],
        }
        if spec.trained:
            macs, parameters = precoders.macs(setup), precoders.parameters(setup)
            for entry in row["parts"]:
                entry |= {"macs": macs[entry["part"]], "parameters": parameters[entry["part"]]}
            row["receiver_flops"] = precoders.receiver_flops(setup)
        rows.append(row)
    return rows


def _precoder_entries() -> list[dict[str, Any]]:
    try:
        return [{"entry": entry.path.name, **entry.card} for entry in zoo.precoder_entries()]
    except InputError:
        return []


def _fronthaul() -> list[dict[str, Any]]:
    """The quantizers of the fronthaul at the sizes of their paper's figures."""
    rows = []
    for spec in FRONTHAUL.values():
        row: dict[str, Any] = {
            "system": spec.name,
            "paper": spec.paper,
            "training": spec.training,
            "setup": spec.setup.describe(),
            "bits_per_use": list(spec.setup.bits) if spec.deployed else None,
            "parts": [{"part": part, "side": side} for part, side in spec.parts()],
        }
        if spec.deployed:
            # The search at the DU is counted in a package's report: it depends on the block.
            for part, sizes in zip(row["parts"][1:], decoder_sizes(spec), strict=True):
                part |= {"macs": sizes["macs"], "parameters": sizes["parameters"]}
        rows.append(row)
    return rows


def _fronthaul_entries() -> list[dict[str, Any]]:
    try:
        return [{"entry": entry.path.name, **entry.card} for entry in zoo.fronthaul_entries()]
    except InputError:
        return []


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


def show(result: dict[str, Any], console: Console) -> None:
    """Print the systems, then the zoo."""
    table = plain_table(f"Systems at cr {result['cr']}, {result['bits']} bits a feature")
    for column in ("system", "1-bit FC"):
        table.add_column(column, no_wrap=True)
    for column in ("payload\nbits", "UE\nMACs", "UE\nparameters", "BS\nMACs", "BS\nparameters"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["systems"]:
        cells = []
        for part in row["parts"]:
            cells += [_millions(part["macs"]), _millions(part["parameters"])]
        table.add_row(row["system"], row["binarize"], f"{row['payload_bits']:,}", *cells)
    console.print(table)
    console.print(
        "The encoder runs at the UE, the decoder at the BS. MACs of convolutions and FC layers; "
        "a 1-bit weight counts as 1/32 parameter. acrnet and bacrnet: widths 1x to 20x (--all).",
        style="dim",
    )
    _show_precoders(result, console)
    _show_fronthaul(result, console)
    transceivers_table.show(result, console)
    _show_zoo(result, console)


def _show_precoders(result: dict[str, Any], console: Console) -> None:
    table = plain_table(f"Precoders of the downlink, {Setup()}")
    table.add_column("system", no_wrap=True)
    for column in ("payload bits\na user", "UE\nMACs", "UE\nparameters"):
        table.add_column(column, justify="right", no_wrap=True)
    for column in ("BS\nMACs", "BS\nparameters"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["precoders"]:
        cells = []
        for part in row["parts"]:
            figures = [part.get(key) for key in ("macs", "parameters")]
            cells += ["computed" if f is None else _millions(f) for f in figures]
        table.add_row(row["system"], str(row["payload_bits"]), *cells)
    console.print(table)
    for entry in result["precoder_zoo"]:
        trained = entry["snr_db"]
        span = f"{trained[0]:g} to {trained[1]:g}" if isinstance(trained, list) else f"{trained:g}"
        rates = ", ".join(
            f"{rate:.3f} at {snr} dB" for snr, rate in entry["metrics"]["sum_rate"].items()
        )
        console.print(
            f"Zoo: {entry['entry']}, {Setup(**entry['setup'])}, trained for {span} dB: sum rate "
            f"{rates} (bit/s/Hz, held-back channels)."
        )


def _show_fronthaul(result: dict[str, Any], console: Console) -> None:
    table = plain_table("Fronthaul of a cell-free downlink: one DU, M RUs")
    table.add_column("system", no_wrap=True)
    table.add_column("set-up")
    for column in ("an RU's\nMACs a use", "an RU's\nparameters"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in result["fronthaul"]:
        first = row["parts"][1] if row["parts"] else None
        cells = ["baseline", ""]
        if first is not None:
            cells = [f"{first['macs']:,}", f"{first['parameters']:,}"]
        table.add_row(row["system"], str(FronthaulSetup(**row["setup"])), *cells)
    console.print(table)
    for entry in result["fronthaul_zoo"]:
        metrics = entry["metrics"]
        console.print(
            f"Zoo: {entry['entry']}, {FronthaulSetup(**entry['setup'])}: sum SE "
            f"{metrics['sum_se']:.2f}, linear precoding without limit "
            f"{metrics['linear_sum_se']:.2f} (bit/s/Hz, held-back {entry['channel']} channels)."
        )


def _payload_bits(entry: dict[str, Any]) -> int:
    """Bits a sample; of an entry with several budgets those of the one it takes by default."""
    exact = entry.get("payload_bits", {}).get(str(entry["bits"]))
    return int(exact or registry.payload_bits(entry["cr"], entry["bits"]))


def _show_zoo(result: dict[str, Any], console: Console) -> None:
    if not result["zoo"]:
        console.print(f"No trained weights at hand: {result['zoo_note'] or 'the zoo is empty'}")
        return
    table = plain_table("Zoo: trained weights, figures of held-back generated samples")
    for column in ("entry", "1-bit FC"):
        table.add_column(column, no_wrap=True)
    for column in ("payload\nbits", "NMSE\ndB", "\nSGCS"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("trained on")
    for entry in result["zoo"]:
        bits, metrics, data = entry["bits"], entry["metrics"], entry["data"]
        table.add_row(
            entry["entry"],
            entry["binarize"],
            "float" if bits is None else f"{_payload_bits(entry):,}",
            f"{metrics['nmse_db']:.2f}",
            f"{metrics['sgcs']:.4f}",
            f"{data['samples']:,} {data['scenario']}",
        )
    console.print(table)
