"""Codebooks for any number of bits, from the trained ones (paper 000, Section V-A)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.transceiver.codebooks import expand, shrink, shrink_on
from csideploy.transceiver.weights import Weights

METHODS = ("features", "codewords")
MOST_BITS = 63
"""B of a user, trained and added tiers together: what a layout id has room for."""


def codebooks_for(
    weights: Weights, bits: int, region: int = 0, *, method: str = "features", seed: int = 0
) -> list[NDArray[np.float32]]:
    """Tiers of B bits in all; the networks stay as they are.

    Below the trained number: whole tiers, then one made smaller (eq. 24). Above it: further tiers
    behind the trained ones.

    Args:
        weights: trained.
        bits: B, from 1.
        region: whose codebooks.
        method: what a tier of another size is fitted to: "features", those of training users that
            the weights keep; "codewords", the trained tier's alone, weighted by their use.
        seed: of the fit.

    Returns:
        (2^b_n, D) a tier.

    Raises:
        InputError: no such region or method, or more than `MOST_BITS`.
    """
    if method not in METHODS:
        raise InputError(f"method {method!r}: {' or '.join(METHODS)}")
    if not 1 <= bits <= MOST_BITS:
        raise InputError(f"--bits {bits}: 1 to {MOST_BITS} bits a user")
    trained = weights.codebooks(region)
    usage = [counts[region].astype(np.float64) for counts in weights.usage]
    own = weights.regions == region if weights.setup.regions > 1 else slice(None)
    features = weights.features[own]
    if bits == weights.setup.bits:
        return trained
    if bits > weights.setup.bits:
        return expand(
            trained,
            bits,
            features if method == "features" else None,
            usage=usage,
            seed=seed,
        )
    if method == "features":
        return shrink_on(trained, bits, features, usage=usage, seed=seed)
    return shrink(trained, bits, usage=usage, seed=seed)
