"""WMMSE: above what it starts from, at a stationary point, within its power."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels
from scipy.optimize import minimize

from csideploy.baselines.wmmse import wmmse
from csideploy.baselines.zero_forcing import mrt, rzf, zf
from csideploy.errors import InputError
from csideploy.transceiver.rate import sum_rate


@pytest.mark.parametrize("snr", [0.1, 10.0, 1e4])
@pytest.mark.parametrize("users", [1, 2, 4, 6])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_never_below_the_others(users: int, snr: float, spread: float) -> None:
    h = channels((40, users, 4), 100 + users, spread=spread)
    w = wmmse(h, snr)
    np.testing.assert_allclose(np.square(np.abs(w)).sum(axis=(1, 2)), 1, rtol=1e-12)
    reached = sum_rate(h, w, snr)
    for start in (rzf(h, snr), mrt(h), zf(h)):
        assert (reached >= sum_rate(h, start, snr)).all()


def test_more_steps_are_never_worse() -> None:
    h = channels((30, 4, 8), 1, spread=2.0)
    rates = [sum_rate(h, wmmse(h, 10.0, iterations=i), 10.0) for i in (0, 1, 2, 5, 20, 100)]
    # Beside rates of some 10: double precision.
    assert (np.diff(rates, axis=0) >= -1e-9).all()
    assert rates[-1].mean() > 1.02 * rates[0].mean()


def test_no_steps_are_the_best_start() -> None:
    h = channels((30, 4, 8), 2)
    starts = [sum_rate(h, w, 10.0) for w in (rzf(h, 10.0), mrt(h), zf(h))]
    reached = sum_rate(h, wmmse(h, 10.0, iterations=0, random=0), 10.0)
    np.testing.assert_array_equal(reached, np.max(starts, axis=0))


def test_one_user_is_matched() -> None:
    h = channels((10, 1, 4), 3)
    expected = np.log2(1 + 5 * np.square(np.linalg.norm(h, axis=2))[:, 0])
    np.testing.assert_allclose(sum_rate(h, wmmse(h, 5.0), 5.0), expected, rtol=1e-12)


def test_users_that_do_not_disturb_share_by_water_filling() -> None:
    # Orthogonal channels of gains 4 and 1 at SNR 2: mu - 1/8 + mu - 1/2 = 1.
    h = np.array([[[2, 0], [0, 1j]]], complex)
    level = (1 + 1 / 8 + 1 / 2) / 2
    expected = np.log2(level * 8) + np.log2(level * 2)
    w = wmmse(h, 2.0)
    # It stops when a step gains 1e-7 bit.
    assert sum_rate(h, w, 2.0)[0] == pytest.approx(expected, abs=1e-5)
    np.testing.assert_allclose(
        np.square(np.abs(w))[0, [0, 1], [0, 1]], level - np.array([1 / 8, 1 / 2]), atol=1e-2
    )


def test_a_far_user_is_left_out() -> None:
    # 1 / (snr g) of the far user lies above the water.
    h = np.array([[[2, 0], [0, 0.1]]], complex)
    assert sum_rate(h, wmmse(h, 2.0), 2.0)[0] == pytest.approx(np.log2(9), abs=1e-3)


def test_no_gradient_leads_higher() -> None:
    h = channels((3, 3, 4), 4)
    w = wmmse(h, 10.0, iterations=2000)
    reached = sum_rate(h, w, 10.0)
    for i in range(3):

        def loss(flat: Any, i: int = i) -> float:
            made = flat.view(np.complex128).reshape(1, 3, 4)
            return -float(sum_rate(h[i : i + 1], made / np.linalg.norm(made), 10.0)[0])

        found = minimize(loss, w[i].reshape(-1).view(np.float64).copy())
        assert -found.fun <= reached[i] + 1e-3


def test_one_user_twice() -> None:
    h = channels((20, 3, 4), 5)
    h[:, 2] = h[:, 0]
    w = wmmse(h, 10.0)
    alone = sum_rate(h[:, :2], wmmse(h[:, :2], 10.0), 10.0)
    reached = sum_rate(h, w, 10.0)
    # The copy can be left out; the random start finds that, or nearly.
    assert reached.mean() >= 0.995 * alone.mean()


def test_channels_of_zeros() -> None:
    h = channels((3, 3, 4), 6)
    h[0], h[1, 2] = 0, 0
    w = wmmse(h, 10.0)
    assert np.isfinite(w).all()
    assert sum_rate(h, w, 10.0)[0] == 0
    two = sum_rate(h[1:2, :2], wmmse(h[1:2, :2], 10.0), 10.0)
    assert sum_rate(h, w, 10.0)[1] == pytest.approx(two[0], rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"snr": 0.0}, "SNR 0.0"),
        ({"snr": 1.0, "iterations": -1}, "iterations -1"),
        ({"snr": 1.0, "random": -1}, "random starts -1"),
    ],
)
def test_bad_input(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        wmmse(channels((2, 2, 4), 7), **arguments)
