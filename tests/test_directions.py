"""Directions, their sub-bands, and principal components of them."""

from __future__ import annotations

import numpy as np
import pytest

from csideploy import metrics
from csideploy.baselines.pca_ports import PrincipalDirections
from csideploy.channels.generate import generate
from csideploy.directions import align, cosines, eigenvectors
from csideploy.errors import InputError
from csideploy.subbands import by_subcarrier, subband_directions


def gaussian(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((*shape, 2)).view(complex)[..., 0]


def test_eigenvectors_are_those_of_svd() -> None:
    h = gaussian(6, 3, 4, 8)
    v = eigenvectors(h, 3)
    _, _, right = np.linalg.svd(h)
    for layer in range(3):
        expected = right[:, :, layer].conj()
        # float32 results.
        np.testing.assert_allclose(cosines(v[:, layer], expected), 1, atol=1e-5)
    assert cosines(v[:, 0], v[:, 1]).max() < 1e-10
    h[2, 1] = 0
    assert not eigenvectors(h)[2, :, 1].any()
    with pytest.raises(InputError, match="rank 5"):
        eigenvectors(h, 5)
    h[4, 0, 1:] = 0
    with pytest.raises(InputError, match="fewer than 2 directions"):
        eigenvectors(h[4:5, :1], 2)


def test_aligned_phases() -> None:
    v = gaussian(5, 2, 7, 8)
    turned = v * np.exp(2j * np.pi * np.random.default_rng(2).uniform(size=(5, 2, 7, 1)))
    made = align(v)
    # What is free is gone.
    np.testing.assert_allclose(align(turned), made, atol=1e-5)
    np.testing.assert_allclose(cosines(made, v), 1, atol=1e-5)
    inner = np.sum(made[..., :-1, :].conj() * made[..., 1:, :], axis=-1)
    assert np.abs(inner.imag).max() < 1e-5
    assert inner.real.min() > 0
    first = made[..., 0].sum(axis=-1)
    assert np.abs(first.imag).max() < 1e-5
    assert first.real.min() > 0


def test_subbands_are_of_the_rated_frequencies() -> None:
    made = generate("indoor", 20, seed=3).H.astype(np.float32)
    h = made[:, 0] + 1j * made[:, 1]
    v = subband_directions(h)
    assert v.shape == (20, 1, 13, 32)
    # By hand from the definition, for one sample and the last sub-band, points 115 to 124.
    space = np.fft.ifft(np.fft.ifftshift(h[7], axes=0), axis=0, norm="ortho")
    points = np.fft.fft(space, n=257, axis=1)[:, 115:125]
    left, _, _ = np.linalg.svd(points)
    assert cosines(v[7, 0, 12], left[:, 0]) == pytest.approx(1, abs=1e-5)
    # A single vector that is the same over all frequencies: one tap.
    tap = np.zeros((4, 32, 32), complex)
    tap[:, :, 2] = gaussian(4, 32)
    np.testing.assert_allclose(by_subcarrier(tap, subband_directions(tap)), 1, atol=1e-5)
    # The direction of a sub-band against its own subcarriers: less than 1 by what the channel
    # changes in it, and as much as any other vector of the sub-band.
    own = by_subcarrier(h, v)
    assert own.shape == (20, metrics.RATED_SUBCARRIERS)
    assert 0.9 < own.mean() < 1


def test_principal_components_come_nearer_with_bits() -> None:
    """Directions with three degrees of freedom: components find them, bits refine them."""
    rng = np.random.default_rng(4)
    base = gaussian(4, 1, 5, 8, seed=5)

    def directions(count: int) -> np.ndarray:
        # The first one strong, so that alignment does not jump.
        weights = rng.uniform(0, 0.5, (count, 4)) + np.array([2, 0, 0, 0])
        return np.tensordot(weights, base, 1)

    coder = PrincipalDirections.fit(directions(500))
    test = directions(100)
    found = {bits: coder.code(test, bits) for bits in (0, 6, 18, 40)}
    quality = [float(cosines(test, one.v).mean()) for one in found.values()]
    assert quality == sorted(quality)
    assert [one.bits for one in found.values()] == [0, 6, 18, 40]
    # 40 bits for three or four numbers of a fifth of the size: float16 values are the limit.
    assert quality[-1] > 1 - 1e-4
    assert found[6].used <= 6
    with pytest.raises(InputError, match="at least 2"):
        PrincipalDirections.fit(test[:1])
