"""The zoo: trained weights as two ONNX files and a card each. Needs neither torch nor onnx.

`zoo/NAME/{ue.onnx,bs.onnx,card.json}`; a card holds the system's options, the recipe, data, seed,
budget, measured metrics, the hashes of both files and the command that retrains them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csideploy import registry
from csideploy.errors import FormatError, InputError

FOLDER_VARIABLE = "CSIDEPLOY_ZOO"
FILES = ("ue.onnx", "bs.onnx")
CARD = "card.json"
_CARD_KEYS = ("system", "cr", "bits", "binarize", "data", "metrics", "sha256", "command")


@dataclass(frozen=True)
class ZooEntry:
    """One trained link: its folder and its card."""

    path: Path
    card: dict[str, Any]


def folder() -> Path:
    """Where the zoo is: `$CSIDEPLOY_ZOO`, else beside the package in a checkout.

    Raises:
        InputError: neither is a folder; the message says where it looked.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    places = [Path(named)] if named else [Path(__file__).resolve().parents[1] / "zoo"]
    for place in places:
        if place.is_dir():
            return place
    raise InputError(
        f"no zoo in {places[0]}: set {FOLDER_VARIABLE} to the zoo folder of a csideploy checkout"
    )


def entries() -> list[ZooEntry]:
    """All entries, by name.

    Raises:
        InputError: there is no zoo. FormatError: a card is broken.
    """
    cards = sorted(folder().glob(f"*/{CARD}"))
    return [ZooEntry(card.parent, _read_card(card)) for card in cards]


def find(
    system: str,
    cr: int | None = None,
    bits: int | None = None,
    binarize: str | None = None,
    *,
    float_features: bool = False,
) -> ZooEntry:
    """The entry of a system with these options; None means the system's default.

    Args:
        system: a system's name, or the name of an entry.
        cr: compression, 4 for 1/4.
        bits: of a feature.
        binarize: "none", "encoder" or "both".
        float_features: the entry without a feature quantizer (`bits` is then None).

    Raises:
        InputError: unknown system or option, no zoo, or no such entry; the message lists those of
            the system.
    """
    found = entries()
    wanted = next((entry for entry in found if entry.path.name == system), None)
    if wanted is not None and system not in registry.SYSTEMS:
        return _agreeing(wanted, cr=cr, bits=bits, binarize=binarize)
    spec = registry.get(system)
    if bits is None and not float_features:
        bits = spec.default_bits
    ratio = spec.default_cr if cr is None else cr
    checked = registry.check_options(spec, ratio, bits, binarize)
    for entry in found:
        card = entry.card
        if (card["system"], card["cr"], card["bits"], card["binarize"]) == (spec.name, *checked):
            return entry
    name = registry.entry_name(spec, *checked)
    others = [entry.path.name for entry in found if entry.card["system"] == spec.name]
    there = f"there is {', '.join(others)}" if others else f"none of {spec.name} is there"
    raise InputError(
        f"no trained weights {name!r} in {folder()}: {there}; train it, or --checkpoint"
    )


def _agreeing(entry: ZooEntry, **asked: object) -> ZooEntry:
    for option, value in asked.items():
        if value is not None and value != entry.card[option]:
            raise InputError(
                f"zoo entry {entry.path.name!r} has {option} {entry.card[option]}, not {value}"
            )
    return entry


def _read_card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FormatError(f"{path}: not a readable card: {error}") from error
    missing = [key for key in _CARD_KEYS if not isinstance(card, dict) or key not in card]
    if missing:
        raise FormatError(f"{path}: card without {', '.join(missing)}")
    absent = [name for name in FILES if not (path.parent / name).is_file()]
    if absent:
        raise FormatError(f"{path.parent}: zoo entry without {', '.join(absent)}")
    return dict(card)
