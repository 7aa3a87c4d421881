"""`--set NAME=VALUE` of `csideploy train kd-precoder`: every size and choice by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from csideploy.downlink import Setup
from csideploy.errors import InputError
from csideploy.systems import kd_precoder
from csideploy.systems.kd_precoder import Options
from csideploy.training import distillation
from csideploy.training.distillation import Recipe

_SIZES = ("antennas", "streams", "pilots")
_NUMBERS = {"pilot-power": "setup", "anneal": "recipe"}
_CHOICES = {
    **{name: ("options", legal) for name, legal in kd_precoder.CHOICES.items()},
    # The method has an option of the command line.
    **{n: ("recipe", legal) for n, legal in distillation.CHOICES.items() if n != "method"},
}
NAMES = (*_SIZES, *_NUMBERS, *_CHOICES)


def parse(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Sort NAME=VALUE pairs by what they belong to: "setup", "options", "recipe".

    Raises:
        InputError: no such name (the message lists all), a value that is none of the legal ones,
            a name given twice.
    """
    found: dict[str, dict[str, Any]] = {"setup": {}, "options": {}, "recipe": {}}
    seen = set()
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or name not in NAMES:
            raise InputError(f"--set {pair}: NAME=VALUE, NAME one of {', '.join(NAMES)}")
        if name in seen:
            raise InputError(f"--set {name}: given twice")
        seen.add(name)
        if name in _SIZES:
            found["setup"][name] = _whole(pair, text)
        elif name in _NUMBERS:
            found[_NUMBERS[name]][name.replace("-", "_")] = _number(pair, text)
        else:
            kind, legal = _CHOICES[name]
            if text not in legal:
                raise InputError(f"--set {pair}: {name} is {' or '.join(legal)}")
            found[kind][name] = text
    return found


def _whole(pair: str, text: str) -> int:
    # Digits alone: int() would take "1_0" and " 8" as well.
    if not text.isascii() or not text.isdigit():
        raise InputError(f"--set {pair}: a whole number is needed")
    return int(text)


def _number(pair: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"--set {pair}: a number is needed")
    return value


def assemble(
    given: Sequence[str],
    *,
    sizes: dict[str, Any],
    recipe: dict[str, Any],
) -> tuple[Setup, Options, Recipe]:
    """What to train, from the options of the command line and --set.

    Args:
        given: NAME=VALUE pairs.
        sizes: of the set-up; None means the paper's.
        recipe: of the recipe, powers among them; None means the paper's.

    Raises:
        InputError: as `parse`, or values that do not go together.
    """
    found = parse(given)
    setup = Setup(**found["setup"], **_asked(sizes))
    chosen = Recipe(**found["recipe"], **_asked(recipe))
    options = Options(**found["options"], power_input=chosen.powers.several)
    return setup, options, chosen


def _asked(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
