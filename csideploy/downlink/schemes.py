"""Ways from what the users hear to what the BS sends, side by side: each is a function of y.

The baselines of paper 004 and the one that it leaves out (`rank1-rzf`). Each sees the same pilots
and feeds back the same bits, but for `rbd-infinite`, which sees the estimates themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.block_diagonal import bd, rbd
from csideploy.baselines.feedback import DISTANCES, Distance, check_distance, choose
from csideploy.baselines.grassmann import codebook
from csideploy.baselines.rank1_rzf import rzf
from csideploy.downlink.channels import Complex, dft_pilots, estimate, observe, rayleigh
from csideploy.downlink.rate import user_rates
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

BASELINES = ("bd", "rbd", "rbd-infinite", "rank1-rzf")

_TUNING_SAMPLES = 3000
_GRID = 1.25 ** np.arange(-22, 15)
"""Regularizations that are tried: 0.007 to 23."""


@dataclass(frozen=True)
class Scheme:
    """One way, ready to run at one P.

    Attributes:
        name: "bd", "rank1-rzf (chordal)", ...
        feedback_bits: of a user; None: unbounded.
        precode: y float32 (n, K, L, N, 2) -> V complex64 (n, K, M, N).
        loading: the regularization that was found best for it, if it has one.
    """

    name: str
    feedback_bits: int | None
    precode: Callable[[NDArray[np.float32]], Complex]
    loading: float | None = None


class Baselines:
    """The conventional schemes of one set-up; codebooks are made when they are first asked for."""

    def __init__(self, setup: Setup, *, seed: int, progress: Advance = quiet) -> None:
        """Sizes; the seed of codebooks and of the channels that regularizations are tuned on."""
        self.setup = setup
        self.seed = seed
        self.pilots = dft_pilots(setup)
        self._codebooks: dict[int, NDArray[np.complex64]] = {}
        self._tuning: tuple[Complex, NDArray[np.float32]] | None = None
        self._progress = progress

    def codebook(self, rank: int) -> NDArray[np.complex64]:
        """(2^B, M, rank)."""
        if rank not in self._codebooks:
            made = codebook(self.setup, rank, seed=self.seed, progress=self._progress)
            self._codebooks[rank] = made
        return self._codebooks[rank]

    def scheme(self, name: str, power: float, distance: Distance = "chordal") -> Scheme:
        """A scheme, its regularization found by brute force at this P on channels of its own.

        Args:
            name: one of `BASELINES`.
            power: P.
            distance: of the codewords; `rbd-infinite` has none.

        Raises:
            InputError: no such scheme or distance, or a power that is not above 0.
        """
        if name not in BASELINES:
            raise InputError(f"baseline {name!r}: one of {', '.join(BASELINES)}")
        check_distance(distance)
        if not 0 < power < np.inf:
            raise InputError(f"power {power}: a number above 0")
        bits = None if name == "rbd-infinite" else self.setup.bits
        full = name if name in ("rbd-infinite",) else f"{name} ({distance})"
        if name == "bd":
            return Scheme(full, bits, lambda y: bd(self._quantized(y, power, distance)))
        tuned = self._tune(name, power, distance)

        def precode(y: NDArray[np.float32]) -> Complex:
            return self._regularized(name, self._before(name, y, power, distance), tuned)

        return Scheme(full, bits, precode, tuned)

    def better_distance(self, power: float) -> Distance:
        """The rule that rank1-rzf gains more by at this P, on the channels of the tuning."""
        rates: dict[Distance, float] = {}
        for distance in DISTANCES:
            scheme = self.scheme("rank1-rzf", power, distance)
            h, y = self._channels()
            rates[distance] = float(user_rates(h, scheme.precode(y), power).mean())
        return max(rates, key=lambda distance: rates[distance])

    def _before(
        self, name: str, y: NDArray[np.float32], power: float, distance: Distance
    ) -> Complex:
        """What the BS knows: (n, K, M, ranks)."""
        if name == "rbd-infinite":
            return estimate(self.setup, y, self.pilots)
        return self._quantized(y, power, distance, rank=1 if name == "rank1-rzf" else None)

    def _regularized(self, name: str, known: Complex, loading: float) -> Complex:
        if name == "rank1-rzf":
            return rzf(known[..., 0], loading, self.setup.streams)
        return rbd(known, loading)

    def _quantized(
        self,
        y: NDArray[np.float32],
        power: float,
        distance: Distance,
        rank: int | None = None,
    ) -> Complex:
        setup = self.setup
        book = self.codebook(setup.streams if rank is None else rank)
        h = estimate(setup, y, self.pilots).reshape(-1, setup.antennas, setup.streams)
        index = choose(setup, h, book, power, distance)
        found: Complex = book[index].reshape(len(y), setup.users, setup.antennas, -1)
        return found

    def _channels(self) -> tuple[Complex, NDArray[np.float32]]:
        """Channels and pilots of the tuning."""
        if self._tuning is None:
            rng = np.random.default_rng([self.seed, 1])
            h = rayleigh(self.setup, _TUNING_SAMPLES, rng)
            self._tuning = h, observe(self.setup, h, self.pilots, rng)
        return self._tuning

    def _tune(self, name: str, power: float, distance: Distance) -> float:
        """The regularization of the highest rate: the best of a grid, then between its neighbours.

        The paper searches alpha by brute force for each SNR; so does this, for every scheme.
        """
        h, y = self._channels()
        known = self._before(name, y, power, distance)

        def rate(loading: float) -> float:
            return float(user_rates(h, self._regularized(name, known, loading), power).mean())

        # The rate has one maximum: a coarse grid, then the grid itself around the best.
        coarse = range(0, len(_GRID), 6)
        best = max(coarse, key=lambda i: rate(float(_GRID[i])))
        near = range(max(0, best - 5), min(len(_GRID), best + 6))
        return float(_GRID[max(near, key=lambda i: rate(float(_GRID[i])))])
