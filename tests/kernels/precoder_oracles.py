"""Precoders by NumPy, from their definitions: loops over users, no shared code with the kernels."""

from itertools import combinations_with_replacement
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def messages(indices: Array, bits: int, seed: int | None = None) -> Array:
    """Indices (n, K) -> payload (n, K, ceil(B/8)); pad bits by chance where a seed is given."""
    size = -(-bits // 8)
    moved = indices.astype(np.uint32) << (8 * size - bits)
    if seed is not None:
        noise = np.random.default_rng(seed).integers(0, 1 << (8 * size - bits), indices.shape)
        moved |= noise.astype(np.uint32)
    shifts = np.arange(8 * (size - 1), -1, -8, dtype=np.uint32)
    return (moved[..., None] >> shifts & 255).astype(np.uint8)


def indices_of(payload: Array, bits: int) -> Array:
    """The inverse, by NumPy's own bit unpacker."""
    rows = np.unpackbits(payload, axis=2, count=bits).astype(np.int64)
    return rows @ (1 << np.arange(bits - 1, -1, -1))


def rows_of_sets(bits: int, users: int) -> dict[tuple[int, ...], int]:
    """Sorted indices -> row: the combinatorial number system, as `math.comb` has it."""
    return {
        s: sum(comb(c + i, i + 1) for i, c in enumerate(s))
        for s in combinations_with_replacement(range(1 << bits), users)
    }


def row_and_places(indices: list[int], bits: int, ordered: bool) -> tuple[int, list[int]]:
    if ordered:
        row = 0
        for q in indices:
            row = row * (1 << bits) + q
        return row, list(range(len(indices)))
    order = sorted(range(len(indices)), key=lambda k: indices[k])  # stable
    row = sum(comb(indices[k] + i, i + 1) for i, k in enumerate(order))
    return row, [order.index(k) for k in range(len(indices))]


def nibbles(values: Array) -> Array:
    """int (..., 2) of -8 to 7 -> uint8 (...,)."""
    return (((values[..., 0] & 15) << 4) | (values[..., 1] & 15)).astype(np.uint8)


def unpacked(table: Array) -> Array:
    """The table's numbers, (E, K, C, M, 2)."""
    if table.dtype != np.uint8:
        return table
    parts = np.stack([table >> 4, table & 15], axis=-1).astype(np.int8)
    return np.where(parts > 7, parts - 16, parts).astype(np.int8)


def table_precoder(
    payload: Array, table: Array, streams: int, bits: int, ordered: bool, per_user: bool
) -> Array:
    """V (n, K, N, M, 2) float32, bit for bit."""
    numbers = unpacked(table)
    out = []
    for indices in indices_of(payload, bits).tolist():
        row, places = row_and_places(indices, bits, ordered)
        for block in (numbers[row, place] for place in places):
            if block.dtype != np.float32:
                squares = (block.astype(np.int64) ** 2).sum(axis=(1, 2))
                root = np.float32(1)
                if per_user:
                    squares = np.full_like(squares, squares.sum())
                    root = np.sqrt(np.float32(len(block)))
                scale = root / np.sqrt(np.maximum(squares, 1).astype(np.float32))
                block = block.astype(np.float32) * scale[:, None, None]
            out.append(np.broadcast_to(block, (streams, *block.shape[1:])))
    shape = (*payload.shape[:2], streams, *numbers.shape[3:])
    return np.array(out, np.float32).reshape(shape)


def rzf_precoder(payload: Array, codebook: Array, streams: int, bits: int, loading: float) -> Array:
    """V (n, K, N, M, 2) float64, by numpy.linalg.solve."""
    chosen = codebook.astype(np.float64)[indices_of(payload, bits)]
    a = np.swapaxes(chosen[..., 0] + 1j * chosen[..., 1], 1, 2)  # (n, M, K)
    gram = np.conj(np.swapaxes(a, 1, 2)) @ a + float(np.float32(loading)) * np.eye(a.shape[2])
    # W G = A, with G Hermitian: G W^H = A^H.
    w = np.conj(np.linalg.solve(gram, np.conj(np.swapaxes(a, 1, 2))))  # (n, K, M)
    lengths = np.linalg.norm(w, axis=2, keepdims=True)
    w = np.divide(w, lengths, out=np.zeros_like(w), where=lengths > 0)
    v = np.stack([w.real, w.imag], axis=-1)[:, :, None]
    return np.broadcast_to(v, (*v.shape[:2], streams, *v.shape[3:]))


def zero_forcing(h: Array, loading: Array) -> Array:
    """W (n, K, M, 2) float64, by the singular values of h: no matrix is squared or inverted."""
    channels = h.astype(np.float64)[..., 0] + 1j * h.astype(np.float64)[..., 1]
    u, s, vh = np.linalg.svd(channels, full_matrices=False)
    # W^T = h^H (h h^H + d I)^-1 = V s / (s^2 + d) U^H, so W = conj(U) s / (s^2 + d) conj(V^H).
    gains = s / (s**2 + loading.astype(np.float64))
    w = np.conj(u * gains[:, None, :]) @ np.conj(vh)
    power = (np.abs(w) ** 2).mean((1, 2), keepdims=True)
    w /= np.sqrt(np.maximum(power, 1e-12))
    return np.stack([w.real, w.imag], axis=-1)
