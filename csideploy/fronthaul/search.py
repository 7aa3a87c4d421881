"""Multivariate quantization with tables, in float64: VQ, MQ, SMQ and alpha-PMQ; the payload's bits.

Source: paper 003, "Scalable multivariate fronthaul quantization for cell-free massive MIMO", eqs.
(16), (19), (29), (33) to (35) and algorithm 1. M RUs, RU m with N_m antennas (N = sum N_m) and B_m
bits a channel use; L streams; R channel uses under one channel. The DU minimises
||C x_hat - d||^2 with C = F^H H Gamma (L, N) and x_hat_m = X_m[b_m].

The runtime's kernels do the same sums in the same order (`csideploy.export.operations`), so that
indices are equal even where costs are. Numbers are finite; those of a kernel are float32, and
products of two of them exact in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError

Complex = NDArray[np.complexfloating[Any, Any]]
Reals = NDArray[np.float64]
Indices = NDArray[np.int64]

MOST_RUS = 32
"""A class of RUs is a word of 32 bits in the runtime."""
MOST_BITS = 12
MOST_JOINT_BITS = 20
"""sum B_m of an exhaustive search."""
_NUMBERS = 1 << 21
"""Costs held at a time, 16 MiB of them: channel uses go through in pieces."""


def excluded_products(rus: int, alpha: float) -> int:
    """K = floor(alpha M (M - 1) / 2), the place of the threshold of (35); 0 is -1, no threshold.

    A product within 1e-9 of a whole number is that number: 0.29 * 100 is 29.

    Raises:
        InputError: alpha is not between 0 and 1, or there are not 1 to 32 RUs.
    """
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha = {alpha}; 0 (one RU at a time) to 1 (all at once) is right")
    if not 1 <= rus <= MOST_RUS:
        raise InputError(f"{rus} RUs; 1 to {MOST_RUS} are possible")
    return math.floor(alpha * (rus * (rus - 1) // 2) + 1e-9)


def interference_classes(gains: NDArray[np.floating[Any]], alpha: float) -> list[list[int]]:
    """Which RUs quantize at the same time: independent sets of the interference graph.

    RUs i and j have an edge where g_i . g_j is above the k-th smallest of all products, k from
    `excluded_products`; equal products at the threshold make no edge. A product that is not
    finite stands above all others and makes no edge. The sets come of recursive largest first: of
    the RUs without a class that with the most edges among them begins a class; then, of those
    without an edge into it, that with the most neighbours among the excluded ones, then the fewest
    among the candidates, then the lowest number.

    Args:
        gains: (M, U), |H_mu|^2 summed over antennas, of RU m and user u.
        alpha: 0 to 1; 0: all edges, the classes [0], [1], ...; 1: none, one class.

    Returns:
        The classes in the order in which they are found, each with its RUs in rising order.

    Raises:
        InputError: as `excluded_products`, or gains are no matrix.
    """
    if gains.ndim != 2:
        raise InputError(f"gains {gains.shape}; (RUs, users) is right")
    rus, users = gains.shape
    excluded = excluded_products(rus, alpha)
    g = gains.astype(np.float64)
    products = np.zeros((rus, rus))
    with np.errstate(invalid="ignore", over="ignore"):
        for u in range(users):
            products += np.outer(g[:, u], g[:, u])
    edges = np.isfinite(products) & ~np.eye(rus, dtype=bool)
    if excluded > 0:
        upper = products[np.triu_indices(rus, 1)]
        threshold = np.sort(np.where(np.isfinite(upper), upper, np.inf))[excluded - 1]
        edges &= products > threshold
    return _largest_first(edges)


def _largest_first(edges: NDArray[np.bool_]) -> list[list[int]]:
    """Colouring of a symmetric matrix of edges (M, M); see `interference_classes`."""
    left = set(range(len(edges)))

    def neighbours(ru: int, among: set[int]) -> set[int]:
        return {other for other in among if edges[ru, other]}

    classes = []
    while left:
        first = max(left, key=lambda ru: (len(neighbours(ru, left)), -ru))
        members, excluded = [first], neighbours(first, left)
        candidates = left - excluded - {first}
        while candidates:
            best = max(
                candidates,
                key=lambda ru: (
                    len(neighbours(ru, excluded)),
                    -len(neighbours(ru, candidates)),
                    -ru,
                ),
            )
            members.append(best)
            moved = neighbours(best, candidates)
            excluded |= moved
            candidates -= moved | {best}
        left -= set(members)
        classes.append(sorted(members))
    return classes


def quantize_nearest(x: Complex, tables: Sequence[Complex]) -> Indices:
    """VQ (16): for each RU the codeword nearest to what was precoded for it.

    Args:
        x: (R, N), precoded.
        tables: of each RU, (2^B_m, N_m).

    Returns:
        (R, M), the lowest index of equal distances.

    Raises:
        InputError: tables and x do not fit.
    """
    columns = _columns(tables)
    if x.ndim != 2 or x.shape[1] != columns[-1].stop:
        raise InputError(f"x {x.shape}; (channel uses, {columns[-1].stop} antennas) is right")
    out = np.empty((len(x), len(tables)), np.int64)
    for m, (table, own) in enumerate(zip(tables, columns, strict=True)):
        words, numbers = _reals(table), _reals(x[:, own])
        for piece in _pieces(len(x), len(words)):
            distances = np.zeros((piece.stop - piece.start, len(words)))
            for k in range(words.shape[1]):
                distances += (numbers[piece, k, None] - words[:, k]) ** 2
            out[piece, m] = distances.argmin(axis=1)
    return out


def search_sequential(
    effective: Complex,
    targets: Complex,
    tables: Sequence[Complex],
    classes: Sequence[Sequence[int]],
    iterations: int,
) -> Indices:
    """alpha-PMQ, algorithm 1; with the classes [0], [1], ... and M iterations SMQ.

    x_hat starts at 0. Iteration t = 1, 2, ... updates the RUs of class (t - 1) mod I at the same
    time, each as if the others stayed what they were. An RU that is never visited, with fewer
    iterations than classes, sends index 0.

    Args:
        effective: C (L, N).
        targets: d (R, L).
        tables: of each RU, (2^B_m, N_m).
        classes: RUs from 0, I of them, as `interference_classes` returns them.
        iterations: T >= 1.

    Returns:
        (R, M), the lowest index of equal costs.

    Raises:
        InputError: shapes do not fit, or a class names an RU that is not there.
    """
    parts = _parts(effective, targets, tables)
    rus = len(tables)
    if iterations < 1 or not classes or not {m for c in classes for m in c} <= set(range(rus)):
        raise InputError(
            f"{iterations} iterations over classes {list(classes)}; from 1 on, RUs 0 to {rus - 1}"
        )
    halves = [_half_square(p) for p in parts]
    out = np.zeros((len(targets), rus), np.int64)
    for piece in _pieces(len(targets), max(map(len, tables))):
        residual = -_reals(targets[piece])
        held = [np.zeros_like(residual) for _ in tables]
        for t in range(iterations):
            after = residual.copy()
            for m in sorted(classes[t % len(classes)]):
                best = _costs(residual - held[m], parts[m], halves[m]).argmin(axis=1)
                fresh = parts[m][best]
                after += fresh - held[m]
                held[m] = fresh
                out[piece, m] = best
            residual = after
    return out


def search_exhaustive(effective: Complex, targets: Complex, tables: Sequence[Complex]) -> Indices:
    """MQ (19): the best of all 2^(sum B_m) combinations, for every channel use.

    Args:
        effective: C (L, N).
        targets: d (R, L).
        tables: of each RU, (2^B_m, N_m); sum B_m <= 20.

    Returns:
        (R, M); of equal costs the lowest joint index, RU 0 in its high bits.

    Raises:
        InputError: shapes do not fit, or there are more than 2^20 combinations.
    """
    parts = _parts(effective, targets, tables)
    sizes = [len(table) for table in tables]
    outer = math.prod(sizes[:-1])
    if outer * sizes[-1] > 1 << MOST_JOINT_BITS:
        raise InputError(f"2^{math.log2(outer * sizes[-1]):.0f} combinations; 2^20 are possible")
    half = _half_square(parts[-1])
    out = np.empty((len(targets), len(tables)), np.int64)
    for piece in _pieces(len(targets), outer * max(sizes[-1], parts[-1].shape[1])):
        residual = -_reals(targets[piece])[:, None, :]
        for p in parts[:-1]:
            residual = (residual[:, :, None, :] + p).reshape(len(residual), -1, p.shape[1])
        costs = _half_square(residual)[..., None] + _costs(residual, parts[-1], half)
        joint = costs.reshape(len(costs), -1).argmin(axis=1)
        out[piece] = np.stack(np.unravel_index(joint, sizes), axis=1)
    return out


def pack_messages(indices: NDArray[np.integer[Any]], bits: Sequence[int]) -> bytes:
    """The payload of a block: for each RU its R indices of B_m bits, MSB first, then zero pad.

    Args:
        indices: (R, M), RU m's below 2^B_m.
        bits: B_m of each RU.

    Raises:
        InputError: an index needs more bits, or there are not M numbers of bits.
    """
    if indices.ndim != 2 or indices.shape[1] != len(bits):
        raise InputError(f"indices {indices.shape}; (channel uses, {len(bits)} RUs) is right")
    if (indices < 0).any() or (indices >= 1 << np.asarray(bits)).any():
        raise InputError(f"an index is outside its {list(bits)} bits")
    streams = []
    for m, count in enumerate(bits):
        places = np.arange(count)[::-1]
        streams.append(np.packbits((indices[:, m, None] >> places & 1).astype(np.uint8)).tobytes())
    return b"".join(streams)


def unpack_messages(payload: bytes, bits: Sequence[int], uses: int) -> Indices:
    """Indices (R, M) of a payload of R = `uses` channel uses; the pad is not read.

    Raises:
        InputError: the payload has another length.
    """
    sizes = [-(-uses * count // 8) for count in bits]
    if len(payload) != sum(sizes):
        raise InputError(f"payload of {len(payload)} bytes; {sum(sizes)} are right")
    out = np.empty((uses, len(bits)), np.int64)
    start = 0
    for m, (count, size) in enumerate(zip(bits, sizes, strict=True)):
        stream = np.frombuffer(payload, np.uint8, size, start)
        digits = np.unpackbits(stream, count=uses * count).reshape(uses, count)
        out[:, m] = digits.astype(np.int64) @ (1 << np.arange(count)[::-1])
        start += size
    return out


def _columns(tables: Sequence[Complex]) -> list[slice]:
    """The antennas of each RU among all N."""
    if not tables:
        raise InputError("no tables; one an RU is right")
    for m, table in enumerate(tables):
        if table.ndim != 2 or 0 in table.shape:
            raise InputError(f"table {m} {table.shape}; (codewords, antennas of RU {m}) is right")
    ends = np.cumsum([table.shape[1] for table in tables]).tolist()
    return [slice(end - t.shape[1], end) for end, t in zip(ends, tables, strict=True)]


def _reals(x: Complex) -> Reals:
    """(..., K) complex -> (..., 2 K): re and im of each."""
    wide = np.ascontiguousarray(x, np.complex128)
    return wide.view(np.float64).reshape(*x.shape[:-1], 2 * x.shape[-1])


def _parts(effective: Complex, targets: Complex, tables: Sequence[Complex]) -> list[Reals]:
    """P_m = C_m X_m[b] of every RU, (2^B_m, 2 L): summed over its antennas, the first one first."""
    columns = _columns(tables)
    streams, antennas = len(effective), columns[-1].stop
    if effective.shape != (streams, antennas) or targets.shape != (len(targets), streams):
        raise InputError(
            f"effective {effective.shape}, targets {targets.shape}; (streams, {antennas}) and "
            "(channel uses, streams) are right"
        )
    out = []
    for table, own in zip(tables, columns, strict=True):
        made = np.zeros((len(table), streams, 2))
        for c, x in zip(effective[:, own].T, table.T, strict=True):
            re, im = (np.asarray(part, np.float64)[:, None] for part in (x.real, x.imag))
            c_re, c_im = (np.asarray(part, np.float64) for part in (c.real, c.imag))
            made[..., 0] += c_re * re - c_im * im
            made[..., 1] += c_re * im + c_im * re
        out.append(made.reshape(len(table), 2 * streams))
    return out


def _half_square(p: Reals) -> Reals:
    """|p|^2 / 2 over the last axis, the first number first."""
    total = np.zeros(p.shape[:-1])
    for k in range(p.shape[-1]):
        total += p[..., k] * p[..., k]
    return 0.5 * total


def _costs(others: Reals, parts: Reals, halves: Reals) -> Reals:
    """(|o + P_b|^2 - |o|^2) / 2 for o (..., 2 L) and all b: (..., 2^B), the first number first."""
    total = np.broadcast_to(halves, (*others.shape[:-1], len(halves))).copy()
    for k in range(parts.shape[1]):
        total += others[..., k, None] * parts[:, k]
    return total


def _pieces(uses: int, each: int) -> list[slice]:
    """Channel uses by pieces whose costs, `each` of a channel use, are not too many at a time."""
    step = max(1, _NUMBERS // each)
    return [slice(start, min(start + step, uses)) for start in range(0, uses, step)]
