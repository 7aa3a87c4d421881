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

from csideploy.errors import InputError

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


def _power(h: NDArray[np.complex64]) -> NDArray[np.float32]:
    return h.real**2 + h.imag**2


def _shares(power: NDArray[np.float32], axis: int) -> Real:
    """Energy left when `axis` is summed over, per sample adding up to 1."""
    profile = power.sum(axis=axis, dtype=np.float64)
    return np.asarray(profile / profile.sum(axis=1, keepdims=True))


def _spread(profile: Real) -> Real:
    taps = np.arange(profile.shape[1])
    mean = profile @ taps
    return np.asarray(np.sqrt(np.maximum(profile @ taps**2 - mean**2, 0.0)))


def _variance(power: NDArray[np.float32]) -> Real:
    mean = power.mean(axis=(1, 2), dtype=np.float64)
    return np.asarray(mean / (8.0 * power.max(axis=(1, 2))))


def delay_profile(h: NDArray[np.complex64]) -> Real:
    """Share of each sample's energy by tap: (n, delay) from (n, angle, delay)."""
    return _shares(_power(h), axis=1)


def angle_profile(h: NDArray[np.complex64]) -> Real:
    """Share of each sample's energy by angle row: (n, angle) from (n, angle, delay)."""
    return _shares(_power(h), axis=2)


def rms_delay_spread(h: NDArray[np.complex64]) -> Real:
    """Square root of the second central moment of the delay profile, in taps: (n,)."""
    return _spread(delay_profile(h))


def pixel_variance(h: NDArray[np.complex64]) -> Real:
    """Mean of (x - 0.5)^2 over a sample's 2 x angle x delay pixels: (n,)."""
    return _variance(_power(h))


def _row_statistics(h: NDArray[np.complex64]) -> dict[str, Real]:
    """What is averaged over samples: (n, points) each."""
    power = _power(h)
    return {
        "delay profile": _shares(power, axis=1),
        "angle profile": _shares(power, axis=2),
        "pixel variance": _variance(power)[:, None],
    }


def _pixels(h: NDArray[np.complex64]) -> NDArray[np.float32]:
    """(n, 2 x angle x delay), scaled by max|H|."""
    scaled = h / np.abs(h).max(axis=(1, 2), keepdims=True)
    return np.concatenate([scaled.real, scaled.imag], axis=1).reshape(len(h), -1)


def _principal(pixels: NDArray[np.float32]) -> tuple[Real, NDArray[np.float32]]:
    """Eigenvalues (descending) and eigenvectors (columns) of the second moment."""
    # The mean is zero by the paths' random phases: it is known, not estimated.
    values, vectors = np.linalg.eigh(pixels.T @ pixels)
    return np.asarray(values[::-1], dtype=np.float64), vectors[:, ::-1]


def _energy_curve(pixels: NDArray[np.float32]) -> Real:
    """Share of the energy in the first k components, at every k from 1 to min(n, pixels)."""
    small = pixels if len(pixels) < pixels.shape[1] else pixels.T
    values = np.linalg.eigvalsh(small @ small.T)[::-1].astype(np.float64)
    return np.asarray(np.cumsum(values) / values.sum())


class _Bootstrap:
    """Replicates of a reference's statistics: whole blocks drawn with replacement."""

    def __init__(self, rows: int, block: int, replicates: int, seed: int) -> None:
        self.block_of_row = np.arange(rows) // block
        blocks = int(self.block_of_row[-1]) + 1
        rng = np.random.default_rng(seed)
        even = np.full(blocks, 1.0 / blocks)
        self.weights = rng.multinomial(blocks, even, replicates).astype(np.float64)

    def sums(self, rows: Real) -> Real:
        """(replicates, points) from (n, points)."""
        first = np.searchsorted(self.block_of_row, np.arange(self.block_of_row[-1] + 1))
        return np.asarray(self.weights @ np.add.reduceat(rows, first, axis=0))

    def means(self, rows: Real) -> Real:
        """(replicates, points) from (n, points); a short last block counts by its rows."""
        return self.sums(rows) / self.sums(np.ones((len(rows), 1)))

    def percentiles(self, values: Real) -> Real:
        """(replicates, percentiles) from (n,)."""
        order = np.argsort(values)
        ordered, block = values[order], self.block_of_row[order]
        result = np.empty((len(self.weights), len(PERCENTILES)))
        for row, weights in enumerate(self.weights):
            running = np.cumsum(weights[block])
            levels = running[-1] * (np.asarray(PERCENTILES) / 100.0)
            result[row] = ordered[np.minimum(np.searchsorted(running, levels), len(ordered) - 1)]
        return result


