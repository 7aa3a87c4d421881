"""`--set NAME=VALUE` of `csideploy train kd-precoder`: every size and choice by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from csideploy.downlink import Setup
from csideploy.systems import kd_precoder
from csideploy.systems.kd_precoder import Options
from csideploy.training import distillation, settings
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
    for pair, name, text in settings.pairs(given, NAMES):
        if name in _SIZES:
            found["setup"][name] = settings.whole(pair, text)
        elif name in _NUMBERS:
            found[_NUMBERS[name]][name.replace("-", "_")] = settings.number(pair, text)
        else:
            kind, legal = _CHOICES[name]
            found[kind][name] = settings.choice(pair, name, text, legal)
    return found


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
    setup = Setup(**found["setup"], **settings.asked(sizes))
    chosen = Recipe(**found["recipe"], **settings.asked(recipe))
    options = Options(**found["options"], power_input=chosen.powers.several)
    return setup, options, chosen
