"""Latency of a candidate on devices, as `csideploy report --target` models it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from csideploy.planning.footprints import Link, SideFootprint
from csideploy.registry import ANGLES, DELAYS
from csideploy.targets import Target, load, predict
from csideploy.targets.model import is_integer


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

    def latencies(self, footprint: Link) -> dict[str, float]:
        """`ue_latency` and `bs_latency` in seconds, of the sides that have a device."""
        return {
            f"{side}_latency": _seconds(side, footprint[side], target)
            for side, target in self.targets.items()
        }

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


def _seconds(side: str, own: SideFootprint, target: Target) -> float:
    # On a device without float units the model takes float layers as integer ones.
    floats = target.mac_per_cycle.fp32 is None and any(
        layer["macs"] and not is_integer(layer, "fp32") for layer in own.layers
    )
    times = predict(
        own.layers,
        target,
        precision="int8" if floats else "fp32",
        arena_bytes=own.arena_bytes,
    )
    seconds = sum(time.latency_s for time in times)
    if side == "ue":
        from csideploy.report.preprocessing import operations

        rate = target.elementwise_per_cycle.value * target.shares.elements.elementwise
        seconds += operations(ANGLES, DELAYS) / (rate * target.clock_hz.value)
    return seconds
