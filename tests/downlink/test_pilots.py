"""Channels, pilots and estimates against the formulas, entry by entry or by covariances."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.downlink.channels import (
    dft_pilots,
    error_variance,
    estimate,
    estimator,
    observe,
    rayleigh,
)
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Array = NDArray[Any]
SIZES = [(8, 2, 8), (8, 4, 5), (6, 1, 16), (1, 1, 1), (3, 1, 2)]  # M, N, L
FLOAT = 2.0**-24


def setup_of(antennas: int, streams: int, pilots: int, power: float = 10.0) -> Setup:
    return Setup(antennas=antennas, streams=streams, users=1, pilots=pilots, pilot_power=power)


def complex_of(y: Array) -> Array:
    return y[..., 0].astype(np.float64) + 1j * y[..., 1]


@pytest.mark.parametrize(("antennas", "streams", "length"), SIZES)
def test_dft_pilots_entry_by_entry(antennas: int, streams: int, length: int) -> None:
    pilots = dft_pilots(setup_of(antennas, streams, length))
    assert pilots.shape == (antennas, length)
    for i in range(1, antennas + 1):
        for l in range(1, length + 1):  # noqa: E741
            phase = 2j * cmath.pi * (i - 1) * (l - 1) / length
            wanted = cmath.exp(phase) / antennas**0.5
            # A phase below 2 pi 64: its rounding is 64 x 2^-53.
            assert abs(pilots[i - 1, l - 1] - wanted) <= 1e-14
    np.testing.assert_allclose(np.linalg.norm(pilots, axis=0), 1, rtol=1e-15)


def test_rayleigh() -> None:
    setup = Setup()
    h = rayleigh(setup, 1000, np.random.default_rng(1))
    assert h.shape == (1000, 4, 8, 2)
    assert h.dtype == np.complex64
    flat = h.reshape(1000, -1).astype(np.complex128)
    # Five standard errors each: |h|^2 has variance 1, and so have products of different entries.
    assert abs((np.abs(flat) ** 2).mean() - 1) <= 5 / np.sqrt(flat.size)
    assert abs((flat**2).mean()) <= 5 * np.sqrt(2 / flat.size)
    assert abs(flat.mean()) <= 5 / np.sqrt(flat.size)
    covariance = flat.conj().T @ flat / 1000
    assert np.abs(covariance - np.eye(64)).max() <= 6 / np.sqrt(1000)
    again = rayleigh(setup, 1000, np.random.default_rng(1))
    np.testing.assert_array_equal(h, again)
    assert (rayleigh(setup, 1000, np.random.default_rng(2)) != h).any()


@pytest.mark.parametrize(("antennas", "streams", "length"), SIZES)
def test_layout_against_a_loop(antennas: int, streams: int, length: int) -> None:
    """The noise is the same for h and 0, so that the difference is sqrt(P_train) H^H p_l."""
    setup = setup_of(antennas, streams, length, power=7.0)
    pilots = dft_pilots(setup)
    h = rayleigh(setup, 12, np.random.default_rng(2)).reshape(3, 4, antennas, streams)
    heard = observe(setup, h, pilots, np.random.default_rng(3))
    noise = observe(setup, np.zeros_like(h), pilots, np.random.default_rng(3))
    assert heard.dtype == np.float32
    assert heard.shape == (3, 4, length, streams, 2)
    difference = complex_of(heard) - complex_of(noise)
    for i in range(3):
        for k in range(4):
            for l in range(length):  # noqa: E741
                y = np.sqrt(7.0) * h[i, k].conj().T.astype(np.complex128) @ pilots[:, l]
                # A sum of M products, in float32, of the sent pilot (rounded too) and the channel,
                # and one rounding of the sum with the noise, all of numbers below 32.
                assert np.abs(difference[i, k, l] - y).max() <= (antennas + 3) * 32 * FLOAT


def test_statistics_of_what_is_heard() -> None:
    """Mean power P_train + 1, circular noise of power 1."""
    setup = Setup()
    h = rayleigh(setup, 1000, np.random.default_rng(4))
    pilots = dft_pilots(setup)
    heard = complex_of(observe(setup, h, pilots, np.random.default_rng(5)))
    # L = M orthogonal pilots: the entries are independent, and |y|^2 has the deviation of its mean.
    for at in range(setup.pilots):
        power = (np.abs(heard[:, :, at]) ** 2).mean()
        assert abs(power - 11) <= 5 * 11 / np.sqrt(heard[:, :, at].size)
    noise = complex_of(observe(setup, np.zeros_like(h), pilots, np.random.default_rng(6)))
    error = 5 / np.sqrt(noise.size)
    assert abs((np.abs(noise) ** 2).mean() - 1) <= error
    assert abs((noise.real**2).mean() - 0.5) <= error * np.sqrt(0.5)
    assert abs((noise.imag**2).mean() - 0.5) <= error * np.sqrt(0.5)
    assert abs((noise.real * noise.imag).mean()) <= error / 2
    assert abs(noise.mean()) <= error
    # From pilot to pilot, from antenna to antenna, from user to user: independent.
    flat = noise.reshape(1000, -1)
    covariance = flat.conj().T @ flat / 1000
    assert np.abs(covariance - np.eye(flat.shape[1])).max() <= 6 / np.sqrt(1000)


def test_pilots_of_other_sizes_are_refused() -> None:
    setup = setup_of(8, 2, 5)
    h = rayleigh(setup, 2, np.random.default_rng(7))
    for pilots in (dft_pilots(setup).T, dft_pilots(setup_of(8, 2, 6)), np.ones(8, complex)):
        with pytest.raises(InputError, match=r"pilots \(.*\): the set-up has \(8, 5\) \(M, L\)"):
            observe(setup, h, pilots, np.random.default_rng(8))


def other_pilots(antennas: int, length: int) -> Array:
    """Unit columns without the symmetry of the DFT, as if they were learned."""
    parts = np.random.default_rng(length).standard_normal((2, antennas, length))
    made: Array = parts[0] + 1j * parts[1]
    return made / np.linalg.norm(made, axis=0)


@pytest.mark.parametrize("learned", [False, True])
@pytest.mark.parametrize(("antennas", "streams", "length"), SIZES)
def test_estimate_by_covariances(antennas: int, streams: int, length: int, learned: bool) -> None:
    """R_hy R_yy^-1 y of a vector h = conj(H[:, b]): y_l = sqrt(P) sum_i p_l[i] h_i + noise.

    R_hy[i, l] = E h_i y_l* = sqrt(P) conj(p_l[i]), R_yy[l, m] = P sum_i p_l[i] conj(p_m[i]) + 1 if
    l = m. An L x L system, where the code solves an M x M one.
    """
    setup = setup_of(antennas, streams, length)
    pilots = other_pilots(antennas, length) if learned else dft_pilots(setup)
    h = rayleigh(setup, 7, np.random.default_rng(9))
    y = observe(setup, h, pilots, np.random.default_rng(10))
    cross = np.empty((antennas, length), complex)
    own = np.empty((length, length), complex)
    for l in range(length):  # noqa: E741
        cross[:, l] = np.sqrt(10) * pilots[:, l].conj()
        for m in range(length):
            own[l, m] = 10 * (pilots[:, l] * pilots[:, m].conj()).sum() + (l == m)
    matrix = cross @ np.linalg.inv(own)
    # Stored in complex64, numbers below 1.
    np.testing.assert_allclose(estimator(setup, pilots), matrix, rtol=0, atol=2 * FLOAT)
    found = estimate(setup, y, pilots)
    assert found.shape == h.shape
    assert found.dtype == np.complex64
    heard = complex_of(y)
    for i in range(7):
        for b in range(streams):
            expected = np.conj(matrix @ heard[i, 0, :, b])
            # Sums of L products in float32 of numbers below 1 and below 16.
            error = np.abs(found[i, 0, :, b] - expected).max()
            assert error <= 4 * (length + 2) * 16 * FLOAT


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (8, 1 / 11),  # L = M: unitary pilots, 1 / (1 + P)
        (16, 1 / 21),  # each antenna is heard with twice the energy
        (4, 0.5 + 0.5 / 11),  # four dimensions of eight stay unheard, their error is 1
        (1, 7 / 8 + 1 / 88),
    ],
)
def test_error_variance(length: int, expected: float) -> None:
    setup = setup_of(8, 2, length)
    pilots = dft_pilots(setup)
    assert error_variance(setup, pilots) == pytest.approx(expected, rel=1e-13)
    rng = np.random.default_rng(11)
    h = rayleigh(setup, 6000, rng)
    error = estimate(setup, observe(setup, h, pilots, rng), pilots) - h
    # Samples are independent, antennas of one sample are not where L < M.
    each = (np.abs(error) ** 2).mean(axis=(1, 2, 3), dtype=np.float64)
    assert abs(each.mean() - expected) <= 5 * each.std() / np.sqrt(len(each))


def test_error_variance_of_other_pilots() -> None:
    setup = setup_of(8, 2, 5)
    pilots = other_pilots(8, 5)
    rng = np.random.default_rng(12)
    h = rayleigh(setup, 6000, rng)
    error = estimate(setup, observe(setup, h, pilots, rng), pilots) - h
    each = (np.abs(error) ** 2).mean(axis=(1, 2, 3), dtype=np.float64)
    assert abs(each.mean() - error_variance(setup, pilots)) <= 5 * each.std() / np.sqrt(len(each))
    # By the eigenvalues of the L x L Gram matrix instead of an inverse: M - L errors of 1.
    heard = np.linalg.eigvalsh(pilots.conj().T @ pilots)
    expected = (3 + (1 / (1 + 10 * heard)).sum()) / 8
    assert error_variance(setup, pilots) == pytest.approx(expected, rel=1e-13)
