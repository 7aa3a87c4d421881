"""The users' rates under linear precoding (paper 000, eq. 8)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

Complex = NDArray[np.complexfloating]
POWER_SLACK = 1e-5
"""Of a total power of 1: a float32 normalisation over K M numbers stays well within."""


def user_rates(h: Complex, w: Complex, snr: float) -> NDArray[np.float64]:
    """Rate of each user, bit/s/Hz, the others' signals as noise.

    R_k = log2(1 + snr |H_k w_k|^2 / (snr sum_(j != k) |H_k w_j|^2 + 1)), in float64.

    Args:
        h: (n, K, M), row k as user k hears the antennas: its conjugate is the paper's h_k.
        w: (n, K, M), row k is w_k, with total power sum_k |w_k|^2 <= 1.
        snr: P / sigma^2, linear.

    Returns:
        float64 (n, K).

    Raises:
        InputError: shapes differ, the SNR is not positive, or a precoder has more than its power.
    """
    if h.ndim != 3 or h.shape != w.shape:
        raise InputError(f"channels {h.shape} and precoders {w.shape}: both (n, K, M)")
    if not 0 < snr < np.inf:
        raise InputError(f"SNR {snr}: a number above 0")
    w = w.astype(np.complex128)
    power = np.sum(np.abs(w) ** 2, axis=(1, 2))
    if not np.all(power <= 1 + POWER_SLACK):
        raise InputError(f"a precoder of power {power.max():.6g}; at most 1 in all is right")
    # heard[n, k, j]: at user k of the signal of user j.
    heard = snr * np.abs(h.astype(np.complex128) @ w.swapaxes(1, 2)) ** 2
    own = np.diagonal(heard, axis1=1, axis2=2)
    others = np.where(np.eye(h.shape[1], dtype=bool), 0.0, heard).sum(axis=2)
    rates: NDArray[np.float64] = np.log2(1 + own / (others + 1))
    return rates


def sum_rate(h: Complex, w: Complex, snr: float) -> NDArray[np.float64]:
    """Sum over the users of `user_rates`: float64 (n,)."""
    total: NDArray[np.float64] = user_rates(h, w, snr).sum(axis=1)
    return total
