"""TABLE_PRECODER on every instruction set: the bits of the scalar reference and of NumPy, for every
form of table, number of users and length of a column."""

from math import comb
from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import same_bits
from precoder_oracles import messages, nibbles, table_precoder

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
FORMS = ("f32", "i8", "int4")


def check(
    form: str, table: Array, payload: Array, streams: int, bits: int, ordered: bool, per_user: int
) -> Array:
    """`table` holds numbers (E, K, C, M, 2); one sample a step and many. V of the reference."""
    users, antennas = payload.shape[1], table.shape[3]
    stored = {
        "f32": lambda: table.astype(np.float32),
        "i8": lambda: table.astype(np.int8),
        "int4": lambda: nibbles(table),
    }[form]()
    expected = None
    for n_max in (1, 37):
        hand = HandPlan(n_max=n_max)
        x = hand.input("payload", ("n", *payload.shape[1:]), np.uint8)
        v = hand.output("v", ("n", users, streams, antennas, 2))
        hand.step(
            Op.TABLE_PRECODER, [x, hand.constant("table", stored)], [v],
            bits=bits, sorted=int(not ordered), per_user=per_user,
        )  # fmt: skip
        bundle = write_bundle(hand.plan())
        for isa in instruction_sets():
            made = Part(bundle, isa=isa).run(payload)[0]
            expected = made if expected is None else expected
            assert same_bits(made, expected), (isa, n_max)
    assert expected is not None
    by_numpy = table_precoder(payload, stored, streams, bits, ordered, bool(per_user))
    assert same_bits(expected, by_numpy)
    return expected


def numbers(rng: np.random.Generator, form: str, shape: tuple[int, ...]) -> Array:
    """Random numbers of a form, with the extremes of its type; whole columns, users, rows of 0."""
    if form == "f32":
        scale = 10.0 ** rng.integers(-38, 38, shape[:3])[..., None, None]
        table = (rng.standard_normal(shape) * scale).astype(np.float32)
    else:
        low, high = (-128, 127) if form == "i8" else (-8, 7)
        table = rng.integers(low, high + 1, shape)
        table[rng.random(shape[:3]) < 0.1] = low
        table[rng.random(shape[:3]) < 0.1] = high
        lone = rng.random(shape[:3]) < 0.1  # one number that is not 0
        table[lone] = 0
        table[..., -1, 1][lone] = 1
    table[rng.random(shape[:3]) < 0.05] = 0
    table[rng.random(shape[:1]) < 0.05] = 0
    return table


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([*[(1, k) for k in range(1, 9)], (6, 1), (10, 1), (4, 2), (6, 2), (3, 3),
                     (2, 4), (3, 4), (2, 5), (1, 16)]),
    st.sampled_from(FORMS),
    st.booleans(),
    st.integers(0, 1),
    st.sampled_from([(1, 1), (1, 2), (2, 2), (3, 3), (4, 4), (1, 5)]),
    st.sampled_from([8, 8, 8, 4, 1, 3, 7, 9, 16, 17]),
    st.integers(0, 2**20),
)  # fmt: skip
def test_any_form(
    size: tuple[int, int],
    form: str,
    ordered: bool,
    per_user: int,
    columns_streams: tuple[int, int],
    antennas: int,
    seed: int,
) -> None:
    bits, users = size
    columns, streams = columns_streams
    ordered = ordered and bits * users <= 9
    rows = 2 ** (bits * users) if ordered else comb(2**bits + users - 1, users)
    rng = np.random.default_rng(seed)
    table = numbers(rng, form, (rows, users, columns, antennas, 2))
    indices = rng.integers(0, 2**bits, (41, users))
    indices[:9] = rng.integers(0, 2, (9, users))  # with ties
    indices[9], indices[10] = 0, 2**bits - 1
    check(form, table, messages(indices, bits, seed), streams, bits, ordered, per_user)


@pytest.mark.parametrize("users", [2, 3, 4])
def test_every_order_of_users(users: int) -> None:
    """All indices of all users, so every permutation and every tie of each set."""
    bits = 3
    every = np.array(np.unravel_index(np.arange(2 ** (bits * users)), (2**bits,) * users)).T
    rows = comb(2**bits + users - 1, users)
    table = np.zeros((rows, users, 1, 8, 2), np.float32)
    table[..., 0] = np.arange(rows)[:, None, None, None]
    table[..., 1] = np.arange(users)[:, None, None]
    v = check("f32", table, messages(every, bits, 1), 2, bits, False, 0)
    assert len(np.unique(v[:, 0, 0, 0, 0])) == rows


@pytest.mark.parametrize("antennas", [511, 512, 513, 700])
@pytest.mark.parametrize("value", [-128, 127])
def test_the_longest_sums_in_float(antennas: int, value: int) -> None:
    """At 1024 numbers of -128 the sum is 2^24, the last integer before float32 has gaps; a longer
    unit has to go by integers. An odd number beside large ones would be lost first."""
    table = np.full((2, 1, 1, antennas, 2), value)
    table[1, ..., ::2, 0] = 1
    check("i8", table, np.array([[[0]], [[128]]], np.uint8), 1, 1, True, 0)


@pytest.mark.parametrize(("bits", "users"), [(12, 1), (13, 1), (16, 1), (12, 2), (7, 3)])
def test_more_indices_than_are_prepared(bits: int, users: int) -> None:
    """Terms of up to 16 KiB are prepared; the others' rows are computed."""
    rows = comb(2**bits + users - 1, users)
    rng = np.random.default_rng(bits)
    table = rng.integers(-8, 8, (rows, users, 1, 1, 2), np.int8)
    indices = rng.integers(0, 2**bits, (60, users))
    indices[0], indices[1] = 0, 2**bits - 1
    check("int4", table, messages(indices, bits, 2), 1, bits, False, 0)
