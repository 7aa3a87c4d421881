"""Users of one BS in a street canyon, TR 38.901 UMi, path loss included.

Two models: Sionna's (V16.1, all antennas) and the light one of `csideploy.fronthaul.umi` (up to 32
antennas in a row, numpy alone). Both stand in that module's geometry: the BS 10 m high, users
outdoors on a square of 200 m, each in or out of line of sight by chance.

An environment is one drop of users, whose shadowing, spreads and K-factors correlate by distance
in Sionna's model; in the light one users are independent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.heard import MOST_IN_A_ROW, Heard, join, panel
from csideploy.channels.umi_parameters import SITE_HEIGHT_M
from csideploy.errors import InputError
from csideploy.fronthaul.setup import Setup
from csideploy.fronthaul.sionna_umi import one_bs
from csideploy.fronthaul.umi import drop, positions

MODELS = ("umi", "umi-light")
DROP = 100
"""Users of a drop."""
_OF_SETUP = 25
"""Users of a channel of the light model: they are independent, so that it does not matter."""


def umi_users(model: str, antennas: int, first: int, last: int, seed: int) -> Heard:
    """Drops first to last - 1 of a model's endless list, `DROP` users each.

    Args:
        model: "umi" (Sionna's) or "umi-light".
        antennas: M (`heard.panel`).
        first: number of a drop, and of its environment.
        last: the one after the last.
        seed: not negative.

    Returns:
        Users, their places relative to the BS.

    Raises:
        InputError: unknown model, or no such array.
        MissingDependencyError: Sionna is not installed.
    """
    if model not in MODELS:
        raise InputError(f"unknown model {model!r}; there are {', '.join(MODELS)}")
    array = panel(antennas)
    if model == "umi-light" and antennas > MOST_IN_A_ROW:
        raise InputError(f"antennas {antennas}: umi-light has 1 to {MOST_IN_A_ROW}, in a row")
    parts = []
    for number in range(first, last):
        rng = np.random.default_rng([seed, MODELS.index(model), number])
        if model == "umi":
            h, places = one_bs(array.rows, array.columns, array.polarisations, DROP, rng)
        else:
            h, places = _light(antennas, rng)
        xy = (places - positions(1)[0]).astype(np.float32)
        environment = np.full(DROP, number, np.int32)
        heard = h.any(axis=1)
        bs = np.array([[0, 0, SITE_HEIGHT_M]], np.float32)
        parts.append(Heard(h[heard], environment[heard], xy[heard], bs, int((~heard).sum())))
    return join(parts)


def _light(
    antennas: int, rng: np.random.Generator
) -> tuple[NDArray[np.complex64], NDArray[np.float64]]:
    setup = Setup(antennas=(antennas,), bits=(1,), users=_OF_SETUP, receive_antennas=1, streams=1)
    paths = drop(setup, DROP // _OF_SETUP, rng, unit_links=False)
    h = np.concatenate([paths.response(i, 0.0)[:, 0] for i in range(len(paths.gain))])
    return h.astype(np.complex64), paths.users.reshape(-1, 2)
