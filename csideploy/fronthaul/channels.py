"""Channels of a cell-free downlink: Rayleigh, and street canyons after 3GPP UMi.

A channel is complex64 (N, N_rx, N_tx): from the antennas of all RUs, RU after RU, to those of each
user. A drop of channels is (count, N, N_rx, N_tx).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.fronthaul import umi
from csideploy.fronthaul.setup import Setup

Complex = NDArray[np.complexfloating]

KINDS = ("rayleigh", "umi-links", "umi", "sionna-umi")
"""What `draw` knows: independent entries of variance 1; UMi with every link scaled to unit mean
gain; UMi with its path losses, a channel scaled to unit mean gain; the same from Sionna."""


class Drop(Protocol):
    """Channels that can be asked for at any frequency."""

    def at(self, offsets_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
        """(count, F, N, N_rx, N_tx) at F frequencies beside the carrier."""


class Flat:
    """The same channel at every frequency."""

    def __init__(self, h: NDArray[np.complex64]) -> None:
        self._h = h

    def at(self, offsets_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
        """(count, F, N, N_rx, N_tx)."""
        return np.repeat(self._h[:, None], len(offsets_hz), axis=1)


def draw(kind: str, setup: Setup, count: int, rng: np.random.Generator) -> Drop:
    """`count` channels of one kind.

    Raises:
        InputError: an unknown kind.
        MissingDependencyError: Sionna is not installed ("sionna-umi").
    """
    if kind == "rayleigh":
        shape = (count, setup.users, setup.receive_antennas, setup.total_antennas, 2)
        parts = rng.standard_normal(shape, dtype=np.float32) * np.float32(np.sqrt(0.5))
        h: NDArray[np.complex64] = parts.view(np.complex64)[..., 0]
        return Flat(h)
    if kind in ("umi", "umi-links"):
        return umi.drop(setup, count, rng, unit_links=kind == "umi-links")
    if kind == "sionna-umi":
        from csideploy.fronthaul.sionna_umi import sionna_drop

        return sionna_drop(setup, count, rng)
    raise InputError(f"channel {kind}: {', '.join(KINDS)} are right")


def carrier(drop: Drop) -> NDArray[np.complex64]:
    """(count, N, N_rx, N_tx) at the carrier."""
    return drop.at(np.zeros(1))[:, 0]


def link_gains(setup: Setup, h: Complex) -> NDArray[np.float32]:
    """Channel gain of RU m at user n, summed over antennas (eq. 33): (..., M, N)."""
    power = np.abs(h) ** 2
    gains = np.stack([power[..., span].sum(axis=(-2, -1)) for span in setup.spans], axis=-2)
    return gains.astype(np.float32)
