"""The sizes of a transceiver, checked once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from csideploy.errors import InputError

MOST_BITS = 16
"""Of one tier: a plain scan over its codewords is what a UE does."""
MOST_TIERS = 32
MOST_USERS = 64
LARGEST = {"antennas": 256, "pilots": 256, "feature": 4096, "regions": 16}


@dataclass(frozen=True)
class Setup:
    """One BS and any number of single-antenna users (paper 000, Section II).

    Attributes:
        antennas: M, at the BS.
        pilots: L, pilot symbols.
        feature: D, numbers of a user's feature; a multiple of M, since the precoder cuts it into
            one piece an antenna (Section IV-C).
        tiers: b_n, bits of each tier of the residual vector quantizer; B is their sum.
        regions: codebooks of their own for so many regions of the cell (Remark 2).

    Raises:
        InputError: a size out of range, or D no multiple of M.
    """

    antennas: int = 16
    pilots: int = 4
    feature: int = 32
    tiers: tuple[int, ...] = (10, 10, 10)
    regions: int = 1

    def __post_init__(self) -> None:
        for name, largest in LARGEST.items():
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= largest:
                raise InputError(f"{name} {value}: a whole number from 1 to {largest}")
        if self.feature % self.antennas:
            raise InputError(
                f"feature {self.feature}: a multiple of the {self.antennas} antennas is needed"
            )
        object.__setattr__(self, "tiers", tuple(self.tiers))
        tiers = self.tiers
        fits = all(type(bits) is int and 1 <= bits <= MOST_BITS for bits in tiers)
        if not 1 <= len(tiers) <= MOST_TIERS or not fits or sum(tiers) > 255:
            raise InputError(
                f"tiers {','.join(map(str, tiers))}: 1 to {MOST_TIERS} numbers of 1 to "
                f"{MOST_BITS} bits, 255 bits together at most"
            )

    @property
    def bits(self) -> int:
        """B, feedback of a user."""
        return sum(self.tiers)

    def describe(self) -> dict[str, Any]:
        """Plain values, for manifests and cards."""
        return {**asdict(self), "tiers": list(self.tiers)}

    def __str__(self) -> str:
        tiers = "+".join(map(str, self.tiers))
        regions = f", {self.regions} regions" if self.regions > 1 else ""
        return f"M {self.antennas}, L {self.pilots}, D {self.feature}, B {tiers}{regions}"
