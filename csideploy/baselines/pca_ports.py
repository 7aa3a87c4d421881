"""Principal components of directions, each with a codebook and bits of its own: no training.

The linear coder that a trained one has to beat. Directions with aligned phases, all layers and
sub-bands in one real vector, are projected on the components of the channels that it was fitted
on; the coefficients have scalar codebooks, and the bits of a report are shared out among them
(`quantizers.scalar`, paper 001). Both ends store components, mean and codebooks of that place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.directions import align
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet
from csideploy.quantizers.scalar import MOST_BITS, Tables, allocate, distortions

MOST_COMPONENTS = 256
ENOUGH = 1000
"""Samples to fit on below which quality is understated: at 62 bits on 8 x 2 elements SGCS is 0.53
from 80 samples, 0.66 from 1,000 and 0.67 from 8,000."""

Complex = NDArray[np.complexfloating]
Real = NDArray[np.float32]


@dataclass(frozen=True)
class Coded:
    """Directions as reconstructed, and what it took.

    Attributes:
        v: complex64 (n, rank, units, ports).
        bits: of a report.
        used: components with bits.
    """

    v: NDArray[np.complex64]
    bits: int
    used: int


@dataclass(frozen=True)
class PrincipalDirections:
    """mean float32 (D,), vectors (D, M), the strongest first, and their codebooks at all widths."""

    mean: Real
    vectors: Real
    tables: Tables

    @staticmethod
    def least_samples(bits: int) -> int:
        """Samples to fit on that give enough components for so many bits a report."""
        return 1 + -(-bits // MOST_BITS)

    @staticmethod
    def fit(v: Complex, *, progress: Advance = quiet) -> PrincipalDirections:
        """Of directions (n, rank, units, ports).

        Raises:
            InputError: another shape, or fewer than two samples.
        """
        if v.ndim != 4 or len(v) < 2:
            raise InputError(f"directions {v.shape}: (n, rank, units, ports), n at least 2, needed")
        x = _flat(v)
        mean = x.mean(axis=0, dtype=np.float64)
        centred = x - mean
        most = min(MOST_COMPONENTS, len(v) - 1, x.shape[1])
        _, vectors = np.linalg.eigh((centred.T @ centred) / len(v))
        strongest = np.ascontiguousarray(vectors[:, : -most - 1 : -1]).astype(np.float32)
        features = (x - mean.astype(np.float32)) @ strongest
        tables = distortions(features, progress=progress)
        return PrincipalDirections(mean.astype(np.float32), strongest, tables)

    def code(self, v: Complex, bits: int) -> Coded:
        """What directions come back as after `bits` bits a sample; values as float16.

        Raises:
            InputError: more bits than the components can have.
        """
        book = self.tables.codebook(allocate(self.tables.table, bits)).rounded()
        codes = book.quantize((_flat(v) - self.mean) @ self.vectors)
        back = book.dequantize(codes) @ self.vectors.T + self.mean
        halves = back.reshape(len(v), 2, *v.shape[1:])
        made = (halves[:, 0] + 1j * halves[:, 1]).astype(np.complex64)
        return Coded(made, book.bits, int((book.widths > 0).sum()))


def _flat(v: Complex) -> Real:
    """(n, rank, units, ports) -> real and imaginary parts of the aligned directions, (n, D)."""
    aligned = align(v)
    both = np.stack([aligned.real, aligned.imag], axis=1)
    return both.reshape(len(v), -1).astype(np.float32)
