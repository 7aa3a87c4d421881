"""The channels of many users of a BS, one row a user, and the files that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError


@dataclass(frozen=True)
class Users:
    """What single-antenna users hear of each antenna of their BS.

    Attributes:
        h: complex64 (N, M); a user hears y = h x of the pilots x (M,): the paper's h^H.
        environment: int32 (N,), the BS place that a user belongs to; users of a group share one.
        region: uint8 (N,), part of the cell, for codebooks of their own (paper 000, Remark 2).
        xy: float32 (N, 2), metres, or None.
        groups: int32 (G, K), rows that the file itself puts together, or None.
        about: `taken_for` (one line), `outage` (rows left out since nothing is heard there) and,
            of generated files, `parameters`.

    Raises:
        InputError: shapes that do not go together, values that are not finite, a user that hears
            nothing.
    """

    h: NDArray[np.complex64]
    environment: NDArray[np.int32]
    region: NDArray[np.uint8]
    xy: NDArray[np.float32] | None = None
    groups: NDArray[np.int32] | None = None
    about: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.h.ndim != 2 or 0 in self.h.shape or not np.iscomplexobj(self.h):
            raise InputError(
                f"channels of shape {self.h.shape} and {self.h.dtype}; complex (N, M) needed"
            )
        n = len(self.h)
        for name, shape, wanted in (
            ("environment", self.environment.shape, (n,)),
            ("region", self.region.shape, (n,)),
            ("xy", (n, 2) if self.xy is None else self.xy.shape, (n, 2)),
        ):
            if shape != wanted:
                raise InputError(f"{name} of shape {shape} beside {n} users; {wanted} is needed")
        if not np.isfinite(self.h).all():
            row = int(np.flatnonzero(~np.isfinite(self.h).all(axis=1))[0])
            raise InputError(f"NaN or infinity in the channel of user {row}")
        if not self.h.any(axis=1).all():
            row = int(np.flatnonzero(~self.h.any(axis=1))[0])
            raise InputError(f"user {row} hears nothing: leave users in outage out")
        if self.groups is not None and (
            self.groups.ndim != 2
            or self.groups.size == 0
            or not 0 <= self.groups.min() <= self.groups.max() < n
        ):
            raise InputError(
                f"groups of shape {self.groups.shape}; (G, K) of rows below {n} needed"
            )

    def __len__(self) -> int:
        return len(self.h)

    @property
    def antennas(self) -> int:
        """M."""
        return int(self.h.shape[1])

    @cached_property
    def identity(self) -> NDArray[np.int64]:
        """(N,), the first row that holds the same channel: equal for rows that stand twice."""
        rows = np.ascontiguousarray(self.h).view(
            np.dtype((np.void, self.h.itemsize * self.antennas))
        )
        _, first, inverse = np.unique(rows.ravel(), return_index=True, return_inverse=True)
        identity: NDArray[np.int64] = first[inverse.ravel()]
        return identity

    @property
    def distinct(self) -> int:
        """Number of different rows."""
        return len(np.unique(self.identity))

    def normalized(self) -> Users:
        """Scaled so that E|h|^2 = 1 over all entries: users keep their strengths to each other."""
        scale = 1 / np.sqrt(np.mean(np.abs(self.h.astype(np.complex128)) ** 2))
        return replace(self, h=(self.h.astype(np.complex128) * scale).astype(np.complex64))

    def take(self, rows: NDArray[np.intp]) -> Users:
        """These rows, in this order; of the groups those that are whole."""
        groups = None
        if self.groups is not None:
            place = np.full(len(self), -1)
            place[rows] = np.arange(len(rows))
            moved = place[self.groups]
            whole = moved[(moved >= 0).all(axis=1)].astype(np.int32)
            groups = whole if len(whole) else None
        return Users(
            h=self.h[rows],
            environment=self.environment[rows],
            region=self.region[rows],
            xy=None if self.xy is None else self.xy[rows],
            groups=groups,
            about=self.about,
        )

    def split(self, shares: Sequence[float], seed: int, *, by: str = "row") -> list[Users]:
        """Parts without a common channel; rows keep their order.

        Args:
            shares: of each part, above 0 and 1 together at most.
            seed: of what goes where.
            by: "row": a channel that stands twice goes to one part only; "environment": so do all
                users of an environment.

        Raises:
            InputError: bad shares, or a part would be empty.
        """
        if by not in ("row", "environment"):
            raise InputError(f"split by {by!r}: by row or environment")
        if not shares or not all(share > 0 for share in shares) or sum(shares) > 1 + 1e-9:
            raise InputError(f"shares {tuple(shares)}: above 0 and 1 together at most")
        keys = self.identity if by == "row" else self.environment
        kinds = np.random.default_rng(seed).permutation(np.unique(keys))
        cuts = np.rint(np.cumsum([0.0, *shares]) * len(kinds)).astype(int)
        parts = []
        for first, last in pairwise(cuts):
            if first == last:
                what = "channels" if by == "row" else "environments"
                raise InputError(
                    f"{len(kinds)} {what} do not make parts of {', '.join(map(str, shares))}"
                )
            parts.append(self.take(np.flatnonzero(np.isin(keys, kinds[first:last]))))
        return parts

    def draw(self, rng: np.random.Generator, n: int, users: int) -> NDArray[np.complex64]:
        """Groups of users of one environment each, none twice in a group.

        Environments come in proportion to their users; those with too few are left out. A channel
        that stands twice in an environment counts once.

        Args:
            rng: of all that is random.
            n: groups.
            users: K, in a group.

        Returns:
            complex64 (n, K, M).

        Raises:
            InputError: no environment has K users.
        """
        return self.h[self.draw_rows(rng, n, users)]

    def draw_rows(self, rng: np.random.Generator, n: int, users: int) -> NDArray[np.int64]:
        """As `draw`, the rows themselves: int64 (n, K)."""
        order, starts, sizes = self._by_environment
        enough = sizes >= users
        if users < 1 or not enough.any():
            raise InputError(
                f"groups of {users} users: the largest environment has {sizes.max()} of them"
            )
        starts, sizes = starts[enough], sizes[enough]
        chosen = rng.choice(len(sizes), size=n, p=sizes / sizes.sum())
        size = sizes[chosen]
        # Floyd's way to a uniform subset: K draws, and none has to be repeated.
        places = np.empty((n, users), np.int64)
        for k in range(users):
            last = size - users + k
            drawn = rng.integers(0, last, endpoint=True)
            taken = (places[:, :k] == drawn[:, None]).any(axis=1)
            places[:, k] = np.where(taken, last, drawn)
        places = rng.permuted(places, axis=1)
        rows: NDArray[np.int64] = order[starts[chosen][:, None] + places]
        return rows

    @cached_property
    def _by_environment(
        self,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Rows by environment without repetitions; where each begins in them; its users."""
        pairs = np.stack([self.environment.astype(np.int64), self.identity], axis=1)
        _, order = np.unique(pairs, axis=0, return_index=True)
        _, starts, sizes = np.unique(self.environment[order], return_index=True, return_counts=True)
        return order, starts, sizes
