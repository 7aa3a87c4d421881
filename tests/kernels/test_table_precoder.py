"""Tables of precoders: every form bit for bit against NumPy, and no payload leads astray."""

from math import comb
from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from one_step import same_bits
from precoder_oracles import (
    indices_of,
    messages,
    nibbles,
    row_and_places,
    rows_of_sets,
    table_precoder,
)

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part

Array = Any
FORMS = ("f32", "i8", "int4")


def rows_in(bits: int, users: int, ordered: bool) -> int:
    return 2 ** (bits * users) if ordered else comb(2**bits + users - 1, users)


def table_of(form: str, *shape: int, seed: int = 0) -> Array:
    """Random numbers (E, K, C, M, 2) in a form; some columns and some users are all zero."""
    rng = np.random.default_rng(seed)
    if form == "f32":
        return rng.standard_normal(shape, np.float32)
    low, high = (-128, 128) if form == "i8" else (-8, 8)
    table = rng.integers(low, high, shape, np.int8)
    table[rng.random(shape[:3]) < 0.05] = 0
    table[rng.random(shape[:2]) < 0.05] = 0
    return table if form == "i8" else nibbles(table)


def run(payload: Array, table: Array, streams: int, bits: int, n_max: int = 1, **how: int) -> Array:
    """Through the runtime, on the default instruction set and the scalar reference."""
    hand = HandPlan(n_max=n_max)
    users, antennas = payload.shape[1], table.shape[3]
    x = hand.input("payload", ("n", *payload.shape[1:]), np.uint8)
    v = hand.output("v", ("n", users, streams, antennas, 2))
    hand.step(Op.TABLE_PRECODER, [x, hand.constant("table", table)], [v], bits=bits, **how)
    bundle = write_bundle(hand.plan())
    y = Part(bundle).run(payload)[0]
    assert same_bits(y, Part(bundle, isa="reference").run(payload)[0])
    return y


CASES = [
    # bits, users, ordered, columns, streams, antennas
    (1, 1, True, 1, 1, 1),
    (3, 1, False, 2, 2, 3),
    (10, 1, True, 1, 2, 4),
    (12, 1, False, 2, 2, 8),
    (1, 2, True, 2, 2, 5),
    (6, 2, True, 1, 2, 8),
    (6, 2, False, 2, 2, 8),
    (10, 2, False, 1, 1, 2),
    (3, 3, True, 3, 3, 2),
    (6, 3, False, 1, 3, 3),
    (3, 4, True, 1, 2, 4),
    (4, 4, False, 2, 2, 4),
    (1, 8, True, 1, 2, 17),
    (2, 8, False, 2, 2, 3),
    (3, 8, False, 1, 1, 2),
    (1, 16, False, 1, 2, 9),
]


@pytest.mark.parametrize("per_user", [0, 1])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_numpy(case: tuple[Any, ...], form: str, per_user: int) -> None:
    bits, users, ordered, columns, streams, antennas = case
    rows = rows_in(bits, users, ordered)
    table = table_of(form, rows, users, columns, antennas, 2, seed=rows)
    rng = np.random.default_rng(bits)
    indices = rng.integers(0, 2**bits, (200, users))
    indices[:20] = rng.integers(0, min(3, 2**bits), (20, users))  # with many ties
    indices[20], indices[21] = 0, 2**bits - 1
    payload = messages(indices, bits, seed=7)
    assert np.array_equal(indices_of(payload, bits), indices)
    v = run(payload, table, streams, bits, n_max=3, sorted=int(not ordered), per_user=per_user)
    assert same_bits(v, table_precoder(payload, table, streams, bits, ordered, bool(per_user)))


@pytest.mark.parametrize(("bits", "users"), [(1, 16), (2, 8), (3, 5), (6, 2), (5, 3)])
def test_rows_are_all_named_once(bits: int, users: int) -> None:
    """The oracle's rows of sets count from 0 to E - 1, and each set finds the row of its number."""
    sets = rows_of_sets(bits, users)
    rows = rows_in(bits, users, ordered=False)
    assert sorted(sets.values()) == list(range(rows))
    table = np.zeros((rows, users, 1, 1, 2), np.float32)
    table[:, :, 0, 0, 0] = np.arange(rows)[:, None]
    table[:, :, 0, 0, 1] = np.arange(users)
    rng = np.random.default_rng(rows)
    mixed = np.array([rng.permutation(s) for s in sets])
    v = run(messages(mixed, bits), table, 1, bits, sorted=1, per_user=0)
    assert np.array_equal(v[:, 0, 0, 0, 0], list(sets.values()))
    for indices, found in zip(mixed.tolist(), v[:, :, 0, 0], strict=True):
        row, places = row_and_places(indices, bits, ordered=False)
        assert found.tolist() == [[row, place] for place in places]


