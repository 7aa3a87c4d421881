"""O-RAN modulation compression (udCompMeth 4): symbols of QAM sent as the bits that they are.

Downlink symbols before precoding take 2^b values, b = 2, 4, 6 or 8 bits; real and imaginary part
each one of 2^W, W = b / 2. As numbers of W bits in two's complement, k from -2^(W - 1) up,

    part = scale (k + 1/2) / 2^(W - 1),

the half being the constellation's shift (csf). So a resource element takes b bits, and nothing is
lost but what the scale's own word rounds. A resource block of 12 elements is 12 b / 8 bytes, I
before Q, MSB first. It fits where the radio unit precodes: to it go layers, not antennas.

That udCompMeth 4 is this, with a scale, csf and a mask of elements as parameters, is from xRAN's
headers; the half as shift, and that this is for the downlink of radio units that precode
(category B), are from memory of the standard [M]. The scale's word (15 bits [M]), the mask for
blocks that mix constellations, and headers are left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.baselines.block_floating_point import RES
from csideploy.errors import FormatError, InputError

ORDERS = (2, 4, 6, 8)
"""Bits of a symbol: QPSK, 16-, 64-, 256-QAM."""
MOST_CODE_RATE = 948 / 1024
"""The highest code rate of NR's tables of modulation and coding [M]."""
SYMBOLS_A_SECOND = 28_000
"""At 30 kHz, 14 symbols in each of 2,000 slots."""

_NEAR = 1e-4
"""How far a symbol may be from its place, of the distance between neighbours: float32's error."""

Complex = NDArray[np.complexfloating[Any, Any]]


def prb_bytes(order: int) -> int:
    """Bytes of a resource block.

    Raises:
        InputError: no such constellation.
    """
    if order not in ORDERS:
        raise InputError(f"symbols of {order} bits: {', '.join(map(str, ORDERS))} are right")
    return RES * order // 8


def bits_per_second(order: int, blocks: int = 273) -> float:
    """Of a layer at 30 kHz; InputError as `prb_bytes`."""
    return 8.0 * prb_bytes(order) * blocks * SYMBOLS_A_SECOND


def unit_scale(order: int) -> float:
    """Of a constellation of mean power 1: parts +-1, +-3 ... over sqrt(2 (2^b - 1) / 3)."""
    prb_bytes(order)
    return float(2 ** (order // 2) / np.sqrt(2 * (2**order - 1) / 3))


def constellation(order: int) -> NDArray[np.complex128]:
    """All points, mean power 1, complex (2^b,), in the order of (I, Q) as sent."""
    width = order // 2
    parts = _parts(np.arange(2**width) - 2 ** (width - 1), width) * unit_scale(order)
    return np.asarray((parts[:, None] + 1j * parts).reshape(-1), np.complex128)


def compress(symbols: Complex, order: int, *, scale: float | None = None) -> bytes:
    """Resource blocks in order.

    Args:
        symbols: complex (n,), n a multiple of 12, all points of the constellation.
        order: b.
        scale: of the constellation; that of mean power 1 if left out.

    Raises:
        InputError: another shape, no such constellation, or a number that is no point of it.
    """
    prb_bytes(order)
    x = np.asarray(symbols)
    if x.dtype.kind != "c" or x.ndim != 1 or len(x) % RES:
        raise InputError(f"symbols {x.dtype} {x.shape}: complex (n,), n a multiple of {RES}")
    width = order // 2
    half = 2 ** (width - 1)
    scale = _checked(order, scale)
    pairs = np.stack([x.real, x.imag], axis=1).astype(np.float64) * (half / scale) - 0.5
    numbers = np.rint(pairs)
    # As "not within", so that a NaN is refused.
    right = (np.abs(pairs - numbers) <= _NEAR) & (numbers >= -half) & (numbers < half)
    if not right.all():
        place = int(np.flatnonzero(~right.all(axis=1))[0])
        raise InputError(f"symbol {place} is no point of {2**order}-QAM at scale {scale:.4g}")
    codes = numbers.astype(np.int64) & (2**width - 1)
    bits = codes[..., None] >> np.arange(width - 1, -1, -1) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1)).tobytes()


def decompress(data: bytes, order: int, *, scale: float | None = None) -> NDArray[np.complex128]:
    """The symbols, complex128 (n,).

    Raises:
        InputError: no such constellation or scale.
        FormatError: no whole number of resource blocks.
    """
    size = prb_bytes(order)
    if len(data) % size:
        raise FormatError(f"{len(data)} bytes of resource blocks: a multiple of {size}")
    width = order // 2
    bits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(-1, 2, width).astype(np.int64)
    codes = bits @ (1 << np.arange(width - 1, -1, -1))
    half = 2 ** (width - 1)
    parts = _parts((codes + half) % (2 * half) - half, width) * _checked(order, scale)
    return np.asarray(parts[:, 0] + 1j * parts[:, 1], np.complex128)


def _parts(numbers: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    return np.asarray((numbers + 0.5) / 2 ** (width - 1), np.float64)


def _checked(order: int, scale: float | None) -> float:
    if scale is None:
        return unit_scale(order)
    if not 0 < scale < np.inf:
        raise InputError(f"scale {scale}: a finite number above 0")
    return scale
