"""Tiers fitted to features: Lloyd on the features, then on what is left, and so on.

Paper 000, Section VI-B ("perfect CE & imperfect feedback"); Gersho and Gray 1992, Chapter 12.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.transceiver.clustering import Start, assign, check_start, lloyd, plus_plus
from csideploy.transceiver.search import check_features
from csideploy.transceiver.setup import MOST_BITS


def fit_tiers(
    features: NDArray[np.floating],
    tiers: Sequence[int],
    *,
    seed: int,
    iterations: int = 50,
    start: Start = "kmeans++",
    first: int = 0,
    progress: Advance = quiet,
) -> list[NDArray[np.float32]]:
    """Residual codebooks by Lloyd's algorithm, tier by tier.

    Tier t depends on the features, the seed, and the tiers before it alone: fitting (10,) and
    (10, 10) gives the same first tier.

    Args:
        features: (n, D).
        tiers: b_t, bits of each tier, 1 to 16.
        seed: of the starts.
        iterations: of Lloyd at most, a tier.
        start: by k-means++, or features drawn evenly without repetition.
        first: number of the first tier here, from 0, if the features are residuals of others.
        progress: called with iterations done and in all.

    Returns:
        tiers, float32 (2^b_t, D).

    Raises:
        InputError: features, tiers or start of the wrong form, or fewer features than codewords.
    """
    check_start(start)
    check_features(features, features.shape[-1] if features.ndim else 0)
    if not tiers or not all(1 <= bits <= MOST_BITS for bits in tiers):
        raise InputError(f"tiers {tuple(tiers)}: one or more of 1 to {MOST_BITS} bits")
    if len(features) < 1 << max(tiers):
        raise InputError(f"{len(features)} features for {1 << max(tiers)} codewords: give more")
    left = features.astype(np.float32)
    even = np.ones(len(left))
    made = []
    for t, bits in enumerate(tiers):
        rng = np.random.default_rng([seed, first + t])
        if start == "kmeans++":
            centres = plus_plus(left, even, 1 << bits, rng)
        else:
            centres = left[rng.choice(len(left), 1 << bits, replace=False)]

        def advance(done: int, total: int, t: int = t) -> None:
            progress(t * total + done, len(tiers) * total)

        centres, _ = lloyd(left, centres, even, iterations=iterations, progress=advance)
        left -= centres[assign(left, centres)[0]]
        made.append(centres)
    return made


def left_over(
    features: NDArray[np.floating], codebooks: Sequence[NDArray[np.float32]]
) -> NDArray[np.float32]:
    """What the tiers leave of the features, with the search of `fit_tiers`: float32 (n, D)."""
    left = features.astype(np.float32)
    for tier in codebooks:
        left -= tier[assign(left, tier)[0]]
    return left
