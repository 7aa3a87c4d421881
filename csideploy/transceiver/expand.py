"""Trained codebooks at more bits than they were trained for (paper 000, Section V-A, case 2).

Further tiers stand behind the trained ones, which stay as they are. With features at hand they are
Lloyd's on what the trained tiers leave. Without any, they are made of the trained codewords
(`imitate`), in the place of the "inverse DKM" that the paper names without saying how it is done.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.transceiver.search import Codebooks, check_features, tier_bits
from csideploy.transceiver.setup import MOST_TIERS
from csideploy.transceiver.shrink import check_usage, compress
from csideploy.transceiver.tiers import fit_tiers, left_over


def further(extra: int, size: int) -> list[int]:
    """Sizes of further tiers: as many of `size` bits as fit, and the rest."""
    whole, rest = divmod(extra, size)
    return [size] * whole + [rest] * (rest > 0)


def expand(
    codebooks: Codebooks,
    bits: int,
    features: NDArray[np.floating] | None = None,
    *,
    usage: Sequence[NDArray[np.floating]] | None = None,
    seed: int = 0,
    iterations: int = 50,
    progress: Advance = quiet,
) -> list[NDArray[np.float32]]:
    """Codebooks for a B above the trained number of bits.

    Args:
        codebooks: trained tiers, (2^b_t, D).
        bits: B, from sum b_t up.
        features: (n, D) for Lloyd's algorithm; None: `imitate`.
        usage: of the trained codewords, for `imitate`; None: evenly.
        seed: of the starts.
        iterations: of Lloyd at most, a tier.
        progress: called with iterations done and in all, with features.

    Returns:
        the trained tiers themselves, then tiers of at most the last one's bits; B in all.

    Raises:
        InputError: codebooks or features of the wrong form, fewer features than codewords, bits out
            of range, more tiers than a payload may have.
    """
    tiers = tier_bits(codebooks)
    if bits < sum(tiers):
        raise InputError(f"{bits} bits: fewer than the trained {sum(tiers)}; shrink them instead")
    sizes = further(bits - sum(tiers), tiers[-1])
    if len(tiers) + len(sizes) > MOST_TIERS or bits > 255:
        raise InputError(f"{bits} bits: at most {MOST_TIERS} tiers and 255 bits can be sent")
    if features is not None:
        check_features(features, codebooks[0].shape[1])
    if not sizes:
        return list(codebooks)
    if features is None:
        return [*codebooks, *imitate(codebooks, sizes, usage=usage, seed=seed)]
    made = fit_tiers(
        left_over(features, codebooks),
        sizes,
        seed=seed,
        iterations=iterations,
        first=len(tiers),
        progress=progress,
    )
    return [*codebooks, *made]


def decay(tier: NDArray[np.float32], usage: NDArray[np.floating] | None = None) -> float:
    """q, which part of the error a tier like this one leaves, told from its codewords alone.

    The rate-distortion function of d independent Gaussian numbers of one variance: b bits leave the
    part q = 2^(-2 b / d). As d the dimensions that the codewords fill, the participation ratio
    (tr C)^2 / tr C^2 of their covariance C.

    The ratio of the spreads of the last two tiers would be the other way: were every tier to leave
    the same part, s_t^2 = E_(t-1) - E_t would fall by q from tier to tier. But q grows with t,
    since what is left is ever whiter. On the features of `shrink` the best scales of a next tier
    behind tiers 1, 2, 3 were 0.35, 0.55, 0.70; this q gives sqrt q = 0.38, 0.53, 0.71, the ratio
    0.33 behind tier 2.

    Args:
        tier: (2^b, D).
        usage: (2^b,), how often each codeword is used; None: evenly.

    Returns:
        q, above 0 and below 1.

    Raises:
        InputError: a tier or usage of the wrong form.
    """
    (bits,) = tier_bits([tier])
    words, weights = _centred(tier, usage)
    covariance = (words * weights[:, None]).T @ words
    square = float(np.square(covariance).sum())
    d = float(np.trace(covariance)) ** 2 / square if square > 0 else 1.0
    return float(2.0 ** (-2 * bits / d))


def _centred(
    tier: NDArray[np.float32], usage: NDArray[np.floating] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Codewords without their mean, and weights that sum to 1."""
    weights = check_usage(usage, len(tier))
    weights /= weights.sum()
    words = tier.astype(np.float64)
    return words - weights @ words, weights


def imitate(
    codebooks: Codebooks,
    sizes: Sequence[int],
    *,
    usage: Sequence[NDArray[np.floating]] | None = None,
    seed: int = 0,
) -> list[NDArray[np.float32]]:
    """Further tiers without any data: the last one, smaller.

    A codeword is the mean of its cell, so what tier N is given splits into codeword and residual
    without a cross term: E_(N-1) = s_N^2 + E_N, with E_t the mean squared residual after tier t and
    s_t^2 the mean squared codeword. With E_N = q E_(N-1) and E_(N+1) = q E_N, the next tier's
    codewords have s_(N+1)^2 = (1 - q) E_N = q s_N^2: so, if the residual after the tier looks like
    the one before it, the next tier is the last one scaled by sqrt q (`decay`), the one after that
    scaled by q, and so on. The words are centred first, since a residual has a mean of zero, and
    clustered to fewer (`shrink.compress`) where fewer bits are asked for. The word nearest to zero
    becomes zero: then a feature can always pass the tier unchanged, and no further tier makes an
    error larger.

    Part of the variance left in fresh features of the kind that `shrink` describes, behind trained
    tiers of 10 bits: as trained, with tiers made here, with tiers of Lloyd on 20,000 features:

        trained for 10 bits: 0.201;  at 15: 0.143, 0.137;  at 20: 0.112, 0.102;  at 30: 0.081, 0.069
        trained for 20 bits: 0.102;  at 25: 0.084, 0.083;  at 30: 0.069, 0.069;  at 40: 0.053, 0.050
        trained for 30 bits: 0.069;  at 35: 0.061, 0.059;  at 40: 0.050, 0.050;  at 50: 0.037, 0.036

    Args:
        codebooks: trained tiers.
        sizes: bits of the further tiers, each at most those of the last trained one.
        usage: of the trained codewords; None: evenly.
        seed: of the clustering.

    Returns:
        float32 (2^b, D) a size.

    Raises:
        InputError: a size out of range.
    """
    tier_bits(codebooks)
    of_last = None if usage is None else usage[-1]
    scale = np.sqrt(decay(codebooks[-1], of_last))
    last, weights = _centred(codebooks[-1], of_last)
    made = []
    for t, bits in enumerate(sizes, 1):
        smaller = (last * scale**t).astype(np.float32)
        tier = compress(smaller, bits, usage=weights, seed=seed, restarts=4)
        tier[np.square(tier).sum(axis=1).argmin()] = 0
        made.append(tier)
    return made
