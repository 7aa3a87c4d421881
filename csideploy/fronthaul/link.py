"""From a channel to what the DU minimises: precoder, receivers, effective channel.

Paper 003, Sections II and V.

Shapes: channels h (c, N, N_rx, N_tx) of c blocks; W (c, N_tx, L), column l for stream l of all
L = N L_n; F (c, N, N_rx, L_n); A = F^H H, (c, L, N_tx). A channel use sends s (L,), of unit power.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csideploy.fronthaul.setup import Setup

Complex = NDArray[np.complexfloating]
Receiver = Literal["localized", "full"]

WHITENING = 0.1
"""epsilon of `whitener`, in parts of the largest eigenvalue."""


@dataclass(frozen=True)
class Links:
    """Blocks of channel uses, each under one channel, as DU and users know them.

    Attributes:
        setup: sizes.
        h: channels (c, N, N_rx, N_tx).
        w: MMSE precoders (c, N_tx, L); every RU keeps its power, the fullest one uses all of it.
        f: receive beamformers (c, N, N_rx, L_n).
        a: F^H H, (c, L, N_tx).
    """

    setup: Setup
    h: Complex
    w: Complex
    f: Complex
    a: Complex

    def __len__(self) -> int:
        return len(self.h)

    @property
    def scalar(self) -> bool:
        """Single-antenna users, for which the effective interference is that of eq. (22)."""
        return self.setup.receive_antennas == 1

    def gained(self, gamma: NDArray[np.float64]) -> Complex:
        """The channel C that the DU searches with: A Gamma, or H Gamma for single-antenna users.

        Args:
            gamma: (c, M).

        Returns:
            (c, L, N_tx).
        """
        channel = self.h[:, :, 0] if self.scalar else self.a
        gained: Complex = channel * per_antenna(self.setup, gamma)[:, None]
        return gained

    def wanted(self, s: Complex) -> Complex:
        """What C x_hat should be: s, or H_n W_n s_n for single-antenna users: (c, R, L).

        ||A Gamma x - s||^2 - ||s||^2 is the sum of eq. (42) over the users. For one antenna,
        |H_n (Gamma x - W_n s_n)|^2, eq. (22), is the same with the weight |H_n W_n|^2 on user n.

        Args:
            s: symbols (c, R, L).
        """
        if not self.scalar:
            return np.asarray(s, np.complex128)
        own = np.einsum("cnt,ctn->cn", self.h[:, :, 0], self.w)
        wanted: Complex = s * own[:, None]
        return wanted


def per_antenna(setup: Setup, gamma: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., M) of RUs to (..., N_tx) of antennas: the diagonal of Gamma (eq. 15)."""
    return np.repeat(gamma, setup.antennas, axis=-1)


def prepare(setup: Setup, h: Complex, receiver: Receiver = "localized") -> Links:
    """Precoders and receivers for known channels.

    Args:
        setup: sizes and noise.
        h: (c, N, N_rx, N_tx).
        receiver: MMSE with what a user knows of itself (eq. 44), or of all streams (eq. 43).
    """
    h = np.asarray(h, np.complex128)
    w = mmse_precoder(setup, h)
    f = receive_beamformers(setup, h, w, receiver)
    return Links(setup, h, w, f, effective(h, f))


def effective(h: Complex, f: Complex) -> Complex:
    """A = F^H H of all streams: (c, L, N_tx)."""
    a: Complex = np.einsum("cnrl,cnrt->cnlt", f.conj(), h)
    return a.reshape(len(h), -1, h.shape[-1])


def mmse_precoder(setup: Setup, h: Complex) -> Complex:
    """W = beta G^H (G G^H + L sigma^2 / (M P) I)^-1, of all RUs together: (c, N_tx, L).

    G stacks, for each user, the L_n strongest receive directions of its channel, U_n^H H_n. beta is
    the largest one that keeps E||x_m||^2 <= P_m = 1 at every RU (eq. 6).
    """
    count = len(h)
    directions = np.linalg.svd(h, full_matrices=False)[0][..., : setup.streams]
    g = effective(h, directions)
    loading = setup.total_streams * setup.noise / setup.rus
    gram = g @ _adjoint(g) + loading * np.eye(setup.total_streams)
    w = _adjoint(np.linalg.solve(gram, g))
    largest = antenna_powers(setup, np.sum(np.abs(w) ** 2, axis=-1)).max(axis=1)
    scaled: Complex = w / np.sqrt(largest).reshape(count, 1, 1)
    return scaled


def receive_beamformers(
    setup: Setup, h: Complex, w: Complex, receiver: Receiver = "localized"
) -> Complex:
    """F_n = (S_n + sigma^2 I)^-1 H_n W_n: (c, N, N_rx, L_n).

    S_n is the covariance of the user's own signal (eq. 44), or of all signals (eq. 43).
    """
    own = np.arange(setup.total_streams).reshape(setup.users, setup.streams)
    heard = np.einsum("cnrt,cts->cnrs", h, w)
    mine = np.stack([heard[:, n][:, :, own[n]] for n in range(setup.users)], axis=1)
    signal = mine if receiver == "localized" else heard
    covariance = signal @ _adjoint(signal) + setup.noise * np.eye(setup.receive_antennas)
    f: Complex = np.linalg.solve(covariance, mine)
    return f


def antenna_powers(setup: Setup, power: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., N_tx) of antennas summed to (..., M) of RUs."""
    return np.stack([power[..., span].sum(axis=-1) for span in setup.spans], axis=-1)


def power_gains(setup: Setup, x_hat: Complex) -> NDArray[np.float64]:
    """gamma_m = min(1, sqrt(P_m / E||x_m||^2)), the mean over the channel uses of a block.

    Args:
        setup: sizes.
        x_hat: what the RUs make of their bits (c, R, N_tx).

    Returns:
        (c, M).
    """
    power = antenna_powers(setup, np.mean(np.abs(x_hat) ** 2, axis=1))
    return np.minimum(1, 1 / np.sqrt(np.maximum(power, np.finfo(np.float64).tiny)))


def whitener(a: Complex) -> Complex:
    """(A A^H + epsilon I)^-1/2, epsilon = WHITENING of the largest eigenvalue: (c, L, L).

    Not in the paper. The descent of neural-MQ on ||T (A x - s)||^2 then has nearly the same
    curvature in every direction of s; on ||A x - s||^2 the weak directions do not move in I steps.
    """
    values, vectors = np.linalg.eigh(a @ _adjoint(a))
    roots: NDArray[np.floating] = np.sqrt(values + WHITENING * values[:, -1:])
    root: Complex = (vectors / roots[:, None]) @ _adjoint(vectors)
    return root


def joint_step(setup: Setup, c: Complex, eta: float) -> NDArray[np.float64]:
    """Step of neural-MQ, (c,): eta 2 N_m / (P lambda_max(C C^H)), N_m of the largest RU.

    P / (2 N_m) is the power of one real output, the square of the network's output scale, and
    lambda_max the steepest direction of ||C x - d||^2.
    """
    steepest = np.linalg.eigvalsh(c @ _adjoint(c))[:, -1].astype(np.float64)
    step: NDArray[np.float64] = eta * 2 * max(setup.antennas) / steepest
    return step


def own_step(setup: Setup, eta: float) -> float:
    """Step of neural-VQ, where C is the unit matrix."""
    return eta * 2 * max(setup.antennas)


def _adjoint(matrix: Complex) -> Complex:
    return np.conj(np.swapaxes(matrix, -1, -2))
