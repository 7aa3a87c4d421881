"""Rates against the formula one user at a time, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels

from csideploy.errors import InputError
from csideploy.transceiver.rate import sum_rate, user_rates


@pytest.mark.parametrize("users", [1, 3, 5])
def test_against_loops(users: int) -> None:
    h = channels((6, users, 4), users)
    w = channels((6, users, 4), 50 + users)
    w /= np.linalg.norm(w, axis=(1, 2), keepdims=True)
    rates = user_rates(h, w, 7.0)
    for i in range(6):
        for k in range(users):
            own = 7 * abs(sum(h[i, k, m] * w[i, k, m] for m in range(4))) ** 2
            others = 1.0
            for j in range(users):
                if j != k:
                    others += 7 * abs(sum(h[i, k, m] * w[i, j, m] for m in range(4))) ** 2
            # Double precision, sums of a few terms.
            assert rates[i, k] == pytest.approx(np.log2(1 + own / others), rel=1e-11)
    np.testing.assert_allclose(sum_rate(h, w, 7.0), rates.sum(axis=1), rtol=1e-14)


def test_by_hand() -> None:
    # User 1 hears 3 * 0.6 of its own and 3 * 0.8 x 0.5 of the other's; SNR 2.
    h = np.array([[[3, 0], [0, 4j]]])
    w = np.array([[[0.6, 0], [0.4, 0.4 * 1j]]])
    signal, other = 2 * 1.8**2, 2 * 1.2**2
    assert user_rates(h, w, 2.0)[0, 0] == pytest.approx(np.log2(1 + signal / (other + 1)))
    assert user_rates(h, w, 2.0)[0, 1] == pytest.approx(np.log2(1 + 2 * 1.6**2))


@pytest.mark.parametrize(
    ("shape", "power", "snr", "says"),
    [
        ((2, 3, 5), 1.0, 1.0, "both"),
        ((2, 3, 4), 1.1, 1.0, "at most 1 in all"),
        ((2, 3, 4), 1.0, 0.0, "SNR 0.0"),
        ((2, 3, 4), 1.0, np.nan, "SNR nan"),
        ((2, 3, 4), np.nan, 1.0, "at most 1 in all"),
    ],
)
def test_bad_input(shape: Any, power: float, snr: float, says: str) -> None:
    w = channels(shape, 1)
    w *= np.sqrt(power) / np.linalg.norm(w, axis=(1, 2), keepdims=True)
    with pytest.raises(InputError, match=says):
        user_rates(channels((2, 3, 4), 2), w, snr)
