"""From a channel estimate to the input of an encoder, in C.

The definition stands in `csideploy/channels/transform.py` (`to_angular_delay`) and
`csideploy/channels/conventions.py` (`to_input`), in NumPy; this is the same in one call, in
float32.
"""

from __future__ import annotations

import os
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.runtime import _core
from csideploy.runtime.isa import VARIABLE, choose

MOST_SUBCARRIERS = 65536
MOST_ANTENNAS = 512


def angular_delay(
    h: NDArray[np.complex64],
    delays: int = 32,
    *,
    out: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Transforms to the angular-delay domain, keeps the first taps, scales to [0, 1].

    Inverse DFT with 1/K over subcarriers, unitary DFT over antennas with the middle row at
    broadside, x = 0.5 + H / (2 max|H|). x differs from that of double precision by less than
    2^-24 (1 + 4 E / max|H|), with E the norm of h over sqrt(K), which is that of all taps, the cut
    ones too. Tables for a size are made at its first call and kept. Any number of threads may call;
    those of one size run in turn.

    Args:
        h: complex64 (n, subcarrier, antenna), up to 65,536 subcarriers and 512 antennas.
        delays: taps that are kept.
        out: arrays for the results, C-contiguous; new ones are made without it.

    Returns:
        x, float32 (n, 2, angle, delay) in [0, 1], and max|H|, float32 (n,).

    Raises:
        InputError: wrong shape or dtype, or a sample that is zero or not finite.
    """
    if h.ndim != 3 or h.dtype != np.complex64:
        raise InputError(
            f"CSI of shape {h.shape} and {h.dtype}; complex64 (n, subcarrier, antenna) needed"
        )
    count, subcarriers, antennas = h.shape
    transform = _transform(subcarriers, antennas, delays, os.environ.get(VARIABLE, ""))
    if out is None:
        out = (
            np.empty((count, 2, antennas, delays), np.float32),
            np.empty(count, np.float32),
        )
    else:
        _check_out(out, h, ((count, 2, antennas, delays), (count,)))
    if not (h.flags.c_contiguous and h.flags.aligned):
        h = np.require(h, requirements=["C", "A"])
    bad = transform.run(h, out, count)
    if bad < count:
        what = "zero" if out[1][bad] == 0 else "not finite"
        raise InputError(f"sample {bad} is {what}, so that it cannot be scaled to its maximum")
    return out


def _check_out(
    out: tuple[NDArray[np.float32], NDArray[np.float32]],
    h: NDArray[np.complex64],
    shapes: tuple[tuple[int, ...], ...],
) -> None:
    for array, shape in zip(out, shapes, strict=True):
        flags = array.flags
        if array.dtype != np.float32 or array.shape != shape:
            raise InputError(f"out: {array.dtype} {array.shape} given, float32 {shape} needed")
        if not (flags.c_contiguous and flags.writeable and flags.aligned):
            raise InputError("out: must be C-contiguous, aligned and writeable")
        if np.may_share_memory(array, h):
            raise InputError("out: shares memory with the CSI")
    if np.may_share_memory(*out):
        raise InputError("out: the arrays share memory")


@lru_cache(maxsize=8)
def _transform(subcarriers: int, antennas: int, delays: int, isa: str) -> _core.AngularDelay:
    """Checks a size and makes its tables; `isa` as CSIDEPLOY_ISA."""
    if not (1 <= subcarriers <= MOST_SUBCARRIERS and 1 <= antennas <= MOST_ANTENNAS):
        raise InputError(
            f"{subcarriers} subcarriers x {antennas} antennas; 1 to {MOST_SUBCARRIERS} and "
            f"1 to {MOST_ANTENNAS} needed"
        )
    if not 1 <= delays <= subcarriers:
        raise InputError(f"{delays} delay taps from {subcarriers} subcarriers; ask for fewer taps")
    try:
        return _core.AngularDelay(subcarriers, antennas, delays, choose(isa))
    except (ValueError, MemoryError):
        raise InputError(
            f"{delays} delay taps of {subcarriers} subcarriers: their tables are too large"
        ) from None
