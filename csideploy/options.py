"""Reading the values of options."""

from __future__ import annotations

from csideploy.errors import InputError


def parse_number(text: str | None, option: str) -> int | None:
    """A whole number, if one was given.

    Raises:
        InputError: anything else.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InputError(f"{option} {text}: a whole number is needed here")
    return int(text)
