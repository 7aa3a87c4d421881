"""Do two sets of CSI samples come from one distribution? Second-order statistics, with bands.

Five statistics of the samples, each scaled by its own max|H|:

- delay profile and angle profile: mean share of a sample's energy in each tap and each row;
- percentiles of the rms delay spread over the kept taps, in taps;
- pixel variance: mean of (x - 0.5)^2, x = 0.5 + H / (2 max|H|);
- PCA energy curve: share of the energy in the k strongest principal components of the real
  (re, im) pixels. It depends on the number of rows fitted, so that the candidate is cut into
  parts of the reference's size and their curves are averaged.

The band comes from a bootstrap of the reference that draws whole environments, since rows of one
environment are not independent. With T the statistic of the reference, T* those of the bootstrap
and s their standard deviation, the band is

    |candidate - T| <= q s sqrt(1 + n_reference / n_candidate)

- q is the 99 % quantile of max_j |T*_j - T_j| / s_j over all points j of the curve. A band made
  of pointwise 99 % intervals would be left by a curve of 32 points in one of four cases.
- The root adds the candidate's own sampling error: under the hypothesis that is tested, it has
  the same variance per row.
- The bootstrap of a PCA curve is biased, since a sample with repeated rows has fewer directions.
  But to first order the sum of the k largest eigenvalues changes by trace(P_k dC), P_k the
  projection on the k leading eigenvectors, so that they stay fixed: the replicate is the
  share of the redrawn rows' energy inside P_k.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.float64]

PERCENTILES = (5, 10, 25, 50, 75, 90, 95)
COMPONENTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
CONFIDENCE = 0.99


@dataclass(frozen=True)
class Comparison:
    """One statistic of both sets: `reference`, `candidate`, `margin` are (points,)."""

    name: str
    points: tuple[int, ...]
    reference: Real
    candidate: Real
    margin: Real

    @property
    def inside(self) -> bool:
        """True when the candidate is within the band at every point."""
        return self.worst <= 1.0

    @property
    def worst(self) -> float:
        """Largest deviation in units of the margin."""
        return float(np.max(np.abs(self.candidate - self.reference) / self.margin))


def _power(h: NDArray[np.complex64]) -> Real:
    return np.asarray(np.abs(h) ** 2, dtype=np.float64)


def _energy_shares(h: NDArray[np.complex64]) -> Real:
    power = _power(h)
    return np.asarray(power / power.sum(axis=(1, 2), keepdims=True))


def delay_profile(h: NDArray[np.complex64]) -> Real:
    """Share of each sample's energy by tap: (n, delay) from (n, angle, delay)."""
    return np.asarray(_energy_shares(h).sum(axis=1))


def angle_profile(h: NDArray[np.complex64]) -> Real:
    """Share of each sample's energy by angle row: (n, angle) from (n, angle, delay)."""
    return np.asarray(_energy_shares(h).sum(axis=2))


def rms_delay_spread(h: NDArray[np.complex64]) -> Real:
    """Square root of the second central moment of the delay profile, in taps: (n,)."""
    profile = delay_profile(h)
    taps = np.arange(profile.shape[1])
    mean = profile @ taps
    return np.sqrt(np.maximum(profile @ taps**2 - mean**2, 0.0))


def pixel_variance(h: NDArray[np.complex64]) -> Real:
    """Mean of (x - 0.5)^2 over a sample's 2 x angle x delay pixels: (n,)."""
    power = _power(h)
    return np.asarray(power.mean(axis=(1, 2)) / (8.0 * power.max(axis=(1, 2))))


def _pixels(h: NDArray[np.complex64]) -> NDArray[np.float32]:
    """(n, 2 x angle x delay), scaled by max|H|."""
    scaled = h / np.abs(h).max(axis=(1, 2), keepdims=True)
    return np.concatenate([scaled.real, scaled.imag], axis=1).reshape(len(h), -1)


def _principal(pixels: NDArray[np.float32]) -> tuple[Real, NDArray[np.float32]]:
    """Eigenvalues (descending) and eigenvectors (columns) of the second moment."""
    # The mean is zero by the paths' random phases: it is known, not estimated.
    values, vectors = np.linalg.eigh(pixels.T @ pixels)
    return values[::-1].astype(np.float64), vectors[:, ::-1]


