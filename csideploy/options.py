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


_UNITS = {"": 1, "B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def parse_memory(text: str, option: str) -> int:
    """Bytes: `64MB` (10^6), `64MiB` (2^20), `65536`.

    Raises:
        InputError: anything else, or nothing above 0.
    """
    number = text.strip().rstrip("kKMGiB")
    unit = text.strip()[len(number) :]
    try:
        size = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        size = 0.0
    if not 1 <= size < 1 << 50:
        raise InputError(f"{option} {text}: a size such as 64MB, 64MiB or 65536 (bytes)")
    return int(size)


_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


def parse_time(text: str, option: str) -> float:
    """Seconds: `1ms`, `250us`, `0.5`.

    Raises:
        InputError: anything else, nothing above 0, or more than a day.
    """
    number = text.strip().rstrip("mnsu")
    unit = text.strip()[len(number) :]
    try:
        seconds = float(number) * _SECONDS[unit]
    except (KeyError, ValueError):
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise InputError(f"{option} {text}: a time such as 500us, 1ms or 0.5 (seconds)")
    return seconds


def refuse_mixed(precision: str, who: str) -> None:
    """`--precision mixed` is for CSI feedback links and single networks.

    Raises:
        InputError: it was asked of others, whose layers are all of one kind.
    """
    if precision == "mixed":
        raise InputError(
            f"--precision mixed: {who} take int8 or auto; mixed is for CSI feedback links"
        )
