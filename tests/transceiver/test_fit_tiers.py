"""Residual codebooks from features: each tier is Lloyd's on what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import WIDTH, error, features

from csideploy.errors import InputError
from csideploy.transceiver.codebooks import decode, encode, fit_tiers
from csideploy.transceiver.tiers import left_over


@pytest.mark.parametrize("start", ["kmeans++", "sample"])
def test_each_tier_lowers_the_error(start: Any) -> None:
    x, fresh = features(3000, 1), features(1000, 2)
    tiers = fit_tiers(x, (4, 5, 3), seed=0, start=start)
    assert [t.shape for t in tiers] == [(16, WIDTH), (32, WIDTH), (8, WIDTH)]
    assert all(t.dtype == np.float32 for t in tiers)
    errors = [error(tiers[:n], fresh) for n in (1, 2, 3)]
    assert errors[0] < 0.5 * float(x.var(axis=0).sum())
    assert errors[1] < 0.8 * errors[0]
    assert errors[2] < 0.95 * errors[1]


def test_words_are_the_means_of_their_cells() -> None:
    x = features(2000, 3)
    tiers = fit_tiers(x, (3, 3), seed=1, iterations=400)
    indices = encode(x, tiers)
    left = x.astype(np.float64)
    for t, tier in enumerate(tiers):
        for j, word in enumerate(tier):
            # Rounding to float32, here and in the residuals.
            np.testing.assert_allclose(word, left[indices[:, t] == j].mean(axis=0), atol=1e-6)
        left -= tier[indices[:, t]]


def test_a_tier_depends_on_the_ones_before_it_alone() -> None:
    x = features(1000, 4)
    one, two = fit_tiers(x, (4,), seed=5), fit_tiers(x, (4, 4), seed=5)
    np.testing.assert_array_equal(one[0], two[0])
    further = fit_tiers(left_over(x, one), (4,), seed=5, first=1)
    np.testing.assert_array_equal(further[0], two[1])
    assert (fit_tiers(x, (4,), seed=6)[0] != one[0]).any()


def test_left_over() -> None:
    x = features(1000, 5)
    tiers = fit_tiers(x, (4, 4), seed=0)
    expected = x - decode(encode(x, tiers), tiers)
    # Two subtractions in float32 of numbers within +-2.
    np.testing.assert_allclose(left_over(x, tiers), expected, rtol=0, atol=4 * 2**-23)


def test_the_features_stay() -> None:
    x = features(500, 6)
    copy = x.copy()
    fit_tiers(x, (3, 3), seed=0)
    np.testing.assert_array_equal(x, copy)


def test_progress_rises_to_the_end() -> None:
    seen: list[tuple[int, int]] = []
    fit_tiers(features(300, 7), (2, 2), seed=0, progress=lambda d, t: seen.append((d, t)))
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)
    assert seen[-1] == (100, 100)


@pytest.mark.parametrize(
    ("x", "tiers", "start", "says"),
    [
        (features(20, 8), (5,), "sample", "20 features for 32 codewords"),
        (features(20, 8), (), "sample", "tiers"),
        (features(20, 8), (0,), "sample", "tiers"),
        (features(20, 8), (17,), "sample", "1 to 16 bits"),
        (features(20, 8), (2,), "middle", "start 'middle'"),
        (np.float32(3.0) * np.ones(5), (2,), "sample", "features"),
        (np.full((9, 3), np.nan), (2,), "sample", "not finite"),
    ],
)
def test_bad_input(x: Any, tiers: Any, start: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        fit_tiers(x, tiers, seed=0, start=start)
