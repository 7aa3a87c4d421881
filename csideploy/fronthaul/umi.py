"""A light street canyon after 3GPP TR 38.901 V16.1 UMi, with numpy alone.

Path loss, line of sight, shadowing, K-factor, delay and angle spreads, clusters and rays follow
its tables 7.4.1-1, 7.4.2-1 and 7.5-6. Left out: elevation (all lies in the plane, heights count for
the path loss alone), polarisation, correlation of large-scale parameters between users, and the
exact ray offsets (drawn from a Laplace distribution instead). Sionna's model has all these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.umi_parameters import (
    CARRIER_GHZ,
    CLUSTER_SHADOW_DB,
    K_DB,
    LOS,
    MOST_AZIMUTH_DEG,
    NEAREST_M,
    NLOS,
    SITE_HEIGHT_M,
    USER_HEIGHT_M,
    Sight,
    sight_probability,
)
from csideploy.fronthaul.setup import Setup

SIDE_M = 200.0
"""Users are uniform on a square of this side."""
RAYS = 20
_LIGHT = 299_792_458.0


def positions(rus: int) -> NDArray[np.float64]:
    """Fixed places of the RUs: on a circle through the square, the first one at 45 degrees."""
    angle = np.pi / 4 + 2 * np.pi * np.arange(rus) / rus
    radius = 0.35 * SIDE_M
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def facing(rus: int) -> NDArray[np.float64]:
    """Bearing to which each RU's line of antennas is broadside: the middle of the square."""
    place = positions(rus)
    return np.arctan2(-place[:, 1], -place[:, 0])


