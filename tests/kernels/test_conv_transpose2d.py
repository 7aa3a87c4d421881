"""conv_transpose2d against a float64 scatter, and against torch."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import EPS, normal, run_fixed

from csideploy.export.plan import Op

Array = NDArray[Any]


def scatter(x: Array, w: Array, p: dict[str, int], out: tuple[int, int]) -> Array:
    """y[i stride + k dilation - pad] += x[i] w[k], literally."""
    groups, inputs = p["groups"], x.shape[1] // p["groups"]
    y = np.zeros((len(x), w.shape[1] * groups, *out))
    for i, j in np.ndindex(*x.shape[2:]):
        for k, m in np.ndindex(*w.shape[2:]):
            row = i * p["stride_h"] + k * p["dilation_h"] - p["pad_top"]
            column = j * p["stride_w"] + m * p["dilation_w"] - p["pad_left"]
            if not (0 <= row < out[0] and 0 <= column < out[1]):
                continue
            for g in range(groups):
                part = slice(g * inputs, (g + 1) * inputs)
                made = slice(g * w.shape[1], (g + 1) * w.shape[1])
                y[:, made, row, column] += x[:, part, i, j] @ w[part, :, k, m]
    return y


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    small = st.integers(1, 3)
    p: dict[str, int] = {"groups": draw(st.integers(1, 2))}
    sizes, kernel, out = [], [], []
    for axis, before, after in (("h", "top", "bottom"), ("w", "left", "right")):
        size, taps = draw(st.integers(1, 6)), draw(st.integers(1, 4))
        p[f"stride_{axis}"], p[f"dilation_{axis}"] = stride, dilation = draw(small), draw(small)
        full = (size - 1) * stride + (taps - 1) * dilation + 1
        p[f"pad_{before}"] = first = draw(st.integers(0, min(4, full - 1)))
        p[f"pad_{after}"] = last = draw(st.integers(0, min(4, full - 1 - first)))
        sizes.append(size)
        kernel.append(taps)
        out.append(full - first - last + draw(st.integers(0, max(stride, dilation) - 1)))
    return {
        "p": p,
        "x": (draw(small), p["groups"] * draw(small), *sizes),
        "outputs": draw(small),
        "kernel": kernel,
        "out": tuple(out),
        "bias": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**20)),
    }


@settings(max_examples=120, deadline=None)
@given(cases())
def test_any_geometry(case: dict[str, Any]) -> None:
    p = case["p"]
    x = normal(case["seed"], *case["x"])
    w = normal(case["seed"] + 1, x.shape[1], case["outputs"], *case["kernel"])
    expected = scatter(x.astype(np.float64), w.astype(np.float64), p, case["out"])
    size = scatter(np.abs(x).astype(np.float64), np.abs(w).astype(np.float64), p, case["out"])
    bias = normal(3, expected.shape[1]) if case["bias"] else None
    if bias is not None:
        expected, size = expected + bias[:, None, None], size + np.abs(bias)[:, None, None]
    y = run_fixed(Op.CONV_TRANSPOSE2D, [x, w, bias], expected.shape, constants=(1, 2), **p)
    # Each product is rounded once and each addition once.
    bound = (x.shape[1] // p["groups"] * w.shape[2] * w.shape[3] + 2) * EPS * size
    assert (np.abs(y - expected) <= bound).all()


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 5)])
def test_from_one_element_a_channel(groups: int, kernel: tuple[int, int]) -> None:
    x, w, bias = normal(1, 2, 6, 1, 1), normal(2, 6, 4, *kernel), normal(3, 4 * groups)
    p = {"groups": groups, "stride_h": 2, "stride_w": 2, "dilation_h": 1, "dilation_w": 1}
    p |= dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 0)
    expected = scatter(x.astype(np.float64), w.astype(np.float64), p, kernel)
    expected += bias[:, None, None]
    y = run_fixed(Op.CONV_TRANSPOSE2D, [x, w, bias], expected.shape, constants=(1, 2), **p)
    # Six products of normal numbers at most.
    np.testing.assert_allclose(y, expected, rtol=0, atol=20 * EPS * 4)


def test_long_rows_as_torch() -> None:
    """Rows longer than the kernel's tile of 128 outputs of a phase."""
    x, w, bias = normal(1, 1, 3, 2, 300), normal(2, 3, 4, 3, 3), normal(3, 4)
    expected = torch.nn.functional.conv_transpose2d(
        torch.from_numpy(x).double(),
        torch.from_numpy(w).double(),
        torch.from_numpy(bias).double(),
        stride=2,
        padding=1,
        output_padding=1,
    ).numpy()
    p = {"stride_h": 2, "stride_w": 2}
    p |= dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1)
    y = run_fixed(Op.CONV_TRANSPOSE2D, [x, w, bias], expected.shape, constants=(1, 2), **p)
    # 12 products of normal numbers, each rounded a few times.
    np.testing.assert_allclose(y, expected, rtol=0, atol=40 * EPS * 4)
