"""What users hear of a BS, and the arrays of BSs, whichever model makes the channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

CARRIER_HZ = 3.5e9
MOST_IN_A_ROW = 32
_PANELS = {64: (4, 8), 128: (8, 8)}


@dataclass(frozen=True)
class Heard:
    """Users of one BS place or of several.

    Attributes:
        h: complex64 (n, M), a user hears y = h x.
        environment: int32 (n,).
        xy: float32 (n, 2), metres.
        bs: float32 (places, 3) of the BSs, metres, in the frame of `xy`.
        outage: places tried where nothing is heard.
    """

    h: NDArray[np.complex64]
    environment: NDArray[np.int32]
    xy: NDArray[np.float32]
    bs: NDArray[np.float32]
    outage: int = 0


def join(parts: Sequence[Heard]) -> Heard:
    """One after the other."""
    return Heard(
        h=np.concatenate([part.h for part in parts]),
        environment=np.concatenate([part.environment for part in parts]),
        xy=np.concatenate([part.xy for part in parts]),
        bs=np.concatenate([part.bs for part in parts]),
        outage=sum(part.outage for part in parts),
    )


@dataclass(frozen=True)
class Panel:
    """A BS's array, half a wavelength apart: columns side by side, rows one above the other.

    Attributes:
        rows, columns: elements; each has one port, or two of +-45 degrees.
        polarisations: 1 (vertical) or 2 (cross).
    """

    rows: int
    columns: int
    polarisations: int

    def __str__(self) -> str:
        return f"{self.rows} x {self.columns} x {self.polarisations}"


def panel(antennas: int) -> Panel:
    """The array of M antennas: a row up to 32, else dual-polarised, 4 x 8 x 2 or 8 x 8 x 2.

    128 in a plane with two polarisations are those of paper 000, Section VI-A.

    Raises:
        InputError: no array has so many antennas.
    """
    if 1 <= antennas <= MOST_IN_A_ROW:
        return Panel(1, antennas, 1)
    if antennas in _PANELS:
        return Panel(*_PANELS[antennas], 2)
    raise InputError(
        f"antennas {antennas}: 1 to {MOST_IN_A_ROW} in a row, or "
        f"{' or '.join(map(str, _PANELS))} in a dual-polarised plane"
    )
