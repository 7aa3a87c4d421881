"""Schemes measured side by side: the same users, the same noise, the difference with its interval.

Intervals are the mean +- 1.96 standard errors over groups, taken as independent. Groups are drawn
from a finite list of users, so users stand in several groups: the interval is that of the average
over groups of these users, not over all users that a cell could have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.transceiver.rate import Complex, sum_rate

Candidate = Callable[[Complex, Complex, float, int], Complex]
"""(h (n, K, M), noise (n, K, L) of variance 1, SNR, B) -> W (n, K, M)."""


@dataclass(frozen=True)
class Regional:
    """A candidate that is told each user's region as well.

    Attributes:
        run: (h, noise, SNR, B, region int (n, K)) -> W (n, K, M).
    """

    run: Callable[[Complex, Complex, float, int, NDArray[np.integer]], Complex]


_BATCH = 500
_QUANTILE = 1.96


@dataclass(frozen=True)
class Average:
    """A mean over groups and half the width of its 95 % interval, bit/s/Hz."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} +- {self.half:.3f}"


@dataclass(frozen=True)
class Measured:
    """Sum rates of every candidate on the same groups.

    Attributes:
        rates: by candidate, float64 (n,).
    """

    rates: Mapping[str, NDArray[np.float64]]

    def average(self, name: str) -> Average:
        """Mean sum rate."""
        return _average(self._of(name))

    def margin(self, name: str, beside: str) -> Average:
        """How much more than `beside`, paired: group by group."""
        return _average(self._of(name) - self._of(beside))

    def _of(self, name: str) -> NDArray[np.float64]:
        if name not in self.rates:
            raise InputError(f"candidate {name!r}: one of {', '.join(self.rates)}")
        return self.rates[name]


def measure(
    candidates: Mapping[str, Candidate | Regional],
    groups: Complex,
    snr: float,
    *,
    bits: int,
    pilots: int,
    seed: int,
    regions: NDArray[np.integer] | None = None,
    progress: Advance = quiet,
) -> Measured:
    """Sum rates of all candidates on the same channels and the same pilot noise.

    Args:
        candidates: by name.
        groups: channels (n, K, M), n >= 2.
        snr: P / sigma^2, linear; the pilots' as well.
        bits: B, of a user.
        pilots: L, for the noise.
        seed: of the noise.
        regions: of the users, (n, K), for those that are told; None: all of region 0.
        progress: called with batches done and in all.

    Raises:
        InputError: no candidates, fewer than 2 groups, a precoder of another shape or too much
            power (named), or one that is not finite.
    """
    if not candidates or groups.ndim != 3 or len(groups) < 2 or pilots < 1:
        raise InputError(
            f"{len(candidates)} candidates on groups {groups.shape}, {pilots} pilots: at least one "
            f"on (n, K, M), n >= 2, with a pilot, is right"
        )
    rng = np.random.default_rng(seed)
    rates = {name: np.empty(len(groups)) for name in candidates}
    batches = -(-len(groups) // _BATCH)
    for batch in range(batches):
        part = slice(batch * _BATCH, (batch + 1) * _BATCH)
        h = groups[part]
        parts = rng.standard_normal((*h.shape[:2], pilots, 2)) * np.sqrt(0.5)
        noise = parts.view(np.complex128)[..., 0]
        for name, candidate in candidates.items():
            if isinstance(candidate, Regional):
                where = np.zeros(h.shape[:2], np.int64) if regions is None else regions[part]
                w = candidate.run(h, noise, snr, bits, where)
            else:
                w = candidate(h, noise, snr, bits)
            if not np.isfinite(w).all():
                raise InputError(f"candidate {name}: a precoder that is not finite")
            try:
                rates[name][part] = sum_rate(h, w, snr)
            except InputError as error:
                raise InputError(f"candidate {name}: {error}") from None
        progress(batch + 1, batches)
    return Measured(rates)


def draw_groups(
    users: Complex, environment: NDArray[np.integer], size: int, count: int, *, seed: int
) -> Complex:
    """Groups of different users of one environment, each environment as often as it has users.

    Args:
        users: channels (N, M).
        environment: of each user, (N,).
        size: K.
        count: n.
        seed: of the draws.

    Returns:
        (n, K, M), of the users' precision.

    Raises:
        InputError: sizes that do not go together, or no environment of K users.
    """
    if users.ndim != 2 or environment.shape != (len(users),) or size < 1 or count < 1:
        raise InputError(
            f"users {users.shape}, environments {environment.shape}, {count} groups of {size}: "
            f"(N, M), (N,) and numbers from 1 up are right"
        )
    names, counts = np.unique(environment, return_counts=True)
    members = [np.flatnonzero(environment == name) for name in names[counts >= size]]
    if not members:
        raise InputError(f"groups of {size}: the largest environment has {counts.max()} users")
    sizes = np.array([len(m) for m in members])
    rng = np.random.default_rng(seed)
    of = rng.choice(len(members), count, p=sizes / sizes.sum())
    chosen = np.stack([rng.choice(members[e], size, replace=False) for e in of])
    drawn: Complex = users[chosen]
    return drawn


def _average(rates: NDArray[np.float64]) -> Average:
    half = _QUANTILE * float(rates.std(ddof=1)) / np.sqrt(len(rates))
    return Average(float(rates.mean()), float(half))