@pytest.mark.parametrize(("bits", "users"), [(16, 1), (12, 2), (8, 3), (6, 4), (4, 7), (3, 16)])
def test_large_tables(bits: int, users: int) -> None:
    """Up to 8 million rows, binomials of every kind; the highest indices name the last row."""
    rows = rows_in(bits, users, ordered=False)
    top = [2**bits - 1] * users
    assert row_and_places(top, bits, ordered=False)[0] == rows - 1
    rng = np.random.default_rng(users)
    table = rng.integers(0, 256, (rows, users, 1, 1), np.uint8)
    indices = rng.integers(0, 2**bits, (100, users))
    indices[0] = top
    payload = messages(indices, bits, seed=3)
    v = run(payload, table, 1, bits, sorted=1, per_user=0)
    assert same_bits(v, table_precoder(payload, table, 1, bits, False, False))


def test_every_byte_in_every_place() -> None:
    """All values of both bytes of a user, pad bits set or not."""
    for bits, users in ((12, 1), (3, 2), (8, 1), (9, 1)):
        size = -(-bits // 8)
        table = table_of("i8", rows_in(bits, users, False), users, 1, 2, 2, seed=bits)
        payload = np.random.default_rng(bits).integers(0, 256, (256 * size * users, users, size))
        for place in range(size * users):
            payload[256 * place : 256 * (place + 1)].reshape(256, -1)[:, place] = np.arange(256)
        payload = payload.astype(np.uint8)
        v = run(payload, table, 1, bits, sorted=1, per_user=0)
        assert same_bits(v, table_precoder(payload, table, 1, bits, False, False))


@pytest.mark.parametrize("form", FORMS)
def test_sorted_equals_ordered(form: str) -> None:
    """Tables of one equivariant function of the indices: a permutation of users permutes V."""
    bits, users, columns, antennas = 3, 3, 2, 4
    rng = np.random.default_rng(5)
    own = rng.integers(-6, 7, (2**bits, columns, antennas, 2))
    shared = rng.integers(-1, 2, (2**bits, columns, antennas, 2))

    def function(indices: tuple[int, ...]) -> Array:
        """(K, C, M, 2): a user's part, and one that all make together."""
        return np.clip(own[list(indices)] + shared[list(indices)].sum(axis=0), -8, 7)

    every = np.array(np.unravel_index(np.arange(2 ** (bits * users)), (2**bits,) * users)).T
    ordered = np.array([function(tuple(row)) for row in every.tolist()]).astype(np.int8)
    sets = rows_of_sets(bits, users)
    numbered = sorted(sets, key=sets.__getitem__)
    by_set = np.array([function(s) for s in numbered]).astype(np.int8)
    change = {"f32": lambda t: t.astype(np.float32), "i8": lambda t: t, "int4": nibbles}[form]
    payload = messages(every, bits, seed=1)
    for per_user in (0, 1):
        a = run(payload, change(ordered), 2, bits, sorted=0, per_user=per_user)
        b = run(payload, change(by_set), 2, bits, sorted=1, per_user=per_user)
        assert same_bits(a, b)


@pytest.mark.parametrize("columns", [1, 2])
def test_norms(columns: int) -> None:
    """Columns of length 1, or tr(V^H V) = N; what is all zero stays so."""
    table = table_of("i8", 64, 2, columns, 8, 2, seed=3)
    table[0] = 0
    payload = messages(np.random.default_rng(0).integers(0, 8, (99, 2)), 3)
    payload[0] = 0
    for per_user in (0, 1):
        v = run(payload, table, 2, 3, sorted=0, per_user=per_user).astype(np.float64)
        assert np.isfinite(v).all()
        assert not v[0].any()
        lengths = (v**2).sum(axis=(3, 4))
        if per_user:
            lengths = lengths.sum(axis=2) / 2
        np.testing.assert_allclose(lengths[lengths > 0], 1, rtol=1e-6)  # of a few float32 roundings


def test_the_largest_sum_of_squares() -> None:
    """N M = 65535 numbers of -128: the sum is 2^31 - 2^15, below the limit of its type."""
    table = np.full((2, 1, 3, 21845, 2), -128, np.int8)
    payload = np.array([[[128]]], np.uint8)
    v = run(payload, table, 3, 1, sorted=0, per_user=1)
    assert same_bits(v, table_precoder(payload, table, 3, 1, True, True))
    assert v[0, 0, 0, 0, 0] < 0
