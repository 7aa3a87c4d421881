"""Linear precoders in closed form for single-antenna users: ZF, RZF, MRT.

Row k of H (K, M) is what user k hears of the antennas, so H W^T with rows w_k should be nearly
diagonal. All return total power 1. Any K: more users than antennas, one user twice, and a channel
of zeros (it gets no beam, and its share of the power is not spent).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

Complex = NDArray[np.complexfloating]

_CUTOFF = 1e-7
"""Of singular values, beside the largest, of channels scaled to unit norm: two users whose channels
differ by less, which is float32's rounding, are the same user."""


def zf(h: Complex) -> NDArray[np.complex128]:
    """Zero forcing, the same power for every user (paper 000, Section VI-B).

    w_k = sqrt(1/K) m_k / ||m_k||, m_k column k of the pseudo-inverse of H, which is
    H^H (H H^H)^-1 if H has full rank. Each row of H is scaled to norm 1 first: that scales m_k
    alone, and the cut-off then does not depend on how far away a user is.

    Args:
        h: (n, K, M), or what the BS takes for it.

    Returns:
        complex128 (n, K, M), row k is w_k.

    Raises:
        InputError: not (n, K, M), or not finite.
    """
    inverse = np.linalg.pinv(_unit(_checked(h)), rcond=_CUTOFF)
    return equal_power(inverse.swapaxes(1, 2))


def mrt(h: Complex) -> NDArray[np.complex128]:
    """Maximum ratio: w_k = sqrt(1/K) h_k^H / ||h_k||, interference ignored; as `zf`."""
    return equal_power(_checked(h).conj())


def rzf(h: Complex, snr: float) -> NDArray[np.complex128]:
    """Regularized zero forcing: H^H (H H^H + K / snr I)^-1, all of it scaled to power 1.

    The loading K sigma^2 / P is the one that maximises the SINR for many users whose channels are
    alike (Peel, Hochwald, Swindlehurst 2005).

    Args:
        h: (n, K, M), or what the BS takes for it.
        snr: P / sigma^2, linear.

    Returns:
        complex128 (n, K, M).

    Raises:
        InputError: as `zf`, or the SNR is not above 0.
    """
    check_snr(snr)
    h = _checked(h)
    users = h.shape[1]
    gram = h @ h.conj().swapaxes(1, 2) + users / snr * np.eye(users)
    # W^T = H^H G^-1, and G is Hermitian: W = conj(G^-1 H).
    return total_power(np.linalg.solve(gram, h).conj())


def equal_power(w: Complex) -> NDArray[np.complex128]:
    """Each row to power 1/K; rows of zeros stay."""
    made: NDArray[np.complex128] = _unit(w) / np.sqrt(w.shape[1])
    return made


def total_power(w: Complex) -> NDArray[np.complex128]:
    """Each precoder to power 1; one of zeros stays."""
    norm = np.linalg.norm(w, axis=(1, 2), keepdims=True)
    made: NDArray[np.complex128] = np.divide(w, norm, out=np.zeros_like(w), where=norm > 0)
    return made


def check_snr(snr: float) -> None:
    """A number above 0.

    Raises:
        InputError: it is not.
    """
    if not 0 < snr < np.inf:
        raise InputError(f"SNR {snr}: a number above 0")


def _unit(rows: Complex) -> NDArray[np.complex128]:
    norm = np.linalg.norm(rows, axis=2, keepdims=True)
    made: NDArray[np.complex128] = np.divide(rows, norm, out=np.zeros_like(rows), where=norm > 0)
    return made


def _checked(h: Complex) -> NDArray[np.complex128]:
    if h.ndim != 3 or not h.size:
        raise InputError(f"channels {h.shape}: (n, K, M) with none of them 0 is right")
    wide: NDArray[np.complex128] = h.astype(np.complex128)
    if not np.isfinite(wide).all():
        raise InputError("channels: a number that is not finite")
    return wide
