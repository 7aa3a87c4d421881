"""The sum rate against eq. (1) of paper 004, computed in other ways."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.downlink.rate import user_rates
from csideploy.errors import InputError

Array = NDArray[Any]


def gaussian(shape: tuple[int, ...], seed: int) -> Array:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2))
    return (parts[..., 0] + 1j * parts[..., 1]) / np.sqrt(2)


def unit_columns(shape: tuple[int, ...], seed: int) -> Array:
    v = gaussian(shape, seed)
    return v / np.linalg.norm(v, axis=2, keepdims=True)


def log2_of_one_plus(c: float, heard: Array) -> float:
    """log2|I + c G G^H|, by the eigenvalues of the Hermitian matrix."""
    matrix = np.eye(len(heard)) + c * heard @ heard.conj().T
    return float(np.log2(np.linalg.eigvalsh(matrix)).sum())


def log2_in_long_double(c: float, heard: Array) -> float:
    """The same by elimination, with the longest floats of the machine."""
    g = heard.astype(np.clongdouble)
    matrix = np.eye(len(g), dtype=np.clongdouble) + c * g @ g.conj().T
    total = np.longdouble(0)
    for i in range(len(matrix)):
        total += np.log2(matrix[i, i].real)
        matrix[i + 1 :] -= np.outer(matrix[i + 1 :, i] / matrix[i, i], matrix[i])
    return float(total)


def equation_1(h: Array, v: Array, power: float, logarithm: Any = log2_of_one_plus) -> Array:
    """The difference of two log-determinants, sample by sample and user by user."""
    n, users, _, streams = h.shape
    c = power / (users * streams)
    rates = np.empty((n, users))
    for i in range(n):
        for k in range(users):
            all_heard = [h[i, k].conj().T @ v[i, l] for l in range(users)]  # noqa: E741
            others = [g for l, g in enumerate(all_heard) if l != k]  # noqa: E741
            noise = logarithm(c, np.hstack(others)) if others else 0.0
            rates[i, k] = logarithm(c, np.hstack(all_heard)) - noise
    return rates


def test_eight_bits_on_orthogonal_unit_channels() -> None:
    """K = 4, N = 2, M = 8, H_k = V_k = columns 2k and 2k + 1 of the identity.

    H_k^H V_l is I for l = k and 0 for l != k: no interference, and R_k = log2|I + c I| =
    N log2(1 + c), c = P / (K N). At P = K N = 8 the share c is 1, so that each of the 8 streams has
    log2(1 + 1) = 1 bit: 2 bits a user and 8 bits in all.
    """
    h = np.eye(8).reshape(8, 4, 2).transpose(1, 0, 2)[None].astype(np.complex128)
    rates = user_rates(h, h, 8.0)
    np.testing.assert_allclose(rates, [[2.0] * 4], rtol=0, atol=1e-12)
    assert abs(rates.sum() - 8) <= 1e-12
    # The same numbers in complex64 are exact too.
    assert abs(user_rates(h.astype(np.complex64), h.astype(np.complex64), 8.0).sum() - 8) <= 1e-12


@pytest.mark.parametrize("power", [0.1, 8.0, 1000.0])
def test_unitary_on_the_right_changes_nothing(power: float) -> None:
    h, v = gaussian((20, 4, 8, 2), 1), unit_columns((20, 4, 8, 2), 2)
    turn = np.linalg.qr(gaussian((20, 4, 2, 2), 3))[0]
    assert np.abs(v @ turn - v).max() > 0.5
    # c ||H_k^H V_l||^2 is below 125 x 100, its rounding 1e-12 beside the 1 of the noise.
    expected = user_rates(h, v, power)
    np.testing.assert_allclose(user_rates(h, v @ turn, power), expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("logarithm", [log2_of_one_plus, log2_in_long_double])
@pytest.mark.parametrize("decibel", [-10, 0, 10, 20, 30])
@pytest.mark.parametrize(
    ("users", "antennas", "streams"), [(4, 8, 2), (2, 8, 4), (3, 7, 2), (8, 8, 1)]
)
def test_difference_of_log_determinants(
    users: int, antennas: int, streams: int, decibel: int, logarithm: Any
) -> None:
    shape = (6, users, antennas, streams)
    h, v = gaussian(shape, users), unit_columns(shape, decibel + 50)
    power = 10 ** (decibel / 10)
    expected = equation_1(h, v, power, logarithm)
    assert (expected > 0).all()
    # Condition numbers below 1e5 x 2^-53, four eigenvalues, and a difference of logarithms near 10.
    np.testing.assert_allclose(user_rates(h, v, power), expected, rtol=0, atol=1e-10)


def test_complex64_at_30_db() -> None:
    """What evaluations feed: only H^H V is computed in complex64.

    Its entries are off by 8 x 2^-24 |h| ~ 1.5e-6. Six beams of others fill both dimensions of a
    user, so that interference never falls below about c / 10: the logarithms move by 2 x 1.5e-6
    over sqrt(0.1), a part in 1e5.
    """
    shape = (500, 4, 8, 2)
    h, v = gaussian(shape, 5).astype(np.complex64), unit_columns(shape, 6).astype(np.complex64)
    expected = user_rates(h.astype(np.complex128), v.astype(np.complex128), 1000.0)
    found = user_rates(h, v, 1000.0)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


def test_one_user_alone() -> None:
    h, v = gaussian((30, 1, 6, 3), 7), unit_columns((30, 1, 6, 3), 8)
    c = 50.0 / 3
    for i, (rate,) in enumerate(user_rates(h, v, 50.0)):
        # log2|I + c H^H V V^H H|, and by Sylvester the same with M x M matrices.
        small = np.eye(3) + c * h[i, 0].conj().T @ v[i, 0] @ v[i, 0].conj().T @ h[i, 0]
        large = np.eye(6) + c * v[i, 0] @ v[i, 0].conj().T @ h[i, 0] @ h[i, 0].conj().T
        for matrix in (small, large):
            # Determinants near 1e6 of matrices with condition numbers below 1e5: 1e-11.
            assert abs(rate - np.log2(np.linalg.det(matrix).real)) <= 1e-10


def test_silent_beams_have_no_rate() -> None:
    h, v = gaussian((5, 3, 6, 2), 9), unit_columns((5, 3, 6, 2), 10)
    v[:, 1] = 0
    rates = user_rates(h, v, 100.0)
    np.testing.assert_array_equal(rates[:, 1], 0)
    assert (rates[:, [0, 2]] > 0).all()


def test_samples_stay_apart() -> None:
    """More than one chunk of 4,000; none at all gives none."""
    shape = (8001, 2, 2, 1)
    h, v = gaussian(shape, 11), unit_columns(shape, 12)
    rates = user_rates(h, v, 10.0)
    for i in (0, 3999, 4000, 7999, 8000):
        # Another order of the same few sums.
        np.testing.assert_allclose(rates[i], user_rates(h[[i]], v[[i]], 10.0)[0], rtol=1e-13)
    assert user_rates(h[:0], v[:0], 10.0).shape == (0, 2)


def test_refusals() -> None:
    h = gaussian((3, 2, 4, 2), 13)
    for other in (h[:2], h[:, :1], h[..., :1], h[0]):
        with pytest.raises(InputError, match=r"precoders .*: both \(n, K, M, N\)"):
            user_rates(h, other, 1.0)
    with pytest.raises(InputError, match=r"channels \(2, 4, 2\)"):
        user_rates(h[0], h[0], 1.0)
    for power in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InputError, match=r"power .*: a number above 0"):
            user_rates(h, h, power)
