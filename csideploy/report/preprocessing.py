"""What a UE does before its encoder: channel estimate -> angular-delay domain -> network's input.

The estimate (257 subcarriers, antennas) goes through an inverse FFT over frequency for each
antenna, is cut to the taps that are kept, goes through an FFT over antennas for each tap, and is
scaled by its largest modulus (`channels/transform.py`, `channels/conventions.py`). Channel
estimation itself is not counted.

Operations: 5 N log2 N real ones for a complex FFT of N points, the count of radix 2; 257 is a
prime, for which a library takes a few times as many. Scaling: a square modulus of 3, a comparison,
and two times two for scale and offset, a kept number.
"""

from __future__ import annotations

from math import log2
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from csideploy.channels.conventions import to_input
from csideploy.channels.transform import to_angular_delay

SUBCARRIERS = 257
SCALING = 8
"""Operations a complex number that is kept."""


def fft_operations(points: int) -> float:
    """Of one complex FFT."""
    return 5 * points * log2(points)


def operations(antennas: int, delays: int, subcarriers: int = SUBCARRIERS) -> int:
    """Of one sample."""
    frequency = antennas * fft_operations(subcarriers)
    angle = delays * fft_operations(antennas)
    return round(frequency + angle + SCALING * antennas * delays)


def figures(antennas: int, delays: int, rounds: int) -> dict[str, Any]:
    """Count it, and measure NumPy's way here.

    Args:
        antennas: of the CSI matrix.
        delays: taps that are kept.
        rounds: timed runs.

    Returns:
        `side`, `what`, `flops`, `measured_s` with the least and the median seconds.
    """
    random = np.random.default_rng(0)
    shape = (1, SUBCARRIERS, antennas)
    estimate = random.normal(size=shape) + 1j * random.normal(size=shape)
    for _ in range(3):
        to_input(to_angular_delay(estimate, delays))
    taken = []
    for _ in range(rounds):
        start = perf_counter()
        to_input(to_angular_delay(estimate, delays))
        taken.append(perf_counter() - start)
    return {
        "side": "ue",
        "what": f"FFT of {SUBCARRIERS} subcarriers x {antennas} antennas, truncation to {delays} "
        "taps, scaling (NumPy, double precision)",
        "flops": operations(antennas, delays),
        "measured_s": {"min": min(taken), "median": median(taken)},
    }
