"""The conventional schemes beside a transceiver, by name (paper 000, Section VI-B).

`zf`, `rzf`, `mrt`, `wmmse` know the channels. `zf-lmmse` and `rzf-lmmse` know the users' estimates
from L pilots to the last digit. `zf-lloyd` and `rzf-lloyd` know B bits of each channel, from users
that know theirs to the last digit. No scheme here has both losses, which a real link has.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.channel_codebook import TARGETS, ChannelCodebook, Target, fit_channels
from csideploy.baselines.pilot_estimate import Pilots, covariance, lmmse, observe, pilots
from csideploy.baselines.wmmse import wmmse
from csideploy.baselines.zero_forcing import Complex, mrt, rzf, zf
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

NAMES = ("zf", "rzf", "mrt", "wmmse", "zf-lmmse", "rzf-lmmse", "zf-lloyd", "rzf-lloyd")
TIER_BITS = 10
"""Of a tier of the channels' codebooks, the last one smaller (the paper's N = 3 at B = 30)."""
MOST_SEEN = 40_000
"""Training users that Lloyd's algorithm sees: 40 for each of 1024 codewords."""

Scheme = Callable[[Complex, Complex, float, int], NDArray[np.complex128]]
"""(h (n, K, M), noise (n, K, L) of variance 1, SNR, B) -> W (n, K, M) of power 1."""


class Baselines:
    """The schemes, fitted on training users; codebooks are made when they are first asked for."""

    def __init__(
        self,
        users: Complex,
        length: int,
        *,
        kind: Pilots = "dft",
        target: Target = "direction",
        seed: int = 0,
        progress: Advance = quiet,
    ) -> None:
        """Covariance and pilots from training users.

        Args:
            users: channels (N, M) of training users, scaled as those to be served.
            length: L, pilots.
            kind: of the pilots, "dft" or "eigen" (`pilot_estimate.pilots`).
            target: of the codebooks (`channel_codebook`).
            seed: of the codebooks.
            progress: of fitting a codebook.

        Raises:
            InputError: channels of the wrong form, or an argument out of range.
        """
        if target not in TARGETS:
            raise InputError(f"target {target!r}: one of {', '.join(TARGETS)}")
        self.covariance = covariance(users)
        self.pilots = pilots(kind, length, self.covariance)
        self.target: Target = target
        self._seed = seed
        self._progress = progress
        self._codebooks: dict[int, ChannelCodebook] = {}
        if len(users) > MOST_SEEN:
            chosen = np.random.default_rng(seed).choice(len(users), MOST_SEEN, replace=False)
            users = users[np.sort(chosen)]
        self._users = users

    def codebook(self, bits: int) -> ChannelCodebook:
        """Tiers of 10 bits and the rest; those of B - 10, ... are found first and built on.

        Raises:
            InputError: bits below 1, or fewer training users than codewords of a tier.
        """
        if bits < 1:
            raise InputError(f"{bits} bits: at least 1 is right")
        if bits not in self._codebooks:
            whole, rest = divmod(bits, TIER_BITS)
            tiers = [TIER_BITS] * whole + [rest] * (rest > 0)
            before = bits - tiers[-1]
            self._codebooks[bits] = fit_channels(
                self._users,
                tiers,
                target=self.target,
                seed=self._seed,
                start=self.codebook(before) if before else None,
                progress=self._progress,
            )
        return self._codebooks[bits]

    def estimate(self, h: Complex, noise: Complex, snr: float) -> NDArray[np.complex128]:
        """What users make of the pilots: (n, K, M)."""
        y = observe(h, self.pilots, noise, snr)
        return lmmse(y, self.pilots, self.covariance, snr)

    def scheme(self, name: str) -> Scheme:
        """A scheme by its name.

        Raises:
            InputError: no such name.
        """
        if name not in NAMES:
            raise InputError(f"baseline {name!r}: one of {', '.join(NAMES)}")
        precoder, _, known = name.partition("-")

        def precode(h: Complex, noise: Complex, snr: float, bits: int) -> NDArray[np.complex128]:
            if known == "lmmse":
                h = self.estimate(h, noise, snr)
            elif known == "lloyd":
                h = self.codebook(bits).quantize(h)
            if precoder == "rzf":
                return rzf(h, snr)
            if precoder == "wmmse":
                return wmmse(h, snr)
            return zf(h) if precoder == "zf" else mrt(h)

        return precode
