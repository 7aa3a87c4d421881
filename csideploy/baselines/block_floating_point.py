"""O-RAN block floating point (udCompMeth 1): what today's fronthaul does with I/Q samples.

A physical resource block (PRB) of 12 resource elements, 24 numbers of int16, becomes one exponent
byte e and 24 mantissas of W bits, big-endian, MSB first, I before Q: 3 W + 1 bytes. With k the bits
that the widest of the 24 needs in two's complement, e = max(0, k - W), and a mantissa is x >> e, an
arithmetic shift without rounding (O-RAN.WG4.CUS, Annex A.1.2). The receiver shifts back, so that
every number comes out low by 0 to 2^e - 1. The high half of the exponent byte is reserved and 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError

RES = 12
"""Resource elements of a PRB."""
NUMBERS = 2 * RES
SAMPLE_BITS = 16
"""Of a number before compression."""

Samples = NDArray[np.int16]
Complex = NDArray[np.complexfloating[Any, Any]]


def prb_bytes(width: int) -> int:
    """Bytes a PRB takes, 3 W + 1.

    Raises:
        InputError: W is not 1 to 16.
    """
    if type(width) is not int or not 1 <= width <= SAMPLE_BITS:
        raise InputError(f"mantissas of {width} bits: a whole number from 1 to {SAMPLE_BITS}")
    return 3 * width + 1


def bits_per_sample(width: int) -> float:
    """Bits a complex sample, (8 + 24 W) / 12; InputError as `prb_bytes`."""
    return 8 * prb_bytes(width) / RES


def to_samples(x: Complex, full_scale: float) -> Samples:
    """Numbers as int16 (..., 2), (re, im): `full_scale` is 32768, what is beyond saturates.

    Args:
        x: complex, any shape.
        full_scale: the magnitude of a real part that just does not fit, in the units of x.

    Raises:
        InputError: a number or the full scale is not finite, or the full scale not above 0.
    """
    if not (np.isfinite(full_scale) and full_scale > 0):
        raise InputError(f"full scale {full_scale}: a finite number above 0")
    x = np.asarray(x, np.complex128)
    if not np.isfinite(x).all():
        raise InputError("I/Q samples: a number is not finite")
    pairs = np.stack([x.real, x.imag], axis=-1) * (2.0**15 / full_scale)
    return np.asarray(np.clip(np.rint(pairs), -(2**15), 2**15 - 1), np.int16)


def from_samples(samples: Samples, full_scale: float) -> NDArray[np.complex128]:
    """The inverse: int16 (..., 2) -> complex (...), 32768 being `full_scale`."""
    pairs = samples.astype(np.float64) * (full_scale / 2.0**15)
    return np.asarray(pairs[..., 0] + 1j * pairs[..., 1], np.complex128)


def compress(x: Samples | Complex, width: int, *, full_scale: float | None = None) -> bytes:
    """PRBs in order, `prb_bytes(width)` bytes each.

    Args:
        x: int16 (n, 2), (I, Q); or complex (n,) with a full scale. n is a multiple of 12.
        width: W, 1 to 16. 16 loses nothing.
        full_scale: of complex x, see `to_samples`.

    Raises:
        InputError: another type or shape, a full scale where none belongs, or as `to_samples`.
    """
    size = prb_bytes(width)
    given: NDArray[Any] = np.asarray(x)
    if (given.dtype.kind == "c") != (full_scale is not None):
        raise InputError("complex samples come with a full scale, int16 ones without")
    pairs = given if full_scale is None else to_samples(given, full_scale)
    if pairs.dtype != np.int16 or pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs) % RES:
        raise InputError(
            f"I/Q samples {pairs.dtype} {pairs.shape}: int16 (n, 2), n a multiple of {RES}"
        )
    blocks = pairs.reshape(-1, NUMBERS).astype(np.int32)
    # ~x is |x| - 1 below zero: both sides then need one bit more than their own length.
    largest = np.where(blocks < 0, ~blocks, blocks).max(axis=1)
    needed = 1 + (largest[:, None] >= 1 << np.arange(SAMPLE_BITS - 1)).sum(axis=1)
    exponent = np.maximum(needed - width, 0)
    mantissas = blocks >> exponent[:, None]
    bits = (mantissas[..., None] >> np.arange(width - 1, -1, -1)) & 1
    out = np.empty((len(blocks), size), np.uint8)
    out[:, 0] = exponent
    out[:, 1:] = np.packbits(bits.reshape(len(blocks), NUMBERS * width).astype(np.uint8), axis=1)
    return out.tobytes()


def decompress(data: bytes, width: int) -> Samples:
    """The samples, int16 (12 PRBs, 2).

    Args:
        data: of whole PRBs.
        width: W.

    Raises:
        InputError: W out of range.
        FormatError: no whole number of PRBs, or an exponent beyond 16 - W, which no number of 16
            bits has.
    """
    size = prb_bytes(width)
    if len(data) % size:
        raise FormatError(f"{len(data)} bytes of PRBs: a multiple of {size}")
    rows = np.frombuffer(data, np.uint8).reshape(-1, size)
    exponent = rows[:, :1].astype(np.int32)
    if (exponent > SAMPLE_BITS - width).any():
        raise FormatError(
            f"exponent {int(exponent.max())} of mantissas of {width} bits: 0 to "
            f"{SAMPLE_BITS - width}"
        )
    bits = np.unpackbits(rows[:, 1:], axis=1).reshape(len(rows), NUMBERS, width).astype(np.int32)
    # Two's complement: the first bit weighs -2^(W - 1).
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int32)
    weights[0] = -weights[0]
    numbers = (bits @ weights) << exponent
    return numbers.astype(np.int16).reshape(-1, 2)


def round_trip(
    x: Complex, width: int, full_scale: float, *, middle: bool = False
) -> NDArray[np.complex128]:
    """What arrives of I/Q samples: to int16, compressed, decompressed.

    Args:
        x: complex (R, N): R resource elements of N antennas, a stream each. The last PRB of a
            stream is filled up with zeros, which change no exponent.
        width: W.
        full_scale: see `to_samples`.
        middle: add half a step to every mantissa that lost bits, since the shift rounds down.

    Returns:
        complex128 (R, N).

    Raises:
        InputError: another shape, or as `compress`.
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise InputError(f"I/Q samples {x.shape}: (resource elements, antennas)")
    count, antennas = x.shape
    whole = -(-count // RES) * RES
    streams = np.zeros((antennas, whole), np.complex128)
    streams[:, :count] = x.T
    data = compress(streams.reshape(-1), width, full_scale=full_scale)
    samples: NDArray[Any] = decompress(data, width)
    if middle:
        exponents = np.frombuffer(data, np.uint8).reshape(-1, prb_bytes(width))[:, 0]
        # Of a step of 2^e the samples in it are on average (2^e - 1) / 2 above its start.
        samples = samples + ((2.0 ** np.repeat(exponents, RES) - 1) / 2)[:, None]
    made = from_samples(samples, full_scale)
    return made.reshape(antennas, whole)[:, :count].T
