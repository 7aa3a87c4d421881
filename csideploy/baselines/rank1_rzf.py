"""One quantized direction a user, and regularized zero forcing: `rank1-rzf`.

A conventional scheme that paper 004 leaves out. Each user feeds back the codeword that promises it
the most; the BS beams at each codeword while it spares the others', and sends both streams of a
user along its beam, V_k = [w_k w_k], so that tr(V_k^H V_k) = N and the power is that of the paper.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.grassmann import basis, nearest
from csideploy.downlink.channels import Complex, dft_pilots, error_variance
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError

Distance = Literal["chordal", "sinr"]
DISTANCES: tuple[Distance, ...] = ("chordal", "sinr")

LEAKAGE = 0.5
"""Share of the interference's power that reaches a user outside its codeword, of what would if the
other beams were isotropic there; between 0.3 and 0.6 the rate is flat (`benchmarks/precoders.py
--leakage`)."""

_CHUNK = 4096


def rzf(directions: Complex, loading: float, streams: int) -> Complex:
    """Beams W = A (A^H A + loading I)^-1, each to unit norm, repeated for every stream.

    Args:
        directions: (n, K, M); A has them as columns.
        loading: above 0.
        streams: N.

    Returns:
        (n, K, M, N), complex of the directions' precision.

    Raises:
        InputError: the loading is not above 0.
    """
    if not 0 < loading < np.inf:
        raise InputError(f"loading {loading}: a number above 0")
    a = directions.swapaxes(1, 2)
    gram = a.conj().swapaxes(1, 2) @ a + loading * np.eye(a.shape[2], dtype=a.real.dtype)
    # W^H = G^-1 A^H, since the Gram matrix G is Hermitian.
    beams = np.linalg.solve(gram, a.conj().swapaxes(1, 2)).conj()
    norm = np.linalg.norm(beams, axis=2, keepdims=True)
    beams = np.divide(beams, norm, out=np.zeros_like(beams), where=norm > 0)
    v: Complex = np.repeat(beams[..., None], streams, axis=3)
    return v


def choose(
    setup: Setup, h: Complex, codebook: Complex, power: float, distance: Distance
) -> NDArray[np.int64]:
    """The codeword that each user feeds back.

    Args:
        setup: sizes.
        h: the users' estimates, (n, M, N).
        codebook: (2^B, M, 1).
        power: P at which the BS will transmit; read by "sinr" only.
        distance: "chordal": the codeword nearest to the space of the estimate, whatever the power.
            "sinr": that of the largest expected signal-to-interference-and-noise ratio (the measure
            of Min, Jeon, Im 2016, for one direction; see `expected_sinr`).

    Returns:
        (n,).

    Raises:
        InputError: no such distance.
    """
    if distance == "chordal":
        return nearest(basis(h), codebook)
    if distance != "sinr":
        raise InputError(f"distance {distance!r}: chordal or sinr")
    parts = [
        expected_sinr(setup, h[at : at + _CHUNK], codebook, power).argmax(axis=1)
        for at in range(0, len(h), _CHUNK)
    ]
    return np.concatenate(parts)


def expected_sinr(
    setup: Setup, h: Complex, codebook: Complex, power: float
) -> NDArray[np.floating]:
    """What a user may expect behind its best combiner if it feeds a codeword back.

    The BS will send w ~ a_j with power c = P / K; the K - 1 other beams spare a_j, and so lie in
    the M - 1 dimensions around it, of which a share reaches the user (`LEAKAGE`, times (K - 1) /
    (M - 1)). The estimate's error hears all K beams. With g = H^H a_j,

        SINR_j = c g^H (s I + c e (H^H H - g g^H))^-1 g,   s = 1 + c K * error,
        e = LEAKAGE (K - 1) / (M - 1).

    By the rank-one update this equals t / (1 - c e t / c') with one 2 x 2 solve for all codewords:
    with R = s I + c e H^H H and t = g^H R^-1 g, g^H (R - c e g g^H)^-1 g = t / (1 - c e t), which
    grows with t. So the user may as well maximise t = ||R^-1/2 H^H a_j||^2: a projection, with
    weights. At small P it is the received energy, at large P the chordal distance.

    Args:
        setup: sizes.
        h: (n, M, N).
        codebook: (2^B, M, 1).
        power: P.

    Returns:
        t, (n, 2^B); its order is that of SINR_j.
    """
    share = power / setup.users
    error = error_variance(setup, dft_pilots(setup))
    around = share * LEAKAGE * (setup.users - 1) / max(1, setup.antennas - 1)
    gram = h.conj().swapaxes(1, 2) @ h
    loaded = around * gram + (1 + share * setup.users * error) * np.eye(h.shape[2])
    # R = C C^H: ||C^-1 H^H a||^2 is t.
    root = np.linalg.cholesky(loaded)
    weighted = np.linalg.solve(root, h.conj().swapaxes(1, 2))
    heard = weighted @ codebook[:, :, 0].T
    t: NDArray[np.floating] = (heard.real**2 + heard.imag**2).sum(axis=1)
    return t
