"""Latency of a candidate on devices, as `csideploy report --target` models it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from csideploy.planning.footprints import Link
from csideploy.planning.limits import Limit
from csideploy.registry import ANGLES, DELAYS
from csideploy.targets import Target, load
from csideploy.targets.files import ESTIMATED
from csideploy.targets.side import side_time


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
        from csideploy.report.preprocessing import operations

        found: dict[str, float] = {}
        for side, target in self.targets.items():
            own = footprint[side]
            # Of a UE the transform in front of the encoder too.
            before = operations(ANGLES, DELAYS) if side == "ue" else None
            made = side_time(own.layers, target, arena_bytes=own.arena_bytes, before=before)
            seconds = sum(time.latency_s for time in made.layers) + (made.before_s or 0.0)
            found[f"{side}_latency"] = seconds
            found[f"{side}_fit"] = float(made.placed.fits)
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
                # Whichever kinds of layers the candidates have.
                "confidence": ESTIMATED if target.shares.estimated else target.confidence,
            }
            for side, target in self.targets.items()
        }
