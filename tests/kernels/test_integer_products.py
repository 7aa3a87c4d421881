"""qconv2d, qlinear and qbinary_linear equal their NumPy specification bit for bit."""

from typing import Any

import numpy as np
import pytest
from geometry import geometries
from hand_plan import run_step
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.export.integer.convolution import qconv2d
from csideploy.export.integer.linear import qbinary_linear, qlinear
from csideploy.export.plan import Op

Array = NDArray[Any]
TYPES = (np.uint8, np.int8, np.int16)
codes = st.sampled_from(TYPES)


def random_codes(rng: np.random.Generator, dtype: Any, *shape: int) -> Array:
    """Over the whole range; a quarter at its ends."""
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, shape, endpoint=True).astype(dtype)
    ends = np.where(rng.random(shape) < 0.5, info.min, info.max)
    return np.where(rng.random(shape) < 0.25, ends, values).astype(dtype)


def one_code(rng: np.random.Generator, dtype: Any) -> int:
    return int(random_codes(rng, dtype, 1)[0])


def requantization(rng: np.random.Generator, x: Array, products: int, dtype: Any) -> dict[str, Any]:
    """Parameters with which about a tenth of the results saturates."""
    info = np.iinfo(dtype)
    low, high = sorted(int(v) for v in rng.integers(info.min, info.max, 2, endpoint=True))
    if rng.random() < 0.7:
        low, high = info.min, info.max
    return {
        "x_zero": one_code(rng, x.dtype),
        "y_zero": one_code(rng, dtype),
        "low": low,
        "high": high,
    }


def multipliers(rng: np.random.Generator, x: Array, products: int, dtype: Any, count: int) -> Array:
    spread = float(np.iinfo(x.dtype).max) * 60 * np.sqrt(products)
    size = rng.uniform(0.1, 0.6, count) * np.iinfo(dtype).max / spread
    size[rng.random(count) < 0.05] = 3e38
    return np.asarray(size.astype(np.float32))


def biases(rng: np.random.Generator, products: int, count: int, narrow: bool) -> Array:
    """Most of the size of the sums, some as large as the verifier lets through."""
    most = 2**31 - 1 - (products * 255 * 128 if narrow else 0)
    usual = rng.integers(-20000, 20000, count)
    ends = np.where(rng.random(count) < 0.5, -most, most)
    return np.where(rng.random(count) < 0.1, ends, usual).astype(np.int32)


SIZES = {
    "rows": st.integers(1, 6),
    "inputs": st.integers(1, 300),
    "outputs": st.integers(1, 70),
    "has_bias": st.booleans(),
    "x_type": codes,
    "y_type": codes,
    "seed": st.integers(0, 2**32 - 1),
}


