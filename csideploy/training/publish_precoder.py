"""A trained precoder as a zoo entry: two ONNX files, measured as they are, and a card.

    python -m csideploy.training.publish_precoder RUN --command "..." [--zoo zoo]

What is measured are the files with their weights rounded to fp16, by ONNX Runtime, on channels of a
seed that no training draws from.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from csideploy.downlink.channels import observe, rayleigh
from csideploy.downlink.rate import user_rates
from csideploy.downlink.setup import Setup
from csideploy.downlink.source import PrecoderSource, as_complex, from_networks, trained_for
from csideploy.errors import CsideployError
from csideploy.onnx_oracle import Oracle
from csideploy.precoders import PRECODERS
from csideploy.training.precoder_export import export_precoder
from csideploy.zoo import CARD, write_precoder

SAMPLES = 20_000
SEED = 20_262
"""Training draws from torch's generators, these channels come from NumPy's."""
POWERS_DB = (0.0, 10.0, 20.0, 30.0)


def entry_name(system: str, setup: Setup, snr_db: float | list[float]) -> str:
    """SYSTEM[-mM][-nN][-kK][-bB][-lL][-pP]: sizes that are not the paper's, and P if there is one.

    `-pP` names the one P in dB that a network was trained for; without it, P is an input.
    """
    paper, name = Setup(), system
    for letter, key in zip(
        "mnkbl", ("antennas", "streams", "users", "bits", "pilots"), strict=True
    ):
        if getattr(setup, key) != getattr(paper, key):
            name += f"-{letter}{getattr(setup, key)}"
    return name if isinstance(snr_db, list) else f"{name}-p{snr_db:g}"


def publish(run: Path, zoo: Path, *, command: str) -> Path:
    """Write an entry; an older one of the same name is replaced.

    Args:
        run: folder or weights file of `csideploy train kd-precoder`.
        zoo: the folder of entries.
        command: what retrains these weights.

    Returns:
        The entry's folder.

    Raises:
        InputError, FormatError: weights cannot be read. OutputError: the zoo cannot be written.
    """
    made = export_precoder(run, half_weights=True)
    about = made.about
    setup = Setup(**about["setup"])
    powers = [snr for snr in POWERS_DB if trained_for(about["snr_db"], snr)]
    rates = {}
    trained = about["snr_db"]
    for snr in powers or (trained if isinstance(trained, list) else [trained]):
        source = from_networks(
            ue=made.ue,
            bs=made.bs,
            about={**about, "pilots": made.pilots},
            snr_db=snr,
            provenance={},
        )
        rates[f"{snr:g}"] = round(_rate(source), 4)
    card: dict[str, Any] = {
        "system": about["system"],
        "paper": PRECODERS[about["system"]].paper,
        "setup": about["setup"],
        "options": about["options"],
        "snr_db": about["snr_db"],
        "recipe": about["recipe"],
        "seed": about["seed"],
        "training": about["training"],
        "metrics": {"sum_rate": rates, "samples": SAMPLES, "seed": SEED},
        "command": command,
    }
    if about["options"]["pilot"] == "learned":
        pairs = np.ascontiguousarray(made.pilots)[..., None].view(np.float64)
        card["pilots"] = pairs.round(9).tolist()
    name = entry_name(about["system"], setup, about["snr_db"])
    return write_precoder(zoo, name, card, ue=made.ue, bs=made.bs)


def _rate(source: PrecoderSource) -> float:
    rng = np.random.default_rng(SEED)
    h = rayleigh(source.setup, SAMPLES, rng)
    y = observe(source.setup, h, source.pilots, rng)
    receiver = Oracle(source.ue, name="ue.onnx", threads=0)
    transmit = source.transmitter(exact=False)
    total = 0.0
    for start in range(0, SAMPLES, 1000):
        at = slice(start, start + 1000)
        payload = receiver.run(y[at].reshape(-1, *y.shape[2:]))["payload"]
        v = transmit(payload.reshape(1000, source.setup.users, -1))
        total += float(user_rates(h[at], as_complex(v), source.power).sum())
    return total / SAMPLES


def main(
    run: Path,
    command: Annotated[str, typer.Option(help="What retrains these weights.")],
    zoo: Annotated[Path, typer.Option(help="The folder of entries.")] = Path("zoo"),
) -> None:
    """Make a zoo entry of a trained precoder."""
    try:
        entry = publish(run, zoo, command=command)
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    card = json.loads((entry / CARD).read_text(encoding="utf-8"))
    typer.echo(f"{entry}: {card['metrics']}", err=True)


if __name__ == "__main__":
    typer.run(main)
