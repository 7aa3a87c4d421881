"""BD and RBD by what they must fulfil, and by formulas without their SVDs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from numpy.typing import NDArray

from csideploy.baselines.block_diagonal import bd, rbd
from csideploy.downlink.rate import user_rates
from csideploy.errors import InputError

Array = NDArray[Any]
SIZES = [(4, 8, 2), (2, 8, 2), (3, 7, 2), (2, 8, 4), (8, 8, 1), (3, 6, 1)]  # K, M, N


def gaussian(shape: tuple[int, ...], seed: int) -> Array:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2))
    return (parts[..., 0] + 1j * parts[..., 1]) / np.sqrt(2)


def bases(shape: tuple[int, ...], seed: int) -> Array:
    """Orthonormal columns, as codewords have them."""
    return np.linalg.qr(gaussian(shape, seed))[0]


def square(v: Array) -> Array:
    """V V^H: what rates depend on."""
    return v @ v.conj().swapaxes(-1, -2)


def others(a: Array, k: int) -> Array:
    """The other users' columns, M x N (K - 1), of one sample."""
    return np.hstack([a[l] for l in range(len(a)) if l != k])  # noqa: E741


def projector(columns: Array) -> Array:
    return columns @ np.linalg.pinv(columns)


@pytest.mark.parametrize(("users", "antennas", "streams"), SIZES)
def test_bd_has_no_interference(users: int, antennas: int, streams: int) -> None:
    a = bases((10, users, antennas, streams), users)
    v = bd(a)
    assert v.shape == a.shape
    for k in range(users):
        # SVDs of matrices of norm below 2 x sqrt(8): a few units of 2^-53.
        np.testing.assert_allclose(
            v[:, k].conj().swapaxes(1, 2) @ v[:, k],
            np.broadcast_to(np.eye(streams), (10, streams, streams)),
            atol=1e-13,
        )
        for l in range(users):  # noqa: E741
            if l != k:
                leak = a[:, l].conj().swapaxes(1, 2) @ v[:, k]
                assert np.abs(leak).max() <= 1e-13


@pytest.mark.parametrize(("users", "antennas", "streams"), SIZES)
def test_bd_by_projections(users: int, antennas: int, streams: int) -> None:
    """V_k spans what is left of A_k in the null space of the others, (I - Phi^+ Phi) A_k."""
    a = bases((10, users, antennas, streams), users + 50)
    v = bd(a)
    for i in range(10):
        for k in range(users):
            rest = a[i, k] - projector(others(a[i], k)) @ a[i, k]
            # Pseudo-inverses of columns whose condition numbers are below 1e3.
            np.testing.assert_allclose(square(v[i, k]), projector(rest), atol=1e-9)


@pytest.mark.parametrize("alpha", [0.05, 0.35, 2.0, 30.0])
@pytest.mark.parametrize(("users", "antennas", "streams"), SIZES)
def test_rbd_by_matrix_roots(users: int, antennas: int, streams: int, alpha: float) -> None:
    """With W = (Phi^H Phi + alpha I)^-1/2, V V^H = N / tr(.) x W P W, P the projector on W A_k.

    G (D^H D + alpha I)^-1/2 = W G. G_2 spans the columns of (W G)^H A_k = G^H W A_k, so that
    G G_2 G_2^H G^H = P and F_1 F_1^H = W G G_2 G_2^H G^H W = W P W.
    """
    a = bases((4, users, antennas, streams), users + 100)
    v = rbd(a, alpha)
    assert v.shape == a.shape
    for i in range(4):
        for k in range(users):
            phi = others(a[i], k).conj().T
            loaded = phi.conj().T @ phi + alpha * np.eye(antennas)
            root = np.linalg.inv(scipy.linalg.sqrtm(loaded))
            wanted = root @ projector(root @ a[i, k]) @ root
            wanted *= streams / np.trace(wanted).real
            # Condition numbers below 8 / 0.05, squared where P is made: 1e5 x 2^-53.
            np.testing.assert_allclose(square(v[i, k]), wanted, atol=1e-10)


@pytest.mark.parametrize(("users", "antennas", "streams"), SIZES)
@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_rbd_gives_every_user_the_same_power(
    users: int, antennas: int, streams: int, dtype: Any
) -> None:
    a = gaussian((10, users, antennas, streams), 1).astype(dtype)
    for alpha in (0.01, 0.35, 20.0):
        v = rbd(a, alpha)
        assert v.dtype == dtype
        power = (np.abs(v.astype(np.complex128)) ** 2).sum(axis=(2, 3))
        # The sum of at most 32 squares, a root and a product, in the dtype's precision.
        np.testing.assert_allclose(power, streams, rtol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize(("users", "antennas", "streams"), SIZES)
def test_rbd_tends_to_bd(users: int, antennas: int, streams: int) -> None:
    """W / sqrt(1 / alpha) tends to the projector on the others' null space, V V^H to that of BD."""
    a = bases((10, users, antennas, streams), users + 150)
    exact = bd(a)
    errors = [np.abs(square(rbd(a, alpha)) - square(exact)).max() for alpha in (1e-6, 1e-7, 1e-8)]
    # First order in alpha, over squares of singular values of Phi and of what is left of A_k.
    assert errors[1] == pytest.approx(errors[0] / 10, rel=0.3)
    assert errors[2] == pytest.approx(errors[1] / 10, rel=0.3)
    h = gaussian(a.shape, 2)
    np.testing.assert_allclose(
        user_rates(h, rbd(a, 1e-9), 100.0), user_rates(h, exact, 100.0), atol=1e-3
    )


def test_rbd_tends_to_the_users_own_spaces() -> None:
    """Without end, W is sqrt(1 / alpha) I, and V_k spans A_k."""
    a = bases((10, 4, 8, 2), 3)
    # First order in ||Phi||^2 / alpha, ||Phi||^2 <= 6.
    np.testing.assert_allclose(square(rbd(a, 1e8)), square(a), atol=1e-6)


def test_one_user_alone() -> None:
    a = bases((10, 1, 8, 2), 4)
    np.testing.assert_allclose(square(bd(a)), square(a), atol=1e-13)
    for alpha in (1e-3, 1.0, 1e3):
        np.testing.assert_allclose(square(rbd(a, alpha)), square(a), atol=1e-13)


def test_samples_stay_apart() -> None:
    a = bases((3, 4, 8, 2), 5)
    for i in range(3):
        np.testing.assert_allclose(square(bd(a[[i]])), square(bd(a)[[i]]), atol=1e-13)
        np.testing.assert_allclose(square(rbd(a[[i]], 0.4)), square(rbd(a, 0.4)[[i]]), atol=1e-13)


@pytest.mark.parametrize("alpha", [0.0, -0.5, np.inf, np.nan])
def test_alpha_out_of_range(alpha: float) -> None:
    with pytest.raises(InputError, match=r"alpha .*: a number above 0"):
        rbd(bases((1, 2, 4, 2), 6), alpha)
