"""Directions by sub-band of angular-delay matrices, so that they and codebooks have one unit.

A matrix (angle, delay) of a linear array with one polarisation and one receive antenna is taken to
the frequencies that NMSE and SGCS are rated on (`metrics`: zero-padded to 257, the first 125), and
back from angles to antennas. Its `SUBBANDS` sub-bands are as equal as 125 points allow, 9 or 10
each; a sub-band's direction is the strongest eigenvector of the sum of h h^H over its points.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from csideploy.channels.transform import to_frequency
from csideploy.directions import cosines, eigenvectors
from csideploy.metrics import FREQUENCY_POINTS, RATED_SUBCARRIERS

SUBBANDS = 13

Complex = NDArray[np.complexfloating]
_EDGES = np.rint(np.linspace(0, RATED_SUBCARRIERS, SUBBANDS + 1)).astype(int)
_CHUNK = 500


def rated(h: Complex) -> NDArray[np.complex64]:
    """(n, angle, delay) -> (n, 125, antennas)."""
    return to_frequency(h, FREQUENCY_POINTS)[:, :RATED_SUBCARRIERS]


def subband_directions(h: Complex) -> NDArray[np.complex64]:
    """(n, angle, delay) -> unit vectors (n, 1, 13, antennas); 0 for a matrix of zeros."""
    made = np.empty((len(h), 1, SUBBANDS, h.shape[1]), np.complex64)
    for start in range(0, len(h), _CHUNK):
        part = rated(h[start : start + _CHUNK])
        for band, (first, last) in enumerate(pairwise(_EDGES)):
            # h is a column; eigenvectors takes rows.
            rows = np.conj(part[:, None, first:last])
            made[start : start + len(part), :, band] = eigenvectors(rows)[:, :, 0]
    return made


def by_subcarrier(h: Complex, directions: Complex) -> NDArray[np.float64]:
    """Squared cosine of every rated subcarrier with its sub-band's direction.

    Args:
        h: (n, angle, delay).
        directions: (n, 1, 13, antennas).

    Returns:
        (n, 125).
    """
    counts = np.diff(_EDGES)
    made = np.empty((len(h), RATED_SUBCARRIERS))
    for start in range(0, len(h), _CHUNK):
        at = slice(start, start + _CHUNK)
        spread = np.repeat(directions[at, 0], counts, axis=1)
        made[at] = cosines(rated(h[at]), spread)
    return made
