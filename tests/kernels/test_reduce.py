"""reduce, arg_extreme and pool2d against float64 NumPy and torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import EPS, normal, run_fixed

from csideploy.export.operations import Reduction
from csideploy.export.plan import Op

Array = NDArray[Any]
FUNCTIONS = {
    Reduction.SUM: np.sum,
    Reduction.MEAN: np.mean,
    Reduction.MAX: np.max,
    Reduction.MIN: np.min,
    Reduction.PROD: np.prod,
}


@settings(max_examples=120, deadline=None)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.sampled_from([1, 3, 40, 100]),
    st.integers(1, 31),
    st.sampled_from(list(FUNCTIONS)),
)
def test_reduce(leading: list[int], last: int, bits: int, function: Reduction) -> None:
    shape = (*leading, last)
    axes = tuple(i for i in range(len(shape)) if bits >> i & 1)
    if not axes:
        return
    x = normal(bits, *shape)
    wide = x.astype(np.float64)
    expected = FUNCTIONS[function](wide, axis=axes, keepdims=True)
    size = np.abs(wide)
    if function is Reduction.PROD:
        size = np.prod(size, axis=axes, keepdims=True)
    else:
        size = FUNCTIONS[function](size, axis=axes, keepdims=True)
    mask = sum(1 << i for i in axes)
    y = run_fixed(Op.REDUCE, [x], expected.shape, function=function, axes=mask)
    if function in (Reduction.MAX, Reduction.MIN):
        assert np.array_equal(y, expected)
        return
    count = x.size // y.size
    assert (np.abs(y - expected) <= (count + 4) * EPS * size + count * 1e-45).all()


@pytest.mark.parametrize("axes", [1, 2])
def test_extremes_of_nan(axes: int) -> None:
    x = normal(5, 3, 3)
    x[1, 1] = np.nan
    for function in (Reduction.MAX, Reduction.MIN):
        expected = FUNCTIONS[function](x, axis=axes - 1, keepdims=True)
        y = run_fixed(Op.REDUCE, [x], expected.shape, function=function, axes=axes)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("function", [Reduction.MAX, Reduction.MIN])
def test_arg_extreme(axis: int, function: Reduction) -> None:
    x = np.random.default_rng(2).integers(0, 4, (5, 6, 7)).astype(np.float32)
    x[2, 3, 4] = x[4, 3, 4] = x[0, 3, 6] = np.nan
    pick = np.argmax if function is Reduction.MAX else np.argmin
    first = np.expand_dims(pick(x, axis), axis)
    flipped = np.expand_dims(x.shape[axis] - 1 - pick(np.flip(x, axis), axis), axis)
    for last, expected in ((0, first), (1, flipped)):
        y = run_fixed(
            Op.ARG_EXTREME, [x], expected.shape, np.int32, function=function, axis=axis, last=last
        )
        assert np.array_equal(y, expected)


def pool(x: Array, p: dict[str, int], out: tuple[int, int]) -> Array:
    """Window by window, in float64."""
    y = np.empty((*x.shape[:2], *out))
    pads = ((0, 0), (0, 0), (p["pad_top"], p["pad_bottom"]), (p["pad_left"], p["pad_right"]))
    empty = 0.0 if p["function"] == Reduction.MEAN else -np.inf
    padded = np.pad(x.astype(np.float64), pads, constant_values=empty)
    real = np.pad(np.ones(x.shape), pads, constant_values=p["count_pad"])
    for i in range(out[0]):
        for j in range(out[1]):
            top, left = i * p["stride_h"], j * p["stride_w"]
            rows = top + p["dilation_h"] * np.arange(p["kernel_h"])
            columns = left + p["dilation_w"] * np.arange(p["kernel_w"])
            rows, columns = rows[rows < padded.shape[2]], columns[columns < padded.shape[3]]
            window = padded[:, :, rows[:, None], columns]
            count = real[:, :, rows[:, None], columns].sum(axis=(2, 3))
            if p["function"] == Reduction.MEAN:
                with np.errstate(invalid="ignore"):
                    mean = window.sum(axis=(2, 3)) / count
                y[:, :, i, j] = np.where(count > 0, mean, 0)
            else:
                y[:, :, i, j] = window.max(axis=(2, 3), initial=-np.inf)
    return y


@st.composite
def pools(draw: st.DrawFn) -> tuple[dict[str, int], tuple[int, int], tuple[int, int]]:
    small = st.integers(1, 3)
    p = {
        "function": draw(st.sampled_from([Reduction.MEAN, Reduction.MAX])),
        "count_pad": draw(st.integers(0, 1)),
    }
    sizes, outs = [], []
    for axis, before, after in (("h", "top", "bottom"), ("w", "left", "right")):
        p[f"kernel_{axis}"] = kernel = draw(st.integers(1, 4))
        p[f"stride_{axis}"] = stride = draw(small)
        p[f"dilation_{axis}"] = dilation = draw(small)
        p[f"pad_{before}"] = draw(st.integers(0, 5))
        p[f"pad_{after}"] = draw(st.integers(0, 5))
        reach = (kernel - 1) * dilation + 1
        pads = p[f"pad_{before}"] + p[f"pad_{after}"]
        size = draw(st.integers(max(1, reach - pads), 20))
        spare = size + pads - reach
        out = spare // stride + 1
        more = spare % stride > 0 and out * stride < size + p[f"pad_{before}"]
        sizes.append(size)
        outs.append(out + (draw(st.integers(0, 1)) if more else 0))
    return p, (sizes[0], sizes[1]), (outs[0], outs[1])


@settings(max_examples=200, deadline=None)
@given(pools())
def test_pool2d(case: tuple[dict[str, int], tuple[int, int], tuple[int, int]]) -> None:
    p, size, out = case
    x = normal(sum(size), 2, 3, *size)
    expected = pool(x, p, out)
    y = run_fixed(Op.POOL2D, [x], expected.shape, **p)
    if p["function"] == Reduction.MAX:
        assert np.array_equal(y, expected)
    else:
        largest = np.abs(x).max()
        assert (np.abs(y - expected) <= (p["kernel_h"] * p["kernel_w"] + 1) * EPS * largest).all()


@pytest.mark.parametrize("ceil", [False, True])
def test_pool2d_as_torch(ceil: bool) -> None:
    """Sizes with ceil_mode, and the divisor at the border, as torch has them."""
    x = normal(1, 1, 2, 8, 11)
    p = {"kernel_h": 3, "kernel_w": 3, "stride_h": 2, "stride_w": 2}
    p |= dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1)
    t = torch.from_numpy(x)
    largest = torch.nn.functional.max_pool2d(t, 3, 2, 1, ceil_mode=ceil).numpy()
    y = run_fixed(Op.POOL2D, [x], largest.shape, function=Reduction.MAX, **p)
    assert np.array_equal(y, largest)
    for count_pad in (False, True):
        mean = torch.nn.functional.avg_pool2d(
            t, 3, 2, 1, ceil_mode=ceil, count_include_pad=count_pad
        ).numpy()
        y = run_fixed(
            Op.POOL2D, [x], mean.shape, function=Reduction.MEAN, count_pad=int(count_pad), **p
        )
        # Two orders of the sum of nine numbers below 3.
        np.testing.assert_allclose(y, mean, rtol=0, atol=20 * EPS)


def test_a_huge_kernel_costs_no_more_than_the_image() -> None:
    """Four billion taps on sixteen elements: those that meet nothing are not walked."""
    x = normal(3, 1, 1, 4, 4)
    p = {"function": Reduction.MAX, "kernel_h": 65535, "kernel_w": 65535}
    p |= {"pad_top": 32766, "pad_bottom": 32767, "pad_left": 32765, "pad_right": 32768}
    y = run_fixed(Op.POOL2D, [x], (1, 1, 3, 3), **p)
    assert (y == x.max()).all()
