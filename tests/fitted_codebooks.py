"""Features of a known kind and codebooks fitted to them, for the transceiver's tests."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.transceiver.codebooks import decode, encode, fit_tiers

Array = NDArray[Any]
WIDTH = 12


def features(count: int, seed: int) -> Array:
    """tanh of a nonlinear map of four Gaussian numbers: (count, 12), all within +-1."""
    first, second = (np.random.default_rng(i) for i in (1, 2))
    z = np.random.default_rng(seed).standard_normal((count, 4))
    hidden = np.tanh(1.5 * z @ first.standard_normal((4, 24)) / 2)
    made: Array = np.tanh(hidden @ second.standard_normal((24, WIDTH)) / 3).astype(np.float32)
    return made


@cache
def fitted() -> tuple[Array, ...]:
    """Tiers of 5, 4 and 6 bits."""
    return tuple(fit_tiers(features(3000, 3), (5, 4, 6), seed=0))


def error(codebooks: Any, x: Array) -> float:
    """Mean squared distance to what is decoded."""
    left = x.astype(np.float64) - decode(encode(x, codebooks), codebooks)
    return float(np.square(left).sum(axis=1).mean())


def channels(shape: tuple[int, ...], seed: int, *, spread: float = 1.0) -> Array:
    """A few paths to a half-wavelength array, lognormal power per user: (..., M) complex128."""
    rng = np.random.default_rng(seed)
    *users, antennas = shape
    angles = rng.uniform(-1, 1, (*users, 3))
    gains = rng.standard_normal((*users, 3, 2)).view(np.complex128)[..., 0]
    power = np.exp(spread * rng.standard_normal((*users, 1)))
    steering = np.exp(1j * np.pi * angles[..., None] * np.arange(antennas))
    made: Array = power * np.einsum("...p,...pm->...m", gains, steering)
    return made
