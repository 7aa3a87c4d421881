"""Quality against payload bits, for the page: what was measured, by test set.

Points of different test sets are never in one chart: NMSE moves by a decibel from set to set.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from csideploy.errors import CsideployError, InputError
from csideploy.outputs import reason

if TYPE_CHECKING:
    from csideploy.package import LinkPackage

MOST_BITS = 1 << 30
RANGES = {"nmse_db": (-200, 200), "sgcs": (0, 1), "sgcs_subband": (0, 1), "rho": (-1, 1)}
"""Of a row's figures and their intervals."""
ROUNDING = 1e-5
"""A mean of cosines may be that much above 1."""
ADVICE = "give a file that `csideploy evaluate SYSTEM,... --out F.json` wrote for CSI feedback"


@dataclass(frozen=True)
class Point:
    """A system at one number of bits.

    Attributes:
        system: its name.
        bits: payload bits of a sample.
        nmse_db, sgcs: None where not measured, or where it has none.
        nmse_interval, sgcs_interval: 95 %; None where none was computed.
        group: own (the package), zoo or file.
        remark: what has to be said in the table.
    """

    system: str
    bits: int
    nmse_db: float | None
    sgcs: float | None
    nmse_interval: tuple[float, float] | None = None
    sgcs_interval: tuple[float, float] | None = None
    group: str = "file"
    remark: str = ""


@dataclass(frozen=True)
class MeasuredSet:
    """Points that were measured on the same channels."""

    words: str
    source: str
    points: list[Point] = field(default_factory=list)
    interval: str | None = None
    """What the file says its intervals are."""


