"""What the command line asks of a transceiver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from csideploy.errors import InputError
from csideploy.transceiver.budgets import METHODS
from csideploy.transceiver.weights import SYSTEM, Weights, load_weights
from csideploy.weights_header import WEIGHTS, metadata

if TYPE_CHECKING:
    from csideploy.transceiver.evaluate import Trained

DNN = "binary-dnn"
"""The fixed network of Sohrabi et al., a baseline: trained and measured, not exported."""


def is_transceiver(name: str | None, checkpoint: Path | None = None) -> bool:
    """Whether a name, a run, a weights file or a package is of a transceiver."""
    path = checkpoint if checkpoint is not None else Path(name or "")
    if name is not None and (name == SYSTEM or name.startswith(f"{SYSTEM}-")):
        return True
    if (path / "manifest.json").is_file():
        from csideploy.package import open_package

        return open_package(path).manifest.get("kind") == "transceiver"
    if not str(path) or not path.exists():
        return False
    about = metadata(path)
    return about is not None and about.get("system") in (SYSTEM, DNN)


def find_trained(name: str, *, most_users: int, bits: Sequence[int]) -> list[Trained]:
    """A run, a weights file, a package or a zoo entry, ready to be measured.

    Raises:
        InputError: nothing of that name.
    """
    from csideploy import zoo
    from csideploy.transceiver.evaluate import of_package, of_weights

    path = Path(name)
    if (path / "manifest.json").is_file():
        return [of_package(path, name)]
    if not path.exists():
        entries = zoo.transceiver_entries()
        chosen = [e for e in entries if name in (e.path.name, SYSTEM)]
        if not chosen:
            known = ", ".join(e.path.name for e in entries) or "none"
            raise InputError(f"{name!r}: no run, weights file or zoo entry ({known})")
        return [
            of_weights(e.path / WEIGHTS, e.path.name, most_users=most_users, bits=bits)
            for e in chosen
        ]
    about = metadata(path)
    if about is not None and about.get("system") == DNN:
        from csideploy.training.binary_dnn import of_run

        return [of_run(path, name)]
    return [of_weights(path, name, most_users=most_users, bits=bits)]


def find_weights(model: str | None, checkpoint: Path | None) -> Weights:
    """What `export --model NAME` means for a transceiver.

    Args:
        model: the system, or a zoo entry, or a path of weights; None with a checkpoint.
        checkpoint: weights that `train` wrote, or their folder.

    Returns:
        The weights; `about` has `source`, where they come from.

    Raises:
        InputError: no such entry, no weights, or weights without parts to deploy.
        FormatError: the file is damaged.
    """
    from csideploy import zoo

    if checkpoint is None and model is not None and Path(model).exists():
        checkpoint = Path(model)
    if checkpoint is not None:
        about = metadata(checkpoint)
        if about is not None and about.get("system") == DNN:
            raise InputError(
                f"{checkpoint}: {DNN} is a baseline without parts; evaluate measures it"
            )
        found, source = load_weights(checkpoint), {"source": "checkpoint"}
    else:
        assert model is not None
        entry = zoo.find_transceiver(model)
        zoo.checked_file(entry, WEIGHTS)
        found = load_weights(entry.path)
        found.about.setdefault("metrics", entry.card["metrics"])
        source = {"source": "zoo", "entry": entry.path.name}
    return replace(found, about={**found.about, **source})


def parse_codebooks(settings: Sequence[str]) -> str:
    """`--set codebooks=features|codewords`, what codebooks of untrained sizes are fitted to.

    Raises:
        InputError: anything else.
    """
    method = METHODS[0]
    for pair in settings:
        name, _, text = pair.partition("=")
        if name != "codebooks" or text not in METHODS:
            raise InputError(f"--set {pair}: codebooks={' or codebooks='.join(METHODS)}")
        method = text
    return method


def parse_numbers(text: str | None, option: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """Whole numbers with commas, ascending; the default if left out.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return default
    numbers = parse_list(text, option)
    if len(set(numbers)) != len(numbers):
        raise InputError(f"{option} {text}: a number stands there twice")
    return tuple(sorted(numbers))


def parse_list(text: str, option: str) -> tuple[int, ...]:
    """Whole numbers from 1 with commas, as they stand there.

    Raises:
        InputError: anything else.
    """
    items = [item.strip() for item in text.split(",")]
    if not all(item.isascii() and item.isdigit() and int(item) > 0 for item in items):
        raise InputError(f"{option} {text}: whole numbers from 1 with commas, such as 5,10")
    return tuple(int(item) for item in items)
