"""Domains and scales: against plain sums, and there and back."""

import numpy as np
import pytest

from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.transform import to_angular_delay, to_frequency
from csideploy.errors import InputError


def noise(*shape, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize(("subcarriers", "antennas", "delays"), [(257, 32, 32), (48, 6, 5)])
def test_transform_is_the_double_sum(subcarriers, antennas, delays):
    h = noise(3, subcarriers, antennas)
    k, n = np.arange(subcarriers), np.arange(antennas)
    by_delay = np.exp(2j * np.pi * np.outer(np.arange(delays), k) / subcarriers) / subcarriers
    rows = np.arange(antennas) - antennas // 2
    by_angle = np.exp(-2j * np.pi * np.outer(rows, n) / antennas) / np.sqrt(antennas)
    expected = np.einsum("lk,an,skn->sal", by_delay, by_angle, h)
    np.testing.assert_allclose(to_angular_delay(h, delays), expected, atol=1e-6)


@pytest.mark.parametrize("antennas", [32, 7])
def test_there_and_back(antennas):
    h = noise(4, antennas, 32)
    freq = to_frequency(h)
    assert freq.shape == (4, 257, antennas)
    # complex64 rounding of values near 1
    np.testing.assert_allclose(to_angular_delay(freq), h, atol=2e-6)


def test_energy_is_kept_up_to_the_factor_of_the_ifft():
    h = noise(2, 32, 32)
    assert np.linalg.norm(to_frequency(h)) ** 2 == pytest.approx(257 * np.linalg.norm(h) ** 2)


def test_scaling_there_and_back():
    h = noise(5, 32, 32) * 9
    x, absmax = to_input(h)
    assert x.dtype == np.float32
    assert x.shape == (5, 2, 32, 32)
    assert x.min() >= 0.0
    assert x.max() <= 1.0
    np.testing.assert_allclose(absmax, np.abs(h).max(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_allclose(from_input(x) * absmax[:, None, None], h, atol=1e-5)


def test_wrong_shapes_are_refused():
    with pytest.raises(InputError, match="delay taps"):
        to_angular_delay(noise(2, 16, 8))
    with pytest.raises(InputError, match="cannot hold"):
        to_frequency(noise(2, 32, 32), subcarriers=16)
    with pytest.raises(InputError, match="subcarrier, antenna"):
        to_angular_delay(np.ones((2, 64, 8)))
    with pytest.raises(InputError, match="angle, delay"):
        to_input(noise(2, 16))
    with pytest.raises(InputError, match="sample 1 is zero"):
        to_input(noise(3, 4, 4) * np.array([1, 0, 1])[:, None, None])
    with pytest.raises(InputError, match="planes"):
        from_input(np.ones((2, 3, 4, 4)))