@settings(max_examples=120, deadline=None)
@given(**SIZES)
def test_qlinear(
    rows: int, inputs: int, outputs: int, has_bias: bool, x_type: Any, y_type: Any, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = random_codes(rng, x_type, rows, inputs)
    w = random_codes(rng, np.int8, outputs, inputs)
    bias = biases(rng, inputs, outputs, x_type is not np.int16) if has_bias else None
    scale = multipliers(rng, x, inputs, y_type, outputs)
    params = requantization(rng, x, inputs, y_type)
    y = run_step(
        Op.QLINEAR,
        [x, w, bias, scale],
        [False, True, True, True],
        (rows, outputs),
        y_type,
        **params,
    )
    assert np.array_equal(y, qlinear(x, w, bias, scale, dtype=y_type, **params))


@settings(max_examples=120, deadline=None)
@given(per_row=st.booleans(), **SIZES)
def test_qbinary_linear(
    per_row: bool,
    rows: int,
    inputs: int,
    outputs: int,
    has_bias: bool,
    x_type: Any,
    y_type: Any,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x = random_codes(rng, x_type, rows, inputs)
    w = rng.integers(0, 256, (outputs, -(-inputs // 8)), np.uint8)
    bias = biases(rng, 0, outputs, narrow=False) if has_bias else None
    scale = multipliers(rng, x, inputs, y_type, outputs if per_row else 1)
    scale = np.minimum(scale, np.float32(1e30)) * np.float32(60)
    params = requantization(rng, x, inputs, y_type)
    y = run_step(
        Op.QBINARY_LINEAR,
        [x, w, bias, scale],
        [False, True, True, True],
        (rows, outputs),
        y_type,
        **params,
    )
    assert np.array_equal(y, qbinary_linear(x, w, bias, scale, dtype=y_type, **params))


@st.composite
def convolutions(draw: st.DrawFn) -> dict[str, Any]:
    small = st.integers(1, 3)
    window, kernel, size = draw(geometries((20, 90)))
    return {
        "window": window,
        "x": (draw(small), window["groups"] * draw(st.integers(1, 5)), *size),
        "outputs": window["groups"] * draw(small),
        "kernel": kernel,
        "has_bias": draw(st.booleans()),
        "x_type": draw(codes),
        "y_type": draw(codes),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


def convolve_both(
    rng: np.random.Generator,
    x: Array,
    w: Array,
    has_bias: bool,
    y_type: Any,
    window: dict[str, int],
) -> tuple[Array, Array]:
    products = int(np.prod(w.shape[1:]))
    bias = biases(rng, products, len(w), x.dtype != np.int16) if has_bias else None
    scale = multipliers(rng, x, products, y_type, len(w))
    params = requantization(rng, x, products, y_type)
    expected = qconv2d(x, w, bias, scale, window, dtype=y_type, **params)
    y = run_step(
        Op.QCONV2D,
        [x, w, bias, scale],
        [False, True, True, True],
        expected.shape,
        y_type,
        **window,
        **params,
    )
    return y, expected


@settings(max_examples=150, deadline=None)
@given(convolutions())
def test_qconv2d(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    x = random_codes(rng, case["x_type"], *case["x"])
    channels = case["x"][1] // case["window"]["groups"]
    w = random_codes(rng, np.int8, case["outputs"], channels, *case["kernel"])
    y, expected = convolve_both(rng, x, w, case["has_bias"], case["y_type"], case["window"])
    assert np.array_equal(y, expected)


SAME = {
    **dict.fromkeys(("groups", "stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
    **dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1),
}


@pytest.mark.parametrize("x_type", TYPES)
def test_sums_at_the_edge_of_the_accumulator(x_type: Any) -> None:
    """65536 products of the largest numbers: the verifier's limit, next to 2^31."""
    info = np.iinfo(x_type)
    for end, weight in ((info.min, -128), (info.max, -128), (info.min, 127), (info.max, 127)):
        x = np.full((1, 65536), end, x_type)
        w = np.full((2, 65536), weight, np.int8)
        room = 2**31 - 1 - 65536 * 255 * 128
        bias = np.array([-room, room], np.int32)
        x_zero = info.max if end == info.min else info.min
        scale = np.full(2, 2.0**-18 if x_type is np.int16 else 2.0**-17, np.float32)
        params = {"x_zero": int(x_zero), "y_zero": 0, "low": -32768, "high": 32767}
        y = run_step(
            Op.QLINEAR, [x, w, bias, scale], [False, True, True, True], (1, 2), np.int16, **params
        )
        expected = qlinear(x, w, bias, scale, dtype=np.int16, **params)
        assert np.array_equal(y, expected)
        assert np.abs(expected.astype(int)).min() > 10000
        image, kernel = x.reshape(1, 1024, 8, 8), w.reshape(2, 1024, 8, 8)
        y = run_step(
            Op.QCONV2D,
            [image, kernel, bias, scale],
            [False, True, True, True],
            (1, 2, 1, 1),
            np.int16,
            **params,
        )
        assert np.array_equal(y.reshape(1, 2), expected)


@pytest.mark.parametrize("x_type", TYPES)
@pytest.mark.parametrize("negative", [True, False])
def test_the_largest_sums_of_signs(x_type: Any, negative: bool) -> None:
    info = np.iinfo(x_type)
    x = np.full((1, 32768), info.max, x_type)
    w = np.full((2, 4096), 0 if negative else 255, np.uint8)
    bias = np.array([-(2**31), 2**31 - 1], np.int32)
    scale = np.full(1, 2.0**-18, np.float32)
    params = {"x_zero": int(info.min), "y_zero": 0, "low": -32768, "high": 32767}
    y = run_step(
        Op.QBINARY_LINEAR,
        [x, w, bias, scale],
        [False, True, True, True],
        (1, 2),
        np.int16,
        **params,
    )
    expected = qbinary_linear(x, w, bias, scale, dtype=np.int16, **params)
    assert np.array_equal(y, expected)
    total = 32768 * (int(info.max) - int(info.min)) * (-1 if negative else 1)
    assert expected.tolist() == [[round((b + total) / 2**18) for b in bias.tolist()]]


def test_a_wide_image_and_leading_dimensions() -> None:
    rng = np.random.default_rng(4)
    x = random_codes(rng, np.uint8, 2, 3, 4, 200)
    y, expected = convolve_both(
        rng, x, random_codes(rng, np.int8, 2, 3, 3, 3), True, np.uint8, SAME
    )
    assert np.array_equal(y, expected)
    w = random_codes(rng, np.int8, 5, 200)
    params = {"x_zero": 128, "y_zero": 7, "low": 7, "high": 255}
    scale = np.full(5, 2e-4, np.float32)
    y = run_step(
        Op.QLINEAR, [x, w, None, scale], [False, True, True, True], (2, 3, 4, 5), np.uint8, **params
    )
    assert np.array_equal(y, qlinear(x, w, None, scale, dtype=np.uint8, **params))
    assert y.min() == 7


def test_tail_bits_do_not_matter() -> None:
    rng = np.random.default_rng(6)
    x = random_codes(rng, np.uint8, 2, 13)
    w = rng.integers(0, 256, (4, 2), np.uint8)
    scale = np.full(1, 0.1, np.float32)
    params = {"x_zero": 100, "y_zero": 128, "low": 0, "high": 255}
    results = [
        run_step(
            Op.QBINARY_LINEAR,
            [x, w ^ np.array([0, tail], np.uint8), None, scale],
            [False, True, True, True],
            (2, 4),
            np.uint8,
            **params,
        )
        for tail in (0, 1, 7)
    ]
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])
