"""The users' rates under linear precoding (paper 004, eq. 1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.downlink.channels import Complex
from csideploy.errors import InputError

_CHUNK = 4000


def user_rates(h: Complex, v: Complex, power: float) -> NDArray[np.float64]:
    """Rate of each user, bit/s/Hz, the others' signals as noise, optimum receivers.

    R_k = log2|I + c sum_l H_k^H V_l V_l^H H_k| - log2|I + c sum_(l != k) H_k^H V_l V_l^H H_k|,
    c = P / (K N). Computed as log2|I + A^-1 S|, A the interference and noise, S the signal: the
    difference of two large logarithms would lose digits. Right-multiplying V_k by a unitary matrix
    changes nothing.

    Args:
        h: (n, K, M, N).
        v: (n, K, M, N), tr(V_k^H V_k) = N.
        power: P; the noise has variance 1.

    Returns:
        float64 (n, K).

    Raises:
        InputError: shapes differ, or the power is not positive.
    """
    if h.ndim != 4 or h.shape != v.shape:
        raise InputError(f"channels {h.shape} and precoders {v.shape}: both (n, K, M, N)")
    if not 0 < power < np.inf:
        raise InputError(f"power {power}: a number above 0")
    users, _, streams = h.shape[1:]
    share = power / (users * streams)
    rates = np.empty(h.shape[:2])
    for start in range(0, len(h), _CHUNK):
        at = slice(start, start + _CHUNK)
        # heard[n, k, a, l, b]: antenna a of user k, stream b of user l.
        heard = np.einsum("nkma,nlmb->nkalb", h[at].conj(), v[at], optimize=True)
        heard = heard.astype(np.complex128)
        for k in range(users):
            own = heard[:, k, :, k]
            rest = np.delete(heard[:, k], k, axis=2).reshape(len(heard), streams, -1)
            noise = np.eye(streams) + share * _gram(rest)
            inner = np.eye(streams) + share * np.linalg.solve(noise, _gram(own))
            rates[at, k] = np.linalg.slogdet(inner)[1] / np.log(2)
    return rates


def _gram(a: NDArray[np.complex128]) -> NDArray[np.complex128]:
    product: NDArray[np.complex128] = a @ a.conj().swapaxes(-1, -2)
    return product
