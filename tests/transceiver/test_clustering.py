"""Lloyd and DKM against their formulas in plain loops; what may go wrong with a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import features
from scipy.cluster.vq import kmeans2  # type: ignore[import-untyped]

from csideploy.errors import InputError
from csideploy.transceiver.clustering import (
    assign,
    check_start,
    dkm,
    error,
    lloyd,
    nearest_neighbour,
    plus_plus,
)


def weights(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).integers(1, 20, count).astype(np.float64)


def test_lloyd_is_scipys() -> None:
    x = features(800, 1)
    start = x[:16]
    ours, _ = lloyd(x, start, np.ones(800), iterations=12)
    theirs, _ = kmeans2(x.astype(np.float64), start.astype(np.float64), iter=12, minit="matrix")
    # Centroids within +-1 rounded to float32 at every step, no cell changing hands by that.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


def test_whole_weights_are_repetitions() -> None:
    x, w = features(200, 2), weights(200, 3)
    repeated = np.repeat(x, w.astype(int), axis=0)
    ours, of_ours = lloyd(x, x[:8], w, iterations=20)
    theirs, of_theirs = lloyd(repeated, x[:8], np.ones(len(repeated)), iterations=20)
    # Sums in float64, a rounding to float32 each.
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert of_ours == pytest.approx(of_theirs, rel=1e-6)


def test_the_error_never_rises() -> None:
    x, w = features(500, 4), weights(500, 5)
    errors = [lloyd(x, x[:20], w, iterations=i)[1] for i in range(15)]
    # Distances in float32: 2^-24 of the squared norms of up to 12.
    assert (np.diff(errors) <= 12 * 2**-22).all()
    assert errors[-1] < 0.8 * errors[0]


def test_error_is_the_weighted_mean() -> None:
    x, w = features(300, 6), weights(300, 7)
    squared = np.square(x[:, None].astype(np.float64) - x[None, :9]).sum(axis=2).min(axis=1)
    # Squares of float32 differences.
    assert error(x, x[:9], w) == pytest.approx(np.average(squared, weights=w), rel=1e-5)


def test_empty_cells_are_filled() -> None:
    x = features(400, 8)
    start = np.concatenate([x[:4], np.full((4, x.shape[1]), 50, np.float32)])
    centres, _ = lloyd(x, start, np.ones(400), iterations=30)
    assert len(np.unique(assign(x, centres)[0])) == 8


def test_fewer_points_than_centres() -> None:
    x = features(5, 9)
    start = np.full((8, x.shape[1]), 3, np.float32)
    centres, left = lloyd(x, start, np.ones(5), iterations=10)
    assert np.isfinite(centres).all()
    # Every point has a centre of its own: what is left is rounding.
    assert left <= 1e-12


def test_progress_ends_whole() -> None:
    seen: list[tuple[int, int]] = []
    x = features(100, 10)
    lloyd(x, x[:3], np.ones(100), iterations=60, progress=lambda d, t: seen.append((d, t)))
    assert seen[-1] == (60, 60)
    assert len(seen) < 60  # it stopped by itself


def test_plus_plus_draws_every_point_once() -> None:
    x = features(64, 11)
    drawn = plus_plus(x, np.ones(64), 64, np.random.default_rng(0))
    assert len(np.unique(drawn, axis=0)) == 64


def test_plus_plus_takes_weighted_points_first() -> None:
    x = features(64, 12)
    w = np.zeros(64)
    w[10:20] = 1
    drawn = plus_plus(x, w, 12, np.random.default_rng(0))
    known = {row.tobytes() for row in x[10:20]}
    assert {row.tobytes() for row in drawn[:10]} == known
    assert len({row.tobytes() for row in drawn}) == 12


def test_plus_plus_of_one_point_many_times() -> None:
    x = np.repeat(features(1, 13), 6, axis=0)
    assert plus_plus(x, np.ones(6), 4, np.random.default_rng(0)).shape == (4, x.shape[1])


def test_plus_plus_goes_where_the_distance_is() -> None:
    # Nine points in one place, one far away: the second centre is the far one.
    x = np.concatenate([np.zeros((9, 3)), np.full((1, 3), 100.0)]).astype(np.float32)
    x[:9] += np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32) * 1e-3
    for seed in range(20):
        drawn = plus_plus(x, np.ones(10), 2, np.random.default_rng(seed))
        assert (drawn > 50).all(axis=1).sum() == 1


def test_plus_plus_in_batches() -> None:
    x = features(5000, 14)
    drawn = plus_plus(x, np.ones(5000), 4096, np.random.default_rng(0))
    # Two of a batch may be one point: rare.
    assert len(np.unique(drawn, axis=0)) > 3900


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_a_step_of_dkm(temperature: float) -> None:
    x, w = features(40, 15), weights(40, 16)
    made, left = dkm(x, x[:4], w, temperature, iterations=1)
    attention = np.zeros((40, 4))
    for i in range(40):
        distances = [np.linalg.norm(x[i].astype(np.float64) - x[j]) for j in range(4)]
        soft = np.exp(-np.array(distances) / temperature)
        attention[i] = soft / soft.sum()
    for j in range(4):
        mean = sum(w[i] * attention[i, j] * x[i].astype(np.float64) for i in range(40))
        mean /= sum(w[i] * attention[i, j] for i in range(40))
        # Distances of a word to itself are square roots of rounding, 1e-8; a float32 at the end.
        np.testing.assert_allclose(made[j], mean, rtol=0, atol=2e-6)
    assert left == pytest.approx(error(x, made, w), rel=1e-12)


def test_dkm_at_no_temperature_is_lloyd() -> None:
    x, w = features(300, 17), weights(300, 18)
    hard, _ = lloyd(x, x[:8], w, iterations=100)
    soft, _ = dkm(x, x[:8], w, 1e-6, iterations=100, accuracy=0)
    # Both float32, at the same fixed point.
    np.testing.assert_allclose(soft, hard, rtol=0, atol=1e-5)


def test_dkm_at_a_high_temperature_is_the_mean() -> None:
    x, w = features(300, 19), weights(300, 20)
    made, _ = dkm(x, x[:8], w, 1e4, iterations=100)
    mean = np.average(x, axis=0, weights=w)
    # What is left of the attention's differences: distances of up to 7 over the temperature.
    np.testing.assert_allclose(made, np.broadcast_to(mean, made.shape), rtol=0, atol=1e-3)


def test_nearest_neighbour() -> None:
    x = features(50, 21)
    apart = np.sqrt(np.square(x[:, None].astype(np.float64) - x[None]).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    assert nearest_neighbour(x) == pytest.approx(np.median(apart.min(axis=1)), rel=1e-9)


def test_bad_start() -> None:
    with pytest.raises(InputError, match=r"start 'grid': one of kmeans\+\+, sample"):
        check_start("grid")
