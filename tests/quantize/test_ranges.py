"""Scales: the search beats the plain range, and what must be exact is."""

import numpy as np
import pytest

from csideploy.export.quantize.ranges import Scale, eight, exact, sixteen


def square_error(scale: Scale, values: np.ndarray) -> float:
    return float(np.mean((scale.fake(values).astype(np.float64) - values) ** 2))


def plain(values: np.ndarray) -> Scale:
    """From the least to the greatest."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    step = float(np.float32((high - low) / 255))
    return Scale(step, round(-low / step), 8)


@pytest.mark.parametrize("seed", range(3))
def test_the_search_beats_the_plain_range(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Of 60,000 the largest is beyond 4.2 deviations; 8 bits do best with about 3.9.
    values = random.normal(0.1, 1.0, 60000).astype(np.float32)
    found = eight(values, float(values.min()), float(values.max()))
    assert square_error(found, values) < 0.95 * square_error(plain(values), values)


def test_no_worse_where_nothing_is_large() -> None:
    values = np.random.default_rng(1).uniform(-0.3, 0.9, 20000).astype(np.float32)
    found = eight(values, float(values.min()), float(values.max()))
    # 5 %: the histogram's bins stand for their centres.
    assert square_error(found, values) < 1.05 * square_error(plain(values), values)


@pytest.mark.parametrize("low", [-3.0, 0.0, 0.4])
def test_zero_is_a_code(low: float) -> None:
    values = np.random.default_rng(2).uniform(low, 2.0, 5000).astype(np.float32)
    for scale in (eight(values, low, 2.0), sixteen(low, 2.0)):
        assert scale.fake(np.zeros(1, np.float32))[0] == 0.0
        assert scale.fake(np.float32([2.0]))[0] == pytest.approx(2.0, rel=0.15)


@pytest.mark.parametrize("bits", range(1, 8))
def test_uniform_levels_are_exact(bits: int) -> None:
    levels = ((np.arange(2**bits) + 0.5) / 2**bits).astype(np.float32)
    np.testing.assert_array_equal(exact(bits).fake(levels), levels)


def test_sixteen_bits_have_headroom() -> None:
    scale = sixteen(-2.0, 1.0)
    assert scale.dtype == np.int16
    assert scale.zero == 0
    assert scale.fake(np.float32([-2.4]))[0] == pytest.approx(-2.4, abs=1e-4)


def test_nothing_but_zeros() -> None:
    assert eight(np.zeros(10, np.float32), 0.0, 0.0).fake(np.zeros(1, np.float32))[0] == 0.0
    assert sixteen(0.0, 0.0).scale > 0
