"""Scalar quantization of encoder outputs with a codebook and a number of bits each (paper 001).

NumPy only: `codebook` holds and applies codebooks, `tables` fits them and tells their distortions,
`allocate` shares out the bits.
"""

from csideploy.quantizers.scalar.codebook import MOST_BITS, Codebook

__all__ = ["MOST_BITS", "Codebook"]
