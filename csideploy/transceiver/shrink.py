"""Trained codebooks at fewer bits than they were trained for (paper 000, Section V-A, case 1).

B = sum of whole tiers + B_r (eq. 24; tiers may differ in size here): the first tiers stay as they
are, the next is clustered to 2^B_r codewords, the others go. Stopping at any tier is sound, since a
residual quantizer's tiers refine each other in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.transceiver.clustering import dkm, lloyd, nearest_neighbour, plus_plus
from csideploy.transceiver.search import Codebooks, check_features, tier_bits
from csideploy.transceiver.tiers import left_over

Method = Literal["kmeans", "dkm"]
METHODS = ("kmeans", "dkm")
TAU = 0.05
"""Of the temperature: see the table in `shrink`."""

_ITERATIONS = 100


def split(tiers: Sequence[int], bits: int) -> tuple[int, int]:
    """N_0, whole tiers within so many bits, and B_r, bits that remain for the next (eq. 24).

    Raises:
        InputError: fewer bits than 1, or more than the tiers have.
    """
    if not 1 <= bits <= sum(tiers):
        raise InputError(f"{bits} bits: these codebooks serve 1 to {sum(tiers)} bits")
    whole = 0
    while whole < len(tiers) and tiers[whole] <= bits:
        bits -= tiers[whole]
        whole += 1
    return whole, bits


def check_usage(usage: NDArray[np.floating] | None, count: int) -> NDArray[np.float64]:
    """Usage as weights of (count,) codewords, evenly if none is given or nothing was used at all.

    Raises:
        InputError: another size, or a number that is negative or not finite.
    """
    if usage is None:
        return np.ones(count)
    if usage.shape != (count,) or not np.isfinite(usage).all() or usage.min() < 0:
        raise InputError(f"usage {usage.shape}: ({count},) numbers from 0 up are right")
    return usage.astype(np.float64) if usage.any() else np.ones(count)


def compress(
    tier: NDArray[np.float32],
    bits: int,
    *,
    usage: NDArray[np.floating] | None = None,
    seed: int = 0,
    method: Method = "kmeans",
    tau: float | None = TAU,
    restarts: int = 8,
) -> NDArray[np.float32]:
    """One tier's codewords clustered to 2^bits (Algorithm 2, or k-means in its place).

    Of several starts by k-means++ the one with the smallest error sum_i u_i min_j ||q_i - c_j||^2.
    k-means is the default: it needs no temperature; table in `shrink`.

    Args:
        tier: (2^b, D).
        bits: 1 to b.
        usage: u, (2^b,), how often each codeword is used; None: evenly.
        seed: of the starts.
        method: "kmeans" or "dkm".
        tau: DKM's temperature in medians of the distance from a codeword to its nearest neighbour.
            None: the softmax of eq. 26 as printed, without a temperature; for codewords that lie
            within about 1 of each other that makes all new codewords their mean.
        restarts: starts, 1 or more.

    Returns:
        float32 (2^bits, D).

    Raises:
        InputError: an argument out of range.
    """
    (trained,) = tier_bits([tier])
    if not 1 <= bits <= trained:
        raise InputError(
            f"{bits} bits: a tier of {trained} bits can be clustered to 1 to {trained}"
        )
    if method not in METHODS:
        raise InputError(f"method {method!r}: one of {', '.join(METHODS)}")
    if restarts < 1 or (tau is not None and not 0 < tau < np.inf):
        raise InputError(f"restarts {restarts}, tau {tau}: at least 1, and above 0, are right")
    weights = check_usage(usage, len(tier))
    if bits == trained:
        return tier.astype(np.float32)
    points = tier.astype(np.float32)
    temperature = 1.0 if tau is None else tau * (nearest_neighbour(points) or 1.0)
    best, least = points, np.inf
    for restart in range(restarts):
        rng = np.random.default_rng([seed, restart])
        centres = plus_plus(points, weights, 1 << bits, rng)
        if method == "kmeans":
            centres, error = lloyd(points, centres, weights, iterations=_ITERATIONS)
        else:
            centres, error = dkm(points, centres, weights, temperature, iterations=_ITERATIONS)
        if error < least:
            best, least = centres, error
    return best


def shrink(
    codebooks: Codebooks,
    bits: int,
    *,
    usage: Sequence[NDArray[np.floating]] | None = None,
    seed: int = 0,
    method: Method = "kmeans",
    tau: float | None = TAU,
    restarts: int = 8,
) -> list[NDArray[np.float32]]:
    """Codebooks for any B from 1 to the trained number of bits, from the codebooks alone.

    Figures: D = 32 features tanh(2 tanh(1.5 z A) B) of z in R^8 (A, B fixed Gaussian matrices of
    variances 1/8 and 1/64), three tiers of 10 bits by `fit_tiers` on 20,000; part of the variance
    left in 10,000 fresh features, with usage but in the first column (`tau` as printed: 1.000 up
    to 10 bits, and no gain from the last tier's bits above):

        bits  kmeans, even  kmeans  dkm tau=0.02  0.05   0.1    0.3    shrink_on
        3     0.627         0.630   0.625         0.625  0.624  0.777  0.622
        5     0.458         0.448   0.444         0.445  0.444  0.771  0.441
        7     0.333         0.330   0.326         0.323  0.320  0.773  0.317
        15    0.141         0.140   0.139         0.139  0.142  0.201  0.137
        18    0.119         0.115   0.114         0.113  0.113  0.201  0.112
        25    0.087         0.085   0.085         0.086  0.102  0.102  0.083
        27    0.081         0.078   0.078         0.078  0.102  0.102  0.077

    A little softness helps, since a codeword stands for a cell and not for a point; too much of it
    loses the tier, from tau = 0.1 on where codewords fill many dimensions.

    Args:
        codebooks: trained tiers, (2^b_t, D).
        bits: B, 1 to sum b_t.
        usage: of each tier's codewords, (2^b_t,), as `search.usage` counts; None: evenly.
        seed: of the clustering's starts; the same seed gives the same codebooks.
        method: how the last tier is made, "kmeans" or "dkm"; `tau`, `restarts`: see `compress`.
        tau: as there.
        restarts: as there.

    Returns:
        tiers of B bits in all; all but the last are the trained arrays, as is the last if it fits.

    Raises:
        InputError: codebooks of the wrong form, bits out of range, usage of another size.
    """
    tiers = tier_bits(codebooks)
    whole, rest = split(tiers, bits)
    if usage is not None and len(usage) != len(tiers):
        raise InputError(f"usage of {len(usage)} tiers; the codebooks have {len(tiers)}")
    kept = list(codebooks[:whole])
    if rest:
        made = compress(
            codebooks[whole],
            rest,
            usage=None if usage is None else usage[whole],
            seed=seed,
            method=method,
            tau=tau,
            restarts=restarts,
        )
        kept.append(made)
    return kept


def shrink_on(
    codebooks: Codebooks,
    bits: int,
    features: NDArray[np.floating],
    *,
    usage: Sequence[NDArray[np.floating]] | None = None,
    seed: int = 0,
    iterations: int = 50,
    restarts: int = 2,
) -> list[NDArray[np.float32]]:
    """As `shrink`, but the last, partial tier is fitted to what the whole tiers leave of features.

    Lloyd's algorithm starts from the tier that `shrink` makes, and from `restarts` draws of
    k-means++; the best on these features is taken, so it is never worse than `shrink` on them
    (on fresh ones: last column of the table in `shrink`).

    Args:
        codebooks: trained tiers, (2^b_t, D).
        bits: B, 1 to sum b_t.
        features: (n, D), at least 2^B_r of them.
        usage: of the codewords, for the first start.
        seed: of the starts.
        iterations: of Lloyd at most.
        restarts: further starts, 0 or more.

    Returns:
        tiers of B bits in all, the whole ones untouched.

    Raises:
        InputError: as `shrink`, or features of the wrong form or too few.
    """
    made = shrink(codebooks, bits, usage=usage, seed=seed)
    whole, rest = split(tier_bits(codebooks), bits)
    check_features(features, codebooks[0].shape[1])
    if not rest:
        return made
    if len(features) < 1 << rest:
        raise InputError(f"{len(features)} features for {1 << rest} codewords: give more")
    left = left_over(features, made[:whole])
    even = np.ones(len(left))
    best, least = lloyd(left, made[-1], even, iterations=iterations)
    for restart in range(restarts):
        rng = np.random.default_rng([seed, restart])
        centres = plus_plus(left, even, 1 << rest, rng)
        centres, error = lloyd(left, centres, even, iterations=iterations)
        if error < least:
            best, least = centres, error
    return [*made[:-1], best]
