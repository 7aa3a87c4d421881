"""transpose, slice, pad, expand, gather, concat and cast: exact, for every element type."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import run_fixed

from csideploy.export.operations import PadMode
from csideploy.export.plan import Op

Array = NDArray[Any]
TYPES = [np.float32, np.uint8, np.int8, np.int16, np.int32]
types = st.sampled_from(TYPES)
MODES = {
    PadMode.CONSTANT: "constant",
    PadMode.EDGE: "edge",
    PadMode.REFLECT: "reflect",
    PadMode.WRAP: "wrap",
}


def numbers(shape: tuple[int, ...], dtype: Any, seed: int = 1) -> Array:
    return np.random.default_rng(seed).integers(1, 127, shape).astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
def test_transpose(dtype: Any) -> None:
    for shape in ((2, 3, 4, 5), (1, 6, 1, 7)):
        x = numbers(shape, dtype)
        for perm in permutations(range(4)):
            expected = x.transpose(perm)
            params = {f"perm_{i}": axis for i, axis in enumerate(perm)}
            y = run_fixed(Op.TRANSPOSE, [x], expected.shape, dtype, **params)
            assert np.array_equal(y, expected)


def test_transpose_of_six_axes() -> None:
    x = numbers((2, 3, 2, 3, 2, 3), np.float32)
    perm = (5, 0, 3, 1, 4, 2)
    params = {f"perm_{i}": axis for i, axis in enumerate(perm)}
    expected = x.transpose(perm)
    assert np.array_equal(run_fixed(Op.TRANSPOSE, [x], expected.shape, **params), expected)


@st.composite
def slices(draw: st.DrawFn) -> tuple[tuple[int, ...], list[tuple[int, int, int]]]:
    """A shape, and start, step and count of each axis."""
    shape = draw(st.lists(st.integers(1, 9), min_size=1, max_size=5))
    axes = []
    for size in shape:
        start = draw(st.integers(0, size - 1))
        step = draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
        most = (size - 1 - start) // step if step > 0 else start // -step
        axes.append((start, step, draw(st.integers(1, most + 1))))
    return tuple(shape), axes


@settings(max_examples=100, deadline=None)
@given(slices(), types)
def test_slice(case: tuple[tuple[int, ...], list[tuple[int, int, int]]], dtype: Any) -> None:
    shape, axes = case
    x = numbers(shape, dtype)
    picks = [start + step * np.arange(count) for start, step, count in axes]
    params = {f"start_{i}": start for i, (start, _, _) in enumerate(axes)}
    params |= {f"step_{i}": step for i, (_, step, _) in enumerate(axes)}
    expected = x[np.ix_(*picks)]
    assert np.array_equal(run_fixed(Op.SLICE, [x], expected.shape, dtype, **params), expected)


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 5), st.integers(0, 7), st.integers(0, 7)), min_size=1, max_size=4
    ),
    st.sampled_from(list(MODES)),
    types,
)
def test_pad(axes: list[tuple[int, int, int]], mode: PadMode, dtype: Any) -> None:
    if mode is PadMode.REFLECT:
        axes = [(size, min(b, size - 1), min(a, size - 1)) for size, b, a in axes]
    x = numbers(tuple(size for size, _, _ in axes), dtype)
    widths = [(before, after) for _, before, after in axes]
    extra = {"constant_values": 7} if mode is PadMode.CONSTANT else {}
    expected = np.pad(x, widths, MODES[mode], **extra)  # type: ignore[call-overload]
    params = {f"before_{i}": before for i, (_, before, _) in enumerate(axes)}
    y = run_fixed(Op.PAD, [x], expected.shape, dtype, mode=mode, value=7.0, **params)
    assert np.array_equal(y, expected)


def test_pad_value_is_bounded_by_the_type() -> None:
    for dtype, value in ((np.uint8, 255), (np.int8, 127), (np.int16, 32767), (np.int32, 2**31 - 1)):
        x = numbers((2,), dtype)
        y = run_fixed(Op.PAD, [x], (4,), dtype, value=1e10, before_0=1)
        assert y.tolist() == [value, *x.tolist(), value]


@pytest.mark.parametrize("dtype", TYPES)
def test_expand(dtype: Any) -> None:
    for shape, out in (((1,), (2, 300)), ((3, 1, 5), (2, 3, 4, 5)), ((2, 1), (2, 7)), ((4,), (4,))):
        x = numbers(shape, dtype)
        assert np.array_equal(run_fixed(Op.EXPAND, [x], out, dtype), np.broadcast_to(x, out))


@pytest.mark.parametrize("dtype", TYPES)
def test_gather(dtype: Any) -> None:
    x = numbers((4, 5, 3), dtype)
    rng = np.random.default_rng(2)
    for axis, size in enumerate(x.shape):
        picks = rng.integers(-size, size, (2, 6)).astype(np.int32)
        expected = x.take(picks, axis)
        y = run_fixed(Op.GATHER, [x, picks], expected.shape, dtype, axis=axis)
        assert np.array_equal(y, expected)


def test_gather_clamps_any_index() -> None:
    x = numbers((3, 2), np.float32)
    picks = np.array([3, 2**31 - 1, -4, -(2**31)], np.int32)
    y = run_fixed(Op.GATHER, [x, picks], (4, 2), axis=0)
    assert np.array_equal(y, x[[2, 2, 0, 0]])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_concat_along_any_axis(axis: int) -> None:
    shapes = [[2, 3, 4], [2, 3, 4]]
    shapes[1][axis] = 5
    a, b = (numbers(tuple(s), np.int16, i) for i, s in enumerate(shapes))
    expected = np.concatenate([a, b], axis)
    assert np.array_equal(
        run_fixed(Op.CONCAT, [a, b], expected.shape, np.int16, axis=axis), expected
    )


SPECIAL = [0.0, -0.0, 0.9, -0.9, 1.5, -1.5, 127.9, 128, -129, 255.5, 256, -1, 3e9, -3e9, 2147483648]
SPECIAL += [2147483520.0, -2147483648.0, np.inf, -np.inf, np.nan, 1e-45, 32768, -32769]


@pytest.mark.parametrize("to", TYPES)
@pytest.mark.parametrize("source", TYPES)
def test_cast(source: Any, to: Any) -> None:
    if source is np.float32:
        x = np.concatenate([SPECIAL, np.random.default_rng(1).normal(0, 300, 300)]).astype(source)
    else:
        info = np.iinfo(source)
        rng = np.random.default_rng(2)
        x = rng.integers(info.min, info.max, 300, source, endpoint=True)
        x[:3] = info.min, 0, info.max
    if source is np.float32 and to is not np.float32:
        limits = np.iinfo(to)
        whole = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0)
        expected = np.clip(whole, limits.min, limits.max).astype(np.int64).astype(to)
    else:
        expected = x.astype(to)
    np.testing.assert_array_equal(run_fixed(Op.CAST, [x], x.shape, to), expected)
    truth = run_fixed(Op.CAST, [x], x.shape, to, truth=1)
    assert np.array_equal(truth, (x != 0).astype(to))
