"""From propagation paths to the angular-delay matrix, in closed form.

A path of amplitude g, delay tau and departure azimuth theta gives, at frequency f_k and antenna n,

    H(f_k, n) = g exp(-j 2 pi f_k tau) exp(-j pi n cos theta),   f_k = f_0 + k 20 MHz / 256

(half-wavelength array along the x axis, N frequency points, 257 in the field's files, 32 antennas).
Both transforms of the data set's layout, the ifft over frequency (1/N in front) and the unitary DFT
over antennas, act on geometric series, so that no N-point transform is needed and the cost does not
depend on N. With v = N (20 MHz / 256) tau and w = (32 / 2) cos theta:

    (1/N) sum_k exp(j 2 pi k (l - v) / N)
        = exp(j pi (N - 1) (l - v) / N) sin(pi (l - v)) / (N sin(pi (l - v) / N))
    (1/sqrt 32) sum_n exp(-j 2 pi n (a + w) / 32)
        = exp(-j pi 31 (a + w) / 32) sin(pi (a + w)) / (sqrt(32) sin(pi (a + w) / 32))

The phase factors split into one of the tap or row and one of the path, and
sin(pi (l - v)) = -(-1)^l sin(pi v), so that a path costs two sines in all and a matrix is two
real products of (32, paths) by (paths, 32).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

SUBCARRIERS = 257
ANTENNAS = 32
TAPS = 32
BANDWIDTH = 20e6
SPACING = BANDWIDTH / (SUBCARRIERS - 1)

# Shifted order of the angle rows: row r holds DFT bin r - 16.
_BINS = np.arange(ANTENNAS) - ANTENNAS // 2
_TAP = np.arange(TAPS)

# Kernels of this many paths stay in the cache, which takes a third off the time.
_PATHS_AT_ONCE = 1200
_PATHS_A_SLICE = 240


def _kernel(
    positions: NDArray[np.float64], grid: NDArray[np.int_], points: int
) -> NDArray[np.float32]:
    """sin(pi x) / sin(pi x / points) at x = grid + position: (..., g) for positions (...,).

    Two sines and two cosines a position: the grid's share comes from the addition theorem.
    """
    angle = np.pi / points * positions[..., None]
    sign = 1.0 - 2.0 * (grid % 2)
    # The grid's sign moves into the denominator, where it costs nothing.
    sines = sign * np.sin(np.pi / points * grid)
    cosines = sign * np.cos(np.pi / points * grid)
    denominator = sines * np.cos(angle)
    denominator += cosines * np.sin(angle)
    on_grid = np.abs(denominator) < 1e-9
    ratio = np.empty(denominator.shape, dtype=np.float32)
    numerator = np.sin(np.pi * positions)[..., None]
    if not on_grid.any():
        np.divide(numerator, denominator, out=ratio, casting="same_kind")
        return ratio
    denominator[on_grid] = 1.0
    np.divide(numerator, denominator, out=ratio, casting="same_kind")
    # The rule of l'Hopital; rounding has left no digits in the quotient itself.
    x = (positions[..., None] + grid)[on_grid]
    ratio[on_grid] = points * np.cos(np.pi * x) / np.cos(np.pi * x / points)
    return ratio


def _product(rows: NDArray[np.float32], taps: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, angle, paths) by (n, paths, delay), the same to the bit for any number of threads.

    A linear algebra library shares large products out among its threads, and then rounds them
    differently; slices of this size it leaves to one.
    """
    paths = taps.shape[-2]
    total = rows[..., :_PATHS_A_SLICE] @ taps[..., :_PATHS_A_SLICE, :]
    for start in range(_PATHS_A_SLICE, paths, _PATHS_A_SLICE):
        at = slice(start, start + _PATHS_A_SLICE)
        total += rows[..., at] @ taps[..., at, :]
    return np.asarray(total)


@lru_cache(maxsize=8)
def _factor(subcarriers: int) -> NDArray[np.complex64]:
    """(angle, delay): what phases and factors of a row and a tap have in common for all paths."""
    tap = np.exp(1j * np.pi * (subcarriers - 1) / subcarriers * _TAP) / subcarriers
    row = np.exp(-1j * np.pi * (ANTENNAS - 1) / ANTENNAS * _BINS) / np.sqrt(ANTENNAS)
    return np.asarray((row[:, None] * tap).astype(np.complex64))


def angular_delay(
    azimuth: NDArray[np.float64],
    delay: NDArray[np.float64],
    amplitude: NDArray[np.complex128],
    frequency_low: float,
    subcarriers: int = SUBCARRIERS,
) -> NDArray[np.complex64]:
    """Sums the paths of each sample into its angular-delay matrix.

    Args:
        azimuth: (n, paths), angle of departure from the array's axis, radians.
        delay: (n, paths), seconds.
        amplitude: (n, paths), complex; zero where a sample has fewer paths than another.
        frequency_low: first frequency point, Hz.
        subcarriers: N; their spacing is always 20 MHz / 256, so that a tap is 1 / (N spacing) long.

    Returns:
        (n, angle, delay) = (n, 32, 32), angle rows shifted (broadside in row 16).
    """
    v = subcarriers * SPACING * delay
    w = ANTENNAS / 2 * np.cos(azimuth)
    cycles = frequency_low * delay
    phase = -np.pi * (
        2.0 * (cycles - np.rint(cycles))
        + (subcarriers - 1) / subcarriers * v
        + (ANTENNAS - 1) / ANTENNAS * w
    )
    weight = (amplitude * np.exp(1j * phase)).astype(np.complex64)
    h = np.empty((len(azimuth), ANTENNAS, TAPS), dtype=np.complex64)
    step = max(1, _PATHS_AT_ONCE // azimuth.shape[-1])
    for first in range(0, len(h), step):
        at = slice(first, first + step)
        rows = _kernel(w[at], _BINS, ANTENNAS).swapaxes(-1, -2)
        taps = _kernel(-v[at], _TAP, subcarriers)
        h.real[at] = _product(rows * weight.real[at, None, :], taps)
        h.imag[at] = _product(rows * weight.imag[at, None, :], taps)
    h *= _factor(subcarriers)
    return h
