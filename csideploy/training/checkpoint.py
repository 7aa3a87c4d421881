"""Checkpoints, from which a run goes on exactly, and weights, which are its result.

`checkpoint.pt` holds the link, the optimizer, the place in the recipe and torch's random state.
It is replaced as a whole, so that a run killed at any moment leaves the old or the new one.
`weights.safetensors` holds the link alone, with everything that made it in its metadata.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes

from csideploy import systems
from csideploy.errors import FormatError, InputError
from csideploy.outputs import file_aside
from csideploy.registry import Feature
from csideploy.systems.link import Link
from csideploy.training.entry_weights import load_entry
from csideploy.training.integers import plain_units
from csideploy.zoo import CARD, FILES, read_card

CHECKPOINT = "checkpoint.pt"
WEIGHTS = "weights.safetensors"
_METADATA_KEY = "csideploy"


def plain(value: Any) -> Any:
    """Tuples as lists, so that what was saved equals what is described."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a run's state aside, then put it in place.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    with file_aside(path) as file:
        torch.save(state, file)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A run's state.

    Raises:
        FormatError: not a checkpoint of ours.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise FormatError(f"{path}: not a training checkpoint") from error
    if not isinstance(state, dict) or "position" not in state:
        raise FormatError(f"{path}: not a training checkpoint")
    return state


def save_weights(path: Path, link: Link, metadata: dict[str, Any]) -> None:
    """Write a link's weights with their metadata.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    tensors = {name: value.detach().cpu().contiguous() for name, value in link.state_dict().items()}
    data = safetensors_bytes(tensors, metadata={_METADATA_KEY: json.dumps(metadata)})
    with file_aside(path) as file:
        file.write(data)


def load_checkpoint(path: Path) -> tuple[Link, dict[str, Any]]:
    """The trained link in a weights file, in evaluation mode, and its metadata.

    Args:
        path: a `.safetensors` file that training wrote, or the folder of a finished run.

    Raises:
        InputError: no such file. FormatError: not weights of ours.
    """
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        hint = " (a run that has not finished?)" if (path / CHECKPOINT).is_file() else ""
        raise InputError(f"no weights at {file}{hint}")
    try:
        with safe_open(file, framework="pt") as archive:
            metadata = json.loads((archive.metadata() or {}).get(_METADATA_KEY, "null"))
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise FormatError(f"{file}: not a safetensors file of weights") from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("data"), dict):
        raise FormatError(
            f"{file}: safetensors without csideploy's metadata; `csideploy train` writes it"
        )
    try:
        link = systems.build(
            metadata["system"],
            cr=metadata["cr"],
            bits=metadata["bits"],
            binarize=metadata["binarize"],
            feature=_feature(metadata),
        )
        link.load_state_dict(tensors)
    except (KeyError, RuntimeError, TypeError) as error:
        raise FormatError(f"{file}: weights that do not fit the system they name") from error
    link.unit_steps = bool(metadata.get("unit_steps"))
    return link.eval(), metadata


def _feature(metadata: dict[str, Any]) -> Feature:
    """How the link's feature is quantized; older files know the uniform quantizer alone."""
    about = metadata.get("feature") or Feature().describe()
    return Feature(about["quantizer"], about["length"], tuple(about["budgets"]))


def load_parts(link: Link, path: Path, *, bits: int | None = None) -> None:
    """Give a link the encoder and the decoder of a trained one; the quantizer stays.

    Args:
        link: whose.
        path: of weights, of a finished run, or of a zoo entry.
        bits: what the trained link must have; None: float features.

    Raises:
        InputError: no such file, or of another system or size. FormatError: not weights of ours.
    """
    card = path / CARD
    if card.is_file():
        entry = read_card(card)
        _check_same(link, path, entry, bits)
        load_entry(link, (path / FILES[0], path / FILES[1]))
        return
    source, metadata = load_checkpoint(path)
    _check_same(link, path, metadata, bits)
    link.encoder.load_state_dict(source.encoder.state_dict())
    link.decoder.load_state_dict(source.decoder.state_dict())
    if source.unit_steps:
        plain_units(link, folded=False)


def _check_same(link: Link, path: Path, metadata: dict[str, Any], bits: int | None) -> None:
    for name in ("system", "cr", "binarize"):
        has = link.spec.name if name == "system" else getattr(link, name)
        if metadata[name] != has:
            raise InputError(f"--start-from {path}: its {name} is {metadata[name]}, not {has}")
    if metadata["bits"] != bits:
        kind = "float features" if bits is None else f"{bits} bits a feature"
        raise InputError(f"--start-from {path}: give the weights of a link with {kind}")
    if bits is not None:
        # Weights say it in `feature`, a card itself; older weights and uniform cards do not.
        quantizer = (metadata.get("feature") or metadata).get("quantizer", "uniform")
        if quantizer != link.feature.quantizer:
            raise InputError(
                f"--start-from {path}: its quantizer is {quantizer}, not {link.feature.quantizer}"
            )


@cache
def digest(path: Path) -> str:
    """sha256 of a weights file, of that in a run's folder, or of a zoo entry's two files.

    As it was when first asked for.

    Raises:
        InputError: no such file.
    """
    if (path / CARD).is_file():
        both = b"".join((path / name).read_bytes() for name in FILES)
        return hashlib.sha256(both).hexdigest()
    file = path / WEIGHTS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"no weights at {file}")
    return hashlib.sha256(file.read_bytes()).hexdigest()
