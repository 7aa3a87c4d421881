"""Payloads, rows and stored numbers of precoder tables against plain definitions."""

from __future__ import annotations

from itertools import combinations_with_replacement, product
from math import comb
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.downlink.forms import FORMS, Form, parse_form
from csideploy.downlink.setup import Setup
from csideploy.downlink.tables import (
    build_table,
    one_column,
    pack_indices,
    restored,
    row_indices,
    stored,
    unpack_indices,
)
from csideploy.errors import InputError

Array = NDArray[Any]
FLOAT = 2.0**-24
ORDERED, SORTED = parse_form("ordered-full-fp32"), parse_form("sorted-full-fp32")
LIMITS = {"int8": 127, "int4": 7}


def setup_of(users: int, bits: int, streams: int = 1, antennas: int = 16) -> Setup:
    return Setup(antennas=antennas, streams=streams, users=users, bits=bits)


def gaussian(shape: tuple[int, ...], seed: int) -> Array:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def unit_columns(shape: tuple[int, ...], seed: int) -> Array:
    v = gaussian(shape, seed)
    return v / np.sqrt((v**2).sum(axis=(-2, -1), keepdims=True))


# Payloads.


@given(st.integers(1, 16), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_pack_and_unpack(bits: int, users: int, seed: int) -> None:
    setup = setup_of(users, bits)
    rng = np.random.default_rng(seed)
    indices = rng.integers(0, 1 << bits, (5, users))
    indices[0], indices[1] = 0, (1 << bits) - 1
    payload = pack_indices(setup, indices)
    size = -(-bits // 8)
    assert payload.shape == (5, users, size)
    assert payload.dtype == np.uint8
    for i in range(5):
        for k in range(users):
            # MSB first, zero pad: as text.
            text = "".join(f"{byte:08b}" for byte in payload[i, k])
            assert text == f"{indices[i, k]:0{bits}b}".ljust(8 * size, "0")
    np.testing.assert_array_equal(unpack_indices(setup, payload), indices)
    # Pad bits say nothing.
    payload[..., -1] |= rng.integers(0, 1 << (8 * size - bits), (5, users)).astype(np.uint8)
    np.testing.assert_array_equal(unpack_indices(setup, payload), indices)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint64])
def test_any_whole_type_and_any_leading_axes(dtype: Any) -> None:
    setup = setup_of(2, 6)
    indices = np.arange(64).reshape(4, 8, 2)
    payload = pack_indices(setup, indices.astype(dtype))
    np.testing.assert_array_equal(payload, pack_indices(setup, indices))
    np.testing.assert_array_equal(payload[..., 0], 4 * indices)
    assert pack_indices(setup, indices[:0].astype(dtype)).shape == (0, 8, 2, 1)
    np.testing.assert_array_equal(unpack_indices(setup, payload[1, 2]), indices[1, 2])


@pytest.mark.parametrize("bits", [1, 6, 8, 9, 16])
@pytest.mark.parametrize("wrong", [-1, "2^B", 1 << 40, -(1 << 62)])
def test_indices_out_of_range(bits: int, wrong: Any) -> None:
    setup = setup_of(3, bits)
    value = 1 << bits if wrong == "2^B" else wrong
    indices = np.zeros((4, 3), np.int64)
    indices[2, 1] = value
    indices[3, 0] = value
    with pytest.raises(InputError) as raised:
        pack_indices(setup, indices)
    assert str(raised.value) == (
        f"index {value} at (2, 1): {bits} bits make 0 to {(1 << bits) - 1}"
    )


@pytest.mark.parametrize(
    "indices",
    [
        np.zeros((4, 3)),
        np.zeros((4, 3), np.float32),
        np.zeros((4, 3), bool),
        np.zeros((4, 2), np.int64),
        np.zeros((4, 4), np.int64),
        np.zeros((3, 4), np.int64),
        np.zeros((), np.int64),
        np.zeros((4, 3), complex),
    ],
    ids=lambda indices: f"{indices.dtype} {indices.shape}",
)
def test_indices_of_other_types_and_shapes(indices: Array) -> None:
    with pytest.raises(InputError, match=r"whole numbers \(n, 3\) are right") as raised:
        pack_indices(setup_of(3, 4), indices)
    assert f"indices {indices.dtype} {indices.shape}" in str(raised.value)


