"""EDGE_ATTENTION against float64 NumPy, with a bound, and to the bit by its own definition."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import EPS, normal, run_fixed, same_bits

from csideploy.export.plan import Op
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]


def run(values: Array, queries: Array, keys: Array, average: int) -> Array:
    inputs: list[Array | None] = [values, queries, keys]
    return run_fixed(Op.EDGE_ATTENTION, inputs, values.shape, average=average)


def exact(values: Array, queries: Array, keys: Array, average: int) -> tuple[Array, Array]:
    """The result, and the sum of the magnitudes of what it adds."""
    v, q, k = (x.astype(np.float64) for x in (values, queries, keys))
    users, antennas = v.shape[1:3]
    scale = 1 / antennas / (max(users - 1, 1) if average else 1)
    others = 1.0 - np.eye(users)

    def joined(v: Array, q: Array, k: Array) -> Array:
        scores = np.einsum("nimc,njmc->nijc", q, k) * others[None, :, :, None] * scale
        return np.einsum("nijc,njmc->nimc", scores, v)

    return joined(v, q, k), joined(abs(v), abs(q), abs(k))


def fused(a: Array, b: Array, c: Array) -> Array:
    """A fused multiply-add in float32.

    The product of two float32 is exact in float64; the sum is rounded twice, which gives another
    result than once only where the float64 lies half way between two float32: then the error of
    the float64 sum says to which side it goes.
    """
    product = a.astype(np.float64) * b.astype(np.float64)
    wide = product + c.astype(np.float64)
    lost = (product - (wide - c)) + (c - (wide - (wide - c)))
    near = wide.astype(np.float32)
    # Odd rounding: a float64 that lost something gets its last bit set, towards what was lost.
    bits = wide.view(np.int64)
    away = (lost != 0) & (bits & 1 == 0)
    step = np.where((lost > 0) == (wide > 0), 1, -1)
    odd = np.where(away, bits + step, bits).view(np.float64)
    return np.where(np.isfinite(wide), odd.astype(np.float32), near)


def by_definition(values: Array, queries: Array, keys: Array, average: int) -> Array:
    """export/operations.py, in its order."""
    samples, users, antennas, channels = values.shape
    count = np.float32(antennas)
    if average and users > 1:
        count = count * np.float32(users - 1)
    scale = np.float32(1) / count
    y = np.zeros_like(values)
    for i in range(users):
        for j in range(users):
            if i == j:
                continue
            score = np.zeros((samples, channels), np.float32)
            for m in range(antennas):
                score = fused(queries[:, i, m], keys[:, j, m], score)
            score = score * scale
            for m in range(antennas):
                y[:, i, m] = fused(score, values[:, j, m], y[:, i, m])
    return y


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 6),
    st.integers(1, 17),
    st.sampled_from([1, 3, 15, 16, 17, 32, 40]),
    st.integers(0, 1),
    st.integers(0, 2**20),
)
def test_against_float64(
    samples: int, users: int, antennas: int, channels: int, average: int, seed: int
) -> None:
    inputs = [normal(seed + i, samples, users, antennas, channels) for i in range(3)]
    y = run(*inputs, average)
    expected, size = exact(*inputs, average)
    # One rounding an antenna of a score, one a user, and those of the scale and of the product.
    assert (np.abs(y - expected) <= (antennas + users + 4) * EPS * size).all()


@pytest.mark.parametrize(("users", "antennas", "channels"), [(2, 1, 16), (3, 5, 19), (5, 8, 33)])
@pytest.mark.parametrize("average", [0, 1])
def test_to_the_bit(users: int, antennas: int, channels: int, average: int) -> None:
    inputs = [normal(i, 2, users, antennas, channels, scale=10.0**i) for i in range(3)]
    assert same_bits(run(*inputs, average), by_definition(*inputs, average))


@pytest.mark.parametrize("average", [0, 1])
def test_one_user_takes_nothing_in(average: int) -> None:
    inputs = [normal(i, 4, 1, 3, 20) for i in range(3)]
    assert not run(*inputs, average).any()


def test_a_user_does_not_meet_itself() -> None:
    """Its own edges change nothing, even where they are not finite."""
    v, q, k = (normal(i, 1, 3, 4, 18) for i in range(3))
    before = run(v, q, k, 0)
    v[0, 1], k[0, 1] = np.nan, np.inf
    after = run(v, q, k, 0)
    assert same_bits(after[:, 1], before[:, 1])
    assert np.isnan(after[:, [0, 2]]).all()


@pytest.mark.parametrize("isa", instruction_sets())
def test_every_number_of_users_on_every_instruction_set(isa: str) -> None:
    from pathlib import Path

    seed = Path(__file__).parents[1] / "runtime/data/seeds/wide_edge_attention.csib"
    part, plain = Part(seed, isa=isa), Part(seed, isa="reference")
    for users in (1, 2, 3):
        x = [normal(i, 5, users, 2, 19) for i in range(3)]
        (y,) = part.run(*x)
        assert same_bits(y, plain.run(*x)[0])
        assert same_bits(y, by_definition(*x, 0))
