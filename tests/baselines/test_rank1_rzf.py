"""Regularized zero forcing against its formula in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from csideploy.baselines.rank1_rzf import rzf
from csideploy.errors import InputError

Array = NDArray[Any]


def directions(shape: tuple[int, ...], seed: int) -> Array:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2))
    d = parts[..., 0] + 1j * parts[..., 1]
    return d / np.linalg.norm(d, axis=-1, keepdims=True)


@pytest.mark.parametrize("loading", [0.007, 0.3, 23.0])
@pytest.mark.parametrize(
    ("users", "antennas", "streams"), [(4, 8, 2), (8, 8, 1), (1, 3, 3), (2, 8, 4)]
)
def test_formula(users: int, antennas: int, streams: int, loading: float) -> None:
    d = directions((6, users, antennas), users)
    v = rzf(d, loading, streams)
    assert v.shape == (6, users, antennas, streams)
    narrow = rzf(d.astype(np.complex64), loading, streams)
    assert narrow.dtype == np.complex64
    for i in range(6):
        a = d[i].T
        w = a @ np.linalg.inv(a.conj().T @ a + loading * np.eye(users))
        for k in range(users):
            beam = w[:, k] / np.linalg.norm(w[:, k])
            for j in range(streams):
                # Condition numbers below 8 / 0.007, of matrices in complex128 and in complex64.
                np.testing.assert_allclose(v[i, k, :, j], beam, rtol=0, atol=1e-11)
                np.testing.assert_allclose(narrow[i, k, :, j], beam, rtol=0, atol=1e-3)


@pytest.mark.parametrize("streams", [1, 2, 4])
def test_norms(streams: int) -> None:
    v = rzf(directions((20, 3, 8), 1), 0.2, streams)
    np.testing.assert_allclose(np.linalg.norm(v, axis=2), 1, rtol=1e-14)
    # tr(V_k^H V_k) = N, as the paper's power constraint has it.
    traces = np.trace(v.conj().swapaxes(2, 3) @ v, axis1=2, axis2=3)
    np.testing.assert_allclose(traces, streams, rtol=1e-14)
    np.testing.assert_array_equal(v, np.broadcast_to(v[..., :1], v.shape))


def test_much_loading_is_maximum_ratio() -> None:
    d = directions((20, 4, 8), 2)
    # W = A / loading x (I - A^H A / loading ...): first order, ||A^H A|| <= 4.
    np.testing.assert_allclose(rzf(d, 1e9, 1)[..., 0], d, rtol=0, atol=2 * 4e-9)


def test_little_loading_is_zero_forcing() -> None:
    d = directions((20, 4, 8), 3)
    w = rzf(d, 1e-10, 1)[..., 0]
    heard = d.conj() @ w.swapaxes(1, 2)  # [k, l]: a_k^H w_l
    assert (np.abs(np.diagonal(heard, axis1=1, axis2=2)) > 0.1).all()
    for k in range(4):
        # First order in the loading, over squared singular values of A above 1e-2.
        assert np.abs(np.delete(heard[:, k], k, axis=1)).max() <= 1e-8


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("loading", [0.007, 1.0])
def test_two_users_with_the_same_codeword(dtype: Any, loading: float) -> None:
    d = directions((20, 3, 8), 4)
    d[:, 2] = d[:, 0]
    v = rzf(d.astype(dtype), loading, 2)
    assert np.isfinite(v).all()
    # A^H A + loading I has a condition number of 3 / loading.
    atol = 8 * 3 / loading * np.finfo(dtype).eps
    np.testing.assert_allclose(v[:, 2], v[:, 0], rtol=0, atol=atol)
    np.testing.assert_allclose(np.linalg.norm(v, axis=2), 1, rtol=8 * np.finfo(dtype).eps)


def test_a_direction_of_zeros_gets_no_beam() -> None:
    d = directions((2, 3, 4), 5)
    d[0, 1] = 0
    v = rzf(d, 0.5, 2)
    np.testing.assert_array_equal(v[0, 1], 0)
    np.testing.assert_allclose(np.linalg.norm(v[0, [0, 2]], axis=1), 1, rtol=1e-14)


@pytest.mark.parametrize("loading", [0.0, -1.0, np.inf, np.nan])
def test_loading_out_of_range(loading: float) -> None:
    with pytest.raises(InputError, match=r"loading .*: a number above 0"):
        rzf(directions((1, 2, 4), 6), loading, 2)
