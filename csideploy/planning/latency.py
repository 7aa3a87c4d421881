"""Latency of a candidate on devices, as `csideploy report --target` models it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from csideploy.planning.footprints import Link, SideFootprint
from csideploy.planning.limits import Limit
from csideploy.registry import ANGLES, DELAYS
from csideploy.targets import Target, load, predict
from csideploy.targets.model import is_integer, place


@dataclass(frozen=True)
class Devices:
    """By side the device that it runs on; none, where no latency was asked for."""

    targets: dict[str, Target] = field(default_factory=dict)

    @staticmethod
    def read(both: str | None, *, ue: str | None, bs: str | None) -> Devices:
        """The devices of the command line.

        Args:
            both: of both sides.
            ue: of the UE, before that of both.
            bs: of the BS, likewise.

        Raises:
            InputError: no such target, or its file is wrong.
        """
        asked = {"ue": ue or both, "bs": bs or both}
        return Devices({side: load(name) for side, name in asked.items() if name is not None})

    def figures(self, footprint: Link) -> dict[str, float]:
        """Of the sides that have a device: `ue_latency` in seconds, and `ue_fit`, 1 or 0."""
        found: dict[str, float] = {}
        for side, target in self.targets.items():
            own = footprint[side]
            precision = _precision(own, target)
            placed = place(own.layers, target, precision=precision, arena_bytes=own.arena_bytes)
            found[f"{side}_latency"] = _seconds(side, own, target, precision)
            found[f"{side}_fit"] = float(placed.fits)
        return found

    def limits(self) -> list[Limit]:
        """What is to run on a device must fit its memories."""
        return [Limit(f"{side}_fit", 1.0, target.name) for side, target in self.targets.items()]

    def describe(self) -> dict[str, Any]:
        """For scripts: which device, and how sure its figures are."""
        return {
            side: {
                "target": target.name,
                "title": target.title,
                "mark": "modelled",
                "confidence": target.confidence,
            }
            for side, target in self.targets.items()
        }


def _precision(own: SideFootprint, target: Target) -> str:
    """On a device without float units the model takes float layers as integer ones."""
    floats = target.mac_per_cycle.fp32 is None and any(
        layer["macs"] and not is_integer(layer, "fp32") for layer in own.layers
    )
    return "int8" if floats else "fp32"


def _seconds(side: str, own: SideFootprint, target: Target, precision: str) -> float:
    times = predict(own.layers, target, precision=precision, arena_bytes=own.arena_bytes)
    seconds = sum(time.latency_s for time in times)
    if side == "ue":
        from csideploy.report.preprocessing import operations

        rate = target.elementwise_per_cycle.value * target.shares.elements.elementwise
        seconds += operations(ANGLES, DELAYS) / (rate * target.clock_hz.value)
    return seconds
