"""add, activation, concat and copy: exact, but for sigmoid and tanh."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan, run_step
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part

Array = NDArray[Any]
SPECIAL = [0.0, -0.0, 1e-40, -1e-40, 88.8, -88.8, -104.0, 1e38, -1e38, np.inf, -np.inf, np.nan]


def sample(seed: int, *shape: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def activated(kind: Activation, alpha: float) -> Array:
    x = np.array([SPECIAL, sample(2, len(SPECIAL))], np.float32)
    return run_step(Op.ACTIVATION, [x], [False], x.shape, activation=kind, alpha=alpha), x


@pytest.mark.parametrize("kind", [Activation.NONE, Activation.RELU, Activation.LEAKY])
def test_piecewise_linear_is_exact(kind: Activation) -> None:
    y, x = activated(kind, 0.3)
    slope = np.float32({Activation.NONE: 1.0, Activation.RELU: 0.0, Activation.LEAKY: 0.3}[kind])
    with np.errstate(invalid="ignore"):
        negative = np.zeros_like(x) if kind is Activation.RELU else slope * x
    np.testing.assert_array_equal(y, np.where(x < 0, negative, x))


def test_sigmoid_and_tanh() -> None:
    y, x = activated(Activation.SIGMOID, 0.0)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp(-x.astype(np.float64)))
    # 2.6 units of the last place (kernels/elementary.h), each 2^-23 at most.
    np.testing.assert_allclose(y, expected, rtol=3.2e-7, atol=1e-44)
    y, x = activated(Activation.TANH, 0.0)
    np.testing.assert_allclose(y, np.tanh(x.astype(np.float64)), rtol=3.2e-7, atol=1e-45)


@pytest.mark.parametrize("op", [Op.ADD, Op.ACTIVATION])
@pytest.mark.parametrize("slopes", [1, 5])
def test_prelu_runs_over_axis_1(op: Op, slopes: int) -> None:
    x, other, slope = sample(3, 2, 5, 3, 4), sample(4, 2, 5, 3, 4), sample(5, slopes)
    values = [x, other, slope] if op is Op.ADD else [x, slope]
    constants = [False] * (len(values) - 1) + [True]
    y = run_step(op, values, constants, x.shape, activation=Activation.PRELU)
    total = x + other if op is Op.ADD else x
    assert np.array_equal(y, np.where(total < 0, slope[:, None, None] * total, total))


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.integers(1, 4), max_size=3),
    st.sampled_from([np.float32, np.uint8]),
)
def test_concat(n: int, a: int, b: int, rest: list[int], dtype: Any) -> None:
    rng = np.random.default_rng(9)
    x, other = (rng.integers(1, 99, (n, c, *rest)).astype(dtype) for c in (a, b))
    y = run_step(Op.CONCAT, [x, other], [False, False], (n, a + b, *rest), dtype)
    assert np.array_equal(y, np.concatenate([x, other], axis=1))


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
def test_copy_may_reshape(dtype: Any) -> None:
    x = np.random.default_rng(1).integers(1, 99, (3, 4, 5)).astype(dtype)
    assert np.array_equal(run_step(Op.COPY, [x], [False], (3, 2, 10), dtype), x.reshape(3, 2, 10))


def test_in_place() -> None:
    """Add, activation and copy on the bytes of their own input."""
    hand = HandPlan()
    x = hand.input("x", ("n", 6))
    t = hand.arena("t", ("n", 6))
    hand.step(Op.ADD, [x, x], [t])
    for op, inputs in ((Op.ADD, [t, x]), (Op.ADD, [x, t]), (Op.ACTIVATION, [t]), (Op.COPY, [t])):
        result = hand.view(t, f"t{len(hand.steps)}", ("n", 6))
        hand.step(op, [len(hand.tensors) - 2 if i == t else i for i in inputs], [result])
    hand.step(Op.COPY, [len(hand.tensors) - 1], [hand.output("y", ("n", 6))])
    value = np.arange(1, 13, dtype=np.float32).reshape(2, 6)
    assert np.array_equal(Part(write_bundle(hand.plan())).run(value)[0], 4 * value)
