"""Eight bits for a tensor whose channels each choose their own step.

Between a convolution and the one that alone reads it, with nothing but a Relu, LeakyRelu or PRelu
there, channel i may be divided by any s_i > 0 and its reader's weights multiplied by as much. So
one scale for all channels is no restriction: with the scale 1, s_i *is* the step of channel i. It
is folded into the layer in front, and quantizing divides by nothing. All channels share the zero
point z alone, the share of the codes that is for what is below 0.

Each step is that of least mean square error over the values seen, so that a few large values are
cut off where that pays: sparse CSI has them. The errors of the channels meet in the reader's sums
with the squares of its weights, by which z is judged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from csideploy.export.quantize.equalize import scale_channels, scalable_pairs, with_constants
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import Scale
from csideploy.onnx_oracle import Given, Oracle

ZEROS = (16, 24, 32, 48, 64, 96, 128)
"""Zero points that are tried where a channel goes below 0."""
SHARES = np.geomspace(0.1, 1.0, 16)
"""Parts of a channel's range that are tried."""
KEPT = 1 << 15
"""Values of a channel that a step is judged by."""

Values = NDArray[np.float32]


def own_steps(
    network: Network, layers: Sequence[str], chunks: Sequence[Given], *, seed: int
) -> tuple[Network, dict[str, Scale]]:
    """Give the channels in front of layers their own steps.

    Args:
        network: prepared; it stays as it is.
        layers: names of convolutions.
        chunks: calibration inputs.
        seed: of the sample of values.

    Returns:
        A copy with the steps folded in, and the scale, 1 with a zero point, of the tensor that
        such a layer reads, by the tensor's name. A layer that no other feeds alone has none.
    """
    found = {
        second.name: (first, second, between[-1])
        for first, second, between in scalable_pairs(network)
        if second.name in layers
    }
    if not found:
        return network, {}
    seen = _values(network, [name for *_, name in found.values()], chunks, seed)
    weights: dict[str, NDArray[Any]] = {}
    scales = {}
    for first, second, name in found.values():
        steps, zero = _choose(*seen[name], _gains(network, second))
        scale_channels(weights, network, first, second, steps)
        scales[name] = Scale(1.0, zero, 8)
    return with_constants(network, weights), scales


def _values(
    network: Network, names: Sequence[str], chunks: Sequence[Given], seed: int
) -> dict[str, tuple[Values, Values, Values]]:
    """Of each tensor a sample of every channel, (C, values), and its least and greatest, (C,)."""
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=tuple(names))
    random = np.random.default_rng(seed)
    kept: dict[str, list[Values]] = {name: [] for name in names}
    ends: dict[str, list[tuple[Values, Values]]] = {name: [] for name in names}
    for x in chunks:
        made = oracle.run(x)
        for name in names:
            rows = np.moveaxis(made[name], 1, 0).reshape(made[name].shape[1], -1)
            ends[name].append((rows.min(1), rows.max(1)))
            count = min(rows.shape[1], -(-KEPT // len(chunks)))
            kept[name].append(rows[:, random.integers(rows.shape[1], size=count)])
    return {
        name: (
            np.concatenate(kept[name], 1),
            np.minimum(np.min([low for low, _ in ends[name]], 0), 0),
            np.maximum(np.max([high for _, high in ends[name]], 0), 0),
        )
        for name in names
    }


def _choose(values: Values, low: Values, high: Values, gain: Values) -> tuple[Values, int]:
    """Steps (C,) and the zero point.

    Args:
        values: (C, n).
        low: the least value of each channel, at most 0.
        high: the greatest, at least 0.
        gain: what the square of a channel's error counts, (C,).
    """
    best: tuple[float, Values, int] | None = None
    for zero in ZEROS if (low < 0).any() else (0,):
        widest = np.maximum(high / (255 - zero), -low / max(zero, 1))
        # A channel that is always 0 has any step.
        widest = np.where(widest > 0, widest, 1).astype(np.float32)
        steps, least = widest, _error(values, widest, zero)
        for share in SHARES[:-1]:
            tried = (widest * np.float32(share)).astype(np.float32)
            error = _error(values, tried, zero)
            steps = np.where(error < least, tried, steps)
            least = np.minimum(error, least)
        total = float(np.sum(gain * least))
        if best is None or total < best[0]:
            best = total, steps, zero
    assert best is not None
    return best[1], best[2]


def _error(values: Values, steps: Values, zero: int) -> Values:
    """Mean square of what rounding and cutting off do, (C,)."""
    scaled = values / steps[:, None]
    off = np.clip(np.rint(scaled), -zero, 255 - zero) - scaled
    return np.asarray(np.mean(off * off, axis=1) * steps**2, np.float32)


def _gains(network: Network, node: NodeProto) -> Values:
    """Sum of the squares of a convolution's weights at each of its inputs, (C,)."""
    weight = network.constants[node.input[1]]
    squares = np.sum(weight.astype(np.float32) ** 2, axis=tuple(range(2, weight.ndim)))
    groups = next((a.i for a in node.attribute if a.name == "group"), 1)
    return np.asarray(squares.reshape(groups, -1, weight.shape[1]).sum(1).reshape(-1), np.float32)
