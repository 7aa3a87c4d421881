"""What users get: sum spectral efficiency and symbol error rate (paper 003, Section VI)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from csideploy.fronthaul.link import Complex, Links

_LEVELS = np.array([-3.0, -1.0, 1.0, 3.0]) / np.sqrt(10)


@dataclass(frozen=True)
class Quality:
    """Of every block (c,).

    Attributes:
        efficiency: sum over users of log2 det(I + E) - log2 det(E), bit/s/Hz, the paper's measure.
            It says 1 bit a stream when nothing gets through (E = I), so it is biased up.
        plain: sum over users of -log2 det(E), which says 0 then.
        sinr_efficiency: sum of log2(1 + SINR_n), SINR of eq. (21), single-antenna users; else None.
    """

    efficiency: NDArray[np.float64]
    plain: NDArray[np.float64]
    sinr_efficiency: NDArray[np.float64] | None


def gaussian_symbols(count: int, uses: int, streams: int, rng: np.random.Generator) -> Complex:
    """Unit-power complex Gaussian symbols (count, uses, streams)."""
    parts = rng.standard_normal((count, uses, streams, 2)) * np.sqrt(0.5)
    symbols: Complex = parts.view(np.complex128)[..., 0]
    return symbols


def qam16_symbols(count: int, uses: int, streams: int, rng: np.random.Generator) -> Complex:
    """Unit-power 16-QAM symbols (count, uses, streams)."""
    parts = _LEVELS[rng.integers(4, size=(2, count, uses, streams))]
    return np.asarray(parts[0] + 1j * parts[1])


def measure(links: Links, sent: Complex, s: Complex) -> Quality:
    """Efficiency of what the RUs send, Gamma x_hat.

    E_n = E[(s_hat - s)(s_hat - s)^H], eq. (41): the mean over the channel uses of a block, plus
    sigma^2 F^H F of the noise, in closed form.

    Args:
        links: c blocks.
        sent: (c, R, N_tx).
        s: the symbols (c, R, L).
    """
    setup = links.setup
    error = np.matmul(sent, np.swapaxes(links.a, 1, 2)) - s
    error = error.reshape(*error.shape[:2], setup.users, setup.streams)
    covariance = np.einsum("crnl,crnk->cnlk", error, error.conj()) / error.shape[1]
    covariance = covariance + setup.noise * np.einsum("cnrl,cnrk->cnlk", links.f.conj(), links.f)
    plain = -np.linalg.slogdet(covariance)[1] / np.log(2)
    above = np.linalg.slogdet(np.eye(setup.streams) + covariance)[1] / np.log(2)
    sinr = _sinr_efficiency(links, sent, s) if links.scalar else None
    return Quality((above + plain).sum(axis=1), plain.sum(axis=1), sinr)


def _sinr_efficiency(links: Links, sent: Complex, s: Complex) -> NDArray[np.float64]:
    own = np.einsum("cnt,ctn->cn", links.h[:, :, 0], links.w)
    heard = np.matmul(sent, np.swapaxes(links.h[:, :, 0], 1, 2))
    interference = np.mean(np.abs(heard - s * own[:, None]) ** 2, axis=1)
    sinr = np.abs(own) ** 2 / (links.setup.noise + interference)
    efficiency: NDArray[np.float64] = np.log2(1 + sinr).sum(axis=1)
    return efficiency


def symbol_errors(
    links: Links, sent: Complex, s: Complex, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Share of wrong 16-QAM decisions, mean over users: (c,).

    A user divides F^H y by the gain of each of its streams in the block, E[s_hat s*], which it
    knows from reference signals: quantizers, precoders and Gamma change it, whatever sends.

    Args:
        links: c blocks.
        sent: (c, R, N_tx).
        s: 16-QAM symbols (c, R, L).
        rng: of the noise.
    """
    setup = links.setup
    shape = (len(links), sent.shape[1], setup.users, setup.receive_antennas, 2)
    noise = (rng.standard_normal(shape) * np.sqrt(setup.noise / 2)).view(np.complex128)[..., 0]
    heard = np.einsum("cnrt,cut->cunr", links.h, sent) + noise
    estimate = np.einsum("cnrl,cunr->cunl", links.f.conj(), heard).reshape(s.shape)
    power = np.mean(np.abs(s) ** 2, axis=1, keepdims=True)
    gain = np.mean(estimate * s.conj(), axis=1, keepdims=True) / power
    estimate = estimate / np.where(gain == 0, 1, gain)
    wrong = _decide(estimate.real) != _decide(s.real)
    wrong |= _decide(estimate.imag) != _decide(s.imag)
    share: NDArray[np.float64] = wrong.mean(axis=(1, 2))
    return share


def interval_half(values: NDArray[np.float64]) -> float:
    """Half of the 95 % interval of the mean of independent values, by Student's t."""
    count = len(values)
    return float(stdtrit(count - 1, 0.975) * values.std(ddof=1) / np.sqrt(count))


def _decide(part: NDArray[np.floating]) -> NDArray[np.intp]:
    """Index of the nearest level; on a threshold, the lower one."""
    return np.searchsorted((_LEVELS[1:] + _LEVELS[:-1]) / 2, part, side="left")
