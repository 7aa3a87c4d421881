"""Trained decoders of a fronthaul as a zoo entry: their weights, measured as deployed, and a card.

    python -m csideploy.training.publish_fronthaul RUN [--zoo zoo]

`csideploy train ... --publish zoo` does the same at the end of a run. An entry's large weight
matrices are float16 (`tensor_file.half_matrices`): the zoo comes with the sources and has to stay
small. The figures, on the card and in the file, are of these rounded weights.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from csideploy.errors import CsideployError, InputError
from csideploy.fronthaul.codebooks import codebooks_bytes, codebooks_from_bytes, load_codebooks
from csideploy.fronthaul.setup import Setup
from csideploy.fronthaul.systems import FRONTHAUL
from csideploy.training.fronthaul_run import measure_deployed
from csideploy.zoo import CARD, write_fronthaul

SEED = 20_263
"""Of the channels behind a card's figures: that of no training."""


def entry_name(system: str, setup: Setup, channel: str) -> str:
    """SYSTEM-CHANNEL-bB[-mM][-aA][-nN][-rR][-lL][-sSNR]: the bits, and sizes not the paper's.

    Lists of an RU each are written with _, such as -b64_64_32_32.
    """
    paper, name = FRONTHAUL[system].setup, f"{system}-{channel}-b{_each(setup.bits)}"
    if setup.rus != paper.rus:
        name += f"-m{setup.rus}"
    if set(setup.antennas) != set(paper.antennas):
        name += f"-a{_each(setup.antennas)}"
    for letter, key in zip("nrl", ("users", "receive_antennas", "streams"), strict=True):
        if getattr(setup, key) != getattr(paper, key):
            name += f"-{letter}{getattr(setup, key)}"
    return name if setup.snr_db == paper.snr_db else f"{name}-s{setup.snr_db:g}"


def _each(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "_".join(map(str, values))


def publish(run: Path, zoo: Path, *, command: str | None = None) -> Path:
    """Write an entry; an older one of the same name is replaced.

    Args:
        run: folder or weights file of `csideploy train`.
        zoo: the folder of entries.
        command: what retrains these weights; None: what the file says.

    Returns:
        The entry's folder.

    Raises:
        InputError, FormatError: weights cannot be read. OutputError: the zoo cannot be written.
    """
    codebooks = load_codebooks(run)
    about = codebooks.about
    command = command or about.get("command")
    if command is None or "channel" not in about:
        raise InputError(f"{run} does not say what trained it: --command")
    codebooks = codebooks_from_bytes(codebooks_bytes(codebooks, half=True))
    metrics = {**measure_deployed(codebooks, about["channel"], SEED), "seed": SEED}
    own = ("steps", "rounds", "rate", "channels", "symbols", "layers", "users", "seconds")
    card: dict[str, Any] = {
        "system": codebooks.method,
        "paper": FRONTHAUL[codebooks.method].paper,
        "setup": codebooks.setup.describe(),
        "channel": about["channel"],
        "iterations": codebooks.iterations,
        "alpha": codebooks.alpha,
        "eta": codebooks.eta,
        "gamma_rounds": codebooks.gamma_rounds,
        "data": {
            "channel": about["channel"],
            "generator": "csideploy.fronthaul.channels.draw",
            "seed": about.get("seed"),
        },
        "training": {key: about[key] for key in own if key in about},
        "seed": about.get("seed"),
        "metrics": metrics,
        "command": command,
    }
    name = entry_name(codebooks.method, codebooks.setup, about["channel"])
    measured = replace(codebooks, about={**about, "metrics": metrics})
    return write_fronthaul(zoo, name, card, codebooks_bytes(measured, half=True))


def main(
    run: Path,
    command: Annotated[
        str | None, typer.Option(help="What retrains these weights; what they say, if left out.")
    ] = None,
    zoo: Annotated[Path, typer.Option(help="The folder of entries.")] = Path("zoo"),
) -> None:
    """Make a zoo entry of a trained fronthaul quantizer."""
    try:
        entry = publish(run, zoo, command=command)
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    card = json.loads((entry / CARD).read_text(encoding="utf-8"))
    typer.echo(f"{entry}: {card['metrics']}", err=True)


if __name__ == "__main__":
    typer.run(main)
