"""Eight bits for a tensor whose channels each choose their own step.

Between a convolution and the one that alone reads it, with nothing but a Relu, LeakyRelu or PRelu
there, channel i may be divided by any s_i > 0 and its reader's weights multiplied by as much. So
one scale for all channels is no restriction: with the scale 1, s_i *is* the step of channel i. It
is folded into the layer in front, and quantizing divides by nothing. All channels share the zero
point alone, an eighth of the codes being for what is below 0: a PReLU leaves little there.

Each step is that of least mean square error over the values seen, so that a few large values are
cut off where that pays: sparse CSI has them. 16 bits need no such care: the same channels, and a
power of two that keeps all that was seen, a quarter more than that too.

A network that was trained with such codes has learned its steps. It comes with its channels in
units of them, and says so (`UNIT_STEPS`): every step is 1 then.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from csideploy.export.quantize.equalize import scalable_pairs, scale_channels, with_constants
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import Scale, power_of_two, sixteen
from csideploy.onnx_oracle import Given, Oracle, samples

UNIT_STEPS = "csideploy.unit_steps"
"""Key of an ONNX file's metadata: what its grouped convolutions read is in units of the steps."""
ZERO = 32
"""The zero point where a channel goes below 0."""
SHARES = np.geomspace(0.1, 1.0, 16)
"""Parts of a channel's range that are tried."""
KEPT = 1 << 16
"""Values of a channel that a step is judged by."""

Values = NDArray[np.float32]


def has_learned(model: ModelProto) -> bool:
    """Whether a file says that its steps are 1."""
    return any(entry.key == UNIT_STEPS for entry in model.metadata_props)


def own_steps(
    network: Network,
    layers: Collection[str],
    chunks: Sequence[Given],
    *,
    importance: Sequence[Values] | None = None,
    seed: int,
    learned: bool = False,
) -> tuple[Network, dict[str, dict[int, Scale]]]:
    """Give the channels in front of layers their own steps.

    Args:
        network: prepared; it stays as it is.
        layers: names of the convolutions that read such channels.
        chunks: calibration inputs.
        importance: what the square of an error counts in each sample, (n,) chunk by chunk.
        seed: of the sample of values.
        learned: the steps are 1 already, with `ZERO`.

    Returns:
        A copy with the steps folded in, and by the name of the tensor that such a layer reads its
        scales of 8 bits, which is 1 with a zero point, and of 16. A tensor that other layers read
        too, or that no layer makes, has none.
    """
    found = {
        second.name: (first, second, between[-1])
        for first, second, between in scalable_pairs(network)
        if second.name in layers
    }
    if not found:
        return network, {}
    names = [name for *_, name in found.values()]
    seen = _values(network, names, chunks, importance, seed)
    weights: dict[str, NDArray[Any]] = {}
    scales: dict[str, dict[int, Scale]] = {}
    for first, second, name in found.values():
        low = seen[name].low
        steps, zero = (np.ones_like(low), ZERO) if learned else _choose(seen[name])
        scale_channels(weights, network, first, second, steps)
        ends = (float((low / steps).min()), float((seen[name].high / steps).max()))
        scales[name] = {8: Scale(1.0, zero, 8), 16: power_of_two(sixteen(*ends))}
    return with_constants(network, weights), scales


@dataclass
class _Seen:
    """Of a tensor: a sample (C, n) of every channel, what each value counts, the ends (C,)."""

    values: Values
    counts: Values
    low: Values
    high: Values


def _values(
    network: Network,
    names: Sequence[str],
    chunks: Sequence[Given],
    importance: Sequence[Values] | None,
    seed: int,
) -> dict[str, _Seen]:
    oracle = Oracle(network.model.SerializeToString(), name="the network", expose=tuple(names))
    random = np.random.default_rng(seed)
    kept: dict[str, list[Values]] = {name: [] for name in names}
    counts: list[Values] = []
    ends: dict[str, list[tuple[Values, Values]]] = {name: [] for name in names}
    for index, x in enumerate(chunks):
        made = oracle.run(x)
        n = samples(x)
        # The same places in every tensor, so that one list says what they count.
        share = -(-KEPT // len(chunks))
        rows = random.integers(n, size=share)
        counts.append(np.ones(share, np.float32) if importance is None else importance[index][rows])
        for name in names:
            flat = made[name].reshape(*made[name].shape[:2], -1)
            ends[name].append((flat.min((0, 2)), flat.max((0, 2))))
            kept[name].append(flat[rows, :, random.integers(flat.shape[2], size=share)].T)
    weights = np.concatenate(counts)
    return {
        name: _Seen(
            np.ascontiguousarray(np.concatenate(kept[name], 1)),
            np.asarray(weights / weights.mean(), np.float32),
            np.minimum(np.min([low for low, _ in ends[name]], 0), 0),
            np.maximum(np.max([high for _, high in ends[name]], 0), 0),
        )
        for name in names
    }


def choose_steps(values: Values, counts: Values, low: Values, high: Values) -> tuple[Values, int]:
    """Steps of least square error for codes of 8 bits, (C,), and the code of 0 of all channels.

    Args:
        values: a sample of every channel, (C, n).
        counts: what the square of each value's error counts, (n,).
        low: the least value of each channel, at most 0, (C,).
        high: the greatest, at least 0, (C,).
    """
    return _choose(_Seen(values, np.asarray(counts / counts.mean(), np.float32), low, high))


def _choose(seen: _Seen) -> tuple[Values, int]:
    zero = ZERO if (seen.low < 0).any() else 0
    widest = np.maximum(seen.high / (255 - zero), -seen.low / max(zero, 1))
    # A channel that is always 0 has any step.
    widest = np.where(widest > 0, widest, 1).astype(np.float32)
    steps, least = widest, _error(seen, widest, zero)
    for share in SHARES[:-1]:
        tried = (widest * np.float32(share)).astype(np.float32)
        error = _error(seen, tried, zero)
        steps = np.where(error < least, tried, steps)
        least = np.minimum(error, least)
    return steps, zero


def _error(seen: _Seen, steps: Values, zero: int) -> Values:
    """Mean square of what rounding and cutting off do, (C,)."""
    off = seen.values / steps[:, None]
    off -= np.clip(np.rint(off), -zero, 255 - zero)
    return np.asarray((off * off) @ seen.counts / len(seen.counts) * steps**2, np.float32)
