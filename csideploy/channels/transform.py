"""Spatial-frequency domain <-> angular-delay domain, for a uniform linear array.

    H_ad[a, l] = sum_n sum_k  F[a, n]  H[k, n]  exp(j 2 pi k l / K) / K,     l = 0 .. delays - 1

K subcarriers of fixed spacing, F the unitary DFT over antennas with its rows shifted (broadside in
the middle row). A channel's energy arrives within the first few taps, so that the rest is cut away.
The way back is zero filling and the inverse transform (ACRNet paper, Lu et al., eq. 5).
"""

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

_CHUNK = 500


def to_angular_delay(
    h_freq: NDArray[np.complexfloating], delays: int = 32
) -> NDArray[np.complex64]:
    """Transforms to the angular-delay domain and keeps the first taps.

    Args:
        h_freq: complex (n, subcarrier, antenna).
        delays: taps that are kept.

    Returns:
        complex64 (n, angle, delay).

    Raises:
        InputError: wrong shape, or fewer subcarriers than taps.
    """
    _check(h_freq, "(n, subcarrier, antenna)")
    count, subcarriers, antennas = h_freq.shape
    if not 1 <= delays <= subcarriers:
        raise InputError(f"{delays} delay taps from {subcarriers} subcarriers; ask for fewer taps")
    result = np.empty((count, antennas, delays), dtype=np.complex64)
    for start in range(0, count, _CHUNK):
        taps = np.fft.ifft(h_freq[start : start + _CHUNK], axis=1)[:, :delays]
        angles = np.fft.fftshift(np.fft.fft(taps, axis=2, norm="ortho"), axes=2)
        result[start : start + _CHUNK] = angles.swapaxes(1, 2)
    return result


def to_frequency(
    h_ad: NDArray[np.complexfloating], subcarriers: int = 257
) -> NDArray[np.complex64]:
    """Fills the cut taps with zeros and transforms back.

    Args:
        h_ad: complex (n, angle, delay).
        subcarriers: points of the frequency grid; its spacing is the same whatever their number.

    Returns:
        complex64 (n, subcarrier, antenna).

    Raises:
        InputError: wrong shape, or fewer subcarriers than taps.
    """
    _check(h_ad, "(n, angle, delay)")
    count, antennas, delays = h_ad.shape
    if subcarriers < delays:
        raise InputError(f"{subcarriers} subcarriers cannot hold {delays} delay taps")
    result = np.empty((count, subcarriers, antennas), dtype=np.complex64)
    for start in range(0, count, _CHUNK):
        angles = np.fft.ifftshift(h_ad[start : start + _CHUNK], axes=1)
        space = np.fft.ifft(angles, axis=1, norm="ortho")
        result[start : start + _CHUNK] = np.fft.fft(space, n=subcarriers, axis=2).swapaxes(1, 2)
    return result


def _check(h: NDArray[np.complexfloating], axes: str) -> None:
    if h.ndim != 3 or not np.iscomplexobj(h):
        raise InputError(f"CSI of shape {h.shape} and {h.dtype}; complex {axes} needed")
