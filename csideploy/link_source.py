"""Where a trained link comes from: the zoo (no torch needed), or a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csideploy.bundles import read_file
from csideploy.errors import InputError


@dataclass(frozen=True)
class LinkSource:
    """A trained link as two ONNX files, and what is known about it.

    ue, bs: the bytes of the files; scenario: of the channels it was trained on.
    """

    system: str
    cr: int
    bits: int | None
    binarize: str
    ue: bytes
    bs: bytes
    scenario: str
    provenance: dict[str, Any]
    metrics: dict[str, Any]

    def demand(self, **wanted: object) -> None:
        """Refuse weights that are not what the command line asked for.

        Raises:
            InputError: an option was given and says something else.
        """
        for name, value in wanted.items():
            if value is not None and value != getattr(self, name):
                raise InputError(
                    f"--{name} {value}: these weights have {name} {getattr(self, name)}; "
                    "leave the option out, or give other weights"
                )


def from_zoo(model: str, *, cr: int | None, bits: int | None, binarize: str | None) -> LinkSource:
    """Weights that come with csideploy.

    Raises:
        InputError: unknown system, or no such entry.
    """
    from csideploy import zoo

    entry = zoo.find(model, cr=cr, bits=bits, binarize=binarize)
    card = entry.card
    return LinkSource(
        system=card["system"],
        cr=card["cr"],
        bits=card["bits"],
        binarize=card["binarize"],
        ue=read_file(entry.path / "ue.onnx"),
        bs=read_file(entry.path / "bs.onnx"),
        scenario=card["data"]["scenario"],
        provenance={"source": "zoo", "entry": entry.path.name, "card": card},
        metrics=card["metrics"],
    )


def from_checkpoint(path: Path) -> LinkSource:
    """Weights that `csideploy train` wrote; needs the extra `train`.

    Raises:
        InputError: no such file; FormatError: it is no checkpoint.
        MissingDependencyError: torch is not installed.
    """
    from csideploy.export.torch_onnx import export_part
    from csideploy.training import load_checkpoint

    loaded = load_checkpoint(path)
    raise NotImplementedError(loaded, export_part)