def _judge(
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


def _judge_means(name: str, reference: Real, candidate: Real, bootstrap: _Bootstrap) -> Comparison:
    """Compares means over rows: (n, points) and (m, points)."""
    return _judge(
        name,
        tuple(range(reference.shape[1])),
        reference.mean(axis=0),
        candidate.mean(axis=0),
        bootstrap.means(reference),
        len(reference) / len(candidate),
    )


def _judge_percentiles(
    name: str, reference: Real, candidate: Real, bootstrap: _Bootstrap
) -> Comparison:
    return _judge(
        name,
        PERCENTILES,
        np.percentile(reference, PERCENTILES),
        np.percentile(candidate, PERCENTILES),
        bootstrap.percentiles(reference),
        len(reference) / len(candidate),
    )


def _judge_energy_curves(
    reference: NDArray[np.complex64], candidate: NDArray[np.complex64], bootstrap: _Bootstrap
) -> Comparison:
    pixels = _pixels(reference)
    rows = len(reference)
    components = tuple(k for k in COMPONENTS if k < min(pixels.shape))
    at = np.asarray(components) - 1
    values, vectors = _principal(pixels)
    inside = np.cumsum((pixels @ vectors[:, : components[-1]]) ** 2, axis=1, dtype=np.float64)
    total = np.asarray((pixels**2).sum(axis=1, keepdims=True), dtype=np.float64)
    parts = len(candidate) // rows
    curves = [
        _energy_curve(_pixels(candidate[part * rows : (part + 1) * rows]))[at]
        for part in range(parts)
    ]
    return _judge(
        "PCA energy",
        components,
        np.asarray(np.cumsum(values) / values.sum())[at],
        np.asarray(np.mean(curves, axis=0)),
        bootstrap.sums(inside[:, at]) / bootstrap.sums(total),
        1.0 / parts,
    )


def compare(
    reference: NDArray[np.complex64],
    candidate: NDArray[np.complex64],
    block: int,
    *,
    energy_curve: bool = True,
    replicates: int = 2000,
    seed: int = 0,
) -> list[Comparison]:
    """Compares a candidate with a reference, statistic by statistic.

    Args:
        reference: (n, angle, delay), rows of an environment following one another.
        candidate: (m, angle, delay), m >= n.
        block: rows that share an environment.
        energy_curve: take the PCA energy curve too, which costs most of the time.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: the matrices differ in size, or the candidate has fewer rows.
    """
    if reference.shape[1:] != candidate.shape[1:] or len(candidate) < len(reference):
        raise InputError(
            f"candidate of shape {candidate.shape}, reference of shape {reference.shape}: "
            "matrices of one size are needed, and no fewer in the candidate"
        )
    bootstrap = _Bootstrap(len(reference), block, replicates, seed)
    first, second = _row_statistics(reference), _row_statistics(candidate)
    results = [_judge_means(name, first[name], second[name], bootstrap) for name in first]
    results.append(
        _judge_percentiles(
            "rms delay spread",
            _spread(first["delay profile"]),
            _spread(second["delay profile"]),
            bootstrap,
        )
    )
    if energy_curve:
        results.append(_judge_energy_curves(reference, candidate, bootstrap))
    return results
