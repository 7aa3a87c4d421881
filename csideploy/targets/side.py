"""How long a whole side takes on a target: its layers, and what runs in front of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from csideploy.targets.files import Target
from csideploy.targets.model import LayerTime, Placed, confidence, is_integer, place, predict


@dataclass(frozen=True)
class SideTime:
    """One side of a link on a device.

    layers: seconds of one run of each. before_s: of what runs in front; None: nothing does.
    precision: "int8" where a device without fp32 units takes float layers as integer ones.
    confidence: of the least sure figure used.
    """

    layers: list[LayerTime]
    before_s: float | None
    placed: Placed
    precision: str
    confidence: str


def side_time(
    layers: Sequence[Mapping[str, Any]],
    target: Target,
    *,
    arena_bytes: int,
    before: int | None = None,
) -> SideTime:
    """Model a side.

    Args:
        layers: as `csideploy.targets.model.predict` takes them.
        target: the device.
        arena_bytes: of the side.
        before: element-wise operations in front of the layers, such as the UE's transform.
    """
    precision = precision_on(target, layers)
    seconds = None
    if before is not None:
        rate = target.elementwise_per_cycle.value * target.shares.elements.elementwise
        seconds = before / (rate * target.clock_hz.value)
    return SideTime(
        predict(layers, target, precision=precision, arena_bytes=arena_bytes),
        seconds,
        place(layers, target, precision=precision, arena_bytes=arena_bytes),
        precision,
        confidence(layers, target, precision=precision),
    )


def precision_on(target: Target, layers: Sequence[Mapping[str, Any]]) -> str:
    """On a device without float units the model takes float layers as integer ones."""
    floats = target.mac_per_cycle.fp32 is None and any(
        layer["macs"] and not is_integer(layer, "fp32") for layer in layers
    )
    return "int8" if floats else "fp32"
