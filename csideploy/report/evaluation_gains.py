"""SGCS and NMSE of a benchmark and the gain over it, by payload, from files of `evaluate`.

Payload bins: X up to 80 bits, Y 100 to 140, Z from 230 [M]. A benchmark row is one of Rel-16 eType
II in the bin; ours is the row of this package. Both must stand in one file, so that both were
measured on the same channels: a file without a row of this package, such as one of a panel's
channels, gives no benchmark either. They are compared in one unit, by sub-band (`sgcs_subband`), if
both have it.

Z has no upper end. A payload of thousands of bits against one of hundreds would be no gain of a
network, so that none is claimed against a benchmark with less than 90 % of our bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csideploy.package import LinkPackage
from csideploy.profiles.described import section

BENCHMARK = "etype2"
LEAST_SHARE = 0.9


@dataclass(frozen=True)
class Bin:
    """A range of payload bits; `most` None: no upper end."""

    name: str
    least: int
    most: int | None

    def __contains__(self, bits: object) -> bool:
        """Whether so many bits are in it."""
        if not isinstance(bits, int):
            return False
        return self.least <= bits and (self.most is None or bits <= self.most)

    def __str__(self) -> str:
        """`X (<=80 bits)`."""
        if self.most is None:
            return f"{self.name} (>={self.least} bits)"
        own = f"{self.least}-{self.most}" if self.least else f"<={self.most}"
        return f"{self.name} ({own} bits)"


BINS = (Bin("X", 0, 80), Bin("Y", 100, 140), Bin("Z", 230, None))


@dataclass(frozen=True)
class Compared:
    """What a file has for a bin.

    Attributes:
        bin: the bin.
        benchmark, ours: rows of `evaluate`; None where there is none.
        sgcs_key: the column that both have, or the benchmark has.
        comparable: whether the benchmark has bits enough for a gain to mean something.
        channels: what the file was measured on.
    """

    bin: Bin
    benchmark: Mapping[str, Any] | None
    ours: Mapping[str, Any] | None
    sgcs_key: str = "sgcs"
    comparable: bool = False
    channels: str | None = None

    def figures(self) -> dict[str, Any]:
        """For the JSON; a gain of SGCS is ours / benchmark - 1 in percent, of NMSE in dB."""
        known, own = self.benchmark or {}, self.ours or {}
        sgcs, theirs = own.get(self.sgcs_key), known.get(self.sgcs_key)
        nmse, theirs_nmse = own.get("nmse_db"), known.get("nmse_db")
        gain = gain_db = None
        if self.comparable and sgcs is not None and theirs:
            gain = round(100 * (sgcs / theirs - 1), 2)
        if self.comparable and nmse is not None and theirs_nmse is not None:
            gain_db = round(theirs_nmse - nmse, 3)
        return {
            "bin": self.bin.name,
            "benchmark": known.get("system"),
            "combination": known.get("combination"),
            "benchmark_bits": known.get("payload_bits"),
            "benchmark_sgcs": theirs,
            "benchmark_nmse_db": theirs_nmse,
            "benchmark_sgcs_subband": known.get("sgcs_subband"),
            "bits": own.get("payload_bits"),
            "sgcs": sgcs,
            "nmse_db": nmse,
            "rho": own.get("rho"),
            "samples": own["samples"] if type(own.get("samples")) is int else None,
            "channels": self.channels,
            "sgcs_of": self.sgcs_key if known or own else None,
            "sgcs_gain_percent": gain,
            "nmse_gain_db": gain_db,
            "comparable": self.comparable,
        }


def compare(
    link: LinkPackage, quality: Sequence[Mapping[str, Any]], *, ue_macs: int
) -> list[dict[str, Any]]:
    """The three bins.

    Args:
        link: the package. A row is its own if its system has the name of the package's folder, of
            its zoo entry or of its checkpoint, and one of its payloads.
        quality: objects of `evaluate --out`, each with `rows`; the first that has something for a
            bin counts, of those that have a row of this package.
        ue_macs: of the encoder: a row of another network of the same name has others.
    """
    known = [file for file in quality if has_own(file, link, ue_macs=ue_macs)]
    found = [[_in(own, link, file, ue_macs) for file in known] for own in BINS]
    chosen = []
    for own, candidates in zip(BINS, found, strict=True):
        ranked = sorted(
            candidates, key=lambda one: -((one.ours is not None) + (one.benchmark is not None))
        )
        chosen.append((ranked[0] if ranked else Compared(own, None, None)).figures())
    return chosen


def has_own(file: Mapping[str, Any], link: LinkPackage, *, ue_macs: int) -> bool:
    """Whether a file of `evaluate` has a row of this package; arguments as `compare`."""
    return any(_is_ours(row, link, ue_macs) for row in file["rows"])


def _in(own: Bin, link: LinkPackage, file: Mapping[str, Any], ue_macs: int) -> Compared:
    rows: Sequence[Mapping[str, Any]] = file["rows"]
    ours = [row for row in rows if _is_ours(row, link, ue_macs) and row["payload_bits"] in own]
    theirs = [row for row in rows if _is_benchmark(row) and row["payload_bits"] in own]
    mine = max(ours, key=lambda row: row["payload_bits"], default=None)
    keys = ("sgcs_subband", "sgcs")
    candidates = [row for row in (mine, *theirs) if row is not None]
    key = next((k for k in keys if all(row.get(k) is not None for row in candidates)), "sgcs")
    rated = [row for row in theirs if row.get(key) is not None]
    enough = [row for row in rated if mine is None or _enough(row, mine, own)]
    # The best one that may be compared with; if there is none, the best one.
    best = max(enough or rated, key=lambda row: row[key], default=None)
    comparable = mine is not None and bool(enough)
    return Compared(own, best, mine, key, comparable, file.get("channels"))


def _enough(row: Mapping[str, Any], mine: Mapping[str, Any], own: Bin) -> bool:
    """Within X and Y payloads count as equal."""
    if own.most is not None:
        return True
    return bool(row["payload_bits"] >= LEAST_SHARE * mine["payload_bits"])


def _is_benchmark(row: Mapping[str, Any]) -> bool:
    """Of rank 1: the rows of the table are those of layer 1, with its payload."""
    return row.get("system") == BENCHMARK and row.get("rank", 1) == 1


def _is_ours(row: Mapping[str, Any], link: LinkPackage, ue_macs: int) -> bool:
    provenance = section(link.manifest, "provenance")
    names = {link.path.resolve().name, provenance.get("entry"), provenance.get("file")}
    payloads = {layout.payload_bits for layout in link.layouts}
    named = row.get("system") in names - {None} and row.get("payload_bits") in payloads
    return named and row.get("ue_macs") in (None, ue_macs)
