"""Block diagonalization and its regularized form from quantized channels (paper 004, II-B)."""

from __future__ import annotations

import numpy as np

from csideploy.downlink.channels import Complex
from csideploy.errors import InputError


def bd(a: Complex) -> Complex:
    """V_k in the null space of all others' channels (Ravindran and Jindal 2008).

    With the SVD Phi_k = E D G^H of the others' channels stacked (N(K-1) x M), G_0 the last
    M - N (K-1) columns of G, and F = A_k^H G_0 = E_1 D_1 G_1^H (compact): V_k = G_0 G_1.

    Args:
        a: quantized (or known) channels, (n, K, M, N), K N <= M.

    Returns:
        (n, K, M, N), orthonormal columns.
    """
    _, users, _, streams = a.shape
    v = np.empty_like(a)
    for k in range(users):
        _, _, right = np.linalg.svd(_others(a, k))
        null = _hermitian(right)[:, :, streams * (users - 1) :]
        _, _, inner = np.linalg.svd(_hermitian(a[:, k]) @ null, full_matrices=False)
        v[:, k] = null @ _hermitian(inner)
    return v


def rbd(a: Complex, alpha: float) -> Complex:
    """Regularized block diagonalization (Stankovic and Haardt 2008), equal power for users.

    F_0 = A_k^H G (D^H D + alpha I)^-1/2 = E_2 D_2 G_2^H, F_1 = G (D^H D + alpha I)^-1/2 G_2, and
    V_k = sqrt(N / tr(F_1^H F_1)) F_1. The paper prints tr(F_1) under the root: a misprint, since
    F_1 is M x N and the constraint is tr(V_k^H V_k) = N.

    Args:
        a: (n, K, M, N).
        alpha: the regularization, above 0.

    Returns:
        (n, K, M, N).

    Raises:
        InputError: alpha is not above 0.
    """
    if not 0 < alpha < np.inf:
        raise InputError(f"alpha {alpha}: a number above 0")
    _, users, antennas, streams = a.shape
    v = np.empty_like(a)
    for k in range(users):
        _, values, right = np.linalg.svd(_others(a, k))
        squares = np.zeros((len(a), antennas), a.real.dtype)
        squares[:, : values.shape[1]] = values**2
        loaded = _hermitian(right) * ((squares + alpha) ** -0.5)[:, None, :]
        _, _, inner = np.linalg.svd(_hermitian(a[:, k]) @ loaded, full_matrices=False)
        f = loaded @ _hermitian(inner)
        power = (f.real**2 + f.imag**2).sum(axis=(1, 2), keepdims=True)
        v[:, k] = f * np.sqrt(streams / power)
    return v


def _others(a: Complex, k: int) -> Complex:
    """Phi_k: (n, N (K - 1), M)."""
    rest = np.delete(a, k, axis=1)
    rows = rest.shape[1] * rest.shape[3]
    stacked: Complex = _hermitian(rest).reshape(len(a), rows, a.shape[2])
    return stacked


def _hermitian(a: Complex) -> Complex:
    turned: Complex = a.conj().swapaxes(-1, -2)
    return turned
