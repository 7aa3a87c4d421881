"""quantize, dequantize, qadd, qactivation, qtable and qthreshold equal NumPy bit for bit."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan, run_step
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.integer import elementwise, lookup
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part

Array = NDArray[Any]
TYPES = (np.uint8, np.int8, np.int16)
FUSED = (Activation.NONE, Activation.RELU, Activation.LEAKY, Activation.PRELU)


def every_code(dtype: Any) -> Array:
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)


def a_code(rng: np.random.Generator, dtype: Any) -> int:
    info = np.iinfo(dtype)
    return int(rng.integers(info.min, info.max, endpoint=True))


def values_around_ties(scale: float, zero: int, dtype: Any) -> Array:
    """Every half step of the range and beyond it, with both neighbours, and the special values."""
    info = np.iinfo(dtype)
    steps = np.arange(2 * (info.min - zero) - 5, 2 * (info.max - zero) + 6) / 2
    middle = (steps * float(scale)).astype(np.float32)
    up, down = (np.nextafter(middle, np.float32(end)) for end in (np.inf, -np.inf))
    special = [0.0, -0.0, 1e-45, -1e-45, 1e38, -1e38, np.inf, -np.inf, np.nan]
    return np.concatenate([middle, up, down, np.array(special, np.float32)])[None]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scale", [1.0, 2.0**-7, 0.0123, 3.4e38, 1e-45, 1e-38])
def test_quantize(dtype: Any, scale: float) -> None:
    rng = np.random.default_rng(3)
    info = np.iinfo(dtype)
    for zero in (0, int(info.min), int(info.max), a_code(rng, dtype)):
        with np.errstate(over="ignore"):
            x = values_around_ties(scale, zero, dtype)
        y = run_step(Op.QUANTIZE, [x], [False], x.shape, dtype, scale=scale, zero=zero)
        assert np.array_equal(y, elementwise.quantize(x, scale, zero, dtype))
        assert y[0, -1] == zero
        assert y[0, -2] == info.min
        assert y[0, -3] == info.max


def test_ties_go_to_the_even_code() -> None:
    x = np.array([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]], np.float32)
    y = run_step(Op.QUANTIZE, [x], [False], x.shape, np.int8, scale=1.0, zero=0)
    assert y.tolist() == [[-2, -2, 0, 0, 2, 2]]
    # The zero point is added after rounding: an odd one moves the even codes to odd ones.
    y = run_step(Op.QUANTIZE, [x], [False], x.shape, np.int8, scale=1.0, zero=1)
    assert y.tolist() == [[-1, -1, 1, 1, 3, 3]]


@pytest.mark.parametrize("dtype", [*TYPES, np.int32])
def test_dequantize(dtype: Any) -> None:
    rng = np.random.default_rng(4)
    if dtype is np.int32:
        x = rng.integers(-(2**31), 2**31, (3, 999), np.int32)
        x[0, :4] = [-(2**31), 2**31 - 1, 2**24 + 1, 0]
    else:
        x = np.stack([every_code(dtype)] * 2)
    for scale in (1.0, 0.0123, 3e38, 1e-44):
        zero = 65535 if dtype is np.int32 else a_code(rng, dtype)
        y = run_step(Op.DEQUANTIZE, [x], [False], x.shape, scale=scale, zero=zero)
        assert np.array_equal(y, elementwise.dequantize(x, scale, zero))


CASE = {
    "types": st.tuples(*[st.sampled_from(TYPES)] * 3),
    "activation": st.sampled_from(FUSED),
    "slopes": st.sampled_from([1, 3]),
    "width": st.sampled_from([1, 7, 128, 300]),
    "extreme": st.booleans(),
    "seed": st.integers(0, 2**32 - 1),
}


def scale_of(rng: np.random.Generator, dtype: Any, extreme: bool) -> float:
    """A scale under which the codes reach about 4; an extreme one overflows or underflows."""
    usual = 4 / np.iinfo(dtype).max * rng.uniform(0.5, 2)
    odd = rng.choice([3e38, 1e-38, 1e-45, 1.0])
    return float(np.float32(odd if extreme and rng.random() < 0.5 else usual))


@settings(max_examples=150, deadline=None)
@given(**CASE)
def test_qadd(
    types: tuple[Any, Any, Any],
    activation: Activation,
    slopes: int,
    width: int,
    extreme: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    a, b = (
        rng.integers(np.iinfo(t).min, np.iinfo(t).max, (2, 3, width), endpoint=True).astype(t)
        for t in types[:2]
    )
    params = {
        "activation": activation,
        "alpha": float(np.float32(rng.uniform(-1, 1))),
        **{f"{name}_zero": a_code(rng, t) for name, t in zip("aby", types, strict=True)},
        **{
            f"{name}_scale": scale_of(rng, t, extreme) for name, t in zip("aby", types, strict=True)
        },
    }
    slope = rng.uniform(-1, 1, slopes).astype(np.float32)
    slope = slope if activation is Activation.PRELU else None
    y = run_step(Op.QADD, [a, b, slope], [False, False, True], a.shape, types[2], **params)
    assert np.array_equal(y, elementwise.qadd(a, b, slope, dtype=types[2], **params))


@pytest.mark.parametrize("activation", FUSED)
@pytest.mark.parametrize("x_type", TYPES)
@pytest.mark.parametrize("y_type", TYPES)
def test_qactivation_of_every_code(activation: Activation, x_type: Any, y_type: Any) -> None:
    rng = np.random.default_rng(8)
    x = np.stack([every_code(x_type)] * 3)[None]
    slope = np.array([0.25, -0.7, 1.5], np.float32) if activation is Activation.PRELU else None
    for extreme in (False, True):
        params = {
            "activation": activation,
            "alpha": 0.1,
            "x_zero": a_code(rng, x_type),
            "y_zero": a_code(rng, y_type),
            "x_scale": scale_of(rng, x_type, extreme),
            "y_scale": scale_of(rng, y_type, extreme),
        }
        y = run_step(Op.QACTIVATION, [x, slope], [False, True], x.shape, y_type, **params)
        assert np.array_equal(y, elementwise.qactivation(x, slope, dtype=y_type, **params))


@pytest.mark.parametrize("x_type", [np.uint8, np.int8])
@pytest.mark.parametrize("y_type", TYPES)
def test_qtable(x_type: Any, y_type: Any) -> None:
    rng = np.random.default_rng(9)
    info = np.iinfo(y_type)
    table = rng.integers(info.min, info.max, 256, endpoint=True).astype(y_type)
    x = np.stack([every_code(x_type), every_code(x_type)[::-1]])
    y = run_step(Op.QTABLE, [x, table], [False, True], x.shape, y_type)
    assert np.array_equal(y, lookup.qtable(x, table))
    assert y[0, 0] == table[0 if x_type is np.uint8 else 128]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 255), st.sampled_from(TYPES), st.integers(0, 2**32 - 1))
def test_qthreshold(count: int, dtype: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    info = np.iinfo(dtype)
    thresholds = np.sort(rng.integers(info.min - 3, info.max + 4, count)).astype(np.int32)
    if seed % 3 == 0:
        thresholds[: count // 2] = thresholds[0]
        thresholds[-1] = 2**31 - 1
    x = every_code(dtype)[None]
    codes = run_step(Op.QTHRESHOLD, [x, thresholds], [False, True], x.shape, np.uint8)
    assert np.array_equal(codes, lookup.qthreshold(x, thresholds))
    assert np.array_equal(codes[0, ::97], [(thresholds <= v).sum() for v in x[0, ::97]])


def test_in_place() -> None:
    """qadd on either input, qactivation and qtable on the bytes of their own input."""
    rng = np.random.default_rng(2)
    x = rng.integers(0, 256, (2, 300), np.uint8)
    table = rng.permutation(256).astype(np.uint8)
    add = {
        **{f"{name}_zero": 120 for name in "aby"},
        **dict(zip(("a_scale", "b_scale", "y_scale"), (0.1, 0.07, 0.13), strict=True)),
    }
    act = {"x_zero": 99, "y_zero": 101, "x_scale": 0.2, "y_scale": 0.15}
    results = []
    for in_place in (True, False):
        hand = HandPlan()
        source = hand.input("x", ("n", 300), np.uint8)
        last = hand.arena("t", ("n", 300), np.uint8)
        hand.step(Op.COPY, [source], [last])
        steps: list[tuple[Op, list[int | None], dict[str, Any]]] = [
            (Op.QADD, [None, source], add),
            (Op.QADD, [source, None], add),
            (Op.QACTIVATION, [None], {**act, "activation": Activation.LEAKY, "alpha": 0.5}),
            (Op.QTABLE, [None, hand.constant("table", table)], {}),
        ]
        for op, operands, params in steps:
            name = f"t{len(hand.steps)}"
            if in_place:
                y = hand.view(last, name, ("n", 300))
            else:
                y = hand.arena(name, ("n", 300), np.uint8)
            hand.step(op, [last if o is None else o for o in operands], [y], **params)
            last = y
        hand.step(Op.COPY, [last], [hand.output("y", ("n", 300), np.uint8)])
        results.append(Part(write_bundle(hand.plan())).run(x)[0])
    assert np.array_equal(*results)
    assert len(np.unique(results[0])) > 50
