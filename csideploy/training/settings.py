"""Reading `--set NAME=VALUE` pairs: what every system's settings share."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from csideploy.errors import InputError


def pairs(given: Sequence[str], names: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Each pair as it stands there, its name and its text.

    Raises:
        InputError: no such name (the message lists all), or a name given twice.
    """
    seen = set()
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or name not in names:
            raise InputError(f"--set {pair}: NAME=VALUE, NAME one of {', '.join(names)}")
        if name in seen:
            raise InputError(f"--set {name}: given twice")
        seen.add(name)
        yield pair, name, text


def choice(pair: str, name: str, text: str, legal: Collection[str]) -> str:
    """One of the legal words; raises InputError for another."""
    if text not in legal:
        raise InputError(f"--set {pair}: {name} is {' or '.join(legal)}")
    return text


def whole(pair: str, text: str, *, hint: str = "a whole number is needed") -> int:
    """Digits alone: int() would take "1_0" and " 8" as well. Raises InputError."""
    if not text.isascii() or not text.isdigit():
        raise InputError(f"--set {pair}: {hint}")
    return int(text)


def number(pair: str, text: str) -> float:
    """A finite number; raises InputError for anything else."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"--set {pair}: a number is needed")
    return value


def asked(values: dict[str, Any]) -> dict[str, Any]:
    """What is not None."""
    return {name: value for name, value in values.items() if value is not None}
