"""COST2100 environments: from random clusters to the paths of each UE.

The geometry-based stochastic model of L. Liu et al., "The COST 2100 MIMO channel model", IEEE
Wireless Communications 19(6), 2012, with a base station (BS) at the origin, UEs of one antenna,
and everything at height 0. UEs of one environment see the same clusters.

Clusters become visible inside discs, the visibility regions (VRs), spread over the cell. A cluster
is an ellipsoid with paths_per_cluster scatterers; in a twin cluster it stands twice, once as the BS
and once as the UE sees it, with a link delay in between.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.parameters import DECIBEL, LIGHT_SPEED, Scenario, Spread

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

# Deviation of a cluster's azimuth from its VR's: normal, mean 43 and deviation 39 degrees.
AZIMUTH_MEAN = np.radians(43.0)
AZIMUTH_DEVIATION = np.radians(39.0)


@dataclass(frozen=True)
class Paths:
    """Paths of the UEs of one environment, padded with zero amplitudes to one length.

    `azimuth` (rad), `delay` (s), `amplitude` (complex, path loss left out): (ues, paths);
    `ue_xy`: (ues, 2), metres from the BS.
    """

    azimuth: Real
    delay: Real
    amplitude: Complex
    ue_xy: Real


@dataclass(frozen=True)
class _Shape:
    """Spreads of n clusters, each (n,): shadowing is a power, angles are full widths."""

    shadow: Real
    delay: Real
    elevation_bs: Real
    azimuth_bs: Real
    elevation_ue: Real
    azimuth_ue: Real


@dataclass(frozen=True)
class _Clusters:
    """n far clusters: centres (n, 3), scatterers (n, paths, 3), shared by all UEs."""

    centre_bs: Real
    centre_ue: Real
    scatterers_bs: Real
    scatterers_ue: Real
    link_delay: Real
    amplitude: Complex


def _spread(spread: Spread, normal: Real) -> Real:
    return np.asarray(spread.median * np.exp(DECIBEL * spread.decibels * normal))


def _draw_shapes(scenario: Scenario, count: int, rng: np.random.Generator) -> _Shape:
    normal = rng.standard_normal((6, count))
    delay, azimuth_bs, azimuth_ue = 1, 3, 5
    # The three correlated normals share a common part: the correlation of any two is its variance.
    shared = np.sqrt(scenario.delay_azimuth_correlation) * rng.standard_normal(count)
    own = np.sqrt(1.0 - scenario.delay_azimuth_correlation)
    for row in (delay, azimuth_bs, azimuth_ue):
        normal[row] = shared + own * normal[row]
    return _Shape(
        shadow=_spread(scenario.shadow, normal[0]),
        delay=_spread(scenario.delay, normal[delay]),
        elevation_bs=_spread(scenario.elevation_bs, normal[2]),
        azimuth_bs=_spread(scenario.azimuth_bs, normal[azimuth_bs]),
        elevation_ue=_spread(scenario.elevation_ue, normal[4]),
        azimuth_ue=_spread(scenario.azimuth_ue, normal[azimuth_ue]),
    )


def _draw_amplitudes(shape: tuple[int, int], rng: np.random.Generator) -> Complex:
    """Complex normal amplitudes (clusters, paths), powers of a cluster adding up to 1."""
    raw = rng.standard_normal((2, *shape))
    amplitude = raw[0] + 1j * raw[1]
    return np.asarray(amplitude / np.linalg.norm(amplitude, axis=1, keepdims=True))


def _polar(radius: Real, angle: Real) -> Real:
    """(n, 3) from polar coordinates in the plane."""
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros_like(angle)], axis=-1)


def _place(normal: Real, semi_axes: Real, heading: Real, centre: Real) -> Real:
    """Scatterers (n, paths, 3) of ellipsoids whose first axis points along `heading`.

    The scatterers are normal, an axis being three deviations long.
    """
    local = normal * (semi_axes[:, None, :] / 3.0)
    cosine, sine = np.cos(heading)[:, None], np.sin(heading)[:, None]
    turned = np.stack(
        [
            local[..., 0] * cosine - local[..., 1] * sine,
            local[..., 0] * sine + local[..., 1] * cosine,
            local[..., 2],
        ],
        axis=-1,
    )
    return np.asarray(turned + centre[:, None, :])


def _draw_far_clusters(scenario: Scenario, reference: Real, rng: np.random.Generator) -> _Clusters:
    """Clusters whose geometry is drawn from the centres (n, 2) of their reference VRs."""
    count = len(reference)
    shape = _draw_shapes(scenario, count, rng)
    to_region = np.arctan2(reference[:, 1], reference[:, 0])
    angle_bs, angle_ue = to_region + rng.normal(AZIMUTH_MEAN, AZIMUTH_DEVIATION, (2, count))
    distance_bs = rng.uniform(0.0, scenario.max_cluster_distance, count)
    # A cluster looks equally wide in metres from both ends.
    distance_ue = distance_bs * np.tan(shape.azimuth_bs / 2.0) / np.tan(shape.azimuth_ue / 2.0)
    centre_bs = _polar(distance_bs, angle_bs)
    region = np.pad(reference, ((0, 0), (0, 1)))
    twin_centre = region + _polar(distance_ue, angle_ue)
    # An exponential that is known to exceed its minimum is the minimum plus the same exponential.
    link = scenario.link_delay_minimum + rng.exponential(scenario.link_delay_mean, count)

    length = LIGHT_SPEED * shape.delay / 2.0
    axes_bs = np.stack(
        [
            length,
            distance_bs * np.tan(shape.azimuth_bs / 2.0),
            distance_bs * np.tan(shape.elevation_bs / 2.0),
        ],
        axis=-1,
    )
    axes_ue = np.stack(
        [
            length,
            distance_ue * np.tan(shape.azimuth_ue / 2.0),
            distance_ue * np.tan(shape.elevation_ue / 2.0),
        ],
        axis=-1,
    )
    normal = rng.standard_normal((count, scenario.paths_per_cluster, 3))
    scatterers_bs = _place(normal, axes_bs, angle_bs, centre_bs)
    scatterers_twin = _place(normal, axes_ue, angle_ue, twin_centre)

    single = rng.random(count) < scenario.single_bounce_probability
    gain = np.sqrt(shape.shadow)[:, None]
    return _Clusters(
        centre_bs=centre_bs,
        centre_ue=np.where(single[:, None], centre_bs, twin_centre),
        scatterers_bs=scatterers_bs,
        scatterers_ue=np.where(single[:, None, None], scatterers_bs, scatterers_twin),
        link_delay=np.where(single, 0.0, link),
        amplitude=gain * _draw_amplitudes((count, scenario.paths_per_cluster), rng),
    )


def _draw_regions(scenario: Scenario, rng: np.random.Generator) -> tuple[Real, NDArray[np.int_]]:
    """VR centres (n, 2), uniform in the cell, and each one's cluster (n,), ascending."""
    clusters = scenario.mean_clusters
    if scenario.poisson_clusters:
        clusters = max(1, rng.poisson(clusters))
    inner = scenario.visibility_radius - scenario.transition
    count = round(clusters * (scenario.cell_radius / inner) ** 2)
    radius = scenario.cell_radius * np.sqrt(rng.random(count))
    angle = rng.uniform(0.0, 2.0 * np.pi, count)
    centres = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    # VRs in turn open a cluster and pull in a Poisson number of the following ones: their places
    # are independent, so neighbours in the list are as good as random partners.
    sizes = 1 + rng.poisson(scenario.mean_extra_regions, count)
    return centres, np.repeat(np.arange(count), sizes)[:count]


