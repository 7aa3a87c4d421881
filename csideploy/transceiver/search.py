"""Which codewords a feature gets, tier by tier: the analyst's search, in double precision.

This one serves fitting and measuring. What a UE sends is decided by the runtime's float32
arithmetic, whose order of operations is fixed elsewhere; the two may differ where two codewords are
equally near to float32's precision.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.transceiver.setup import MOST_BITS

Codebooks = Sequence[NDArray[np.float32]]
"""Tier t: float32 (2^b_t, D)."""

SMALL = 1 << 16
"""Distances: up to so many are computed directly, one by one."""
_CHUNK = 1 << 22


def tier_bits(codebooks: Codebooks) -> tuple[int, ...]:
    """b_t of each tier.

    Raises:
        InputError: no tiers, a tier that is not (2^b, D) with b from 1 to 16, tiers of different
            D, or a codeword that is not finite.
    """
    if not len(codebooks):
        raise InputError("codebooks: no tier; at least one is needed")
    bits = []
    for t, tier in enumerate(codebooks, 1):
        b = len(tier).bit_length() - 1 if tier.ndim == 2 else 0
        if tier.ndim != 2 or not 1 <= b <= MOST_BITS or len(tier) != 1 << b or not tier.shape[1]:
            raise InputError(f"tier {t} is {tier.shape}: (2^b, D) with b from 1 to {MOST_BITS}")
        if tier.shape[1] != codebooks[0].shape[1]:
            raise InputError(f"tier {t} has D {tier.shape[1]}, tier 1 {codebooks[0].shape[1]}")
        if not np.isfinite(tier).all():
            raise InputError(f"tier {t} has a codeword that is not finite: retrain or repair it")
        bits.append(b)
    return tuple(bits)


def check_features(features: NDArray[np.floating], width: int) -> None:
    """Features are (n, D), n >= 1, finite.

    Raises:
        InputError: they are not.
    """
    if features.ndim != 2 or features.shape[1] != width or not len(features):
        raise InputError(f"features {features.shape}: (n, {width}) with n >= 1 is right")
    if not np.isfinite(features).all():
        raise InputError("features: a number that is not finite")


def _direct(r: NDArray[np.float64], words: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squared distances along the last axis: the definition that all else is compared with."""
    distances: NDArray[np.float64] = np.square(r - words).sum(axis=-1)
    return distances


def nearest(r: NDArray[np.float64], words: NDArray[np.float64]) -> NDArray[np.int32]:
    """Index of the word at the smallest squared distance, ties to the lowest.

    Exhaustive. Few distances are computed directly. Many come from one matrix product,
    ||w||^2 - 2 r.w, whose rounding is below 4 (D + 4) eps (||r|| + max ||w||)^2: each of the sums
    has D terms of at most that square. All words within twice that of the best are computed
    directly, so that the answer is the direct one.

    Args:
        r: float64 (n, D).
        words: float64 (J, D).

    Returns:
        int32 (n,).
    """
    found = np.empty(len(r), np.int32)
    if len(r) * len(words) <= SMALL:
        for i, row in enumerate(r):
            found[i] = _direct(row, words).argmin()
        return found
    norms = np.square(words).sum(axis=1)
    reach = 8 * (r.shape[1] + 4) * np.finfo(np.float64).eps
    slack = reach * (np.sqrt(np.square(r).sum(axis=1)) + np.sqrt(norms.max())) ** 2
    step = max(1, _CHUNK // len(words))
    for at in range(0, len(r), step):
        part = r[at : at + step]
        scores = norms - 2 * (part @ words.T)
        best = scores.argmin(axis=1)
        limit = scores[np.arange(len(part)), best] + slack[at : at + step]
        close = scores <= limit[:, None]
        for i in np.flatnonzero(np.count_nonzero(close, axis=1) > 1).tolist():
            candidates = np.flatnonzero(close[i])
            best[i] = candidates[_direct(part[i], words[candidates]).argmin()]
        found[at : at + step] = best
    return found


def encode(features: NDArray[np.floating], codebooks: Codebooks) -> NDArray[np.int32]:
    """Greedy residual quantization: each tier takes the word nearest to what is left.

    Args:
        features: (n, D).
        codebooks: tiers (2^b_t, D).

    Returns:
        int32 (n, N), ties to the lowest index.

    Raises:
        InputError: codebooks or features of the wrong form.
    """
    tier_bits(codebooks)
    check_features(features, codebooks[0].shape[1])
    left = features.astype(np.float64)
    indices = np.empty((len(features), len(codebooks)), np.int32)
    for t, tier in enumerate(codebooks):
        words = tier.astype(np.float64)
        indices[:, t] = nearest(left, words)
        left -= words[indices[:, t]]
    return indices


def decode(indices: NDArray[np.integer], codebooks: Codebooks) -> NDArray[np.float32]:
    """Sum of the chosen words, accumulated in double precision.

    Args:
        indices: (n, N).
        codebooks: tiers (2^b_t, D).

    Returns:
        float32 (n, D).

    Raises:
        InputError: codebooks of the wrong form, other tiers than columns, an index out of range.
    """
    bits = tier_bits(codebooks)
    if indices.ndim != 2 or indices.shape[1] != len(bits):
        raise InputError(f"indices {indices.shape}: (n, {len(bits)}), a column a tier, is right")
    total = np.zeros((len(indices), codebooks[0].shape[1]))
    for t, tier in enumerate(codebooks):
        column = indices[:, t]
        if len(column) and (column.min() < 0 or column.max() >= len(tier)):
            raise InputError(f"tier {t + 1}: an index outside 0 to {len(tier) - 1}")
        total += tier[column]
    return total.astype(np.float32)


def usage(features: NDArray[np.floating], codebooks: Codebooks) -> list[NDArray[np.float64]]:
    """How often each codeword is used on these features: float64 (2^b_t,) a tier.

    Raises:
        InputError: codebooks or features of the wrong form.
    """
    indices = encode(features, codebooks)
    return [
        np.bincount(indices[:, t], minlength=len(tier)).astype(np.float64)
        for t, tier in enumerate(codebooks)
    ]
