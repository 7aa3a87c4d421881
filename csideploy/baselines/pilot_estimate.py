"""LMMSE estimates of users' channels from a few pilots (paper 000, Section VI-B).

User k hears y = sqrt(P) h X + n, h (1, M) its channel, X (M, L) pilots of unit columns, n noise of
variance 1, P the SNR. With R = E[h^H h] (M, M) over training users, the linear estimate y A of the
least mean squared error has A = E[y^H y]^-1 E[y^H h] = (P X^H R X + I)^-1 sqrt(P) X^H R. No mean is
subtracted from the channels, as a user's phase is arbitrary and its mean zero; the covariance is
that of all training users together, since a user is served by one and the same estimator wherever
it stands.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.zero_forcing import Complex, check_snr
from csideploy.errors import InputError

Pilots = Literal["dft", "eigen"]
PILOTS = ("dft", "eigen")


def covariance(users: Complex) -> NDArray[np.complex128]:
    """R = E[h^H h] of channels (N, M): (M, M), Hermitian, not demeaned.

    Raises:
        InputError: not (N, M), or not finite.
    """
    if users.ndim != 2 or not users.size or not np.isfinite(users).all():
        raise InputError(f"users' channels {users.shape}: (N, M), finite, is right")
    h = users.astype(np.complex128)
    made: NDArray[np.complex128] = h.conj().T @ h / len(h)
    return made


def pilots(kind: Pilots, length: int, spatial: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Pilot matrices X that a BS could send without training.

    Args:
        kind: "dft": the first L columns of the DFT of size M over sqrt(M), as the public
            implementation of the predecessor of paper 000 has it; they look towards L neighbouring
            angles alone. "eigen": the L strongest directions of R, which lose least of the
            channels' power; the fairer baseline.
        length: L, 1 to M.
        spatial: R, (M, M), for "eigen", and for M.

    Returns:
        complex128 (M, L), orthonormal columns.

    Raises:
        InputError: no such kind, or L out of range.
    """
    antennas = len(spatial)
    if kind not in PILOTS:
        raise InputError(f"pilots {kind!r}: one of {', '.join(PILOTS)}")
    if not 1 <= length <= antennas:
        raise InputError(f"{length} pilots: 1 to {antennas}, one an antenna, can be orthogonal")
    if kind == "dft":
        phases = np.outer(np.arange(antennas), np.arange(length)) / antennas
        columns: NDArray[np.complex128] = np.exp(-2j * np.pi * phases) / np.sqrt(antennas)
        return columns
    # h X has power X^H R X, so the columns are eigenvectors of R itself.
    strongest: NDArray[np.complex128] = np.linalg.eigh(spatial)[1][:, ::-1][:, :length]
    return strongest


def observe(h: Complex, sent: Complex, noise: Complex, snr: float) -> NDArray[np.complex128]:
    """What users hear of the pilots, y = sqrt(P) h X + n.

    Args:
        h: (n, K, M).
        sent: X, (M, L).
        noise: (n, K, L), complex, variance 1.
        snr: P, linear.

    Returns:
        complex128 (n, K, L).

    Raises:
        InputError: sizes that do not go together, or an SNR that is not above 0.
    """
    check_snr(snr)
    expected = (*h.shape[:-1], sent.shape[-1])
    if h.shape[-1] != sent.shape[0] or noise.shape != expected:
        raise InputError(
            f"channels {h.shape}, pilots {sent.shape}, noise {noise.shape}: (n, K, M), (M, L) and "
            f"(n, K, L) are right"
        )
    y: NDArray[np.complex128] = np.sqrt(snr) * (h.astype(np.complex128) @ sent) + noise
    return y


def lmmse(
    y: Complex, sent: Complex, spatial: NDArray[np.complex128], snr: float
) -> NDArray[np.complex128]:
    """The estimates y A of the module's text.

    Args:
        y: (n, K, L).
        sent: X, (M, L).
        spatial: R, (M, M).
        snr: P, linear.

    Returns:
        complex128 (n, K, M).

    Raises:
        InputError: sizes that do not go together, or an SNR that is not above 0.
    """
    check_snr(snr)
    antennas, length = sent.shape
    if y.shape[-1] != length or spatial.shape != (antennas, antennas):
        raise InputError(
            f"heard {y.shape}, pilots {sent.shape}, covariance {spatial.shape}: (n, K, L), (M, L) "
            f"and (M, M) are right"
        )
    cross = np.sqrt(snr) * sent.conj().T @ spatial
    power = np.sqrt(snr) * cross @ sent + np.eye(length)
    estimate: NDArray[np.complex128] = y.astype(np.complex128) @ np.linalg.solve(power, cross)
    return estimate