# Rows.


@pytest.mark.parametrize(("bits", "users"), [(1, 1), (3, 2), (2, 3), (2, 5), (4, 3), (1, 16)])
def test_sorted_rows_are_the_multisets(bits: int, users: int) -> None:
    setup = setup_of(users, bits)
    count = SORTED.rows(setup)
    found = row_indices(setup, SORTED, np.arange(count))
    assert found.shape == (count, users)
    listed = [tuple(int(s) for s in row) for row in found]
    assert len(set(listed)) == count
    assert set(listed) == set(combinations_with_replacement(range(1 << bits), users))
    for row, s in enumerate(listed):
        assert row == sum(comb(s[i] + i, i + 1) for i in range(users))


@pytest.mark.parametrize(("bits", "users"), [(1, 1), (3, 2), (2, 3), (4, 3), (1, 12)])
def test_ordered_rows_are_the_tuples(bits: int, users: int) -> None:
    setup = setup_of(users, bits)
    found = row_indices(setup, ORDERED, np.arange(ORDERED.rows(setup)))
    assert [tuple(row) for row in found] == list(product(range(1 << bits), repeat=users))


def test_rows_of_the_papers_sizes() -> None:
    """The first, the last and some rows of 766,480 and of 2^24."""
    setup = Setup()
    rows = np.array([0, 1, 64, 123_456, 766_479])
    found = row_indices(setup, SORTED, rows)
    assert found[0].tolist() == [0, 0, 0, 0]
    assert found[1].tolist() == [0, 0, 0, 1]
    assert found[-1].tolist() == [63, 63, 63, 63]
    assert (np.diff(found, axis=1) >= 0).all()
    for row, s in zip(rows, found, strict=True):
        assert row == sum(comb(int(s[i]) + i, i + 1) for i in range(4))
    last = row_indices(setup, ORDERED, np.array([(1 << 24) - 1, 1 << 18, 0x123456]))
    assert last[0].tolist() == [63] * 4
    assert last[1].tolist() == [1, 0, 0, 0]
    assert last[2].tolist() == [0x123456 >> 18, 0x123456 >> 12 & 63, 0x123456 >> 6 & 63, 0x16]


# One column.


def complex_of(v: Array) -> Array:
    """(..., N, M, 2) -> (..., M, N), complex128."""
    return (v[..., 0].astype(np.float64) + 1j * v[..., 1]).swapaxes(-1, -2)


@pytest.mark.parametrize(("streams", "antennas"), [(2, 8), (3, 4), (4, 8)])
def test_one_column_is_the_best(streams: int, antennas: int) -> None:
    v = unit_columns((20, 3, streams, antennas, 2), 1)
    found = one_column(v)
    assert found.shape == (20, 3, 1, antennas, 2)
    assert found.dtype == np.float32
    w = complex_of(found)[..., 0]
    np.testing.assert_allclose(np.linalg.norm(w, axis=-1), 1, rtol=0, atol=8 * FLOAT)
    left, values, _ = np.linalg.svd(complex_of(v))
    # A Gram matrix in float32, its error 8 x 2^-24 of the largest eigenvalue, over the gap.
    gap = 1 - (values[..., 1] / values[..., 0]) ** 2
    best = left[..., 0]
    along = (best.conj() * w).sum(axis=-1, keepdims=True)
    apart = np.linalg.norm(w - best * along, axis=-1)
    assert (apart <= 32 * FLOAT / gap).all()
    # Of all [w ... w] the nearest to V V^H: w^H V V^H w is as large as it can be.
    heard = np.linalg.norm(w[..., None, :].conj() @ complex_of(v), axis=(-2, -1)) ** 2
    np.testing.assert_allclose(heard, values[..., 0] ** 2, rtol=64 * FLOAT)