def _region_gain(scenario: Scenario, distance: Real) -> Real:
    """Smooth step from 1 inside a VR to 0 outside, cut at its radius (amplitude)."""
    inner = scenario.visibility_radius - scenario.transition
    scale = 2.0 * np.sqrt(2.0) / np.sqrt(scenario.wavelength * scenario.transition)
    gain = np.zeros_like(distance)
    within = distance < scenario.visibility_radius
    gain[within] = 0.5 - np.arctan(scale * (distance[within] - inner)) / np.pi
    return gain


def _draw_ues(scenario: Scenario, count: int, rng: np.random.Generator) -> Real:
    return rng.uniform(-scenario.ue_half_side, scenario.ue_half_side, (count, 2))


def _distances(points: Real, others: Real) -> Real:
    """(n, m) from (n, 2) and (m, 2)."""
    along_x = points[:, :1] - others[:, 0]
    along_y = points[:, 1:] - others[:, 1]
    return np.sqrt(along_x**2 + along_y**2)


def _draw_visible(
    scenario: Scenario, rng: np.random.Generator
) -> tuple[Real, Real, NDArray[np.int_], Real]:
    """UEs (ues, 2), VR centres (n, 2), their clusters (n,) and gains (ues, n).

    The model drops a UE that sees no cluster, so an environment counts by the share of UEs that it
    keeps. A block here always has the same number of UEs: the environment is kept with just
    that probability, then the missing UEs are drawn again.
    """
    while True:
        centres, cluster = _draw_regions(scenario, rng)
        ues = _draw_ues(scenario, scenario.ues_per_environment, rng)
        gain = _region_gain(scenario, _distances(ues, centres))
        blind = ~gain.any(axis=1)
        if rng.random() < blind.mean():
            continue
        while blind.any():
            ues[blind] = _draw_ues(scenario, int(blind.sum()), rng)
            gain[blind] = _region_gain(scenario, _distances(ues[blind], centres))
            blind = ~gain.any(axis=1)
        return ues, centres, cluster, gain


