"""The sizes of a downlink, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from csideploy.errors import InputError

LARGEST = {"antennas": 64, "streams": 8, "users": 16, "bits": 16, "pilots": 64}


@dataclass(frozen=True)
class Setup:
    """One BS and K users (paper 004, Section II-A). The defaults are those of its Fig. 2.

    Attributes:
        antennas: M, at the BS.
        streams: N, receive antennas and data streams of a user.
        users: K <= M / N.
        bits: B, feedback of a user.
        pilots: L, pilot symbols.
        pilot_power: P_train; the noise has variance 1.

    Raises:
        InputError: a size out of range, or K > M / N.
    """

    antennas: int = 8
    streams: int = 2
    users: int = 4
    bits: int = 6
    pilots: int = 8
    pilot_power: float = 10.0

    def __post_init__(self) -> None:
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= largest:
                raise InputError(f"{name} {value}: a whole number from 1 to {largest}")
        power = self.pilot_power
        if type(power) not in (int, float) or not 0 < power < float("inf"):
            raise InputError(f"pilot power {self.pilot_power}: a number above 0")
        if self.streams > self.antennas:
            raise InputError(
                f"{self.streams} streams a user on {self.antennas} antennas: at most one an antenna"
            )
        if self.users * self.streams > self.antennas:
            raise InputError(
                f"{self.users} users with {self.streams} streams each on {self.antennas} antennas: "
                f"at most {self.antennas // self.streams} users (K <= M / N)"
            )

    @property
    def inputs(self) -> int:
        """Real numbers that a user hears: 2 L N."""
        return 2 * self.pilots * self.streams

    @property
    def payload_bytes(self) -> int:
        """Bytes of one user's payload: B bits, MSB first, zero pad."""
        return -(-self.bits // 8)

    def share(self, power: float) -> float:
        """Power of one data stream: P / (K N), equal for all (paper 004, Section II-A)."""
        return power / (self.users * self.streams)

    def describe(self) -> dict[str, Any]:
        """Plain values, for manifests and cards."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"M {self.antennas}, N {self.streams}, K {self.users}, B {self.bits}, "
            f"L {self.pilots}, P_train {self.pilot_power:g}"
        )