def test_repeated_columns_stay_as_they_are() -> None:
    v = np.repeat(unit_columns((20, 3, 1, 8, 2), 2), 2, axis=2)
    np.testing.assert_array_equal(one_column(v), v[:, :, :1])
    single = unit_columns((20, 3, 1, 8, 2), 3)
    np.testing.assert_array_equal(one_column(single), single)


def test_one_column_of_zeros_and_of_rank_one() -> None:
    v = unit_columns((2, 2, 2, 4, 2), 4)
    v[0, 0] = 0
    v[1, 1, 1] = -v[1, 1, 0]
    found = one_column(v)
    np.testing.assert_array_equal(found[0, 0], 0)
    along = np.abs(complex_of(v)[1, 1, :, 0].conj() @ complex_of(found)[1, 1, :, 0])
    assert abs(along - 1) <= 16 * FLOAT


# Stored numbers.


def unpacked(rows: Array, form: Form) -> Array:
    """Stored numbers, as Python reads them."""
    if form.values != "int4":
        return rows.astype(np.float64)
    signed = {code: code - 16 if code > 7 else code for code in range(16)}
    pairs = [(signed[int(byte) >> 4], signed[int(byte) & 15]) for byte in rows.reshape(-1)]
    return np.array(pairs, np.float64).reshape(*rows.shape, 2)


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_stored_and_restored(form: Form, per_user: bool) -> None:
    setup = Setup(antennas=8, streams=2, users=3)
    v = unit_columns((50, 3, 2, 8, 2), 5)
    if per_user:
        # Columns of a user have lengths of their own, together sqrt(N).
        v *= gaussian((50, 3, 2, 1, 1), 6)
        v *= np.sqrt(2 / (v**2).sum(axis=(2, 3, 4), keepdims=True))
    columns = v if form.columns == "full" else one_column(v)
    width = form.width(setup)
    rows = stored(v, form, per_user=per_user)
    dtype = {"fp32": np.float32, "int8": np.int8, "int4": np.uint8}[form.values]
    assert rows.dtype == dtype
    assert rows.shape == ((50, 3, width, 8) if form.values == "int4" else (50, 3, width, 8, 2))
    assert rows.nbytes == 50 * form.nbytes(setup) // form.rows(setup)
    made = restored(rows, setup, form, per_user=per_user)
    assert made.shape == (50, 3, 2, 8, 2)
    assert made.dtype == np.float64
    if form.values == "fp32":
        np.testing.assert_array_equal(rows, columns)
        np.testing.assert_array_equal(made, np.broadcast_to(columns, made.shape))
        return
    axes = (2, 3, 4) if per_user else (3, 4)
    limit = LIMITS[form.values]
    whole = unpacked(rows, form)
    # The range is filled, and symmetric.
    np.testing.assert_array_equal(np.abs(whole).max(axis=axes), limit)
    # Half a step, and the rounding of the scale and of the product in float32, before any norm.
    step = np.abs(columns).max(axis=axes, keepdims=True).astype(np.float64) / limit
    assert (np.abs(whole * step - columns) <= step * (0.5 + limit * 4 * FLOAT)).all()
    # Then the norm: of each column 1, of each user the root of its number of columns.
    power = np.square(made[:, :, :width]).sum(axis=axes)
    np.testing.assert_allclose(power, width if per_user else 1, rtol=1e-14)
    norm = np.sqrt(np.square(whole).sum(axis=axes, keepdims=True))
    wanted = whole / norm * (np.sqrt(width) if per_user else 1)
    np.testing.assert_allclose(made, np.broadcast_to(wanted, made.shape), rtol=1e-14)
    if form.columns == "rank1":
        np.testing.assert_array_equal(made[:, :, 0], made[:, :, 1])


