"""A street canyon for a panel of two polarisations: 3GPP TR 38.901 V16.1 UMi, with numpy alone.

The gNB's panel has N1 columns and N2 rows of elements half a wavelength apart, two slanted by +-45
degrees at each place, with the element pattern of table 7.3-1; it looks at the horizon, without
downtilt. A user has pairs of omnidirectional antennas, one vertical and one horizontal, half a
wavelength apart along a line turned at random. Users are outdoors and at rest, uniform on a sector
of 120 degrees, in or out of line of sight by chance (table 7.4.2-1).

Clusters and rays are drawn after section 7.5 with the parameters of tables 7.5-6 and 7.5-8: delays,
powers, azimuth and elevation at both ends, ray offsets of table 7.5-3, cross-polarisation ratio.
Left out: path loss and shadowing (every sample is scaled to unit mean gain), the correlation of
large-scale parameters with each other and between users, the sub-clusters of the two strongest
clusters, the removal of clusters 25 dB below the strongest (step 6), users indoors.

Frequencies are those of 52 resource blocks at 15 kHz: 13 sub-bands of 4 blocks, the channel of each
being that in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.umi_parameters import (
    CLUSTER_SHADOW_DB,
    K_DB,
    LOS,
    MOST_AZIMUTH_DEG,
    MOST_ZENITH_DEG,
    NEAREST_M,
    NLOS,
    SITE_HEIGHT_M,
    USER_HEIGHT_M,
    Sight,
    sight_probability,
)
from csideploy.errors import InputError

FARTHEST_M = 115.0
"""Of users in the plane; 200 m between sites make sectors of 115 m."""
SECTOR_DEG = 120.0
SUBBANDS = 13
SUBBAND_HZ = 4 * 12 * 15e3
RECEIVE = (1, 2, 4, 8)

_MOST_PORTS = 256
_OFFSETS = np.array(
    [0.0447, 0.1413, 0.2492, 0.3715, 0.5129, 0.6797, 0.8844, 1.1481, 1.5195, 2.1551]
)
_RAYS = np.concatenate([_OFFSETS, -_OFFSETS])
"""Table 7.5-3: offsets of the rays in a cluster, for an rms spread of 1."""

Real = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """N1 columns and N2 rows of elements of two polarisations.

    A port is numbered pol N1 N2 + n1 N2 + n2.

    Raises:
        InputError: no such panel.
    """

    n1: int = 8
    n2: int = 2

    def __post_init__(self) -> None:
        if self.n1 < 1 or self.n2 < 1 or self.ports > _MOST_PORTS:
            raise InputError(
                f"panel {self}: columns x rows of at least 1, at most {_MOST_PORTS} ports"
            )

    @classmethod
    def parse(cls, text: str) -> Panel:
        """From "8x2"."""
        n1, cross, n2 = text.partition("x")
        if not (cross and n1.isascii() and n1.isdigit() and n2.isascii() and n2.isdigit()):
            raise InputError(f"--panel {text}: columns x rows, 8x2 say")
        return cls(int(n1), int(n2))

    @property
    def ports(self) -> int:
        """2 N1 N2."""
        return 2 * self.n1 * self.n2

    def __str__(self) -> str:
        return f"{self.n1}x{self.n2}"


_RAY_ZENITH_DEG = 7.0
_ZSD_DEVIATION = 0.35


@dataclass(frozen=True)
class Sector:
    """Channels of users of one gNB.

    Attributes:
        H: complex64 (n, 13, receive, ports), mean |H|^2 of every sample 1; y = H x.
        sight: whether a user has line of sight, bool (n,).
        ue_xy: metres from the gNB, which looks along x, float32 (n, 2).
    """

    H: NDArray[np.complex64]
    sight: NDArray[np.bool_]
    ue_xy: NDArray[np.float32]


@dataclass(frozen=True)
class Rays:
    """Rays of users, (n, clusters, rays); delays (n, clusters); angles in radian.

    `field` is complex (n, clusters, rays, 2, 2): what the user's (theta, phi) components get of the
    gNB's, with the square root of the ray's power.
    """

    delay: Real
    departure: Real
    arrival: Real
    zenith_departure: Real
    zenith_arrival: Real
    field: NDArray[np.complex128]


def draw_sector(
    panel: Panel, receive: int, count: int, rng: np.random.Generator, *, subbands: int = SUBBANDS
) -> Sector:
    """Users anew for every sample.

    Args:
        panel: of the gNB.
        receive: antennas of a user, 1, 2, 4 or 8; 1 is vertical.
        count: samples.
        rng: of all that is random.
        subbands: of 720 kHz, around the carrier.

    Raises:
        InputError: no such number of antennas.
    """
    if receive not in RECEIVE:
        raise InputError(f"receive {receive}: {', '.join(map(str, RECEIVE))} antennas are right")
    flat = np.sqrt(rng.uniform(NEAREST_M**2, FARTHEST_M**2, count))
    bearing = np.deg2rad(rng.uniform(-SECTOR_DEG / 2, SECTOR_DEG / 2, count))
    sight = rng.uniform(size=count) < sight_probability(flat)
    turned = rng.uniform(0, 2 * np.pi, count)
    offsets = SUBBAND_HZ * (np.arange(subbands, dtype=np.float64) - (subbands - 1) / 2)
    h = np.empty((count, subbands, receive, panel.ports), np.complex64)
    for kind, at in ((LOS, np.flatnonzero(sight)), (NLOS, np.flatnonzero(~sight))):
        if at.size:
            rays = _draw_rays(flat[at], bearing[at], kind, rng)
            h[at] = _respond(rays, panel, receive, turned[at], offsets)
    power = np.mean(np.abs(h, dtype=np.float64) ** 2, axis=(1, 2, 3), keepdims=True)
    h /= np.sqrt(power).astype(np.float32)
    xy = flat[:, None] * np.stack([np.cos(bearing), np.sin(bearing)], axis=1)
    return Sector(h, sight, xy.astype(np.float32))


def _draw_rays(flat: Real, bearing: Real, kind: Sight, rng: np.random.Generator) -> Rays:
    """Section 7.5, steps 4 to 10. In line of sight cluster 0 has the straight path as one ray more.

    All clusters have that ray, so that the arrays are full; outside of cluster 0 its power is 0.
    """
    shape = (len(flat), kind.clusters)
    in_sight = kind is LOS
    k_db = (K_DB[0] + K_DB[1] * rng.standard_normal(len(flat)))[:, None]
    k = 10 ** (k_db / 10) if in_sight else np.zeros_like(k_db)
    spread = _spread(kind.delay, len(flat), rng)
    delay = np.sort(-kind.delay_scaling * spread * np.log(rng.uniform(1e-12, 1, shape)), axis=1)
    delay -= delay[:, :1]
    decay = delay * (kind.delay_scaling - 1) / (kind.delay_scaling * spread)
    power = np.exp(-decay) * 10 ** (-CLUSTER_SHADOW_DB * rng.standard_normal(shape) / 10)
    power /= power.sum(axis=1, keepdims=True)
    # Step 6: for the angles the straight path counts as part of cluster 0.
    strength = power / (k + 1)
    if in_sight:
        strength[:, :1] += k / (k + 1)
        # Eq. 7.5-3 and 7.5-4: the straight path without delay must not shrink the delay spread.
        delay /= 0.7705 - 0.0433 * k_db + 0.0002 * k_db**2 + 0.000017 * k_db**3
    share = np.log(strength.max(axis=1, keepdims=True) / strength)

    direct = np.arctan2(flat, USER_HEIGHT_M - SITE_HEIGHT_M)
    zsd_mean, offset = _zenith_departure(flat, in_sight)
    azimuth_scale = np.full_like(k_db, kind.azimuth_scaling)
    zenith_scale = np.full_like(k_db, kind.zenith_scaling)
    if in_sight:
        azimuth_scale *= 1.1035 - 0.028 * k_db - 0.002 * k_db**2 + 0.0001 * k_db**3
        zenith_scale *= 1.3086 + 0.0339 * k_db - 0.0077 * k_db**2 + 0.0002 * k_db**3
    azimuth_reach = 2 / 1.4 * np.sqrt(share) / azimuth_scale
    zenith_reach = share / zenith_scale
    zsd = 10 ** (zsd_mean + _ZSD_DEVIATION * rng.standard_normal(len(flat)))[:, None]
    around = {
        "departure": (_spread(kind.departure, len(flat), rng), azimuth_reach, MOST_AZIMUTH_DEG),
        "arrival": (_spread(kind.arrival, len(flat), rng), azimuth_reach, MOST_AZIMUTH_DEG),
        "zenith_departure": (zsd, zenith_reach, MOST_ZENITH_DEG),
        "zenith_arrival": (
            _spread(kind.zenith_arrival, len(flat), rng),
            zenith_reach,
            MOST_ZENITH_DEG,
        ),
    }
    straight = {
        "departure": bearing,
        "arrival": bearing + np.pi,
        "zenith_departure": direct,
        "zenith_arrival": np.pi - direct,
    }
    ray_deg = {
        "departure": np.full(len(flat), kind.ray_departure_deg),
        "arrival": np.full(len(flat), kind.ray_arrival_deg),
        "zenith_departure": 3 / 8 * 10**zsd_mean,
        "zenith_arrival": np.full(len(flat), _RAY_ZENITH_DEG),
    }
    angles = {}
    for name, (width, reach, most) in around.items():
        width = np.minimum(width, most)
        side = rng.choice((-1.0, 1.0), shape)
        cluster = width * (side * reach + rng.standard_normal(shape) / 7)
        if in_sight:
            cluster -= cluster[:, :1]
        elif name == "zenith_departure":
            cluster += offset[:, None]
        # Rays are coupled at random: the offsets in an order of their own for every angle.
        order = rng.permuted(np.broadcast_to(_RAYS, (*shape, len(_RAYS))), axis=2)
        beside = cluster[..., None] + ray_deg[name][:, None, None] * order
        beside = np.concatenate([beside, np.zeros((*shape, 1))], axis=2)
        angle = straight[name][:, None, None] + np.deg2rad(beside)
        # Step 7: a zenith beyond 180 degrees is mirrored, the azimuth stays.
        angles[name] = np.arccos(np.cos(angle)) if "zenith" in name else angle
    field = _fields(shape, kind.cross_db, rng)
    field *= np.sqrt(power / (k + 1) / len(_RAYS))[..., None, None, None]
    straight_on = np.zeros((*shape, 1, 2, 2), np.complex128)
    if in_sight:
        # Eq. 7.5-29: the straight path turns neither polarisation into the other.
        turn = np.exp(2j * np.pi * rng.uniform(size=(len(flat), 1, 1)))
        path = np.sqrt(k / (k + 1))[..., None] * turn * np.diag([1.0, -1.0])
        straight_on[:, 0, 0] = path
    field = np.concatenate([field, straight_on], axis=2)
    return Rays(
        delay,
        angles["departure"],
        angles["arrival"],
        angles["zenith_departure"],
        angles["zenith_arrival"],
        field,
    )


def _spread(of: tuple[float, float], count: int, rng: np.random.Generator) -> Real:
    made: Real = 10 ** (of[0] + of[1] * rng.standard_normal(count))[:, None]
    return made


def _zenith_departure(flat: Real, in_sight: bool) -> tuple[Real, Real]:
    """Table 7.5-8: mean of lg(ZSD), and the offset of the zenith of departure in degrees."""
    fall = abs(USER_HEIGHT_M - SITE_HEIGHT_M)
    if in_sight:
        mean = np.maximum(-0.21, -14.8 * flat / 1000 + 0.01 * fall + 0.83)
        return mean, np.zeros_like(flat)
    mean = np.maximum(-0.5, -3.1 * flat / 1000 + 0.01 * max(USER_HEIGHT_M - SITE_HEIGHT_M, 0) + 0.2)
    return mean, -(10 ** (-1.5 * np.log10(np.maximum(10, flat)) + 3.3))


def _fields(
    shape: tuple[int, int], cross_db: tuple[float, float], rng: np.random.Generator
) -> NDArray[np.complex128]:
    """Steps 9 and 10: random phases, the crossing components weaker by the root of kappa."""
    size = (*shape, len(_RAYS))
    kappa_db = cross_db[0] + cross_db[1] * rng.standard_normal(size)
    field: NDArray[np.complex128] = np.exp(2j * np.pi * rng.uniform(size=(*size, 2, 2)))
    weak = 10 ** (-kappa_db / 20)
    field[..., 0, 1] *= weak
    field[..., 1, 0] *= weak
    return field


def _respond(
    rays: Rays, panel: Panel, receive: int, turned: Real, offsets: Real, step: int = 100
) -> NDArray[np.complex64]:
    """(n, frequencies, receive, ports), some users at a time."""
    count, clusters = rays.delay.shape
    h = np.empty((count, len(offsets), receive, panel.ports), np.complex64)
    for start in range(0, count, step):
        at = slice(start, min(start + step, count))
        zenith, azimuth = rays.zenith_departure[at], rays.departure[at]
        gain = np.sqrt(_element_gain(zenith, azimuth) / 2)
        # The slanted elements' components along theta and phi: (1, 1) and (1, -1), over root 2.
        towards, across = rays.field[at, ..., 0], rays.field[at, ..., 1]
        seen = np.stack([towards + across, towards - across], axis=-1) * gain[..., None, None]
        # (b, clusters, rays, user's component, gNB's polarisation) -> antennas of the user.
        toward = np.sin(rays.zenith_arrival[at]) * np.sin(rays.arrival[at] - turned[at, None, None])
        places = np.arange(max(1, receive // 2))
        steer = np.exp(1j * np.pi * toward[..., None] * places)
        kinds = min(2, receive)
        left = steer[..., :, None, None] * seen[..., None, :kinds, :]
        left = left.reshape(*left.shape[:3], receive * 2)
        column = np.exp(
            1j * np.pi * (np.sin(zenith) * np.sin(azimuth))[..., None] * np.arange(panel.n1)
        )
        row = np.exp(1j * np.pi * np.cos(zenith)[..., None] * np.arange(panel.n2))
        right = (column[..., :, None] * row[..., None, :]).reshape(*zenith.shape, -1)
        by_cluster = np.swapaxes(left, 2, 3) @ right
        turn = np.exp(-2j * np.pi * offsets[:, None] * rays.delay[at, None, :])
        made = turn @ by_cluster.reshape(len(turn), clusters, -1)
        # Antennas of the user, polarisations of the gNB, elements: ports last.
        h[at] = made.reshape(len(turn), len(offsets), receive, panel.ports)
    return h


def _element_gain(zenith: Real, azimuth: Real) -> Real:
    """Table 7.3-1, linear: 8 dBi, 65 degrees wide, 30 dB at most down."""
    tilt = np.rad2deg(zenith) - 90
    turn = np.rad2deg(np.angle(np.exp(1j * azimuth)))
    down = np.minimum(12 * (tilt / 65) ** 2, 30) + np.minimum(12 * (turn / 65) ** 2, 30)
    gain: Real = 10 ** ((8 - np.minimum(down, 30)) / 10)
    return gain
