"""Sionna's street canyon (TR 38.901 UMi) in the geometry of `umi`, for what the light model omits.

Same places, heights, carrier, lines of antennas and tables (V16.1); omnidirectional antennas of one
polarisation. Users are outdoors and stand still. Sionna needs torch; here it runs on the CPU, where
a seed gives the same channels again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.umi_parameters import CARRIER_GHZ, SITE_HEIGHT_M, USER_HEIGHT_M
from csideploy.errors import InputError, MissingDependencyError
from csideploy.fronthaul.setup import Setup
from csideploy.fronthaul.umi import (
    RAYS,
    facing,
    place_users,
    positions,
)

_DEVICE = "cpu"
_CLUSTERS = 19
_RAYS_AT_ONCE = 1 << 22
"""Complex numbers in the largest array that Sionna makes, of single rays between antennas."""


@dataclass(frozen=True)
class SionnaDrop:
    """Paths of all links.

    Attributes:
        gains: of each RU, complex64 (count, N, N_rx, N_m, P).
        delays: of each RU, seconds (count, N, P).
        scale: of each channel, to unit mean gain at the carrier, (count,).
    """

    gains: tuple[NDArray[np.complex64], ...]
    delays: tuple[NDArray[np.float64], ...]
    scale: NDArray[np.float64]

    def at(self, offsets_hz: NDArray[np.float64]) -> NDArray[np.complex64]:
        """(count, F, N, N_rx, N_tx). The scale is that of the carrier at every frequency."""
        channels = [_response(self.gains, self.delays, float(offset)) for offset in offsets_hz]
        h: NDArray[np.complex64] = np.stack(channels, axis=1)
        h *= self.scale[:, None, None, None, None].astype(np.float32)
        return h


def sionna_drop(setup: Setup, count: int, rng: np.random.Generator) -> SionnaDrop:
    """RUs at their places, users anew for every channel, each channel of unit mean gain.

    One model for each RU, with as many antennas as that RU has: RUs stand apart, and so nothing in
    TR 38.901 couples their links (large-scale parameters correlate among users of one RU).

    Args:
        setup: sizes.
        count: channels.
        rng: of places, and of the seeds that Sionna gets.

    Raises:
        MissingDependencyError: Sionna is not installed.
        InputError: a link came out without any power.
    """
    _sionna()
    users, flat, bearing = place_users(setup, count, rng)
    turned = rng.uniform(0, 2 * np.pi, (count, setup.users))
    # Whoever stands nearer than NEAREST_M sees the RU at that distance, as in `umi`.
    ways = flat[..., None] * np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)
    seen = users[:, :, None] - ways
    seeds = rng.integers(2**63, size=setup.rus)
    gains, delays = [], []
    for m, (antennas, seed) in enumerate(zip(setup.antennas, seeds, strict=True)):
        gain, delay = _paths(setup, antennas, m, users, seen[:, :, m], turned, int(seed))
        gains.append(gain)
        delays.append(delay)
    h = _response(tuple(gains), tuple(delays), 0.0)
    for span in setup.spans:
        power = np.sum(np.abs(h[..., span], dtype=np.float64) ** 2, axis=(2, 3))
        if not np.all(np.isfinite(power) & (power > 0)):
            raise InputError("Sionna drew a link without any power: take another seed")
    mean = np.mean(np.abs(h, dtype=np.float64) ** 2, axis=(1, 2, 3))
    return SionnaDrop(tuple(gains), tuple(delays), 1 / np.sqrt(mean))


def _response(
    gains: tuple[NDArray[np.complex64], ...], delays: tuple[NDArray[np.float64], ...], offset: float
) -> NDArray[np.complex64]:
    """(count, N, N_rx, N_tx) at one frequency, unscaled."""
    links = []
    for gain, delay in zip(gains, delays, strict=True):
        turn = np.exp(-2j * np.pi * offset * delay).astype(np.complex64)
        links.append(np.matmul(gain, turn[:, :, None, :, None])[..., 0])
    h: NDArray[np.complex64] = np.concatenate(links, axis=-1)
    return h


def _paths(
    setup: Setup,
    antennas: int,
    m: int,
    users: NDArray[np.float64],
    seen: NDArray[np.float64],
    turned: NDArray[np.float64],
    seed: int,
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Gains (count, N, N_rx, N_m, P) and delays (count, N, P) of RU m.

    Args:
        setup: sizes.
        antennas: N_m.
        m: the RU.
        users: places (count, N, 2).
        seen: where each user sees the RU, (count, N, 2).
        turned: what way users' antennas face, radian (count, N).
        seed: of all that is random here.
    """
    torch, tr38901 = _sionna()
    rays = setup.users * setup.receive_antennas * antennas * _CLUSTERS * RAYS
    step = max(1, _RAYS_AT_ONCE // rays)
    arrays = [_array(tr38901, 1, number, 1) for number in (setup.receive_antennas, antennas)]
    gains, delays = [], []
    with _seeded(seed), torch.no_grad():
        for start in range(0, len(users), step):
            part = slice(start, start + step)
            gain, delay = _draw(setup.rus, m, arrays, users[part], seen[part], turned[part])
            gains.append(gain)
            delays.append(delay)
    return np.concatenate(gains), np.concatenate(delays)


def one_bs(
    rows: int, columns: int, polarisations: int, users: int, rng: np.random.Generator
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Single-antenna users of one BS at the carrier, path loss included.

    The BS stands where the first of `positions(1)` is and faces the middle of the square.

    Args:
        rows: of the BS's plane of elements, half a wavelength apart.
        columns: of the same.
        polarisations: 1 (vertical) or 2 (+-45 degrees) ports an element.
        users: of one drop, whose large-scale parameters correlate.
        rng: of places, and of the seed that Sionna gets.

    Returns:
        complex64 (users, rows * columns * polarisations), and the users' places (users, 2).

    Raises:
        MissingDependencyError: Sionna is not installed.
    """
    torch, tr38901 = _sionna()
    # One user in each of many channels: place_users is asked for places alone.
    single = Setup(antennas=(1,), bits=(1,), users=1, receive_antennas=1, streams=1)
    places, flat, bearing = place_users(single, users, rng)
    turned = rng.uniform(0, 2 * np.pi, (1, users))
    ways = flat[..., None] * np.stack([np.cos(bearing), np.sin(bearing)], axis=-1)
    seen = (places[:, :, None] - ways)[:, 0, 0][None]
    arrays = [_array(tr38901, 1, 1, 1), _array(tr38901, rows, columns, polarisations)]
    with _seeded(int(rng.integers(2**63))), torch.no_grad():
        gains, _ = _draw(1, 0, arrays, places[:, 0][None], seen, turned)
    h: NDArray[np.complex64] = gains[0, :, 0].sum(axis=-1, dtype=np.complex128)
    return h.astype(np.complex64), places[:, 0]


def _array(tr38901: Any, rows: int, columns: int, polarisations: int) -> Any:
    return tr38901.PanelArray(
        num_rows_per_panel=rows,
        num_cols_per_panel=columns,
        polarization="single" if polarisations == 1 else "dual",
        polarization_type="V" if polarisations == 1 else "cross",
        antenna_pattern="omni",
        carrier_frequency=CARRIER_GHZ * 1e9,
        precision="single",
        device=_DEVICE,
    )


def _draw(
    rus: int,
    m: int,
    arrays: list[Any],
    users: NDArray[np.float64],
    seen: NDArray[np.float64],
    turned: NDArray[np.float64],
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    """Gains (size, N, N_rx, N_m, P) and delays (size, N, P) of RU m of so many RUs.

    Args:
        rus: M.
        m: the RU.
        arrays: of a user and of the RU.
        users: places (size, N, 2).
        seen: where each user sees the RU, (size, N, 2).
        turned: what way users' antennas face, radian (size, N).
    """
    torch, tr38901 = _sionna()
    size, number = turned.shape
    model = tr38901.UMi(
        carrier_frequency=CARRIER_GHZ * 1e9,
        o2i_model="low",
        ut_array=arrays[0],
        bs_array=arrays[1],
        direction="downlink",
        spec_version="16.1",
        precision="single",
        device=_DEVICE,
    )
    model.set_topology(
        ut_loc=_tensor(torch, _raised(users, USER_HEIGHT_M)),
        bs_loc=_tensor(torch, np.tile([*positions(rus)[m], SITE_HEIGHT_M], (size, 1, 1))),
        ut_orientations=_tensor(torch, _yawed(turned)),
        bs_orientations=_tensor(torch, _yawed(np.full((size, 1), facing(rus)[m]))),
        ut_velocities=_tensor(torch, np.zeros((size, number, 3))),
        in_state=torch.zeros((size, number), dtype=torch.bool),
        los="random",
        bs_virtual_loc=_tensor(torch, _raised(seen, SITE_HEIGHT_M)[:, None]),
    )
    gain, delay = model(1, 1.0)
    return gain.numpy()[:, :, :, 0, :, :, 0], delay.numpy()[:, :, 0].astype(np.float64)


def _tensor(torch: Any, values: NDArray[np.float64]) -> Any:
    return torch.tensor(values, dtype=torch.float32)


def _raised(places: NDArray[np.float64], height: float) -> NDArray[np.float64]:
    """(..., 2) to (..., 3)."""
    return np.concatenate([places, np.full((*places.shape[:-1], 1), height)], axis=-1)


def _yawed(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """(...) to (..., 3), bearing, downtilt and slant."""
    return np.stack([angle, np.zeros_like(angle), np.zeros_like(angle)], axis=-1)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Sionna's one generator of the device, seeded, and put back as it was afterwards."""
    from sionna.phy import config

    generator = config.torch_rng(_DEVICE)
    before = generator.get_state()
    generator.manual_seed(seed)
    try:
        yield
    finally:
        generator.set_state(before)


def _sionna() -> tuple[Any, Any]:
    """The modules torch and sionna.phy.channel.tr38901."""
    try:
        import torch
        from sionna.phy.channel import tr38901
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            f"the channel sionna-umi needs {str(missing.name).partition('.')[0]}: "
            "pip install 'torch==2.13.0' 'csideploy[sionna]'"
        ) from missing
    return torch, tr38901
