"""The header of a weights file of ours: what it says of itself, without reading the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WEIGHTS = "weights.safetensors"
KEY = "csideploy"
"""Of the metadata's one string, a JSON object."""
LARGEST_HEADER = 1 << 24
"""Bytes."""


def metadata(path: Path) -> dict[str, Any] | None:
    """What the header of a weights file of ours says; None for any other file.

    Args:
        path: a `.safetensors` file, or the folder of a finished run.
    """
    file = path / WEIGHTS if path.is_dir() else path
    try:
        with file.open("rb") as stream:
            size = int.from_bytes(stream.read(8), "little")
            head = json.loads(stream.read(min(size, LARGEST_HEADER)))
        about = json.loads(head["__metadata__"][KEY])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return about if isinstance(about, dict) else None
