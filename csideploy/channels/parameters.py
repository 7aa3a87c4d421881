"""COST2100 parameter sets of the two scenarios, in SI units.

The cluster parameters are those that the COST2100 model lists for its 5 GHz indoor hall (OLOS)
and its 300 MHz semi-urban (LOS) measurement campaigns; the bands, the half-wavelength array of
32 antennas, the 257 frequency points and the 32 kept taps are the ones of the CsiNet data set.
"""

import math
from dataclasses import dataclass

LIGHT_SPEED = 3e8
"""Metres a second, the model's round value."""

DECIBEL = math.log(10.0) / 10.0
"""Natural logarithm of one decibel: 10**(x / 10) = exp(x * DECIBEL)."""


@dataclass(frozen=True)
class Spread:
    """A log-normal variable: median * 10**(decibels * z / 10), z standard normal."""

    median: float
    decibels: float

    @classmethod
    def from_moments(cls, mean: float, deviation: float) -> "Spread":
        """The log-normal with this mean and standard deviation."""
        squared = math.log(1.0 + (deviation / mean) ** 2)
        return cls(mean * math.exp(-squared / 2.0), math.sqrt(squared) / DECIBEL)


@dataclass(frozen=True)
class Scenario:
    """One COST2100 environment: lengths in metres, times in seconds, angles in radians."""

    name: str
    frequency_low: float
    frequency_high: float
    cell_radius: float
    ue_half_side: float
    ues_per_environment: int
    visibility_radius: float
    transition: float
    mean_clusters: float
    poisson_clusters: bool
    mean_extra_regions: float
    paths_per_cluster: int
    max_cluster_distance: float
    single_bounce_probability: float
    decay_per_second: float
    cutoff_delay: float
    k_factor: Spread | None
    bs_local_cluster: bool
    shadow: Spread
    delay: Spread
    elevation_bs: Spread
    azimuth_bs: Spread
    elevation_ue: Spread
    azimuth_ue: Spread
    delay_azimuth_correlation: float
    link_delay_mean: float
    link_delay_minimum: float

    @property
    def wavelength(self) -> float:
        """At the band's centre, in metres."""
        return LIGHT_SPEED / ((self.frequency_low + self.frequency_high) / 2.0)


def _degrees(mean: float, deviation: float) -> Spread:
    return Spread.from_moments(math.radians(mean), math.radians(deviation))


INDOOR = Scenario(
    name="indoor",
    frequency_low=5.29e9,
    frequency_high=5.31e9,
    cell_radius=30.0,
    ue_half_side=20.0,
    ues_per_environment=20,
    visibility_radius=2.72,
    transition=1.0,
    mean_clusters=3.8,
    poisson_clusters=True,
    mean_extra_regions=4.0,
    paths_per_cluster=3,
    max_cluster_distance=30.0,
    single_bounce_probability=0.0,
    decay_per_second=16e6,
    cutoff_delay=math.inf,
    k_factor=None,
    bs_local_cluster=True,
    shadow=Spread(1.0, 0.0),
    delay=Spread.from_moments(3e-9, 0.6e-9),
    elevation_bs=_degrees(1.5, 1.5),
    azimuth_bs=_degrees(3.0, 2.0),
    elevation_ue=_degrees(1.0, 1.0),
    azimuth_ue=_degrees(4.0, 2.0),
    delay_azimuth_correlation=0.0,
    link_delay_mean=107e-9,
    link_delay_minimum=33.6e-9,
)

OUTDOOR = Scenario(
    name="outdoor",
    frequency_low=275e6,
    frequency_high=295e6,
    cell_radius=500.0,
    ue_half_side=200.0,
    ues_per_environment=4,
    visibility_radius=32.8,
    transition=16.8,
    mean_clusters=6.0,
    poisson_clusters=False,
    mean_extra_regions=0.0,
    paths_per_cluster=27,
    max_cluster_distance=500.0,
    single_bounce_probability=0.1,
    decay_per_second=12.1 * DECIBEL * 1e6,
    cutoff_delay=2.4e-6,
    k_factor=Spread(10.0**-0.47, 2.0),
    bs_local_cluster=False,
    shadow=Spread(1.0, 2.05),
    delay=Spread(139e-9, 3.66),
    elevation_bs=Spread(1.578, 0.0),
    azimuth_bs=Spread(0.255, 2.43),
    elevation_ue=Spread(math.radians(1.578), 0.0),
    azimuth_ue=Spread(0.2575, 2.68),
    delay_azimuth_correlation=0.9,
    link_delay_mean=854e-9,
    link_delay_minimum=47.9e-9,
)

SCENARIOS = {scenario.name: scenario for scenario in (INDOOR, OUTDOOR)}
