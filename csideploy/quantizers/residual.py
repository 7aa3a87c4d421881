"""Residual vector quantization (RVQ): tiers of codebooks, each for what the ones before leave.

Tier t has 2^b_t codewords of D numbers and takes the nearest to the rest; the feature is about the
sum of the chosen codewords (paper 000, Sec. IV). NumPy in float64: the oracle of the operations
RESIDUAL_QUANTIZE and RESIDUAL_DEQUANTIZE.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

MOST_BITS = 16
"""Of a tier."""

Codebooks = Sequence[NDArray[np.floating]]
_CHUNK = 1 << 22
"""Differences that are held at once."""


def tier_bits(codebooks: Codebooks) -> list[int]:
    """b_t of every tier.

    Raises:
        InputError: no tier, a number of codewords that is no power of two from 2 to 2^16, widths
            that differ, or a number that is not finite.
    """
    if not codebooks:
        raise InputError(
            "a residual quantizer of no tier; at least one codebook (2^b, D) is needed"
        )
    bits = []
    for t, book in enumerate(codebooks, 1):
        if book.ndim != 2 or not book.shape[1] or book.shape[1] != codebooks[0].shape[-1]:
            raise InputError(
                f"codebook of tier {t} {book.shape}; (2^b, {codebooks[0].shape[-1]}) is right"
            )
        own = len(book).bit_length() - 1
        if not 1 <= own <= MOST_BITS or len(book) != 1 << own:
            raise InputError(
                f"codebook of tier {t} has {len(book)} codewords; a power of two from 2 to "
                f"{1 << MOST_BITS} is right"
            )
        if not np.isfinite(book).all():
            raise InputError(f"codebook of tier {t}: a number is not finite")
        bits.append(own)
    return bits


def distances(
    residual: NDArray[np.floating], codebook: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Squared distances (n, 2^b) of residuals (n, D) to the codewords of a tier (2^b, D)."""
    r, q = residual.astype(np.float64), codebook.astype(np.float64)
    made = np.empty((len(r), len(q)))
    step = max(1, _CHUNK // q.size)
    for begin in range(0, len(r), step):
        apart = r[begin : begin + step, None] - q
        made[begin : begin + step] = np.einsum("nwd,nwd->nw", apart, apart)
    return made


def encode(feature: NDArray[np.floating], codebooks: Codebooks) -> NDArray[np.int64]:
    """The index of each tier, (n, N); of equally near codewords the lowest.

    Args:
        feature: (n, D).
        codebooks: (2^b_t, D), tier after tier.

    Raises:
        InputError: as `tier_bits`, or a feature of another width.
    """
    tier_bits(codebooks)
    if feature.ndim != 2 or feature.shape[1] != codebooks[0].shape[1]:
        raise InputError(f"feature {feature.shape}; (n, {codebooks[0].shape[1]}) is right")
    rest = feature.astype(np.float64)
    indices = np.empty((len(feature), len(codebooks)), np.int64)
    for t, book in enumerate(codebooks):
        indices[:, t] = distances(rest, book).argmin(axis=1)
        rest = rest - book[indices[:, t]]
    return indices


def decode(indices: NDArray[np.integer], codebooks: Codebooks) -> NDArray[np.float64]:
    """The feature (n, D): the sum of the codewords that the indices (n, N) name, tier after tier.

    Raises:
        InputError: as `tier_bits`, or indices that name no codeword.
    """
    _check_indices(indices, tier_bits(codebooks))
    feature = np.zeros((len(indices), codebooks[0].shape[1]))
    for t, book in enumerate(codebooks):
        feature += book[indices[:, t]]
    return feature


def indices_to_bits(indices: NDArray[np.integer], bits: Sequence[int]) -> NDArray[np.uint8]:
    """Indices (n, N) -> (n, B) of 0 and 1, B = sum b_t: tier after tier, MSB first.

    Raises:
        InputError: an index outside its tier.
    """
    _check_indices(indices, bits)
    tiers = [indices[:, t, None] >> np.arange(own - 1, -1, -1) & 1 for t, own in enumerate(bits)]
    return np.concatenate(tiers, axis=1).astype(np.uint8)


def bits_to_indices(codes: NDArray[np.integer], bits: Sequence[int]) -> NDArray[np.int64]:
    """The other way; of a code the low bit counts.

    Raises:
        InputError: another number of codes than the tiers have bits.
    """
    if codes.ndim != 2 or codes.shape[1] != sum(bits):
        raise InputError(f"codes {codes.shape}; (n, {sum(bits)}) is right")
    low = codes.astype(np.int64) & 1
    ends = np.cumsum(bits)
    return np.stack(
        [
            low[:, end - own : end] @ (1 << np.arange(own - 1, -1, -1))
            for own, end in zip(bits, ends.tolist(), strict=True)
        ],
        axis=1,
    )


def _check_indices(indices: NDArray[np.integer], bits: Sequence[int]) -> None:
    if indices.ndim != 2 or indices.shape[1] != len(bits):
        raise InputError(f"indices {indices.shape}; (n, {len(bits)}) is right")
    if indices.size and ((indices < 0) | (indices >= 1 << np.asarray(bits))).any():
        raise InputError(f"an index is outside its tier; tiers have {list(bits)} bits")
