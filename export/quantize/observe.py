"""What goes through a network: extremes and a sample of the values of every point.

ONNX Runtime runs the float network chunk by chunk with these tensors exposed, so that memory does
not grow with the calibration data.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export.quantize.points import Point
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import WHOLE, Scale, eight, exact, sixteen
from csideploy.onnx_oracle import Arrays, Given, Oracle

SAMPLE = 1 << 16
"""Values of a tensor that are kept for the choice of its range."""


class Statistics:
    """Of one point: extremes of all values, and a random sample of them."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf
        self.kept: list[NDArray[np.float32]] = []

    def add(self, values: NDArray[np.float32], count: int, random: np.random.Generator) -> None:
        """Take a chunk in; `count` of its values are kept."""
        flat = values.reshape(-1)
        self.low = min(self.low, float(flat.min()))
        self.high = max(self.high, float(flat.max()))
        self.kept.append(flat[random.integers(flat.size, size=min(count, flat.size))])

    def scale(self, point: Point, bits: int) -> Scale:
        """The scale of a point at 8 or 16 bits."""
        if bits == 16:
            return sixteen(self.low, self.high)
        if point.whole:
            return WHOLE
        if point.exact_bits is not None and point.fixed == 8:
            return exact(point.exact_bits)
        return eight(np.concatenate(self.kept), self.low, self.high)


def observe(
    network: Network, points: Sequence[Point], chunks: Sequence[Given], *, seed: int
) -> tuple[dict[str, Statistics], list[Arrays]]:
    """Run the network on calibration data.

    Args:
        network: prepared.
        points: what to look at.
        chunks: inputs (n, ...), of about the same n each; several by name.
        seed: of the sample of values.

    Returns:
        The statistics by the point's name, and the network's outputs chunk by chunk.

    Raises:
        InputError: a value is not finite.
        FormatError: ONNX Runtime does not take the network or the data.
    """
    names = tuple(name for point in points for name in point.tensors)
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=names)
    statistics = {point.name: Statistics() for point in points}
    random = np.random.default_rng(seed)
    outputs = []
    for x in chunks:
        made = {**oracle.run(x), **oracle.feeds(x)}
        outputs.append({name: made[name] for name in network.outputs})
        for point in points:
            for name in point.tensors:
                values = np.asarray(made[name], np.float32)
                if not np.isfinite(values).all():
                    raise InputError(f"calibration: tensor '{name}' holds NaN or infinity")
                share = -(-SAMPLE // (len(chunks) * len(point.tensors)))
                statistics[point.name].add(values, share, random)
    return statistics, outputs
