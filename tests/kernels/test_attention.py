"""matmul, softmax, cumsum, layer_norm against float64 NumPy, with the bounds of their sources."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import EPS, normal, run_fixed, run_in_place

from csideploy.export.plan import Op

Array = NDArray[Any]


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 70),
    st.sampled_from([1, 2, 7, 63, 64, 65, 130]),
    st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), max_size=3),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.integers(0, 2**20),
)
def test_matmul(
    rows: int,
    inner: int,
    columns: int,
    leading: list[tuple[int, bool, bool]],
    dropped: tuple[int, int],
    seed: int,
) -> None:
    a_axes = [1 if one else size for size, one, _ in leading][min(dropped[0], len(leading)) :]
    b_axes = [1 if one else size for size, _, one in leading][min(dropped[1], len(leading)) :]
    a, b = normal(seed, *a_axes, rows, inner), normal(seed + 1, *b_axes, inner, columns)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    size = np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)
    y = run_fixed(Op.MATMUL, [a, b], expected.shape)
    # kernels/reference/matmul.c; a single column is summed in 16 lanes, as LINEAR.
    assert (np.abs(y - expected) <= (inner / 4 + 5) * EPS * size).all()


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("shape", [(200,), (3, 17), (2, 9, 70), (2, 3, 4, 5)])
def test_softmax(shape: tuple[int, ...]) -> None:
    x = normal(1, *shape, scale=10)
    for axis, size in enumerate(shape):
        expected = softmax(x.astype(np.float64), axis)
        spread = x.max(axis=axis, keepdims=True) - x
        for y in (
            run_fixed(Op.SOFTMAX, [x], shape, axis=axis),
            run_in_place(Op.SOFTMAX, [x], 0, axis=axis),
        ):
            # The roundings of the sum, and of x - max, which e^x turns into a relative error.
            assert (np.abs(y - expected) <= (size + 7 + spread) * EPS * expected + 1e-45).all()


@pytest.mark.parametrize("shape", [(200,), (3, 17), (2, 9, 70), (2, 3, 4, 5)])
@pytest.mark.parametrize(("exclusive", "reverse"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_cumsum(shape: tuple[int, ...], exclusive: int, reverse: int) -> None:
    x = normal(7, *shape)
    for axis, size in enumerate(shape):
        turned = np.flip(x, axis) if reverse else x
        sums = np.cumsum(turned.astype(np.float64), axis) - (turned if exclusive else 0)
        expected = np.flip(sums, axis) if reverse else sums
        bound = size * EPS * np.abs(x).sum(axis, keepdims=True, dtype=np.float64)
        params = {"axis": axis, "exclusive": exclusive, "reverse": reverse}
        for y in (
            run_fixed(Op.CUMSUM, [x], shape, **params),
            run_in_place(Op.CUMSUM, [x], 0, **params),
        ):
            # One rounding an element, as the source says.
            assert (np.abs(y - expected) <= bound).all()


def test_softmax_does_not_overflow() -> None:
    x = np.array([[1e38, 1e38, -1e38], [-np.inf, 0, 0], [np.nan, 0, 0]], np.float32)
    y = run_fixed(Op.SOFTMAX, [x], x.shape, axis=1)
    assert np.array_equal(y[:2], [[0.5, 0.5, 0], [0, 0.5, 0.5]])
    assert np.isnan(y[2]).all()
    y = run_fixed(Op.SOFTMAX, [x.T.copy()], x.shape, axis=0)
    assert np.array_equal(y[:, 1], [0, 0.5, 0.5])
    assert np.isnan(y[:, 2]).all()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("has", [(True, True), (True, False), (False, True), (False, False)])
def test_layer_norm(axis: int, has: tuple[bool, bool]) -> None:
    shape = (3, 5, 40)
    x = normal(1, *shape) + np.float32(30)
    scale, bias = (normal(i, *shape[axis:]) if has[i] else None for i in (0, 1))
    wide = x.astype(np.float64)
    axes = tuple(range(axis, 3))
    centred = wide - wide.mean(axis=axes, keepdims=True)
    expected = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + 1e-5)
    factor = np.ones(1) if scale is None else scale.astype(np.float64)
    offset = np.zeros(1) if bias is None else bias.astype(np.float64)
    size = np.abs(factor) * (np.abs(expected) + 1)
    expected = expected * factor + offset
    y = run_fixed(Op.LAYER_NORM, [x, scale, bias], shape, constants=(1, 2), axis=axis, epsilon=1e-5)
    # The mean of numbers near 30, which is off by (K / 16 + 4) eps 30 at most and by far less as
    # errors average out, moves all elements alike; the rest is a few roundings.
    assert (np.abs(y - expected) <= 60 * EPS * size + EPS * np.abs(expected)).all()


def test_layer_norm_in_place_and_constant() -> None:
    x = normal(4, 6, 33)
    plain = run_fixed(Op.LAYER_NORM, [x, None, None], x.shape, axis=1, epsilon=1e-3)
    assert np.array_equal(run_in_place(Op.LAYER_NORM, [x], 0, axis=1, epsilon=1e-3), plain)
    # No variance: epsilon keeps the quotient finite.
    same = np.full((2, 8), 3, np.float32)
    y = run_fixed(Op.LAYER_NORM, [same, None, None], (2, 8), axis=1, epsilon=1e-5)
    assert not y.any()
