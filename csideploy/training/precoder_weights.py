"""The weights file of a trained precoder: what gets deployed, and everything that made it.

The teacher is left behind: it has no part in the link.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes

from csideploy.downlink import Setup
from csideploy.errors import FormatError, InputError
from csideploy.outputs import file_aside
from csideploy.systems.kd_precoder import KdPrecoder, Options
from csideploy.training.checkpoint import CHECKPOINT, WEIGHTS

SYSTEM = "kd-precoder"
_METADATA_KEY = "csideploy"


def save_precoder(path: Path, precoder: KdPrecoder, metadata: dict[str, Any]) -> None:
    """Write weights with their metadata; set-up and options are added to it.

    Raises:
        OutputError: the folder cannot be written or the disk is full.
    """
    state = precoder.state_dict()
    tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    described = {
        "system": SYSTEM,
        "setup": precoder.setup.describe(),
        "options": precoder.options.describe(),
        **metadata,
    }
    data = safetensors_bytes(tensors, metadata={_METADATA_KEY: json.dumps(described)})
    with file_aside(path) as file:
        file.write(data)


def load_precoder(path: Path) -> tuple[KdPrecoder, dict[str, Any]]:
    """The trained precoder in a weights file, in evaluation mode, and its metadata.

    Args:
        path: a `.safetensors` file that training wrote, or the folder of a finished run.

    Returns:
        The module, and its metadata: system, setup, options, recipe, seed, training.

    Raises:
        InputError: no such file. FormatError: not a precoder's weights of ours.
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
    if not isinstance(metadata, dict) or metadata.get("system") != SYSTEM:
        raise FormatError(
            f"{file}: not the weights of a {SYSTEM}; `csideploy train {SYSTEM}` writes them"
        )
    try:
        setup, options = Setup(**metadata["setup"]), Options(**metadata["options"])
        precoder = KdPrecoder(setup, options)
        precoder.load_state_dict(tensors)
    except (KeyError, RuntimeError, TypeError, InputError) as error:
        raise FormatError(f"{file}: weights that do not fit the set-up they name") from error
    return precoder.eval(), metadata
