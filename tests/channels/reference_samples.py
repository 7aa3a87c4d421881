"""The reference model's samples, as complex matrices and path lists."""

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = {"indoor": 20, "outdoor": 4}


def complex_csi(planes: NDArray[np.floating]) -> NDArray[np.complex64]:
    """(n, angle, delay) from (n, 2, angle, delay)."""
    wide = planes.astype(np.float32)
    return np.asarray(wide[:, 0] + 1j * wide[:, 1], dtype=np.complex64)


def reference_file(folder: Path, scenario: str) -> Path:
    return folder / f"cost2100_{scenario}_reference.npz"


class PathList(NamedTuple):
    """One sample's paths (paths,) and what the reference model made of them."""

    azimuth: NDArray[np.float64]
    delay: NDArray[np.float64]
    amplitude: NDArray[np.complex128]
    h: NDArray[np.complex64]
    absmax: float


def path_lists(folder: Path, scenario: str) -> list[PathList]:
    with np.load(reference_file(folder, scenario)) as archive:
        offsets, paths = archive["path_offsets"], archive["paths"].astype(np.float64)
        h, absmax = complex_csi(archive["H"]), archive["sample_absmax"]
    lists = []
    for number, (first, last) in enumerate(pairwise(offsets)):
        azimuth, _, nanoseconds, real, imaginary = paths[first:last].T
        amplitude = real + 1j * imaginary
        lists.append(
            PathList(azimuth, nanoseconds * 1e-9, amplitude, h[number], float(absmax[number]))
        )
    return lists