def read_quality(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Figures that `evaluate --out` wrote.

    Returns:
        The object of each file: `channels`, `rows`, and `file`, its name.

    Raises:
        InputError: a file cannot be read, or holds no rows of CSI feedback links.
    """
    return [_read(path) for path in files]


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"--quality {path}: cannot be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"--quality {path}: no JSON ({error}); {ADVICE}") from error
    if not isinstance(found, dict) or not isinstance(found.get("rows"), list) or not found["rows"]:
        raise InputError(f"--quality {path}: has no list 'rows'; {ADVICE}")
    if not isinstance(found.get("channels"), str):
        raise InputError(f"--quality {path}: has no text 'channels'; {ADVICE}")
    if not isinstance(found.get("interval"), str | None):
        raise InputError(f"--quality {path}: 'interval' is a text, or left out; {ADVICE}")
    for number, row in enumerate(found["rows"]):
        wrong = _wrong(row)
        if wrong:
            raise InputError(f"--quality {path}: rows[{number}]: {wrong}; {ADVICE}")
    return {**found, "file": path.name}


def _wrong(row: object) -> str | None:
    """What is wrong with a row."""
    if not isinstance(row, dict):
        return "is no object"
    if not isinstance(row.get("system"), str):
        return "'system' is a name"
    if type(row.get("payload_bits")) is not int or not 1 <= row["payload_bits"] <= MOST_BITS:
        return f"'payload_bits' is a whole number from 1 to {MOST_BITS:,}"
    for key, (least, most) in RANGES.items():
        needed = key in ("nmse_db", "sgcs") and key not in row
        value, interval = row.get(key), row.get(f"{key}_interval")
        if needed or not (value is None or _is_number(value, least, most)):
            return f"'{key}' is a number from {least:g} to {most:g}, or null where there is none"
        if interval is not None and not (
            isinstance(interval, list)
            and len(interval) == 2
            and all(_is_number(end, least, most) for end in interval)
            and interval[0] <= interval[1]
        ):
            return f"'{key}_interval' is two numbers from {least:g} to {most:g}, the lower first"
    whole = {"combination": (int, str), "rank": (int,), "ue_macs": (int,), "samples": (int,)}
    for key, kinds in whole.items():
        value = row.get(key)
        if value is not None and type(value) not in kinds:
            return f"'{key}' is a whole number, or null"
        if type(value) is int and not 0 <= value <= MOST_BITS << 20:
            return f"'{key}' is a whole number that is not so large"
    if row["nmse_db"] is None and row["sgcs"] is None:
        return "has neither 'nmse_db' nor 'sgcs'"
    return None


def _is_number(value: object, least: float, most: float) -> bool:
    # NaN and infinity, which Python's JSON takes, are in no range.
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return least - ROUNDING <= value <= most + ROUNDING


def measured_sets(
    link: LinkPackage, quality: Sequence[dict[str, Any]], *, zoo: bool = True
) -> list[MeasuredSet]:
    """The package's own figures with the zoo's of the same test set, then each file's.

    Args:
        link: the package; of another kind than CSI feedback it gets none of its own.
        quality: of `read_quality`.
        zoo: whether entries of the zoo stand beside the package.
    """
    found = []
    own = _own(link, zoo=zoo)
    if own is not None:
        found.append(own)
    for data in quality:
        points = [_of_row(row) for row in data["rows"]]
        source, interval = f"file {data['file']}", data.get("interval")
        found.append(MeasuredSet(data["channels"], source, points, interval))
    return found


def _of_row(row: dict[str, Any]) -> Point:
    return Point(
        row["system"],
        row["payload_bits"],
        row["nmse_db"],
        row["sgcs"],
        _pair(row.get("nmse_db_interval")),
        _pair(row.get("sgcs_interval")),
        remark="" if row["nmse_db"] is not None else "directions only: no NMSE",
    )


def _pair(interval: Sequence[float] | None) -> tuple[float, float] | None:
    return None if interval is None else (float(interval[0]), float(interval[1]))


def _own(link: LinkPackage, *, zoo: bool) -> MeasuredSet | None:
    manifest = link.manifest
    about = manifest.get("provenance") or {}
    card = about.get("card") or about
    metrics = manifest.get("metrics") or {}
    if "kind" in manifest or "nmse_db" not in metrics or not link.layouts:
        return None
    by_budget = card.get("metrics_per_budget") or {}
    points = []
    for layout in link.layouts:
        bits = link.bits_of(layout)
        measured = by_budget.get(str(bits), metrics if bits == manifest["bits"] else None)
        if measured is not None:
            remark = "this package"
            if any(part.get("precision", "fp32") != "fp32" for part in manifest.get("parts", ())):
                remark += "; of the fp32 network as trained, not of the integers"
            points.append(
                _trained(manifest["system"], layout.payload_bits, measured, "own", remark)
            )
    channels = card.get("test_data") or {}
    if zoo and channels:
        points += _of_the_zoo(channels, entry=about.get("entry"))
    return MeasuredSet(_words(channels, metrics), "card of the weights", points)


def _trained(
    system: str, bits: int, measured: dict[str, Any], group: str, remark: str = ""
) -> Point:
    return Point(
        system, bits, measured["nmse_db"], measured.get("sgcs"), group=group, remark=remark
    )


def _words(channels: dict[str, Any], metrics: dict[str, Any]) -> str:
    samples = channels.get("samples", metrics.get("samples"))
    count = f"{samples:,} samples" if samples else "samples"
    if channels.get("scenario") in (None, "unknown"):
        return f"{count} of a file that the card does not name"
    return f"{count} of generated {channels['scenario']} channels, seed {channels['seed']}"


def _of_the_zoo(channels: dict[str, Any], *, entry: str | None) -> list[Point]:
    """Entries measured on the same channels; [] where there is no zoo."""
    from csideploy import registry
    from csideploy import zoo as trained

    try:
        entries = trained.entries()
    except CsideployError:
        return []
    points = []
    for one in entries:
        card = one.card
        theirs = card.get("test_data") or {}
        if one.path.name == entry or not _same(channels, theirs):
            continue
        remark = "zoo"
        if theirs["sha256"] != channels.get("sha256"):
            remark += "; same scenario, seed and count, but another hash"
        by_budget = card.get("metrics_per_budget") or {str(card["bits"]): card["metrics"]}
        for budget, measured in by_budget.items():
            if budget == "None":
                continue
            bits = card.get("payload_bits", {}).get(budget)
            bits = bits or registry.payload_bits(card["cr"], int(budget))
            points.append(_trained(one.path.name, bits, measured, "zoo", remark))
    return points


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    """Of equal hash, or made by the same generator with the same seed.

    Hashes alone would part sets that two machines generated: a few samples round otherwise there.
    """
    if not theirs or not ours:
        return False
    if theirs.get("sha256") == ours.get("sha256"):
        return True
    keys = ("scenario", "seed", "samples", "subcarriers")
    named = ours.get("scenario") not in (None, "unknown") and ours.get("seed") is not None
    return named and all(ours.get(key) == theirs.get(key) for key in keys)