def place_users(
    setup: Setup, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Places of users (count, N, 2); distance in the plane, and bearing, from RUs (count, N, M)."""
    users = rng.uniform(-SIDE_M / 2, SIDE_M / 2, (count, setup.users, 2))
    way = users[:, :, None] - positions(setup.rus)
    flat = np.maximum(np.linalg.norm(way, axis=-1), NEAREST_M)
    return users, flat, np.arctan2(way[..., 1], way[..., 0])


@dataclass(frozen=True)
class UmiDrop:
    """Paths of all links.

    Attributes:
        gain: complex (count, N, M, P), amplitude and phase of a path.
        delay: seconds (count, N, M, P).
        departure, arrival: sine of the angle to broadside, (count, N, M, P).
        users: places, metres (count, N, 2).
        setup: sizes.
        unit_links: every link scaled to unit mean gain, else every channel.
    """

    gain: NDArray[np.complex128]
    delay: NDArray[np.float64]
    departure: NDArray[np.float64]
    arrival: NDArray[np.float64]
    users: NDArray[np.float64]
    setup: Setup
    unit_links: bool

    def at(self, offsets_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
        """(count, F, N, N_rx, N_tx). The scale is that of the carrier at every frequency."""
        setup, count = self.setup, len(self.gain)
        shape = (count, len(offsets_hz), setup.users, setup.receive_antennas, setup.total_antennas)
        h = np.empty(shape, np.complex64)
        for i in range(count):
            center = self.response(i, 0.0)
            scale = self._scale(center)
            for f, offset in enumerate(offsets_hz):
                h[i, f] = scale * (center if offset == 0 else self.response(i, float(offset)))
        return h

    def response(self, i: int, offset: float) -> NDArray[np.complex128]:
        """(N, N_rx, N_tx) of channel i at one frequency, with path loss, unscaled."""
        setup = self.setup
        weight = self.gain[i] * np.exp(-2j * np.pi * offset * self.delay[i])
        receive = _steering(self.arrival[i], setup.receive_antennas)
        h = np.empty((setup.users, setup.receive_antennas, setup.total_antennas), np.complex128)
        for m, (span, antennas) in enumerate(zip(setup.spans, setup.antennas, strict=True)):
            send = _steering(self.departure[i, :, m], antennas)
            weighted = receive[:, m].swapaxes(1, 2) * weight[:, m, None]
            h[:, :, span] = weighted @ send.conj()
        return h

    def _scale(self, h: NDArray[np.complex128]) -> NDArray[np.float64]:
        power = np.abs(h) ** 2
        if not self.unit_links:
            return np.full((1, 1, 1), 1 / np.sqrt(power.mean()))
        scale = np.empty((h.shape[0], 1, h.shape[2]))
        for span in self.setup.spans:
            scale[:, :, span] = 1 / np.sqrt(power[:, :, span].mean(axis=(1, 2), keepdims=True))
        return scale


def _steering(sine: NDArray[np.float64], antennas: int) -> NDArray[np.complex128]:
    """(..., antennas) of a line of antennas half a wavelength apart."""
    vectors: NDArray[np.complex128] = np.exp(1j * np.pi * sine[..., None] * np.arange(antennas))
    return vectors


def drop(setup: Setup, count: int, rng: np.random.Generator, *, unit_links: bool) -> UmiDrop:
    """RUs at their places, users anew for every channel.

    Args:
        setup: sizes.
        count: channels.
        rng: of all that is random.
        unit_links: scale every link to unit mean gain over its antennas, else every channel.
    """
    users, flat, bearing = place_users(setup, count, rng)
    sight = rng.uniform(size=flat.shape) < sight_probability(flat)
    turned = rng.uniform(0, 2 * np.pi, (count, setup.users, 1))
    draws = [_paths(flat, kind, rng) for kind in (LOS, NLOS)]
    most = max(one[0].shape[-1] for one in draws)
    gain, delay, departure, arrival = (
        np.where(sight[..., None], *(_padded(one[k], most) for one in draws)) for k in range(4)
    )
    loss_db = np.where(sight, _loss_sight_db(flat), _loss_blocked_db(flat))
    shadow = rng.standard_normal(flat.shape) * np.where(sight, LOS.shadow_db, NLOS.shadow_db)
    amplitude = 10 ** (-(loss_db + shadow) / 20)
    phase = np.exp(2j * np.pi * rng.uniform(size=gain.shape))
    return UmiDrop(
        gain * phase * amplitude[..., None],
        delay,
        np.sin(bearing[..., None] - facing(setup.rus)[:, None] + np.deg2rad(departure)),
        np.sin(bearing[..., None] + np.pi - turned[..., None] + np.deg2rad(arrival)),
        users,
        setup,
        unit_links,
    )


def _paths(
    flat: NDArray[np.float64], kind: Sight, rng: np.random.Generator
) -> tuple[NDArray[np.float64], ...]:
    """Amplitude, delay (s), departure and arrival beside the straight line (degrees).

    Each (..., paths); the powers of a link add up to 1.
    """
    shape = (*flat.shape, kind.clusters)
    spread = 10 ** (kind.delay[0] + kind.delay[1] * rng.standard_normal(flat.shape))[..., None]
    delay = -kind.delay_scaling * spread * np.log(rng.uniform(1e-12, 1, shape))
    delay = np.sort(delay, axis=-1)
    delay -= delay[..., :1]
    decay = delay * (kind.delay_scaling - 1) / (kind.delay_scaling * spread)
    shadow = CLUSTER_SHADOW_DB * rng.standard_normal(shape)
    power = np.exp(-decay) * 10 ** (-shadow / 10)
    power /= power.sum(axis=-1, keepdims=True)
    # Read in line of sight alone.
    k_db = (K_DB[0] + K_DB[1] * rng.standard_normal(flat.shape))[..., None]
    k = 10 ** (k_db / 10) if kind is LOS else np.zeros_like(k_db)
    angles = _angles(power, k, k_db, kind, rng)
    powers = np.repeat(power / (k + 1) / RAYS, RAYS, axis=-1)
    if kind is LOS:
        # Eq. 7.5-3 and 7.5-4: the straight path without delay must not shrink the delay spread.
        delay /= 0.7705 - 0.0433 * k_db + 0.0002 * k_db**2 + 0.000017 * k_db**3
    delays = np.repeat(delay, RAYS, axis=-1)
    if kind is LOS:
        powers = np.concatenate([k / (k + 1), powers], axis=-1)
        delays, *angles = (
            np.concatenate([np.zeros_like(k), item], axis=-1) for item in (delays, *angles)
        )
    return np.sqrt(powers), delays, angles[0], angles[1]


def _angles(
    power: NDArray[np.float64],
    k: NDArray[np.float64],
    k_db: NDArray[np.float64],
    kind: Sight,
    rng: np.random.Generator,
) -> list[NDArray[np.float64]]:
    """Departure and arrival of rays beside the straight line, degrees (..., clusters * RAYS).

    Eq. 7.5-9 to 7.5-13: weak clusters lie far out; with a straight path all do, so that the link
    keeps its angle spread.

    Args:
        power: of clusters, (..., clusters).
        k: power of the straight path over that of all clusters, (..., 1).
        k_db: the same in decibels; read in line of sight alone.
        kind: parameters.
        rng: of spreads, sides and rays.
    """
    strength = power / (k + 1)
    scale = np.full_like(k_db, kind.azimuth_scaling)
    if kind is LOS:
        strength[..., :1] += k / (k + 1)
        scale *= 1.1035 - 0.028 * k_db - 0.002 * k_db**2 + 0.0001 * k_db**3
    reach = 2 / 1.4 * np.sqrt(-np.log(strength / strength.max(axis=-1, keepdims=True))) / scale
    angles = []
    for (mean, deviation), most, ray in (
        (kind.departure, MOST_AZIMUTH_DEG, kind.ray_departure_deg),
        (kind.arrival, MOST_AZIMUTH_DEG, kind.ray_arrival_deg),
    ):
        spread = rng.standard_normal(power.shape[:-1])
        width = np.minimum(10 ** (mean + deviation * spread), most)[..., None]
        side = rng.choice((-1.0, 1.0), power.shape)
        cluster = width * (side * reach + rng.standard_normal(power.shape) / 7)
        if kind is LOS:
            cluster -= cluster[..., :1]
        rays = rng.laplace(scale=ray / np.sqrt(2), size=(*power.shape, RAYS))
        angles.append((cluster[..., None] + rays).reshape(*power.shape[:-1], -1))
    return angles


def _padded(paths: NDArray[np.float64], most: int) -> NDArray[np.float64]:
    widths = [(0, 0)] * (paths.ndim - 1) + [(0, most - paths.shape[-1])]
    return np.pad(paths, widths)


def _loss_sight_db(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    """Table 7.4.1-1, before and beyond the breakpoint."""
    reach = np.hypot(flat, SITE_HEIGHT_M - USER_HEIGHT_M)
    breakpoint_m = 4 * (SITE_HEIGHT_M - 1) * (USER_HEIGHT_M - 1) * CARRIER_GHZ * 1e9 / _LIGHT
    near = 32.4 + 21 * np.log10(reach) + 20 * np.log10(CARRIER_GHZ)
    squares = breakpoint_m**2 + (SITE_HEIGHT_M - USER_HEIGHT_M) ** 2
    far = 32.4 + 40 * np.log10(reach) + 20 * np.log10(CARRIER_GHZ) - 9.5 * np.log10(squares)
    loss: NDArray[np.float64] = np.where(flat <= breakpoint_m, near, far)
    return loss


def _loss_blocked_db(flat: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = np.hypot(flat, SITE_HEIGHT_M - USER_HEIGHT_M)
    blocked = 35.3 * np.log10(reach) + 22.4 + 21.3 * np.log10(CARRIER_GHZ)
    loss: NDArray[np.float64] = np.maximum(_loss_sight_db(flat), blocked)
    return loss
