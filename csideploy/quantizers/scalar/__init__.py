"""Scalar quantization of encoder outputs with a codebook and a number of bits each (paper 001).

NumPy only. `codebook` holds and applies codebooks, `tables` fits them and tells their distortions
(`fits`, by `exact` dynamic programming and `refine`, on `samples`), `allocation` shares out the
bits.
"""

from csideploy.quantizers.scalar.allocation import allocate, exchange, greedy, optimal
from csideploy.quantizers.scalar.codebook import MOST_BITS, Codebook
from csideploy.quantizers.scalar.tables import (
    Tables,
    distortions,
    fit_codebook,
    uniform_widths,
)

__all__ = [
    "MOST_BITS",
    "Codebook",
    "Tables",
    "allocate",
    "distortions",
    "exchange",
    "fit_codebook",
    "greedy",
    "optimal",
    "uniform_widths",
]
