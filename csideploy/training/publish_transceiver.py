"""A trained transceiver as a zoo entry: its weights and a card.

    python -m csideploy.training.publish_transceiver RUN [--data USERS] [--zoo zoo]

An entry's large weight matrices are float16 (`tensor_file.half_matrices`): the zoo comes with the
sources and has to stay small. With the file of users that it was trained on, the card has sum rates
of its test users as deployed, of these rounded weights; the validation under `training` is of the
run, in float32.
`csideploy train rvq-egat ... --publish zoo` makes an entry at the end of a run.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from csideploy.errors import CsideployError, InputError
from csideploy.transceiver.weights import (
    PAPER,
    SYSTEM,
    Weights,
    load_weights,
    read_weights,
    weights_bytes,
)
from csideploy.zoo import CARD, write_transceiver

SEED = 20_264
"""Of the groups behind a card's figures: that of no training."""
GROUPS = 1000
SNR_DB = 10.0


def entry_name(weights: Weights) -> str:
    """rvq-egat-SCENARIO-mM[-lL][-dD][-tB1_B2..][-rR][-node][-anchored]: what is unusual."""
    setup, widths = weights.setup, weights.widths
    scenario = weights.about.get("data", {}).get("parameters", {}).get("scenario", "users")
    name = f"{SYSTEM}-{scenario}-m{setup.antennas}"
    if setup.pilots != max(1, setup.antennas // 4):
        name += f"-l{setup.pilots}"
    if setup.feature != 2 * setup.antennas:
        name += f"-d{setup.feature}"
    if setup.tiers != (10, 10, 10):
        name += f"-t{'_'.join(map(str, setup.tiers))}"
    if setup.regions > 1:
        name += f"-r{setup.regions}"
    if widths["form"] != "edge":
        name += f"-{widths['form']}"
    return name if widths["anchor"] == "none" else f"{name}-anchored"


def publish(run: Path, zoo: Path, *, command: str | None = None, data: Path | None = None) -> Path:
    """Write an entry; an older one of the same name is replaced.

    Args:
        run: folder or weights file of `csideploy train`.
        zoo: the folder of entries.
        command: what retrains these weights; None: what the file says.
        data: the users that it was trained on: their test users are measured.

    Returns:
        The entry's folder.

    Raises:
        InputError, FormatError: weights or users cannot be read, or are not of each other.
        OutputError: the zoo cannot be written.
    """
    weights = load_weights(run)
    about = weights.about
    command = command or about.get("command")
    if command is None or "data" not in about:
        raise InputError(f"{run} does not say what trained it: --command")
    stored = weights_bytes(weights, half=True)
    weights = read_weights(stored)
    metrics = {} if data is None else measure_deployed(weights, data)
    card: dict[str, Any] = {
        "system": SYSTEM,
        "paper": PAPER,
        "setup": weights.setup.describe(),
        "widths": weights.widths,
        "data": about["data"],
        **{key: about[key] for key in ("recipe", "training", "seed") if key in about},
        "metrics": metrics,
        "command": command,
    }
    return write_transceiver(zoo, entry_name(weights), card, stored)


def measure_deployed(weights: Weights, data: Path) -> dict[str, Any]:
    """Sum rates of a file's test users through the bundles, and of zero forcing that knows all.

    Raises:
        InputError: other users than those of the training, or codebooks of several regions.
    """
    from csideploy.baselines.zero_forcing import zf
    from csideploy.transceiver.evaluate_core import measure
    from csideploy.transceiver.parts import Deployed, trained_budgets
    from csideploy.transceiver.splits import split_users

    if weights.setup.regions > 1:
        raise InputError("--data: figures are of one region's codebooks; leave it out")
    digest = hashlib.sha256(data.read_bytes()).hexdigest()
    if digest != weights.about["data"].get("sha256"):
        raise InputError(f"{data}: not the users that trained these weights: its sha256 differs")
    test = split_users(data)[2]
    seen = weights.about.get("recipe", {}).get("users", [4])
    many = sorted({min(seen), max(seen)})
    budgets = trained_budgets(weights.setup)
    running = Deployed(weights, budgets, max_users=max(many))
    rows = []
    for users in many:
        groups = test.draw(np.random.default_rng([SEED, users]), GROUPS, users)
        for bits in budgets:
            found = measure(
                {"own": running.link, "zf": lambda h, noise, snr, b: zf(h)},
                groups,
                10 ** (SNR_DB / 10),
                bits=bits,
                pilots=weights.setup.pilots,
                seed=SEED,
            )
            rows.append(
                {
                    "users": users,
                    "bits": bits,
                    "snr_db": SNR_DB,
                    "sum_rate": round(found.average("own").mean, 3),
                    "half_interval": round(found.average("own").half, 3),
                    "zero_forcing": round(found.average("zf").mean, 3),
                }
            )
    return {"sum_rate": rows, "groups": GROUPS, "test_users": len(test), "seed": SEED}


def main(
    run: Path,
    data: Annotated[
        Path | None, typer.Option(help="Users that it was trained on; measures the test users.")
    ] = None,
    command: Annotated[
        str | None, typer.Option(help="What retrains these weights; what they say, if left out.")
    ] = None,
    zoo: Annotated[Path, typer.Option(help="The folder of entries.")] = Path("zoo"),
) -> None:
    """Make a zoo entry of a trained transceiver."""
    try:
        entry = publish(run, zoo, command=command, data=data)
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    card = json.loads((entry / CARD).read_text(encoding="utf-8"))
    typer.echo(f"{entry}: {card['metrics']}", err=True)


if __name__ == "__main__":
    typer.run(main)
