"""QUANTIZE_LOGIT: counts of thresholds, and with the compiler's the codes of sigmoid and quantizer.

`every_logit.c` walks over all float32; here stands what decides: the floats around each threshold.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.integer.logit import logit_codes, sigmoid, sigmoid_thresholds
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
NEAR = 4096
"""Floats to both sides of a threshold. The sigmoid errs by 2.4 units of the last place and rises by
a unit in at most 8 floats where |x| > 0.25, so that its falls lie far inside."""
SPECIAL = np.array([0, 1e-45, 1e-30, 6e-8, 87, 105, 3e38, np.inf, np.nan], np.float32)


def codes(x: Array, thresholds: Array, isa: str) -> Array:
    hand = HandPlan()
    source = hand.input("x", x.shape)
    made = hand.output("codes", x.shape, np.uint8)
    hand.step(Op.QUANTIZE_LOGIT, [source, hand.constant("t", thresholds)], [made])
    return Part(write_bundle(hand.plan()), isa=isa).run(x)[0]


def by_sigmoid(x: Array, bits: int) -> tuple[Array, Array]:
    """What the executor's ACTIVATION and QUANTIZE_UNIFORM make: the sigmoid and its codes."""
    hand = HandPlan()
    source, feature = hand.input("x", x.shape), hand.output("feature", x.shape)
    made = hand.output("codes", x.shape, np.uint8)
    hand.step(Op.ACTIVATION, [source, None], [feature], activation=Activation.SIGMOID)
    hand.step(Op.QUANTIZE_UNIFORM, [feature], [made], bits=bits)
    value, code = Part(write_bundle(hand.plan())).run(x)
    return value, code


def neighbours(values: Array, reach: int) -> Array:
    """`reach` floats to both sides of each number, in bit patterns away from and towards 0."""
    words = values.view(np.int32).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    return words.astype(np.int32).view(np.float32).reshape(1, -1)


@pytest.mark.parametrize("bits", range(1, 9))
def test_codes_are_those_of_the_sigmoid(bits: int) -> None:
    thresholds = sigmoid_thresholds(bits)
    rng = np.random.default_rng(bits)
    x = np.concatenate(
        [
            neighbours(thresholds, NEAR)[0],
            (rng.normal(size=20_001) * 4).astype(np.float32),
            rng.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32),
            np.concatenate([SPECIAL, -SPECIAL]),
        ]
    )[None]
    value, expected = by_sigmoid(x, bits)
    assert len(np.unique(expected)) == 1 << bits
    for isa in instruction_sets():
        assert np.array_equal(codes(x, thresholds, isa), expected), isa
    assert np.array_equal(logit_codes(x, thresholds), expected)
    # The copy in NumPy from which the thresholds come.
    inside = np.abs(x) < 80
    assert np.array_equal(sigmoid(x[inside]).view(np.uint32), value[inside].view(np.uint32))


def test_thresholds_of_fewer_bits_are_among_those_of_more() -> None:
    for few, more in pairwise(sigmoid_thresholds(bits) for bits in range(1, 9)):
        np.testing.assert_array_equal(few, more[1::2])
        assert (np.diff(more) > 0).all()
    k = np.arange(1, 256) / 256
    # 4 units of float32 in s, which is what two sigmoids may differ by; the slope is s (1 - s).
    slack = 4 * 2.0**-24 / (k * (1 - k)) + 2.0**-23
    assert (np.abs(sigmoid_thresholds(8) - np.log(k / (1 - k))) <= slack).all()


@settings(max_examples=60, deadline=None)
@given(bits=st.integers(1, 8), total=st.integers(1, 99), seed=st.integers(0, 2**32 - 1))
def test_any_thresholds(bits: int, total: int, seed: int) -> None:
    """Equal ones, zeros of both signs, and numbers on thresholds, which are not above them."""
    rng = np.random.default_rng(seed)
    thresholds = rng.choice([-3.5, -1, -0.0, 0.0, 1e-45, 0.5, 2, 9, 3e38], (1 << bits) - 1)
    thresholds = np.sort(np.where(rng.random(thresholds.size) < 0.5, thresholds,
                                  rng.normal(size=thresholds.size))).astype(np.float32)  # fmt: skip
    x = rng.choice(np.concatenate([thresholds, SPECIAL, -SPECIAL]), (1, total))
    with np.errstate(invalid="ignore"):
        expected = (thresholds < x[..., None]).sum(axis=-1)
    for isa in instruction_sets():
        assert np.array_equal(codes(x, thresholds, isa), expected), isa
