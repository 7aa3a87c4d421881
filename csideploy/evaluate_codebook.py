"""eType II on the CSI of links: one polarisation, one receive antenna, an array in one line.

What is compared is the direction in each of 13 sub-bands (`subbands`). The codebook is made for two
polarisations; here its two halves are the two halves of the line, as if they were polarisations: 32
antennas are a panel of 16 x 1. Its beams are so those of half the line, and what turns one half
against the other is in the coefficients. The report is 2 bits shorter than for (8, 2), as there is
one axis less to choose a group on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.directions import cosines
from csideploy.errors import InputError
from csideploy.evaluate_panel import about_etype2, combinations, send_etype2
from csideploy.subbands import SUBBANDS, by_subcarrier

NAME = "etype2"


def etype2_left_out(antennas: int) -> list[str]:
    """Why combinations are left out on a line of so many antennas; errors as `etype2_rows`."""
    return combinations(_half(antennas), 1, 1, SUBBANDS)[1]


def etype2_rows(
    h: NDArray[np.complexfloating], directions: NDArray[np.complexfloating]
) -> Iterator[tuple[dict[str, Any], NDArray[np.float64]]]:
    """Every combination that the array allows.

    Args:
        h: (n, angle, delay).
        directions: of `subband_directions`, (n, 1, 13, angles).

    Yields:
        What a row says, and SGCS, rho and SGCS by sub-band of each sample, (3, n).

    Raises:
        InputError: the standard has no panel of so many antennas.
    """
    for book in combinations(_half(h.shape[1]), 1, 1, SUBBANDS)[0]:
        sent = send_etype2(book, directions)
        squared = by_subcarrier(h, sent.v)
        values = [
            squared.mean(axis=1),
            np.sqrt(squared).mean(axis=1),
            cosines(directions, sent.v)[:, 0].mean(axis=1),
        ]
        yield about_etype2(book, sent.bits), np.stack(values)


def _half(antennas: int) -> int:
    if antennas % 2:
        raise InputError(f"etype2 on {antennas} antennas: two halves are needed")
    return antennas // 2