def _energy_curve(pixels: NDArray[np.float32]) -> Real:
    small = pixels if len(pixels) < pixels.shape[1] else pixels.T
    values = np.linalg.eigvalsh(small @ small.T)[::-1].astype(np.float64)
    shares = np.cumsum(values) / values.sum()
    return np.asarray(shares[[count - 1 for count in COMPONENTS]])


def _block_sums(rows: Real, block: int) -> Real:
    """(blocks, points) from (n, points); a short last block counts as it is."""
    return np.add.reduceat(rows, np.arange(0, len(rows), block), axis=0)


def _compare(
    name: str,
    points: tuple[int, ...],
    reference: Real,
    candidate: Real,
    replicates: Real,
    error_ratio: float,
) -> Comparison:
    deviation = replicates.std(axis=0)
    largest = np.max(np.abs(replicates - reference) / deviation, axis=1)
    quantile = np.quantile(largest, CONFIDENCE)
    margin = quantile * deviation * np.sqrt(1.0 + error_ratio)
    return Comparison(name, points, reference, candidate, margin)


def _weighted_percentiles(values: Real, weights: Real, chunk: int = 100) -> Real:
    """(replicates, percentiles) of values (n,) under integer weights (replicates, n)."""
    order = np.argsort(values)
    ordered = values[order]
    result = np.empty((len(weights), len(PERCENTILES)))
    for start in range(0, len(weights), chunk):
        running = np.cumsum(weights[start : start + chunk, order], axis=1)
        levels = running[:, -1:] * (np.asarray(PERCENTILES) / 100.0)
        for row, (sums, level) in enumerate(zip(running, levels, strict=True)):
            at = np.minimum(np.searchsorted(sums, level), len(ordered) - 1)
            result[start + row] = ordered[at]
    return result


def compare(
    reference: NDArray[np.complex64],
    candidate: NDArray[np.complex64],
    block: int,
    *,
    replicates: int = 2000,
    seed: int = 0,
) -> list[Comparison]:
    """Compares a candidate with a reference, statistic by statistic.

    Args:
        reference: (n, angle, delay), rows of an environment following one another.
        candidate: (m, angle, delay), m >= n.
        block: rows that share an environment.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    rng = np.random.default_rng(seed)
    blocks = -(-len(reference) // block)
    drawn = rng.multinomial(blocks, np.full(blocks, 1.0 / blocks), replicates).astype(np.float64)
    rows = drawn @ _block_sums(np.ones((len(reference), 1)), block)
    error_ratio = len(reference) / len(candidate)
    results = []

    def by_mean(name: str, of_reference: Real, of_candidate: Real) -> None:
        first, second = of_reference.reshape(len(reference), -1), of_candidate.reshape(
            len(candidate), -1
        )
        redrawn = drawn @ _block_sums(first, block) / rows
        points = tuple(range(first.shape[1]))
        results.append(
            _compare(name, points, first.mean(0), second.mean(0), redrawn, error_ratio)
        )

    by_mean("delay profile", delay_profile(reference), delay_profile(candidate))
    by_mean("angle profile", angle_profile(reference), angle_profile(candidate))
    by_mean("pixel variance", pixel_variance(reference), pixel_variance(candidate))

    spread = rms_delay_spread(reference)
    redrawn = _weighted_percentiles(spread, drawn[:, np.arange(len(reference)) // block])
    results.append(
        _compare(
            "rms delay spread",
            PERCENTILES,
            np.percentile(spread, PERCENTILES),
            np.percentile(rms_delay_spread(candidate), PERCENTILES),
            redrawn,
            error_ratio,
        )
    )

    pixels = _pixels(reference)
    values, vectors = _principal(pixels)
    caught = np.cumsum((pixels @ vectors[:, : max(COMPONENTS)]) ** 2, axis=1, dtype=np.float64)
    caught = caught[:, [count - 1 for count in COMPONENTS]]
    total = np.sum(pixels**2, axis=1, dtype=np.float64)[:, None]
    redrawn = (drawn @ _block_sums(caught, block)) / (drawn @ _block_sums(total, block))
    parts = len(candidate) // len(reference)
    curves = [
        _energy_curve(_pixels(candidate[part * len(reference) : (part + 1) * len(reference)]))
        for part in range(parts)
    ]
    results.append(
        _compare(
            "PCA energy",
            COMPONENTS,
            np.cumsum(values)[[count - 1 for count in COMPONENTS]] / values.sum(),
            np.mean(curves, axis=0),
            redrawn,
            1.0 / parts,
        )
    )
    return results
