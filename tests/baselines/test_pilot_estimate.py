"""LMMSE against least squares on the training users themselves, and against an augmented system."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fitted_codebooks import channels

from csideploy.baselines.pilot_estimate import covariance, lmmse, observe, pilots
from csideploy.errors import InputError

USERS = channels((400, 8), 1)
R = covariance(USERS)


def noise(shape: tuple[int, ...], seed: int) -> Any:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2)) * np.sqrt(0.5)
    return parts.view(np.complex128)[..., 0]


def test_covariance() -> None:
    expected = sum(np.outer(h.conj(), h) for h in USERS) / len(USERS)
    np.testing.assert_allclose(R, expected, rtol=0, atol=1e-12 * np.abs(R).max())
    shifted = covariance(USERS + 5)
    assert shifted[0, 0].real > 20  # no mean is taken away


@pytest.mark.parametrize("kind", ["dft", "eigen"])
@pytest.mark.parametrize("snr", [0.1, 10.0, 1e3])
def test_against_least_squares(kind: Any, snr: float) -> None:
    # The expectation over users and noise is a sum over users plus the noise's covariance, I for
    # each: rows sqrt(P) h X with target h, and sqrt(N) e_l with target 0.
    sent = pilots(kind, 3, R)
    left = np.concatenate([np.sqrt(snr) * USERS @ sent, np.sqrt(len(USERS)) * np.eye(3)])
    right = np.concatenate([USERS, np.zeros((3, 8))])
    a, *_ = np.linalg.lstsq(left, right, rcond=None)
    h = channels((5, 2, 8), 2)
    y = observe(h, sent, noise((5, 2, 3), 3), snr)
    # Condition numbers up to snr ||R||, some 1e5.
    np.testing.assert_allclose(lmmse(y, sent, R, snr), y @ a, rtol=0, atol=1e-9 * np.abs(y).max())


def test_what_is_heard() -> None:
    h = channels((2, 3, 8), 4)
    sent, n = pilots("dft", 4, R), noise((2, 3, 4), 5)
    y = observe(h, sent, n, 9.0)
    for i, k, ell in np.ndindex(2, 3, 4):
        expected = 3 * sum(h[i, k, m] * sent[m, ell] for m in range(8)) + n[i, k, ell]
        assert y[i, k, ell] == pytest.approx(expected, rel=1e-12)


def test_all_pilots_and_no_noise_are_the_channel() -> None:
    h = channels((4, 2, 8), 6)
    sent = pilots("dft", 8, R)
    y = observe(h, sent, np.zeros((4, 2, 8)), 1e12)
    # The regularization is 1e-12 beside eigenvalues of R from 1e-1.
    np.testing.assert_allclose(lmmse(y, sent, R, 1e12), h, rtol=0, atol=1e-8 * np.abs(h).max())


@pytest.mark.parametrize("kind", ["dft", "eigen"])
@pytest.mark.parametrize("length", [1, 3, 8])
def test_pilots_are_orthonormal(kind: Any, length: int) -> None:
    sent = pilots(kind, length, R)
    assert sent.shape == (8, length)
    np.testing.assert_allclose(sent.conj().T @ sent, np.eye(length), rtol=0, atol=1e-12)


def test_dft_pilots_by_hand() -> None:
    sent = pilots("dft", 2, np.eye(4, dtype=complex))
    np.testing.assert_allclose(sent[:, 0], 0.5)
    np.testing.assert_allclose(sent[:, 1], [0.5, -0.5j, -0.5, 0.5j], atol=1e-15)


def test_eigen_pilots_lose_least() -> None:
    # Of all orthonormal pilots; without noise to speak of, the LMMSE error is what they do not see.
    users = USERS * np.array([1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1])
    r = covariance(users)
    errors = {}
    for name, sent in (
        ("eigen", pilots("eigen", 3, r)),
        ("dft", pilots("dft", 3, r)),
        ("random", np.linalg.qr(channels((3, 8), 9).T)[0]),
    ):
        y = observe(users[:, None], sent, noise((400, 1, 3), 10), 1e4)
        errors[name] = np.square(np.abs(lmmse(y, sent, r, 1e4) - users[:, None])).mean()
    assert errors["eigen"] < min(errors["dft"], errors["random"])


@pytest.mark.parametrize(
    ("kind", "length", "says"),
    [("hadamard", 2, "one of dft, eigen"), ("dft", 0, "0 pilots: 1 to 8"), ("eigen", 9, "1 to 8")],
)
def test_bad_pilots(kind: Any, length: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        pilots(kind, length, R)


def test_bad_sizes() -> None:
    h, sent = channels((2, 3, 8), 4), pilots("dft", 4, R)
    with pytest.raises(InputError, match="noise"):
        observe(h, sent, noise((2, 3, 5), 1), 1.0)
    with pytest.raises(InputError, match="channels"):
        observe(h[..., :7], sent, noise((2, 3, 4), 1), 1.0)
    with pytest.raises(InputError, match="SNR"):
        observe(h, sent, noise((2, 3, 4), 1), 0.0)
    with pytest.raises(InputError, match="covariance"):
        lmmse(h[..., :4], sent, R[:7, :7], 1.0)
    with pytest.raises(InputError, match="heard"):
        lmmse(h[..., :5], sent, R, 1.0)
    with pytest.raises(InputError, match="SNR"):
        lmmse(h[..., :4], sent, R, -1.0)
    for users in (USERS[0], USERS[:0], USERS * np.inf):
        with np.errstate(invalid="ignore"), pytest.raises(InputError, match="users' channels"):
            covariance(users)
