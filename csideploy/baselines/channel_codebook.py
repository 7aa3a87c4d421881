"""Residual codebooks of channels: a user that knows its channel feeds back B bits of it.

Paper 000, Section VI-B ("perfect CE & imperfect feedback"): Lloyd's algorithm on the training
channels, then on what is left. Two targets:

"channel", as the paper has it: the channel itself, 2M real numbers (re, im of each antenna). Users
far away are all zero to such a codebook, and each phase of the same channel needs its own codeword.

"direction": all that equal-power zero forcing reads of a channel is its direction up to a phase. So
channels are scaled to norm 1, and the first tier is searched over all phases p at once,
    min_p ||e^(jp) h - c||^2 = ||h||^2 + ||c||^2 - 2 |h c^H|,
whose best phase makes the correlation h c^H real and positive. The channel is turned by it, and
the further tiers, on what is left of the turned one, are Lloyd's on 2M reals as before. The norm is
not sent; what is decoded has the root mean square norm of the training channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.zero_forcing import Complex
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.transceiver.search import decode, encode
from csideploy.transceiver.setup import MOST_BITS
from csideploy.transceiver.tiers import fit_tiers

Target = Literal["channel", "direction"]
TARGETS = ("channel", "direction")

_CHUNK = 1 << 20
_STILL = 2.0**-24


@dataclass(frozen=True)
class ChannelCodebook:
    """Tiers and how they are to be read.

    Attributes:
        target: "channel" or "direction".
        tiers: float32 (2^b_t, 2M).
        norm: of a decoded direction; 1 for channels.
    """

    target: Target
    tiers: tuple[NDArray[np.float32], ...]
    norm: float

    def quantize(self, h: Complex) -> NDArray[np.complex128]:
        """What the BS makes of the bits: (..., M) as h.

        A direction comes back turned by the phase that the user does not send.

        Raises:
            InputError: another number of antennas.
        """
        if 2 * h.shape[-1] != self.tiers[0].shape[1]:
            raise InputError(
                f"channels of {h.shape[-1]} antennas, codebooks of {self.tiers[0].shape[1] // 2}"
            )
        flat = h.reshape(-1, h.shape[-1])
        if self.target == "channel":
            features = as_real(flat)
            made = as_complex(decode(encode(features, self.tiers), self.tiers))
        else:
            words = as_complex(self.tiers[0])
            turned, index = align(directions(flat), words)
            made = words[index]
            if len(self.tiers) > 1:
                left = as_real(turned - made)
                made = made + as_complex(decode(encode(left, self.tiers[1:]), self.tiers[1:]))
        return self.norm * made.reshape(h.shape)


def fit_channels(
    users: Complex,
    tiers: Sequence[int],
    *,
    target: Target = "direction",
    seed: int,
    iterations: int = 50,
    start: ChannelCodebook | None = None,
    progress: Advance = quiet,
) -> ChannelCodebook:
    """Codebooks of training users' channels.

    Args:
        users: (N, M).
        tiers: b_t, bits of each tier.
        target: "channel" or "direction".
        seed: of the starts.
        iterations: of Lloyd at most, a tier.
        start: a codebook of the same arguments with fewer tiers, whose tiers are then not fitted
            anew; a tier depends on the ones before it alone.
        progress: called with iterations done and in all, of the tiers that are fitted.

    Raises:
        InputError: no such target, channels of the wrong form, or fewer of them than codewords.
    """
    if target not in TARGETS:
        raise InputError(f"target {target!r}: one of {', '.join(TARGETS)}")
    if users.ndim != 2 or not users.size or not np.isfinite(users).all():
        raise InputError(f"users' channels {users.shape}: (N, M), finite, is right")
    if not tiers or not all(1 <= bits <= MOST_BITS for bits in tiers):
        raise InputError(f"tiers {tuple(tiers)}: one or more of 1 to {MOST_BITS} bits")
    if len(users) < 1 << max(tiers):
        raise InputError(f"tiers {tuple(tiers)} of {len(users)} users: a user a codeword at least")
    done = () if start is None else start.tiers
    wide = users.astype(np.complex128)
    norm = 1.0
    if target == "direction":
        norm = float(np.sqrt(np.square(np.abs(wide)).sum(axis=1).mean()))
        wide = directions(wide)
        if not done:
            first = _phase_lloyd(wide, tiers[0], seed=seed, iterations=iterations)
            done = (as_real(first).astype(np.float32),)
        words = as_complex(done[0])
        wide, index = align(wide, words)
        left, behind = as_real(wide - words[index]), done[1:]
    else:
        left, behind = as_real(wide), done
    if behind:
        left = left - decode(encode(left, behind), behind)
    rest = tiers[len(done) :]
    made = (
        fit_tiers(left, rest, seed=seed, iterations=iterations, first=len(done), progress=progress)
        if rest
        else []
    )
    return ChannelCodebook(target, (*done, *made), norm)


def as_real(h: Complex) -> NDArray[np.float64]:
    """(n, M) complex -> float64 (n, 2M): re, im of each antenna in turn."""
    return np.ascontiguousarray(h.astype(np.complex128)).view(np.float64)


def as_complex(features: NDArray[np.floating]) -> NDArray[np.complex128]:
    """The inverse of `as_real`."""
    return np.ascontiguousarray(features.astype(np.float64)).view(np.complex128)


def directions(h: Complex) -> NDArray[np.complex128]:
    """Rows scaled to norm 1; rows of zeros stay."""
    norm = np.linalg.norm(h, axis=1, keepdims=True)
    wide = h.astype(np.complex128)
    made: NDArray[np.complex128] = np.divide(wide, norm, out=np.zeros_like(wide), where=norm > 0)
    return made


def align(h: Complex, words: Complex) -> tuple[NDArray[np.complex128], NDArray[np.int64]]:
    """Each row turned towards its word, the best over all phases, ties to the lowest.

    Args:
        h: (n, M).
        words: (J, M).

    Returns:
        complex128 (n, M), int64 (n,).
    """
    turned = h.astype(np.complex128)
    index = np.empty(len(h), np.int64)
    norms = np.square(np.abs(words)).sum(axis=1)
    columns = words.conj().T
    step = max(1, _CHUNK // len(words))
    for at in range(0, len(h), step):
        part = slice(at, at + step)
        products = turned[part] @ columns
        best = (norms - 2 * np.abs(products)).argmin(axis=1)
        phase = products[np.arange(len(best)), best]
        size = np.abs(phase)
        turn = np.divide(phase.conj(), size, out=np.ones_like(phase), where=size > 0)
        turned[part] *= turn[:, None]
        index[part] = best
    return turned, index


def _phase_lloyd(
    h: NDArray[np.complex128], bits: int, *, seed: int, iterations: int
) -> NDArray[np.complex128]:
    """Lloyd's algorithm with the distance of `align`; an empty cell takes the worst served user.

    The mean of a cell changes the phases that its users are turned by, so the words still move when
    no user changes its cell: it ends when neither happens, to float32's precision.

    Starts from users drawn evenly: in directions no user is far from all others, which is what a
    start by distances would look for.
    """
    rng = np.random.default_rng([seed, 0])
    words = h[rng.choice(len(h), 1 << bits, replace=False)].copy()
    before = np.full(len(h), -1)
    for _ in range(iterations):
        turned, index = align(h, words)
        counts = np.bincount(index, minlength=len(words))
        filled = counts > 0
        sums = np.zeros_like(words)
        np.add.at(sums, index, turned)
        squared = np.square(np.abs(turned - words[index])).sum(axis=1)
        means = sums[filled] / counts[filled, None]
        moved = np.abs(means - words[filled]).max()
        words[filled] = means
        if np.array_equal(index, before) and moved <= _STILL:
            break
        before = index
        empty = np.flatnonzero(~filled)
        words[empty] = h[np.argsort(-squared, kind="stable")[: len(empty)]]
    return words
