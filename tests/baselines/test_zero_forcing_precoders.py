"""ZF, RZF and MRT of single-antenna users against their formulas, one group at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels

from csideploy.baselines.zero_forcing import mrt, rzf, zf
from csideploy.errors import InputError


@pytest.mark.parametrize(("users", "antennas"), [(1, 4), (3, 8), (4, 4)])
def test_zf_is_the_papers(users: int, antennas: int) -> None:
    # A spread of 2: users' powers differ by 30 dB and more.
    h = channels((8, users, antennas), users, spread=2.0)
    w = zf(h)
    for i in range(8):
        m = h[i].conj().T @ np.linalg.inv(h[i] @ h[i].conj().T)
        for k in range(users):
            beam = m[:, k] / np.linalg.norm(m[:, k]) / np.sqrt(users)
            # Condition numbers of channels with these seeds up to some 1e5, squared by the formula.
            np.testing.assert_allclose(w[i, k], beam, rtol=0, atol=1e-5)


def test_zf_removes_interference() -> None:
    h = channels((50, 4, 8), 5, spread=2.0)
    heard = h @ zf(h).swapaxes(1, 2)
    own = np.abs(np.diagonal(heard, axis1=1, axis2=2))
    heard[:, np.arange(4), np.arange(4)] = 0
    # Beside the channel's own size: double precision.
    assert (np.abs(heard).max(axis=2) <= 1e-11 * np.linalg.norm(h, axis=2)).all()
    assert (own > 0).all()


def test_powers() -> None:
    h = channels((20, 5, 8), 6)
    for w in (zf(h), mrt(h)):
        np.testing.assert_allclose(np.square(np.abs(w)).sum(axis=2), 1 / 5, rtol=1e-12)
    np.testing.assert_allclose(np.square(np.abs(rzf(h, 10.0))).sum(axis=(1, 2)), 1, rtol=1e-12)


@pytest.mark.parametrize("snr", [0.1, 10.0, 1e4])
@pytest.mark.parametrize("users", [2, 6])
def test_rzf_formula(snr: float, users: int) -> None:
    h = channels((6, users, 4), 7)
    w = rzf(h, snr)
    for i in range(6):
        # The other side of push-through: (H^H H + K/snr I)^-1 H^H.
        inverse = np.linalg.inv(h[i].conj().T @ h[i] + users / snr * np.eye(4))
        expected = (inverse @ h[i].conj().T).T
        expected /= np.linalg.norm(expected)
        # Condition numbers up to snr ||H||^2 / K, some 1e6.
        np.testing.assert_allclose(w[i], expected, rtol=0, atol=1e-8)


def test_mrt_is_the_matched_beam() -> None:
    h = channels((5, 3, 4), 8)
    gains = np.einsum("nkm,nkm->nk", h, mrt(h))
    np.testing.assert_allclose(gains, np.linalg.norm(h, axis=2) / np.sqrt(3), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_one_user_twice(dtype: Any) -> None:
    h = channels((10, 3, 8), 9).astype(dtype)
    h[:, 2] = h[:, 0] * (1 + 1j)
    w = zf(h)
    assert np.isfinite(w).all()
    # The other user is spared as ever; the two copies share one beam.
    heard = np.abs(np.einsum("nm,nkm->nk", h[:, 1], w))
    size = np.linalg.norm(h[:, 1], axis=1)
    assert (heard[:, [0, 2]] <= 1e-5 * size[:, None]).all()
    overlap = np.abs(np.einsum("nm,nm->n", w[:, 0].conj(), w[:, 2])) * 3
    np.testing.assert_allclose(overlap, 1, rtol=1e-5)
    assert np.isfinite(rzf(h, 10.0)).all()


def test_more_users_than_antennas() -> None:
    h = channels((10, 6, 4), 10)
    w = zf(h)
    np.testing.assert_allclose(np.square(np.abs(w)).sum(axis=2), 1 / 6, rtol=1e-12)
    for i in range(10):
        unit = h[i] / np.linalg.norm(h[i], axis=1, keepdims=True)
        m = np.linalg.pinv(unit)
        np.testing.assert_allclose(w[i], (m / np.linalg.norm(m, axis=0)).T / np.sqrt(6), atol=1e-9)


def test_a_channel_of_zeros_gets_no_beam() -> None:
    h = channels((4, 3, 4), 11)
    h[1, 2] = 0
    for w in (zf(h), mrt(h), rzf(h, 10.0)):
        np.testing.assert_array_equal(w[1, 2], 0)
        assert (np.abs(w[1, :2]).max(axis=1) > 0).all()
    assert not np.abs(rzf(np.zeros((1, 2, 3), complex), 1.0)).any()


GOOD = channels((2, 3, 4), 12)


@pytest.mark.parametrize(
    ("h", "says"),
    [
        (GOOD[0], r"channels \(3, 4\)"),
        (GOOD[:, :0], r"\(2, 0, 4\)"),
        (GOOD * np.nan, "not finite"),
    ],
)
def test_bad_channels(h: Any, says: str) -> None:
    with np.errstate(invalid="ignore"), pytest.raises(InputError, match=says):
        zf(h)
    with pytest.raises(InputError, match=says):
        mrt(h)
    with pytest.raises(InputError, match=says):
        rzf(h, 1.0)


@pytest.mark.parametrize("snr", [0.0, -1.0, np.inf, np.nan])
def test_bad_snr(snr: float) -> None:
    with pytest.raises(InputError, match=r"SNR .*: a number above 0"):
        rzf(GOOD, snr)