def _local_cluster(
    scenario: Scenario, centre: Real, ue: Real, rng: np.random.Generator
) -> tuple[Real, Real, Complex]:
    """Azimuth, delay, amplitude (ues, paths) of the flat clusters around BS or UEs (ues, 3)."""
    count = len(ue)
    shape = _draw_shapes(scenario, count, rng)
    length = LIGHT_SPEED * shape.delay / 2.0
    axes = np.stack([length, length, length / 20.0], axis=-1)
    normal = rng.standard_normal((count, scenario.paths_per_cluster, 3))
    scatterers = _place(normal, axes, np.zeros(count), centre)
    way = np.linalg.norm(scatterers, axis=-1)
    way = way + np.linalg.norm(scatterers - ue[:, None, :], axis=-1)
    gain = np.sqrt(shape.shadow)[:, None]
    amplitude = gain * _draw_amplitudes((count, scenario.paths_per_cluster), rng)
    return np.arctan2(scatterers[..., 1], scatterers[..., 0]), way / LIGHT_SPEED, amplitude


def draw_environment(scenario: Scenario, rng: np.random.Generator) -> Paths:
    """Draws one environment with its UEs, and every path from the BS to each of them."""
    ue_xy, centres, cluster, gain = _draw_visible(scenario, rng)
    ue = np.pad(ue_xy, ((0, 0), (0, 1)))
    count = len(ue)

    # One column per cluster that somebody sees; in several of its VRs the largest gain counts.
    used = np.unique(cluster[gain.any(axis=0)])
    first = np.searchsorted(cluster, used, side="left")
    last = np.searchsorted(cluster, used, side="right")
    bounds = np.stack([first, last], axis=1).ravel()
    padded = np.pad(gain, ((0, 0), (0, 1)))
    cluster_gain = np.maximum.reduceat(padded, bounds, axis=1)[:, ::2]
    reference = rng.integers(first, last)
    far = _draw_far_clusters(scenario, centres[reference], rng)

    # Pairs of a UE and a cluster that it sees, and the pair's place in the padded arrays.
    seer, seen = np.nonzero(cluster_gain)
    amounts = np.bincount(seer, minlength=count)
    slot = np.arange(len(seer)) - np.repeat(np.cumsum(amounts) - amounts, amounts)
    centre_way = np.linalg.norm(far.centre_bs, axis=-1)[seen]
    centre_way = centre_way + np.linalg.norm(far.centre_ue[seen] - ue[seer], axis=-1)
    direct = np.linalg.norm(ue, axis=-1) / LIGHT_SPEED
    excess = np.minimum(centre_way / LIGHT_SPEED + far.link_delay[seen], scenario.cutoff_delay)
    power = np.exp(-scenario.decay_per_second * (excess - direct[seer]))
    way = np.linalg.norm(far.scatterers_bs, axis=-1)[seen]
    way = way + np.linalg.norm(far.scatterers_ue[seen] - ue[seer][:, None, :], axis=-1)
    angle = np.arctan2(far.scatterers_bs[..., 1], far.scatterers_bs[..., 0])

    shape = (count, int(amounts.max()), scenario.paths_per_cluster)
    azimuth, delay = np.zeros(shape), np.zeros(shape)
    amplitude = np.zeros(shape, dtype=np.complex128)
    azimuth[seer, slot] = angle[seen]
    delay[seer, slot] = way / LIGHT_SPEED + far.link_delay[seen][:, None]
    amplitude[seer, slot] = (
        far.amplitude[seen] * (cluster_gain[seer, seen] * np.sqrt(power))[:, None]
    )
    parts = [(azimuth.reshape(count, -1), delay.reshape(count, -1), amplitude.reshape(count, -1))]
    if scenario.bs_local_cluster:
        # Every link draws its own scatterers around the BS, as the reference model does.
        parts.append(_local_cluster(scenario, np.zeros_like(ue), ue, rng))
    parts.append(_local_cluster(scenario, ue, ue, rng))
    if scenario.k_factor is not None:
        k_factor = _spread(scenario.k_factor, rng.standard_normal(1))
        total = sum(np.sum(np.abs(part[2]) ** 2, axis=1) for part in parts)
        line_of_sight = np.sqrt(k_factor * total).astype(np.complex128)
        parts.append(
            (np.arctan2(ue[:, 1], ue[:, 0])[:, None], direct[:, None], line_of_sight[:, None])
        )
    return Paths(
        azimuth=np.concatenate([part[0] for part in parts], axis=1),
        delay=np.concatenate([part[1] for part in parts], axis=1),
        amplitude=np.concatenate([part[2] for part in parts], axis=1),
        ue_xy=ue_xy,
    )
