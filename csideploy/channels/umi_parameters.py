"""What 3GPP TR 38.901 V16.1 says of the UMi street canyon at 3.5 GHz, for all that draw from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

CARRIER_GHZ = 3.5
SITE_HEIGHT_M, USER_HEIGHT_M = 10.0, 1.5
NEAREST_M = 10.0
CLUSTER_SHADOW_DB = 3.0
K_DB = (9.0, 5.0)
"""Mean and deviation of the K-factor in line of sight."""
MOST_AZIMUTH_DEG, MOST_ZENITH_DEG = 104.0, 52.0
"""Of angle spreads."""


@dataclass(frozen=True)
class Sight:
    """Table 7.5-6 at the carrier, in or out of sight; spreads as (mean, deviation) of lg."""

    clusters: int
    delay: tuple[float, float]
    departure: tuple[float, float]
    arrival: tuple[float, float]
    zenith_arrival: tuple[float, float]
    delay_scaling: float
    azimuth_scaling: float
    zenith_scaling: float
    ray_departure_deg: float
    ray_arrival_deg: float
    cross_db: tuple[float, float]
    shadow_db: float


_F = np.log10(1 + CARRIER_GHZ)
LOS = Sight(
    12, (-0.24 * _F - 7.14, 0.38), (-0.05 * _F + 1.21, 0.41),
    (-0.08 * _F + 1.73, 0.014 * _F + 0.28), (-0.1 * _F + 0.73, -0.04 * _F + 0.34),
    3.0, 1.146, 1.104, 3.0, 17.0, (9.0, 3.0), 4.0,
)  # fmt: skip
NLOS = Sight(
    19, (-0.24 * _F - 6.83, 0.16 * _F + 0.28), (-0.23 * _F + 1.53, 0.11 * _F + 0.33),
    (-0.08 * _F + 1.81, 0.05 * _F + 0.3), (-0.04 * _F + 0.92, -0.07 * _F + 0.41),
    2.1, 1.273, 1.184, 10.0, 22.0, (8.0, 3.0), 7.82,
)  # fmt: skip


def sight_probability(flat: Real) -> Real:
    """Table 7.4.2-1, users outdoors, `flat` metres away in the plane."""
    return np.where(flat <= 18, 1.0, 18 / flat + np.exp(-flat / 36) * (1 - 18 / flat))
