"""WMMSE precoding with a total power constraint (Shi, Razaviyayn, Luo, He 2011).

**Without the constraint.** Let s = sigma^2 / P and f(W) = sum_k log(1 + |h_k w_k|^2 /
(sum_(j != k) |h_k w_j|^2 + s ||W||^2)). Scaling W by c scales every term of the fraction by c^2, so
f depends on the direction of W alone, and at ||W||^2 = 1 it is the sum rate: the best W of the free
problem, scaled to power 1, is the best of the constrained one. No bisection for a multiplier.

**Blocks.** With receivers u_k, weights v_k, T_k = sum_j |h_k w_j|^2 + s ||W||^2, the error of user
k is e_k = |u_k|^2 T_k - 2 Re(conj(u_k) h_k w_k) + 1, and min over u, v of sum_k (v_k e_k -
log v_k) = K - f(W). Each block in closed form:
    u_k = h_k w_k / T_k,    e_k = 1 - |h_k w_k|^2 / T_k,    v_k = 1 / e_k,
    w_k = (sum_j v_j |u_j|^2 h_j^H h_j + s sum_j v_j |u_j|^2 I)^-1 h_k^H u_k v_k.
So f never falls, and what starts at RZF ends above it. (||W||^2 stands in every e_k, hence the sum
in the loading.)

**In K dimensions.** With D = diag(v |u|^2), push-through gives (H^H D H + m I)^-1 H^H =
H^H (D H H^H + m I)^-1: all precoders are W^T = H^H X with X (K, K), and with G = H H^H the steps
need h_k w_j = (G X)_kj and ||W||^2 = tr(X^H G X) alone, whatever M is.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.zero_forcing import Complex, check_snr, mrt, rzf, total_power, zf
from csideploy.errors import InputError
from csideploy.transceiver.rate import sum_rate

ITERATIONS = 100
"""Of the public implementation of the predecessor of paper 000."""
_STOP = 1e-7


def wmmse(
    h: Complex, snr: float, *, iterations: int = ITERATIONS, random: int = 1, seed: int = 0
) -> NDArray[np.complex128]:
    """The best of several runs, from RZF, MRT, ZF, and random beams.

    The random start is for a user that stands twice: the others leave both copies the same beam,
    and equal beams stay equal. On ray-traced channels (M 16, K 3 and 8, 10 dB) ten random starts
    and 500 iterations gain 0.1 % over these.

    Args:
        h: (n, K, M), row k as user k hears the antennas.
        snr: P / sigma^2, linear.
        iterations: at most; a run also ends when no rate of the batch rises by more than 1e-7.
        random: further starts, precoders of independent complex Gaussian numbers.
        seed: of those.

    Returns:
        complex128 (n, K, M), total power 1; the sum rate is that of the best start or more.

    Raises:
        InputError: not (n, K, M), not finite, SNR not above 0, or a negative number of anything.
    """
    check_snr(snr)
    if iterations < 0 or random < 0:
        raise InputError(f"iterations {iterations}, random starts {random}: from 0 up is right")
    starts = [rzf(h, snr), mrt(h), zf(h)]
    rng = np.random.default_rng(seed)
    for _ in range(random):
        drawn = rng.standard_normal((*h.shape, 2)).view(np.complex128)[..., 0]
        starts.append(total_power(drawn))
    h = h.astype(np.complex128)
    gram = h @ h.conj().swapaxes(1, 2)
    best, most = starts[0], sum_rate(h, starts[0], snr)
    for start in starts:
        x = _run(gram, h @ start.swapaxes(1, 2), 1 / snr, iterations)
        # A run of no steps, or one whose last digits fell, leaves the start itself.
        for w in (start, total_power((h.conj().swapaxes(1, 2) @ x).swapaxes(1, 2))):
            reached = sum_rate(h, w, snr)
            best = np.where((reached > most)[:, None, None], w, best)
            most = np.maximum(reached, most)
    return best


def _run(
    gram: NDArray[np.complex128], heard: NDArray[np.complex128], s: float, iterations: int
) -> NDArray[np.complex128]:
    """Steps from what the users hear of a start of power 1, h_k w_j: (n, K, K).

    Returns:
        X, (n, K, K).
    """
    n, users = gram.shape[:2]
    eye = np.eye(users)
    power = np.ones(n)
    x = np.zeros_like(gram)
    before = np.full(n, -np.inf)
    for _ in range(iterations):
        own = np.diagonal(heard, axis1=1, axis2=2)
        total = np.square(np.abs(heard)).sum(axis=2) + s * power[:, None]
        u = own / total
        v = 1 / (1 - np.square(np.abs(own)) / total)
        value = np.log2(v).sum(axis=1)
        if np.max(value - before) < _STOP:
            break
        before = value
        d = v * np.square(np.abs(u))
        loading = s * d.sum(axis=1)
        # Nobody hears anything: no precoder is better than another.
        loading[loading == 0] = 1
        left = d[:, :, None] * gram + loading[:, None, None] * eye
        x = np.linalg.solve(left, (u * v)[:, None, :] * eye)
        heard = gram @ x
        power = np.einsum("nij,nij->n", x.conj(), heard).real
        power[power <= 0] = 1
    return x