def test_nibbles() -> None:
    """Re in the high four bits, im in the low ones, two's complement."""
    setup = Setup(antennas=2, streams=1, users=1)
    v = np.array([[7, -7], [-1, 3]], np.float32).reshape(1, 1, 1, 2, 2) / 8
    rows = stored(v, parse_form("ordered-full-int4"), per_user=False)
    assert rows.reshape(-1).tolist() == [0x79, 0xF3]
    made = restored(rows, setup, parse_form("ordered-full-int4"), per_user=False)
    np.testing.assert_allclose(
        made.reshape(-1), np.array([7, -7, -1, 3]) / np.sqrt(108), rtol=1e-15
    )
    # A code that `stored` never writes is read as -8.
    low = restored(np.full((1, 1, 1, 2), 0x80, np.uint8), setup, FORMS[2], per_user=False)
    np.testing.assert_allclose(low.reshape(-1), np.array([-1, 0, -1, 0]) / np.sqrt(2), rtol=1e-15)


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("values", ["int8", "int4"])
def test_columns_of_zeros(values: str, per_user: bool) -> None:
    setup = Setup(antennas=4, streams=2, users=2)
    form = parse_form(f"ordered-full-{values}")
    v = unit_columns((2, 2, 2, 4, 2), 7)
    v[0, 1] = 0
    v[1, 0, 1] = 0
    made = restored(stored(v, form, per_user=per_user), setup, form, per_user=per_user)
    np.testing.assert_array_equal(made[0, 1], 0)
    np.testing.assert_array_equal(made[1, 0, 1], 0)
    wanted = np.sqrt(2) if per_user else 1.0
    assert np.linalg.norm(made[1, 0, 0]) == pytest.approx(wanted, rel=1e-14)


# Tables.


def symmetric(setup: Setup, seed: int) -> Any:
    """A transmitter whose V_k depends on q_k and on the sum of the others' indices."""
    levels = 1 << setup.bits
    shape = (levels, levels * setup.users, setup.streams, setup.antennas, 2)
    entries = unit_columns(shape, seed)

    def transmit(payload: Array) -> Array:
        q = unpack_indices(setup, payload)
        rest = q.sum(axis=1, keepdims=True) - q
        return entries[q, rest]

    return transmit


@pytest.mark.parametrize("per_user", [False, True])
@pytest.mark.parametrize("kind", [str(f).split("-", 1)[1] for f in FORMS if f.sorted])
@pytest.mark.parametrize(("users", "bits"), [(2, 3), (3, 2), (1, 4)])
def test_sorted_equals_ordered(users: int, bits: int, kind: str, per_user: bool) -> None:
    setup = setup_of(users, bits, streams=2, antennas=6)
    transmit = symmetric(setup, users)
    ordered_form, sorted_form = parse_form(f"ordered-{kind}"), parse_form(f"sorted-{kind}")
    ordered = build_table(setup, ordered_form, transmit, per_user=per_user)
    small = build_table(setup, sorted_form, transmit, per_user=per_user)
    assert ordered.nbytes == ordered_form.nbytes(setup)
    assert small.nbytes == sorted_form.nbytes(setup)
    assert small.dtype == ordered.dtype
    for row, indices in enumerate(product(range(1 << bits), repeat=users)):
        order = sorted(range(users), key=lambda k: indices[k])
        at = sum(comb(indices[k] + i, i + 1) for i, k in enumerate(order))
        for i, k in enumerate(order):
            np.testing.assert_array_equal(small[at, i], ordered[row, k])


def test_ordered_table_is_the_transmitter() -> None:
    """Bit for bit over more than one chunk of 2,048; progress ends with all rows."""
    setup = Setup(users=2)
    transmit = symmetric(setup, 9)
    told: list[tuple[int, int]] = []
    table = build_table(
        setup,
        ORDERED,
        transmit,
        per_user=False,
        progress=lambda done, total: told.append((done, total)),
    )
    assert table.shape == (4096, 2, 2, 8, 2)
    assert told == [(2048, 4096), (4096, 4096)]
    every = np.array(list(product(range(64), repeat=2)))
    np.testing.assert_array_equal(table, transmit(pack_indices(setup, every)))
    small = build_table(setup, SORTED, transmit, per_user=False)
    assert len(small) == 2080
