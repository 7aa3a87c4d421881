"""The closed form against plain sums, and against the reference model's matrices."""

import numpy as np
import pytest
from reference_samples import path_lists

from csideploy.channels.parameters import SCENARIOS
from csideploy.channels.synthesis import SPACING, SUBCARRIERS, angular_delay
from csideploy.channels.transform import to_angular_delay

LOW = 5.29e9


def frequency_response(azimuth, delay, amplitude):
    """(1, subcarrier, antenna), the two exponentials multiplied out."""
    frequency = LOW + SPACING * np.arange(SUBCARRIERS)
    in_frequency = np.exp(-2j * np.pi * np.outer(frequency, delay))
    in_space = np.exp(-1j * np.pi * np.outer(np.cos(azimuth), np.arange(32)))
    return ((amplitude * in_frequency) @ in_space)[None]


def test_closed_form_equals_the_transforms():
    rng = np.random.default_rng(1)
    azimuth = rng.uniform(-np.pi, np.pi, (4, 50))
    delay = rng.uniform(0, 3e-6, (4, 50))
    amplitude = rng.standard_normal((4, 50)) + 1j * rng.standard_normal((4, 50))
    h = angular_delay(azimuth, delay, amplitude, LOW)
    direct = np.concatenate(
        [
            to_angular_delay(frequency_response(*paths))
            for paths in zip(azimuth, delay, amplitude, strict=True)
        ]
    )
    # float32 products of kernels that are computed in float64
    assert np.abs(h - direct).max() <= 2e-6 * np.abs(direct).max()


@pytest.mark.parametrize("tap", [0, 1, 31, 257, 300])
@pytest.mark.parametrize("cosine", [0.0, 1.0, -1.0, 0.25])
@pytest.mark.parametrize("offset", [0.0, 1e-13, -1e-11, 1e-8, 1e-4])
def test_paths_on_and_beside_the_grid(tap, cosine, offset):
    delay = np.array([[(tap + offset) / (SUBCARRIERS * SPACING)]])
    azimuth = np.array([[np.arccos(cosine)]])
    amplitude = np.ones((1, 1), dtype=complex)
    h = angular_delay(azimuth, delay, amplitude, LOW)
    direct = to_angular_delay(frequency_response(azimuth[0], delay[0], amplitude[0]))
    # Phases of 5.29 GHz times microseconds leave 1e-11 of a turn in float64.
    assert np.abs(h - direct).max() <= 1e-5
    assert np.isfinite(h).all()


def test_many_paths_are_summed_in_slices_without_loss():
    rng = np.random.default_rng(2)
    azimuth, delay = rng.uniform(-3, 3, (1, 700)), rng.uniform(0, 2e-6, (1, 700))
    amplitude = rng.standard_normal((1, 700)) + 0j
    h = angular_delay(azimuth, delay, amplitude, LOW)
    direct = to_angular_delay(frequency_response(azimuth[0], delay[0], amplitude[0]))
    assert np.abs(h - direct).max() <= 5e-6 * np.abs(direct).max()


@pytest.mark.parametrize("scenario", ["indoor", "outdoor"])
def test_reference_paths_give_the_reference_matrices(reference_dir, scenario):
    worst = 0.0
    for paths in path_lists(reference_dir, scenario):
        h = angular_delay(
            paths.azimuth[None],
            paths.delay[None],
            paths.amplitude[None],
            SCENARIOS[scenario].frequency_low,
        )[0]
        worst = max(worst, float(np.abs(h - paths.h).max()) / paths.absmax)
    # The reference is stored in float16: half a step of 2^-11 in re and im each, of values near 1.
    assert worst <= 6e-4
