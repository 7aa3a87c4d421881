"""Where the C of a part lands: a folder beside its bundle, `ue.csib` -> `ue-c/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def folder_name(bundle: str) -> str:
    """`ue.csib` -> `ue-c`, `ue.int8.csib` -> `ue-int8-c`."""
    return bundle.removesuffix(".csib").replace(".", "-") + "-c"


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Fill a folder that `outputs.folder_aside` gave, or one inside it.

    Args:
        folder: made if it is not there.
        files: paths inside it, with `/`, and what they hold.
    """
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
