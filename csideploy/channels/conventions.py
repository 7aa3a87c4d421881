"""How a network sees a CSI matrix: two real planes in [0, 1], one scale a sample.

x = 0.5 + H / (2 max|H|), the complex modulus, so that the unit disc fits the unit square. The
scale stands outside the network; what comes back has unit maximum.
"""

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError


def to_input(
    h: NDArray[np.complexfloating],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scales each sample by its own maximum and centres it at 0.5.

    Args:
        h: complex (n, angle, delay).

    Returns:
        x, float32 (n, 2, angle, delay) in [0, 1], and max|H|, float32 (n,).

    Raises:
        InputError: wrong shape or dtype, or a sample that is zero.
    """
    if h.ndim != 3 or not np.iscomplexobj(h):
        raise InputError(f"CSI of shape {h.shape} and {h.dtype}; complex (n, angle, delay) needed")
    absmax = np.abs(h).max(axis=(1, 2)).astype(np.float32)
    zero = np.flatnonzero(absmax == 0)
    if zero.size:
        raise InputError(f"sample {zero[0]} is zero, so that it cannot be scaled to its maximum")
    scale = (2.0 * absmax)[:, None, None]
    x = np.empty((len(h), 2, *h.shape[1:]), dtype=np.float32)
    np.divide(h.real, scale, out=x[:, 0], casting="same_kind")
    np.divide(h.imag, scale, out=x[:, 1], casting="same_kind")
    x += np.float32(0.5)
    return np.clip(x, 0.0, 1.0, out=x), absmax


def from_input(x: NDArray[np.floating]) -> NDArray[np.complex64]:
    """The inverse up to the scale: complex64 (n, angle, delay) from (n, 2, angle, delay)."""
    if x.ndim != 4 or x.shape[1] != 2:
        raise InputError(f"planes of shape {x.shape}; real (n, 2, angle, delay) needed")
    h = np.empty((len(x), *x.shape[2:]), dtype=np.complex64)
    # A number of type float32, so that float16 planes are not computed with in float16.
    half = np.float32(0.5)
    h.real = 2.0 * (x[:, 0] - half)
    h.imag = 2.0 * (x[:, 1] - half)
    return h
