"""Which codeword a user feeds back: by chordal distance, or by what it may expect of it."""

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
"""Power of the other users' beams outside a codeword, over what it would be if they were isotropic
there. Between 0.3 and 0.6 the rate of rank1-rzf moves by less than 0.03 bit/s/Hz."""

_CHUNK = 4096


def choose(
    setup: Setup, h: Complex, codebook: Complex, power: float, distance: Distance
) -> NDArray[np.int64]:
    """The codeword that each user feeds back, ties to the lowest index.

    Args:
        setup: sizes.
        h: the users' estimates, (n, M, N).
        codebook: (2^B, M, r).
        power: P at which the BS will transmit; read by "sinr" only.
        distance: "chordal": the codeword nearest to the space of the estimate, whatever the power.
            "sinr": that of the largest expected signal-to-interference-and-noise ratio (the measure
            of Min, Jeon, Im 2016, which paper 004 names; see `expected_gain`).

    Returns:
        (n,).

    Raises:
        InputError: no such distance.
    """
    check_distance(distance)
    if len(h) == 0:
        return np.empty(0, np.int64)
    if distance == "chordal":
        return nearest(basis(h), codebook)
    if not 0 < power < np.inf:
        raise InputError(f"power {power}: a number above 0")
    parts = [
        expected_gain(setup, h[at : at + _CHUNK], codebook, power).argmax(axis=1)
        for at in range(0, len(h), _CHUNK)
    ]
    return np.concatenate(parts)


def check_distance(distance: str) -> None:
    """The two rules there are.

    Raises:
        InputError: another one.
    """
    if distance not in DISTANCES:
        raise InputError(f"distance {distance!r}: {' or '.join(DISTANCES)}")


def expected_gain(
    setup: Setup, h: Complex, codebook: Complex, power: float
) -> NDArray[np.floating]:
    """What a user may expect behind its best combiner if it feeds a codeword back.

    The BS will send the user's r beams near A_j, each with power c = P / (K r). The others' r (K-1)
    beams spare A_j and so lie in the M - r dimensions around it: as isotropic interference of
    power e = LEAKAGE c r (K - 1) / (M - r) there. All beams reach the user over the error of its
    estimate too: s = 1 + P error. With G_j = H^H A_j the interference and noise that it hears is
    sI + e (H^H H - G_j G_j^H), and the rate log2 of

        det(R + (c - e) G_j G_j^H) / det(R - e G_j G_j^H),   R = s I + e H^H H.

    With R = C C^H and S_j = C^-1 G_j G_j^H C^-H this is det(I + (c - e) S_j) / det(I - e S_j). For
    r = 1 it grows with t_j = ||C^-1 H^H a_j||^2, which alone is returned: a weighted projection. At
    small P (R ~ I) it orders by received energy; the larger P and the better the estimate, the
    nearer it comes (R ~ H^H H) to the chordal distance.

    Args:
        setup: sizes.
        h: (n, M, N).
        codebook: (2^B, M, r), r = 1 or N.
        power: P.

    Returns:
        (n, 2^B); t_j for r = 1, else the natural logarithm of the ratio.
    """
    rank = codebook.shape[2]
    noise, around = weights(setup, power, rank)
    gram = h.conj().swapaxes(1, 2) @ h
    root = np.linalg.cholesky(around * gram + noise * np.eye(h.shape[2]))
    whitened = np.linalg.solve(root, h.conj().swapaxes(1, 2))
    words = codebook.transpose(1, 0, 2).reshape(h.shape[1], -1)
    heard = (whitened @ words).reshape(len(h), h.shape[2], len(codebook), rank)
    if rank == 1:
        t: NDArray[np.floating] = (heard.real**2 + heard.imag**2).sum(axis=(1, 3))
        return t
    heard = heard.transpose(0, 2, 1, 3)
    s = heard @ heard.conj().swapaxes(-1, -2)
    one = np.eye(h.shape[2])
    share = power / (setup.users * rank)
    above = np.linalg.slogdet(one + (share - around) * s)[1]
    below = np.linalg.slogdet(one - around * s)[1]
    gain: NDArray[np.floating] = above - below
    return gain


def weights(setup: Setup, power: float, rank: int) -> tuple[float, float]:
    """S and e of `expected_gain`: noise with the estimate's error, and interference around."""
    share = power / (setup.users * rank)
    dimensions = max(1, setup.antennas - rank)
    around = LEAKAGE * share * rank * (setup.users - 1) / dimensions
    return 1 + power * error_variance(setup, dft_pilots(setup)), around
