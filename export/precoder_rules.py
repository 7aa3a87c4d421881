"""Rows of precoder tables, and what the functions `TablePrecoder...` and `ZeroForcing` take."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made
from csideploy.export.refusal import Inputs, given, known, refuse

MOST_USERS = 16
MOST_NUMBERS = 65535
"""N M: the sum of squares of a user's columns stays below 2^31."""
MOST_ROWS = 0x7FFFFFFF

MOST_FORCED = 64
"""Users of ZERO_FORCING: their matrix takes 16 bytes times the square of them."""

TABLE_DTYPES = {
    "TablePrecoder": np.dtype(np.float32),
    "TablePrecoderInt8": np.dtype(np.int8),
    "TablePrecoderInt4": np.dtype(np.uint8),
}
"""Function -> element type of its table; uint8 holds two numbers of four bits."""


def table_rows(bits: int, users: int, *, sorted_: bool) -> int:
    """E: what the indices of all users can name, 2^(B K), or sets of them."""
    levels = 1 << bits
    return math.comb(levels + users - 1, users) if sorted_ else levels**users


def row_terms(bits: int, users: int, *, sorted_: bool) -> NDArray[np.int64]:
    """The functions' input `terms` (K, 2^B + K), for tables of fewer than 2^31 rows."""
    c = np.arange((1 << bits) + users, dtype=np.int64)
    if not sorted_:
        return np.stack([c << bits * (users - 1 - i) for i in range(users)])
    rows = [c]
    for i in range(1, users):  # binomial(c, i + 1) of binomial(c, i)
        rows.append(rows[-1] * (c - i) // (i + 1))
    return np.stack(rows)


def table_precoder(node: Node, inputs: Inputs) -> Made:
    """Payload (n, K, bytes), table (E, K, C, M, 2), terms (K, 2^B + K) -> v (n, K, N, M, 2)."""
    bits, streams = (int(node.attributes.get(name, 0)) for name in ("bits", "streams"))
    flags = [int(node.attributes.get(name, 0)) for name in ("sorted", "per_user")]
    if not 1 <= bits <= 16:
        refuse(node, f"{bits} bits a user; 1 to 16 are possible")
    if streams < 1 or any(flag not in (0, 1) for flag in flags):
        refuse(node, f"streams {streams}, sorted {flags[0]}, per_user {flags[1]}; 1 and 0 or 1")
    payload = given(node, inputs, 0)
    size = -(-bits // 8)
    if payload.dtype != np.uint8 or len(payload.shape) != 3 or payload.shape[2] != size:
        refuse(node, f"payload {payload.dtype} {payload.shape}; uint8 (n, users, {size}) is right")
    samples, users = int(payload.shape[0]), int(payload.shape[1])
    if not 1 <= users <= MOST_USERS:
        refuse(node, f"{users} users; 1 to {MOST_USERS} are possible")
    rows = table_rows(bits, users, sorted_=bool(flags[0]))
    if rows > MOST_ROWS:
        refuse(node, f"{users} users of {bits} bits need {rows} rows; fewer than 2^31 are possible")
    table = known(node, inputs, 1, "table")
    dtype = TABLE_DTYPES[str(node.op)]
    tail = (2,) if dtype != np.uint8 else ()
    if table.dtype != dtype or table.ndim != 4 + len(tail) or table.shape[4:] != tail:
        last = "".join(f", {number}" for number in tail)
        refuse(node, f"table {table.dtype} {table.shape}; {dtype} (rows, users, C, M{last}) fits")
    if table.shape[:2] != (rows, users) or table.shape[2] not in (1, streams):
        columns = "1" if streams == 1 else f"1 or {streams}"
        wanted = f"{rows} rows, {users} users, {columns} columns"
        refuse(node, f"table {table.shape}; {wanted} fit {bits} bits")
    antennas = int(table.shape[3])
    if not 1 <= streams * antennas <= MOST_NUMBERS:
        refuse(node, f"{streams} streams of {antennas} antennas; 1 to {MOST_NUMBERS} together")
    # The largest and the smallest say it without a copy of the table's size.
    if table.dtype == np.float32 and not np.isfinite([table.min(), table.max()]).all():
        refuse(node, "a number of the table is not finite")
    terms = known(node, inputs, 2, "terms")
    right = row_terms(bits, users, sorted_=bool(flags[0]))
    if terms.dtype != np.int64 or not np.array_equal(terms, right):
        refuse(node, f"terms {terms.dtype} {terms.shape} are not those of {users} users of {bits} "
                     f"bits, sorted {flags[0]}")  # fmt: skip
    return [(np.dtype(np.float32), (samples, users, streams, antennas, 2))]


def zero_forcing(node: Node, inputs: Inputs) -> Made:
    """H (n, K, M, 2), loading (n, 1) -> w like h; the most users are the step's business."""
    h, loading = given(node, inputs, 0), given(node, inputs, 1)
    f32 = np.dtype(np.float32)
    if h.dtype != f32 or len(h.shape) != 4 or h.shape[3] != 2:
        refuse(node, f"input '{h.name}' is {h.dtype} {h.shape}; float32 (n, users, antennas, 2) is "
                     "right")  # fmt: skip
    if loading.dtype != f32 or loading.shape != (h.shape[0], 1):
        refuse(node, f"loading '{loading.name}' is {loading.dtype} {loading.shape}; float32 "
                     f"({h.shape[0]}, 1) is right")  # fmt: skip
    return [(f32, h.shape)]
