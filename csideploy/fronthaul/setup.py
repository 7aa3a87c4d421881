"""The sizes of a cell-free downlink with limited fronthaul, checked once."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from csideploy.errors import InputError

MOST_RUS = 32
MOST_USERS = 32
MOST_ANTENNAS = 64
MOST_BITS = 512
MOST_TABLE_BITS = 12


@dataclass(frozen=True)
class Setup:
    """One DU, M RUs, N users (paper 003, Section II-A). The defaults are those of its Fig. 6.

    Every RU has the power P_m = 1; the noise has the variance sum P_m / 10^(SNR / 10).

    Attributes:
        antennas: N_m, of each RU; their number is M.
        bits: B_m, bits a channel use on the fronthaul link of each RU.
        users: N.
        receive_antennas: of a user.
        streams: L_n, data streams of a user.
        snr_db: total signal-to-noise ratio sum P_m / sigma^2.

    Raises:
        InputError: a size out of range, or sizes that do not go together.
    """

    antennas: tuple[int, ...] = (16, 16, 16, 16)
    bits: tuple[int, ...] = (64, 64, 64, 64)
    users: int = 4
    receive_antennas: int = 4
    streams: int = 2
    snr_db: float = 18.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "antennas", tuple(self.antennas))
        object.__setattr__(self, "bits", tuple(self.bits))
        if not 1 <= len(self.antennas) <= MOST_RUS:
            raise InputError(f"{len(self.antennas)} RUs: 1 to {MOST_RUS}")
        if len(self.bits) != len(self.antennas):
            raise InputError(
                f"bits for {len(self.bits)} RUs, antennas for {len(self.antennas)}: one of each"
            )
        ranges = (
            ("antennas of an RU", self.antennas, MOST_ANTENNAS),
            ("bits", self.bits, MOST_BITS),
            ("users", (self.users,), MOST_USERS),
            ("receive antennas", (self.receive_antennas,), MOST_ANTENNAS),
            ("streams", (self.streams,), self.receive_antennas),
        )
        for name, values, largest in ranges:
            for value in values:
                if type(value) is not int or not 1 <= value <= largest:
                    raise InputError(f"{name} {value}: a whole number from 1 to {largest}")
        if self.streams > self.total_antennas:
            raise InputError(
                f"{self.streams} streams of a user from {self.total_antennas} antennas: "
                "no more streams than the RUs have antennas"
            )
        snr = self.snr_db
        if type(snr) not in (int, float) or not -50 <= snr <= 80:
            raise InputError(f"SNR {snr}: a number from -50 to 80 dB")

    @property
    def rus(self) -> int:
        """M."""
        return len(self.antennas)

    @property
    def total_antennas(self) -> int:
        """N^tx, of all RUs."""
        return sum(self.antennas)

    @property
    def total_streams(self) -> int:
        """L, of all users."""
        return self.users * self.streams

    @property
    def noise(self) -> float:
        """sigma^2, with P_m = 1."""
        return float(self.rus / math.pow(10, self.snr_db / 10))

    @property
    def spans(self) -> tuple[slice, ...]:
        """Where each RU's antennas lie among all."""
        ends = [sum(self.antennas[: m + 1]) for m in range(self.rus)]
        return tuple(slice(end - size, end) for end, size in zip(ends, self.antennas, strict=True))

    def describe(self) -> dict[str, Any]:
        """Plain values, for manifests and cards."""
        return {**asdict(self), "antennas": list(self.antennas), "bits": list(self.bits)}

    def __str__(self) -> str:
        return (
            f"M {self.rus}, N_tx {_each(self.antennas)}, B {_each(self.bits)}, N {self.users}, "
            f"N_rx {self.receive_antennas}, L {self.streams}, SNR {self.snr_db:g} dB"
        )


def _each(values: tuple[int, ...]) -> str:
    return str(values[0]) if len(set(values)) == 1 else ",".join(map(str, values))
