"""Payload steps on arrays: quantizers, packing and their inverses, all exact."""

from __future__ import annotations

import numpy as np

from csideploy.export.integer.rounding import Array
from csideploy.export.widths import unpack_widths


def pack_bits(codes: Array, bits: int) -> Array:
    """PACK_BITS: u8 (n, M) of B bits each -> u8 (n, ceil(M B / 8))."""
    rows = np.unpackbits(codes[..., None], axis=-1)[..., 8 - bits :]
    return np.packbits(rows.reshape(len(codes), -1), axis=1)


def unpack_bits(payload: Array, count: int, bits: int) -> Array:
    """UNPACK_BITS: the inverse, `count` codes a sample."""
    flat = np.unpackbits(payload, axis=1, count=count * bits).reshape(-1, count, bits)
    weights = 1 << np.arange(bits)[::-1]
    return np.asarray(flat @ weights)


def dequantize_uniform(codes: Array, bits: int) -> Array:
    """DEQUANTIZE_UNIFORM: (code + 0.5) / 2^B of the low B bits, float32."""
    levels = 1 << bits
    low = (codes & (levels - 1)).astype(np.float32)
    return np.asarray((low + np.float32(0.5)) / np.float32(levels))


def _sent(widths: Array, outputs: int) -> Array:
    """Which of the eight bits of each code cross the air, the most significant first: (8 M,)."""
    places = np.arange(7, -1, -1)
    return np.asarray((places < unpack_widths(widths, outputs)[:, None]).reshape(-1))


def pack_widths(codes: Array, widths: Array) -> Array:
    """PACK_WIDTHS: u8 (n, M) -> u8 (n, ceil(sum B_m / 8)).

    Args:
        codes: of which the low B_m bits are read.
        widths: the table, u8 (ceil(M / 2),).
    """
    rows = np.unpackbits(codes, axis=1)
    return np.packbits(rows[:, _sent(widths, codes.shape[1])], axis=1)


def unpack_widths_of(payload: Array, widths: Array, count: int) -> Array:
    """UNPACK_WIDTHS: the inverse, `count` codes a sample."""
    sent = _sent(widths, count)
    rows = np.zeros((len(payload), 8 * count), np.uint8)
    rows[:, sent] = np.unpackbits(payload, axis=1, count=int(sent.sum()))
    return np.packbits(rows, axis=1)


def dequantize_codebook(codes: Array, book: Array, widths: Array) -> Array:
    """DEQUANTIZE_CODEBOOK: float32 (n, M).

    Args:
        codes: u8 (n, M), of which the low B_m bits are read.
        book: float32, or int16 with the bits of halves, (sum 2^B_m,).
        widths: the table, u8 (ceil(M / 2),).
    """
    sizes = 1 << unpack_widths(widths, codes.shape[1]).astype(np.int64)
    values = book if book.dtype == np.float32 else book.view(np.float16).astype(np.float32)
    return np.asarray(values[np.cumsum(sizes) - sizes + (codes & (sizes - 1))])
