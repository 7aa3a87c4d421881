"""NMSE, rho and SGCS against their formulas written out, and their limits."""

import numpy as np
import pytest

from csideploy import metrics
from csideploy.errors import InputError

RNG = np.random.default_rng(5)


def noise(*shape):
    return (RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)).astype(np.complex64)


# Different scales a sample: the mean must not be ruled by the strong ones.
H = noise(7, 32, 32) * np.logspace(-3, 3, 7)[:, None, None].astype(np.float32)
H_HAT = H + noise(7, 32, 32) * np.abs(H).max(axis=(1, 2), keepdims=True) / 20


def cosines():
    """(n, 125) by an FFT of the padded delay axis, one subcarrier at a time."""
    first = np.fft.fft(H.astype(complex), n=257, axis=2)
    second = np.fft.fft(H_HAT.astype(complex), n=257, axis=2)
    table = np.empty((len(H), 125))
    for sample in range(len(H)):
        for k in range(125):
            a, b = first[sample, :, k], second[sample, :, k]
            table[sample, k] = abs(np.vdot(a, b)) / (np.linalg.norm(a) * np.linalg.norm(b))
    return table


def test_nmse_is_the_mean_of_the_ratios():
    ratios = [
        np.linalg.norm(a - b) ** 2 / np.linalg.norm(a) ** 2 for a, b in zip(H, H_HAT, strict=True)
    ]
    assert metrics.nmse(H, H_HAT) == pytest.approx(np.mean(ratios), rel=1e-5)


def test_rho_and_sgcs_by_their_formulas():
    table = cosines()
    assert metrics.rho(H, H_HAT) == pytest.approx(table.mean(), rel=1e-5)
    assert metrics.sgcs(H, H_HAT) == pytest.approx((table**2).mean(), rel=1e-5)


def test_cosines_do_not_depend_on_the_angle_basis():
    back = np.fft.ifft(np.fft.ifftshift(H, axes=1), axis=1, norm="ortho")
    back_hat = np.fft.ifft(np.fft.ifftshift(H_HAT, axes=1), axis=1, norm="ortho")
    assert metrics.rho(back, back_hat) == pytest.approx(metrics.rho(H, H_HAT), rel=1e-5)


def test_limits():
    assert metrics.nmse(H, H) == 0.0
    assert metrics.nmse(H, np.zeros_like(H)) == pytest.approx(1.0)
    assert metrics.rho(H, H * (2 - 1j)) == pytest.approx(1.0, rel=1e-6)
    assert metrics.sgcs(H, H) == pytest.approx(1.0, rel=1e-6)
    assert metrics.sgcs(H, np.zeros_like(H)) == 0.0
    assert metrics.to_db(0.01) == pytest.approx(-20.0)
    assert metrics.to_db(0.0) == -np.inf


def test_chunks_average_to_the_whole():
    h = np.tile(H, (300, 1, 1))
    h_hat = np.tile(H_HAT, (300, 1, 1))
    assert metrics.nmse(h, h_hat) == pytest.approx(metrics.nmse(H, H_HAT), rel=1e-9)
    assert metrics.rho(h, h_hat) == pytest.approx(metrics.rho(H, H_HAT), rel=1e-6)


def test_bad_input():
    with pytest.raises(InputError, match="shape"):
        metrics.nmse(H, H[:3])
    with pytest.raises(InputError, match="n, angle, delay"):
        metrics.rho(H[0], H_HAT[0])
    with pytest.raises(InputError, match="sample 2 is zero"):
        metrics.sgcs(H * np.array([1, 1, 0, 1, 1, 1, 1])[:, None, None], H_HAT)
