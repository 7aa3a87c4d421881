"""Channels, pilots, and what the users make of them before any feedback (paper 004, Section II)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Complex = NDArray[np.complexfloating]


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.complex64]:
    """Circular complex Gaussian entries of variance 1."""
    parts = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(np.sqrt(0.5))
    noise: NDArray[np.complex64] = parts.view(np.complex64)[..., 0]
    return noise


def rayleigh(setup: Setup, samples: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Independent unit-variance channels H_k: (n, K, M, N). User k hears H_k^H x + noise."""
    return _noise((samples, setup.users, setup.antennas, setup.streams), rng)


def dft_pilots(setup: Setup) -> NDArray[np.complex128]:
    """p_l[i] = exp(2 pi j (i - 1)(l - 1) / L) / sqrt(M), unit columns: (M, L)."""
    m, length = np.arange(setup.antennas), np.arange(setup.pilots)
    phases = 2j * np.pi * np.outer(m, length) / setup.pilots
    pilots: NDArray[np.complex128] = np.exp(phases) / np.sqrt(setup.antennas)
    return pilots


def observe(
    setup: Setup, h: Complex, pilots: Complex, rng: np.random.Generator
) -> NDArray[np.float32]:
    """What users receive while the pilots are sent: y_l = sqrt(P_train) H^H p_l + noise.

    Args:
        setup: sizes and P_train.
        h: (..., M, N).
        pilots: (M, L).
        rng: of the noise.

    Returns:
        float32 (..., L, N, 2), last axis (re, im): the input of a receiver.

    Raises:
        InputError: the pilots have other sizes than the set-up.
    """
    if pilots.shape != (setup.antennas, setup.pilots):
        raise InputError(
            f"pilots {pilots.shape}: the set-up has {(setup.antennas, setup.pilots)} (M, L)"
        )
    sent = (np.sqrt(setup.pilot_power) * pilots).astype(np.complex64)
    y = np.matmul(sent.T, h.conj())
    y += _noise(y.shape, rng)
    return np.ascontiguousarray(y)[..., None].view(np.float32)


def estimate(setup: Setup, y: NDArray[np.float32], pilots: Complex) -> NDArray[np.complex64]:
    """The minimum mean square error estimate of H from a user's pilots.

    With S = sqrt(P_train) P^T (L x M) a receive antenna hears S h* + noise, h of variance 1:
    h* = (S^H S + I)^-1 S^H y.

    Args:
        setup: sizes and P_train.
        y: (..., L, N, 2), see `observe`.
        pilots: (M, L).

    Returns:
        (..., M, N).

    Raises:
        InputError: y has another number of pilots or antennas than the set-up.
    """
    if y.shape[-3:] != (setup.pilots, setup.streams, 2):
        raise InputError(
            f"received pilots {y.shape}: (..., {setup.pilots}, {setup.streams}, 2) are right"
        )
    received = np.ascontiguousarray(y).view(np.complex64)[..., 0]
    made: NDArray[np.complex64] = np.matmul(estimator(setup, pilots), received).conj()
    return made


def estimator(setup: Setup, pilots: Complex) -> NDArray[np.complex64]:
    """The matrix of `estimate`, (M, L): its product with y is the estimate's conjugate."""
    s = np.sqrt(setup.pilot_power) * np.asarray(pilots, np.complex128).T
    gram = s.conj().T @ s + np.eye(setup.antennas)
    return np.linalg.solve(gram, s.conj().T).astype(np.complex64)


def error_variance(setup: Setup, pilots: Complex) -> float:
    """Mean over the antennas of E|h - estimate|^2: trace of (S^H S + I)^-1 / M."""
    s = np.sqrt(setup.pilot_power) * np.asarray(pilots, np.complex128).T
    inverse = np.linalg.inv(s.conj().T @ s + np.eye(setup.antennas))
    return float(np.trace(inverse).real) / setup.antennas
