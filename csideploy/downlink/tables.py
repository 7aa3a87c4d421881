"""Tables of precoders: all tuples of indices through a transmitter, stored in a form."""

from __future__ import annotations

from collections.abc import Callable
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.downlink.forms import Form
from csideploy.downlink.setup import Setup
from csideploy.errors import InputError
from csideploy.progress import Advance, quiet

Transmit = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""payload uint8 (n, K, ceil(B / 8)) -> V float32 (n, K, N, M, 2): v[k, j] is column j of V_k."""

_CHUNK = 2048
_LARGEST = {"int8": 127, "int4": 7}


def pack_indices(setup: Setup, indices: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Payloads of feedback indices: B bits, MSB first, zero pad at the end of a user's bytes.

    Args:
        setup: sizes.
        indices: integers (..., K), from 0 to 2^B - 1.

    Returns:
        uint8 (..., K, ceil(B / 8)).

    Raises:
        InputError: another type or number of users, or an index out of range.
    """
    array = np.asarray(indices)
    if not np.issubdtype(array.dtype, np.integer) or array.shape[-1:] != (setup.users,):
        raise InputError(
            f"indices {array.dtype} {array.shape}: whole numbers (n, {setup.users}) are right"
        )
    wrong = (array < 0) | (array >= 1 << setup.bits)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise InputError(
            f"index {array[at]} at {at}: {setup.bits} bits make 0 to {(1 << setup.bits) - 1}"
        )
    size = setup.payload_bytes
    shifted = array.astype(np.uint32) << (8 * size - setup.bits)
    places = 8 * np.arange(size - 1, -1, -1, dtype=np.uint32)
    payload: NDArray[np.uint8] = (shifted[..., None] >> places).astype(np.uint8)
    return payload


def unpack_indices(setup: Setup, payload: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The indices of payloads (..., K, ceil(B / 8)), the pad ignored: (..., K)."""
    size = setup.payload_bytes
    weights = 256 ** np.arange(size - 1, -1, -1, dtype=np.int64)
    found: NDArray[np.int64] = (payload.astype(np.int64) * weights).sum(axis=-1)
    return found >> (8 * size - setup.bits)


def row_indices(setup: Setup, form: Form, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The users' indices behind rows of a table, (n, K); of a sorted one, rising.

    Ordered: the digits of the row at base 2^B, user 0 first. Sorted: the combinatorial number
    system, row = sum_i binomial(s_i + i, i + 1); from the last place down, s_i + i is the largest
    c with binomial(c, i + 1) <= what is left.
    """
    if not form.sorted:
        places = setup.bits * np.arange(setup.users - 1, -1, -1)
        return (rows[:, None] >> places) & ((1 << setup.bits) - 1)
    found = np.empty((len(rows), setup.users), np.int64)
    left = rows.copy()
    for i in reversed(range(setup.users)):
        terms = np.array([comb(c, i + 1) for c in range((1 << setup.bits) + i)], np.int64)
        c = np.searchsorted(terms, left, side="right") - 1
        found[:, i] = c - i
        left -= terms[c]
    return found


def one_column(v: NDArray[np.float32]) -> NDArray[np.float32]:
    """The best single column of each user: (..., N, M, 2) -> (..., 1, M, 2), unit norm.

    The strongest left singular vector of V_k, V u with u the strongest eigenvector of V^H V: of all
    [w ... w] the nearest to V_k V_k^H. A user whose columns are one already keeps that, to the bit.
    """
    first = v[..., :1, :, :]
    same = (v == first).all(axis=(-3, -2, -1), keepdims=True)
    if same.all():
        return np.ascontiguousarray(first)
    matrix = np.ascontiguousarray(v).view(np.complex64)[..., 0].swapaxes(-1, -2)
    gram = matrix.conj().swapaxes(-1, -2) @ matrix
    strongest = np.linalg.eigh(gram)[1][..., -1:]
    column = (matrix @ strongest).swapaxes(-1, -2)
    column /= np.maximum(np.linalg.norm(column, axis=-1, keepdims=True), 1e-30)
    found: NDArray[np.float32] = np.ascontiguousarray(column)[..., None].view(np.float32)
    return np.where(same, first, found)


def stored(v: NDArray[np.float32], form: Form, *, per_user: bool) -> NDArray[Any]:
    """Rows of a table: V (n, K, N, M, 2) in a form.

    Integers fill their range: the largest number of a column (of a user's columns, if `per_user`)
    becomes 127 or 7. What scale that was need not be kept, since the look-up gives every column
    (every user) its norm again.

    Returns:
        float32 or int8 (n, K, C, M, 2), or uint8 (n, K, C, M), re in the high four bits.
    """
    columns = v if form.columns == "full" else one_column(v)
    if form.values == "fp32":
        return columns
    axes = (-3, -2, -1) if per_user else (-2, -1)
    top = np.abs(columns).max(axis=axes, keepdims=True)
    scale = np.divide(_LARGEST[form.values], top, out=np.zeros_like(top), where=top > 0)
    whole: NDArray[Any] = np.rint(columns * scale).astype(np.int8)
    if form.values == "int8":
        return whole
    nibbles: NDArray[Any] = whole.view(np.uint8) & 15
    packed: NDArray[np.uint8] = nibbles[..., 0] << 4 | nibbles[..., 1]
    return packed


def restored(
    rows: NDArray[Any], setup: Setup, form: Form, *, per_user: bool
) -> NDArray[np.float64]:
    """What a look-up makes of stored rows, in float64: (n, K, N, M, 2)."""
    if form.values == "int4":
        nibbles = np.stack([rows >> 4, rows & 15], -1).astype(np.int16)
        values = np.where(nibbles > 7, nibbles - 16, nibbles).astype(np.float64)
    else:
        values = rows.astype(np.float64)
    if form.values != "fp32":
        axes = (-3, -2, -1) if per_user else (-2, -1)
        norm = np.sqrt(np.square(values).sum(axis=axes, keepdims=True))
        wanted = np.sqrt(values.shape[-3]) if per_user else 1.0
        values = np.divide(values * wanted, norm, out=np.zeros_like(values), where=norm > 0)
    return np.broadcast_to(values, (*values.shape[:2], setup.streams, *values.shape[3:]))


def build_table(
    setup: Setup,
    form: Form,
    transmit: Transmit,
    *,
    per_user: bool,
    progress: Advance = quiet,
) -> NDArray[Any]:
    """The table of a transmitter.

    Args:
        setup: sizes.
        form: which rows, and how they are stored.
        transmit: run on every row's indices, in chunks.
        per_user: see `stored`.
        progress: called with rows done and in all.
    """
    rows = form.rows(setup)
    table: NDArray[Any] | None = None
    for start in range(0, rows, _CHUNK):
        number = np.arange(start, min(start + _CHUNK, rows), dtype=np.int64)
        payload = pack_indices(setup, row_indices(setup, form, number))
        part = stored(transmit(payload), form, per_user=per_user)
        if table is None:
            table = np.empty((rows, *part.shape[1:]), part.dtype)
        table[start : start + len(part)] = part
        progress(min(start + _CHUNK, rows), rows)
    assert table is not None
    return table
