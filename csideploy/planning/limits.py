"""Limits of a plan, and what breaks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from csideploy.report.units import binary, duration


@dataclass(frozen=True)
class Quantity:
    """What a limit may be about.

    option: of the command line. what: for people.
    unit: "bits", "B", "MACs", "s", "dB", "", or "fit": 1 where a side fits its device's memories.
    at_least: the limit is a floor; else a ceiling.
    """

    option: str
    what: str
    unit: str
    at_least: bool = False


FIT = "fit"
QUANTITIES: dict[str, Quantity] = {
    "payload_bits": Quantity("--max-bits", "payload", "bits"),
    "ue_memory": Quantity("--ue-memory", "UE memory", "B"),
    "bs_memory": Quantity("--bs-memory", "BS memory", "B"),
    "ue_macs": Quantity("--ue-macs", "UE MACs", "MACs"),
    "bs_macs": Quantity("--bs-macs", "BS MACs", "MACs"),
    "ue_latency": Quantity("--ue-latency", "UE latency", "s"),
    "bs_latency": Quantity("--bs-latency", "BS latency", "s"),
    "ue_fit": Quantity("--ue-target", "UE", FIT, at_least=True),
    "bs_fit": Quantity("--bs-target", "BS", FIT, at_least=True),
    "nmse_db": Quantity("--min-nmse", "NMSE", "dB"),
    "sgcs": Quantity("--min-sgcs", "SGCS", "", at_least=True),
}
"""By the key of a candidate's figures. A better NMSE is a lower one, so its limit is a ceiling."""


@dataclass(frozen=True)
class Limit:
    """One limit. key: of `QUANTITIES`; asked: as it stood on the command line."""

    key: str
    value: float
    asked: str

    @property
    def quantity(self) -> Quantity:
        """What it is about."""
        return QUANTITIES[self.key]

    def holds(self, figures: Mapping[str, float]) -> bool:
        """Whether figures are within it; those that lack it are not judged."""
        value = figures.get(self.key)
        if value is None:
            return True
        return value >= self.value if self.quantity.at_least else value <= self.value

    def excess(self, figures: Mapping[str, float]) -> float:
        """By how much it is missed; 0 where it holds."""
        if self.holds(figures):
            return 0.0
        return abs(figures[self.key] - self.value)

    def describe(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "key": self.key,
            "option": self.quantity.option,
            "value": self.value,
            "unit": self.quantity.unit,
            "at_least": self.quantity.at_least,
        }

    def __str__(self) -> str:
        """As it was asked for."""
        return f"{self.quantity.option} {self.asked}"

    def broken_by(self, figures: Mapping[str, float]) -> str:
        """One sentence for people: what is missed, and by how much."""
        unit = self.quantity.unit
        if unit == FIT:
            return (
                f"{self.quantity.what}: weights and arena do not fit the memories of {self.asked}"
            )
        side = "below" if self.quantity.at_least else "above"
        value, by = (plain(own, unit) for own in (figures[self.key], self.excess(figures)))
        return f"{self.quantity.what} {value} is {by} {side} {self}"


def written(value: float, unit: str) -> str:
    """As `plain`, but bytes also in KiB."""
    also = f" ({binary(int(value))})" if unit == "B" and value >= 1024 else ""
    return plain(value, unit) + also


def plain(value: float, unit: str) -> str:
    """A figure for people: times in us or ms, accuracy with decimals, all else as a count."""
    if unit == "s":
        return duration(value)
    if unit == "dB":
        return f"{value:.3f} dB"
    if unit == "":
        return f"{value:.5f}"
    return f"{value:,.0f} {unit}"
