"""conv2d against a float64 convolution made of strided windows and einsum."""

from typing import Any

import numpy as np
import pytest
from geometry import geometries
from hand_plan import HandPlan, run_step
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part

Array = NDArray[Any]
EPS = float(np.finfo(np.float32).eps)


def convolve(x: Array, w: Array, p: dict[str, int]) -> Array:
    """float64; p has the names of the plan's parameters."""
    groups = p["groups"]
    pads = ((0, 0), (0, 0), (p["pad_top"], p["pad_bottom"]), (p["pad_left"], p["pad_right"]))
    x = np.pad(x.astype(np.float64), pads)
    dh, dw = p["dilation_h"], p["dilation_w"]
    reach = ((w.shape[2] - 1) * dh + 1, (w.shape[3] - 1) * dw + 1)
    windows = sliding_window_view(x, reach, axis=(2, 3))
    windows = windows[:, :, :: p["stride_h"], :: p["stride_w"], ::dh, ::dw]
    outs = []
    for g in range(groups):
        xs = windows[:, g * w.shape[1] : (g + 1) * w.shape[1]]
        ws = w[g * (len(w) // groups) : (g + 1) * (len(w) // groups)].astype(np.float64)
        outs.append(np.einsum("nchwij,ocij->nohw", xs, ws))
    return np.concatenate(outs, axis=1)


@st.composite
def cases(draw: st.DrawFn) -> dict[str, Any]:
    small = st.integers(1, 3)
    p, kernel, size = draw(geometries((40, 40)))
    return {
        "p": p,
        "x": (draw(small), p["groups"] * draw(small), *size),
        "outputs": p["groups"] * draw(st.sampled_from([1, 2, 3, 4, 9])),
        "kernel": kernel,
        "bias": draw(st.booleans()),
        "residual": draw(st.booleans()),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@settings(max_examples=150, deadline=None)
@given(cases())
def test_any_geometry(case: dict[str, Any]) -> None:
    rng = np.random.default_rng(case["seed"])
    p = case["p"]
    x = rng.normal(size=case["x"]).astype(np.float32)
    channels = case["x"][1] // p["groups"]
    w = rng.normal(size=(case["outputs"], channels, *case["kernel"])).astype(np.float32)
    expected, size = convolve(x, w, p), convolve(np.abs(x), np.abs(w), p)
    bias = rng.normal(size=case["outputs"]).astype(np.float32) if case["bias"] else None
    residual = rng.normal(size=expected.shape).astype(np.float32) if case["residual"] else None
    if bias is not None:
        expected, size = expected + bias[:, None, None], size + np.abs(bias)[:, None, None]
    if residual is not None:
        expected, size = expected + residual, size + np.abs(residual)
    y = run_step(
        Op.CONV2D,
        [x, w, bias, None, residual],
        [False, True, True, True, False],
        expected.shape,
        **p,
    )
    # Each product is rounded once and each of the taps + 2 additions once: first-order bound.
    bound = (channels * w.shape[2] * w.shape[3] + 3) * EPS * size
    assert (np.abs(y - expected) <= bound).all()


@pytest.mark.parametrize("shared", [True, False])
def test_prelu_has_one_slope_for_all_or_one_a_channel(shared: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, 5, 6)).astype(np.float32)
    w = rng.normal(size=(4, 3, 1, 1)).astype(np.float32)
    slope = rng.normal(size=1 if shared else 4).astype(np.float32)
    args: tuple[Any, ...] = ([x, w, None, slope], [False, True, True, True], (2, 4, 5, 6))
    y = run_step(Op.CONV2D, *args, activation=Activation.PRELU)
    plain = run_step(Op.CONV2D, [x, w], [False, True], (2, 4, 5, 6))
    scale = np.broadcast_to(slope, 4)[:, None, None]
    assert np.array_equal(y, np.where(plain < 0, scale * plain, plain))


def test_residual_may_lie_in_the_output() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(3, 2, 6, 7)).astype(np.float32)
    w = rng.normal(size=(2, 2, 3, 3)).astype(np.float32)
    results = []
    for in_place in (False, True):
        hand = HandPlan()
        a = hand.input("a", ("n", 2, 6, 7))
        b = hand.arena("b", ("n", 2, 6, 7))
        hand.step(Op.ACTIVATION, [a], [b], activation=Activation.TANH)
        c = hand.arena("c", ("n", 2, 6, 7), place=0 if in_place else None)
        pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1)
        hand.step(Op.CONV2D, [a, hand.constant("w", w), None, None, b], [c], **pads)
        hand.step(Op.COPY, [c], [hand.output("y", ("n", 2, 6, 7))])
        results.append(Part(write_bundle(hand.plan())).run(x)[0])
    assert np.array_equal(*results)
    assert np.abs(results[0]).min() > 0


@pytest.mark.parametrize("outputs", [1, 9])
def test_padding_is_not_multiplied(outputs: int) -> None:
    """An infinite weight outside the image must not make a NaN of 0 x infinity."""
    x = np.ones((1, 1, 1, 1), np.float32)
    w = np.full((outputs, 1, 3, 3), np.inf, np.float32)
    w[:, 0, 1, 1] = 2
    pads = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1)
    y = run_step(Op.CONV2D, [x, w], [False, True], (1, outputs, 1, 1), **pads)
    assert (y == 2).all()


@pytest.mark.parametrize("width", [1, 5, 8, 15, 23, 32, 45])
@pytest.mark.parametrize("stride", [1, 2])
def test_tiles_and_planes_give_the_same_bits(width: int, stride: int) -> None:
    """An infinite weight in one more output keeps the kernel from its tiles."""
    rng = np.random.default_rng(width)
    x = rng.normal(size=(2, 5, 9, width)).astype(np.float32)
    w = rng.normal(size=(9, 5, 3, 5)).astype(np.float32)
    spoilt = np.concatenate([w, np.full((1, 5, 3, 5), np.inf, np.float32)])
    p = {"pad_top": 1, "pad_bottom": 1, "pad_left": 2, "pad_right": 2}
    p |= {"stride_h": stride, "stride_w": stride}
    shape = (2, 9, (9 - 1) // stride + 1, (width - 1) // stride + 1)
    x[0, :, :, width // 2 :] = 0
    bias = np.full(10, -0.0, np.float32)
    constants = [False, True, True]
    tiles = run_step(Op.CONV2D, [x, w, bias[:9]], constants, shape, **p)
    wider = (shape[0], 10, *shape[2:])
    planes = run_step(Op.CONV2D, [x, spoilt, bias], constants, wider, **p)
    assert np.array_equal(tiles.view(np.uint32), planes[:, :9].copy().view(np.uint32))
    assert np.abs(tiles[1]).min() > 0


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (4, 7)])
def test_one_window_that_is_all_of_x(groups: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(groups)
    x = rng.normal(size=(3, 6, *size)).astype(np.float32)
    w = rng.normal(size=(9, 6 // groups, *size)).astype(np.float32)
    bias = rng.normal(size=9).astype(np.float32)
    residual = rng.normal(size=(3, 9, 1, 1)).astype(np.float32)
    p = {"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "groups": groups}
    p |= dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 0)
    expected = convolve(x, w, p) + bias[:, None, None] + residual
    bound = (convolve(np.abs(x), np.abs(w), p) + 8) * 20 * EPS  # sums of at most 168 products
    constants = [False, True, True, True, False]
    y = run_step(Op.CONV2D, [x, w, bias, None, residual], constants, (3, 9, 1, 1), **p)
    assert (np.abs(y - expected) <= bound).all()
