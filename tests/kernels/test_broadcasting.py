"""binary, integer, compare and where against NumPy, with its broadcasting."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import normal, run_fixed, run_in_place

from csideploy.export.operations import Binary, Comparison, Integer
from csideploy.export.plan import Op

Array = NDArray[Any]
INTEGERS = [np.uint8, np.int8, np.int16, np.int32]
EXACT = {
    Binary.ADD: np.add,
    Binary.SUB: np.subtract,
    Binary.MUL: np.multiply,
    Binary.DIV: np.divide,
    Binary.MIN: np.minimum,
    Binary.MAX: np.maximum,
    Binary.FMOD: np.fmod,
}
COMPARISONS = {
    Comparison.EQUAL: np.equal,
    Comparison.LESS: np.less,
    Comparison.LESS_OR_EQUAL: np.less_equal,
    Comparison.GREATER: np.greater,
    Comparison.GREATER_OR_EQUAL: np.greater_equal,
}
SPECIAL = np.array([0.0, -0.0, 1e-45, 1.5, -7.25, 1e38, -1e38, np.inf, -np.inf, np.nan], np.float32)


@st.composite
def shapes(draw: st.DrawFn, operands: int) -> list[tuple[int, ...]]:
    """Shapes that broadcast to one another; the last axis may be longer than a chunk of 96."""
    full = draw(st.lists(st.integers(1, 4), min_size=0, max_size=4))
    full.append(draw(st.sampled_from([1, 2, 3, 7, 96, 97, 200])))
    found = []
    for _ in range(operands):
        dropped = draw(st.integers(0, len(full) - 1))
        ones = draw(st.lists(st.booleans(), min_size=len(full), max_size=len(full)))
        shape = [1 if one else size for one, size in zip(ones, full, strict=True)]
        found.append(tuple(shape[dropped:]))
    return found


@settings(max_examples=120, deadline=None)
@given(shapes(2), st.sampled_from(list(EXACT)), st.integers(0, 99))
def test_binary(pair: list[tuple[int, ...]], function: Binary, seed: int) -> None:
    a, b = normal(seed, *pair[0]), normal(seed + 1, *pair[1])
    y = run_fixed(Op.BINARY, [a, b], np.broadcast_shapes(*pair), function=function)
    assert np.array_equal(y, EXACT[function](a, b))


@pytest.mark.parametrize("function", EXACT)
def test_special_values_of_binary(function: Binary) -> None:
    a, b = np.broadcast_arrays(SPECIAL[:, None], SPECIAL)
    with np.errstate(all="ignore"):
        expected = EXACT[function](a, b)
    y = run_fixed(Op.BINARY, [a.copy(), b.copy()], a.shape, function=function)
    np.testing.assert_array_equal(y, expected)


def test_pow_of_a_column_and_a_row() -> None:
    a, b = np.abs(normal(3, 5, 1)), normal(4, 200, scale=3)
    y = run_fixed(Op.BINARY, [a, b], (5, 200), function=Binary.POW)
    # kernels/elementary.h: 0.6 units of the last place, each 2^-23 at most.
    np.testing.assert_allclose(y, np.power(a.astype(np.float64), b), rtol=0.6 * 2**-23)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("other", [(3, 5, 50), (5, 1), (1,)])
def test_binary_in_place(place: int, other: tuple[int, ...]) -> None:
    values = [normal(5, *other), normal(6, *other)]
    values[place] = normal(7, 3, 5, 50)
    y = run_in_place(Op.BINARY, values, place, function=Binary.SUB)
    assert np.array_equal(y, values[0] - values[1])


def extremes(dtype: Any, seed: int, shape: tuple[int, ...]) -> Array:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(seed)
    wide = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    small = rng.integers(-3 if info.min < 0 else 0, 9, shape).astype(dtype)
    edges = rng.choice(np.array([info.min, info.max, 0, 1], dtype), shape)
    return np.choose(rng.integers(0, 3, shape), [wide, small, edges]).astype(dtype)


def integer(function: Integer, a: Array, b: Array) -> Array:
    """In Python's integers, then wrapped."""
    width = 8 * a.dtype.itemsize

    def one(p: int, q: int) -> int:
        match function:
            case Integer.ADD:
                return p + q
            case Integer.SUB:
                return p - q
            case Integer.MUL:
                return p * q
            case Integer.DIV:
                return 0 if q == 0 else (abs(p) // abs(q)) * (1 if (p < 0) == (q < 0) else -1)
            case Integer.MOD:
                return 0 if q == 0 else p % q
            case Integer.AND:
                return p & q
            case Integer.OR:
                return p | q
            case Integer.XOR:
                return p ^ q
            case Integer.SHIFT_LEFT:
                return p << q if 0 <= q < width else 0
            case Integer.SHIFT_RIGHT:
                return p >> q if 0 <= q < width else 0
            case Integer.MIN:
                return min(p, q)
            case Integer.MAX:
                return max(p, q)

    values = [one(int(p), int(q)) & (2**width - 1) for p, q in zip(a.flat, b.flat, strict=True)]
    return np.array(values, np.uint64).astype(f"u{a.dtype.itemsize}").view(a.dtype).reshape(a.shape)


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("function", Integer)
def test_integer(function: Integer, dtype: Any) -> None:
    a, b = extremes(dtype, 1, (7, 1, 40)), extremes(dtype, 2, (3, 1))
    y = run_fixed(Op.INTEGER, [a, b], (7, 3, 40), dtype, function=function)
    assert np.array_equal(y, integer(function, *np.broadcast_arrays(a, b)))
    b = extremes(dtype, 3, (7, 1, 40))
    y = run_in_place(Op.INTEGER, [a, b], 1, function=function)
    assert np.array_equal(y, integer(function, a, b))


@pytest.mark.parametrize("dtype", [np.float32, *INTEGERS])
@pytest.mark.parametrize("function", COMPARISONS)
def test_compare(function: Comparison, dtype: Any) -> None:
    if dtype is np.float32:
        a, b = SPECIAL[:, None].copy(), SPECIAL
    else:
        a, b = extremes(dtype, 4, (30, 1)), extremes(dtype, 5, (130,))
    y = run_fixed(Op.COMPARE, [a, b], (len(a), len(b)), np.uint8, function=function)
    assert np.array_equal(y, COMPARISONS[function](a, b).astype(np.uint8))
    assert 0 < y.mean() < 1


@settings(max_examples=60, deadline=None)
@given(shapes(3), st.sampled_from([np.float32, *INTEGERS]), st.integers(0, 99))
def test_where(triple: list[tuple[int, ...]], dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    condition = rng.integers(0, 3, triple[0]).astype(np.uint8)
    a, b = (rng.integers(1, 100, shape).astype(dtype) for shape in triple[1:])
    y = run_fixed(Op.WHERE, [condition, a, b], np.broadcast_shapes(*triple), dtype)
    assert np.array_equal(y, np.where(condition, a, b))


@pytest.mark.parametrize("place", [1, 2])
def test_where_in_place(place: int) -> None:
    values = [normal(1, 4, 100), normal(2, 4, 100)]
    condition = (normal(3, 100) > 0).astype(np.uint8)
    y = run_in_place(Op.WHERE, [condition, *values], place)
    assert np.array_equal(y, np.where(condition, *values))
