"""`--set NAME=VALUE` of `csideploy train rvq-egat`: every size and choice by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csideploy.errors import InputError
from csideploy.systems.rvq_egat import ANCHORS, FORMS, NODE, Widths
from csideploy.training import settings, transceiver_recipe
from csideploy.training.draws import Powers
from csideploy.training.transceiver_recipe import TransceiverRecipe
from csideploy.transceiver.setup import MOST_USERS, Setup

_WHOLE = {"pilots": "setup", "feature": "setup", "regions": "setup", "layers": "widths"}
_WHOLE |= {"end": "widths"}
_LISTS = {"tiers": "setup", "extractor": "widths", "start-widths": "widths"}
_NUMBERS = {"alpha": "widths", "beta": "widths", "quantization": "recipe", "start": "recipe"}
_NUMBERS |= {"clip": "recipe"}
_CHOICES = {
    "form": ("widths", FORMS),
    "anchor": ("widths", ANCHORS),
    **{
        name: ("recipe", legal)
        for name, legal in transceiver_recipe.CHOICES.items()
        if name != "method"
    },
}
_LIST_HINT = "whole numbers with + between them, as in tiers=10+10+10"
NAMES = (*_WHOLE, *_LISTS, *_NUMBERS, *_CHOICES)
DEFAULT_FEATURES = 2
"""D / M, if left out: one number for each part of a complex channel."""


def parse(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Sort NAME=VALUE pairs by what they belong to: "setup", "widths", "recipe".

    Raises:
        InputError: no such name (the message lists all), a value that is none of the legal ones,
            a name given twice.
    """
    found: dict[str, dict[str, Any]] = {"setup": {}, "widths": {}, "recipe": {}}
    for pair, name, text in settings.pairs(given, NAMES):
        if name in _WHOLE:
            found[_WHOLE[name]][name] = settings.whole(pair, text)
        elif name in _LISTS:
            key = "start" if name == "start-widths" else name
            found[_LISTS[name]][key] = tuple(
                settings.whole(pair, part, hint=_LIST_HINT) for part in text.split("+")
            )
        elif name in _NUMBERS:
            found[_NUMBERS[name]][name] = settings.number(pair, text)
        else:
            kind, legal = _CHOICES[name]
            found[kind][name] = settings.choice(pair, name, text, legal)
    return found


def assemble(
    given: Sequence[str],
    *,
    antennas: int,
    recipe: dict[str, Any],
) -> tuple[Setup, Widths, TransceiverRecipe]:
    """What to train, from the options of the command line and --set.

    Args:
        given: NAME=VALUE pairs.
        antennas: M of the data.
        recipe: of the recipe; None means its default.

    Raises:
        InputError: as `parse`, or values that do not go together.
    """
    found = parse(given)
    sizes = {"antennas": antennas, "feature": DEFAULT_FEATURES * antennas, **found["setup"]}
    # A quarter of the antennas, as in the paper (32 of 128) and in its predecessor (4 of 16).
    sizes.setdefault("pilots", max(1, antennas // 4))
    chosen = settings.asked(recipe)
    widths = found["widths"]
    if widths.get("form") == "node":
        widths = {"start": NODE.start, "layers": NODE.layers, "end": NODE.end, **widths}
    return Setup(**sizes), Widths(**widths), TransceiverRecipe(**found["recipe"], **chosen)


def parse_users(text: str | None) -> tuple[int, ...] | None:
    """`--users`: `3,4,8`, a range `3:8`, or one number; None if left out.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    first, colon, last = text.partition(":")
    if colon and _digits(first) and _digits(last) and int(first) <= int(last) <= MOST_USERS:
        return tuple(range(int(first), int(last) + 1))
    items = text.split(",")
    if not colon and all(_digits(item) for item in items):
        return tuple(int(item) for item in items)
    raise InputError(
        f"--users {text}: numbers with commas, 3,4,8, or a range, 3:8, of 1 to {MOST_USERS}"
    )


def parse_powers(text: str | None) -> Powers | None:
    """`--snr`: see `Powers.parse`."""
    return None if text is None else Powers.parse(text)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()
