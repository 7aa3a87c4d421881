"""Where a trained link comes from: the zoo (no torch needed), or a checkpoint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csideploy.bundles import read_file
from csideploy.errors import FormatError, InputError


@dataclass(frozen=True)
class Bits:
    """`--bits`: left open, a number, or float features (`number` None, `given` true)."""

    number: int | None = None
    given: bool = False


def parse_bits(text: str | None) -> Bits:
    """`--bits`: one number from 1 to 8, or `float`.

    Raises:
        InputError: several budgets, or no such number.
    """
    if text is None:
        return Bits()
    if text == "float":
        return Bits(None, given=True)
    if "," in text:
        raise InputError(
            f"--bits {text}: several budgets in one package are not available in this version: "
            "give one number"
        )
    if not text.isdecimal() or not 1 <= int(text) <= 8:
        raise InputError(f"--bits {text}: a number from 1 to 8, or float")
    return Bits(int(text), given=True)


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

    def demand(self, *, cr: int | None, bits: Bits, binarize: str | None) -> None:
        """Refuse weights that are not what the command line asked for.

        Raises:
            InputError: an option was given and says something else.
        """
        wanted: tuple[tuple[str, int | str | None, bool], ...] = (
            ("cr", cr, cr is not None),
            ("bits", bits.number, bits.given),
            ("binarize", binarize, binarize is not None),
        )
        for name, value, given in wanted:
            if given and value != getattr(self, name):
                has = getattr(self, name)
                raise InputError(
                    f"--{name} {'float' if value is None else value}: these weights have {name} "
                    f"{'float' if has is None else has}; leave the option out, or give others"
                )


def from_zoo(model: str, *, cr: int | None, bits: Bits, binarize: str | None) -> LinkSource:
    """Weights that come with csideploy.

    Raises:
        InputError: unknown system, or no such entry; FormatError: a file is not its card's.
    """
    from csideploy import zoo

    entry = zoo.find(
        model,
        cr=cr,
        bits=bits.number,
        binarize=binarize,
        float_features=bits.given and bits.number is None,
    )
    card = entry.card
    files = {side: _zoo_file(entry.path / f"{side}.onnx", card) for side in ("ue", "bs")}
    return LinkSource(
        system=card["system"],
        cr=card["cr"],
        bits=card["bits"],
        binarize=card["binarize"],
        ue=files["ue"],
        bs=files["bs"],
        scenario=_scenario(card),
        provenance={"source": "zoo", "entry": entry.path.name, "card": card},
        metrics=card["metrics"],
    )


def _zoo_file(path: Path, card: dict[str, Any]) -> bytes:
    """A file of the zoo, checked against its card."""
    data = read_file(path)
    if hashlib.sha256(data).hexdigest() != card["sha256"].get(path.name):
        raise FormatError(f"{path} is not the file of its card: its sha256 differs")
    return data


def _scenario(about: dict[str, Any]) -> str:
    """Channels for the golden vectors: of a user's own data, the generator knows none."""
    named = about["data"].get("scenario")
    return named if named in ("indoor", "outdoor", "rayleigh") else "indoor"


def from_checkpoint(path: Path) -> LinkSource:
    """Weights that `csideploy train` wrote; needs the extra `train`.

    Raises:
        InputError: no such file; FormatError: it is no checkpoint.
        MissingDependencyError: torch is not installed.
    """
    from csideploy import registry
    from csideploy.export.torch_onnx import export_part
    from csideploy.training import load_checkpoint

    link, about = load_checkpoint(path)
    bits, features = about["bits"], registry.features(about["cr"])
    ue = export_part(link.encoder, "ue", bits=bits)
    bs = export_part(link.decoder, "bs", bits=bits, features=features)
    return LinkSource(
        system=about["system"],
        cr=about["cr"],
        bits=bits,
        binarize=about["binarize"],
        ue=ue.SerializeToString(),
        bs=bs.SerializeToString(),
        scenario=_scenario(about),
        provenance={"source": "checkpoint", "file": path.name, **about},
        metrics=about.get("metrics", {}),
    )
