"""Where a float path may move a code: near a threshold of the quantizer that makes the codes.

A network computed in another order differs in the last bits, so that a value on a threshold may
fall to either side of it. The band around a threshold t is 1e-5 max(1, |t|) to both sides; for a
vector quantizer, codes may differ where the two smallest distances d <= e are as near as that,
e - d < 1e-5 max(1, |d|), and so for each tier of a residual quantizer. Likewise for the largest of
several scores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.export.operations import Reduction
from csideploy.export.plan import Op, Plan, Step
from csideploy.export.widths import step_widths
from csideploy.quantizers.residual import distances

BAND = 1e-5
"""Half the width around a threshold in which a float path may move a code."""

Near = Callable[[NDArray[np.floating]], NDArray[np.bool_]]
"""What goes into the quantizer -> whether each code (n, M) lies in the band."""


@dataclass(frozen=True)
class Band:
    """The band of a plan's quantizer.

    tensor: the name of what goes into it. step: the index of its step in the plan.
    """

    tensor: str
    step: int
    near: Near


def band_of(plan: Plan) -> Band | None:
    """The band of the plan's first quantizer of floats; None for a part without one."""
    for index, step in enumerate(plan.steps):
        near = _near(plan, step)
        if near is not None and step.inputs[0] is not None:
            return Band(plan.tensors[step.inputs[0]].name, index, near)
    return None


def _near(plan: Plan, step: Step) -> Near | None:
    if step.op is Op.QUANTIZE_UNIFORM:
        bits = int(step.params["bits"])
        return lambda value: near_uniform(value, bits)
    if step.op is Op.QUANTIZE_LOGIT:
        assert step.inputs[1] is not None
        levels = int(plan.tensors[step.inputs[1]].shape[0]) + 1
        return lambda value: near_logit(value, levels.bit_length() - 1)
    if step.op is Op.QUANTIZE_CODEBOOK:
        widths = step_widths(step, plan.tensors, plan.weights)
        assert widths is not None
        assert step.inputs[1] is not None
        stored = plan.tensors[step.inputs[1]]
        raw = plan.weights[stored.place : stored.place + stored.nbytes]
        thresholds = np.frombuffer(raw.tobytes(), np.float32)
        return lambda value: near_codebook(value, thresholds, widths)
    if step.op is Op.RESIDUAL_QUANTIZE:
        tiers = [s.inputs[1] for s in plan.steps if s.op is Op.RESIDUAL_QUANTIZE]
        books = [_stored(plan, index) for index in tiers]
        return lambda value: near_tiers(value, books)
    if step.op is Op.ARG_EXTREME and plan.payload is not None:
        smallest = int(step.params["function"]) == Reduction.MIN
        return near_distances if smallest else lambda scores: near_distances(-scores)
    return None


def _stored(plan: Plan, index: int | None) -> NDArray[np.float32]:
    assert index is not None
    tensor = plan.tensors[index]
    raw = plan.weights[tensor.place : tensor.place + tensor.nbytes]
    return np.frombuffer(raw.tobytes(), np.float32).reshape([int(d) for d in tensor.shape])


def near_uniform(value: NDArray[np.floating], bits: int) -> NDArray[np.bool_]:
    """Whether each value lies in the band of a threshold k / 2^B, k = 1 .. 2^B - 1."""
    levels = 2.0**bits
    nearest = np.clip(np.rint(value.astype(np.float64) * levels), 1, levels - 1) / levels
    close: NDArray[np.bool_] = np.abs(value - nearest) < BAND
    return close


def near_logit(value: NDArray[np.floating], bits: int) -> NDArray[np.bool_]:
    """Whether the sigmoid of each value lies in the band of a threshold k / 2^B."""
    # e^-|x| cannot overflow.
    small = np.exp(-np.abs(value.astype(np.float64)))
    return near_uniform(np.where(value < 0, small, 1.0) / (1.0 + small), bits)


def near_codebook(
    value: NDArray[np.floating], thresholds: NDArray[np.float32], widths: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Whether each value lies in the band of one of its output's thresholds.

    Args:
        value: (n, M), before the quantizer.
        thresholds: (sum (2^B_m - 1),), output after output.
        widths: B_m, (M,).
    """
    close = np.zeros(value.shape, np.bool_)
    begin = 0
    for m, bits in enumerate(widths.tolist()):
        own = thresholds[begin : begin + (1 << bits) - 1].astype(np.float64)
        begin += len(own)
        if len(own):
            x = value[:, m].astype(np.float64)
            above = np.searchsorted(own, x).clip(0, len(own) - 1)
            for nearest in (own[above], own[(above - 1).clip(0)]):
                close[:, m] |= np.abs(x - nearest) < BAND * np.maximum(1.0, np.abs(nearest))
    return close


def near_distances(distances: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Whether the two smallest of the distances (n, M, K) to K vectors are as near as the band."""
    two = np.partition(distances.astype(np.float64), 1, axis=-1)[..., :2]
    low, high = two.min(axis=-1), two.max(axis=-1)
    close: NDArray[np.bool_] = high - low < BAND * np.maximum(1.0, np.abs(low))
    return close.reshape(len(distances), -1)


def near_tiers(
    feature: NDArray[np.floating], codebooks: Sequence[NDArray[np.float32]]
) -> NDArray[np.bool_]:
    """Whether the two smallest distances of each tier are as near as the band.

    Args:
        feature: (n, D).
        codebooks: (2^b_t, D) of each tier.

    Returns:
        (n, B), all bits of a tier alike; behind a tier in the band all tiers are.
    """
    rest, close = feature.astype(np.float64), []
    seen = np.zeros(len(feature), np.bool_)
    for book in codebooks:
        found = distances(rest, book)
        seen = seen | near_distances(found)[:, 0]
        close += [seen] * (len(book).bit_length() - 1)
        rest = rest - book[found.argmin(axis=1)]
    return np.stack(close, axis=1)
