"""Integer elementwise operations have the reference's codes on every instruction set, also where a
run of codes is no whole number of vectors and where values are infinite or no number."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from one_step import same_bits
from test_conv2d_fast import same_everywhere
from test_integer_products import random_codes

from csideploy.export.plan import Activation, Op

TYPES = st.sampled_from([np.uint8, np.int8, np.int16])
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 40))
# Scales whose ratios make codes of all sizes, or none but the ends, or infinite values.
SCALES = st.sampled_from([0.01, 0.37, 1e-30, 3e38])
ACTIVATIONS = st.sampled_from(
    [Activation.NONE, Activation.RELU, Activation.LEAKY, Activation.PRELU]
)


@settings(max_examples=150, deadline=None)
@given(
    shape=SHAPES,
    types=st.tuples(TYPES, TYPES),
    scales=st.tuples(SCALES, SCALES, SCALES),
    activation=ACTIVATIONS,
    each=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_activation_and_add(
    shape: tuple[int, ...],
    types: tuple[Any, Any],
    scales: tuple[float, float, float],
    activation: Activation,
    each: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    x, other = (random_codes(rng, types[0], *shape) for _ in range(2))
    zero = [int(random_codes(rng, t, 1)[0]) for t in (types[0], types[0], types[1])]
    slopes = None
    if activation is Activation.PRELU:
        slopes = rng.normal(size=shape[1] if each else 1).astype(np.float32)
    common = {"activation": activation, "alpha": 0.2, "y_scale": scales[2], "y_zero": zero[2]}
    one = {"x_scale": scales[0], "x_zero": zero[0]}
    same_everywhere(Op.QACTIVATION, x, [slopes], shape, types[1], **common, **one)
    two = {"a_scale": scales[0], "a_zero": zero[0], "b_scale": scales[1], "b_zero": zero[1]}
    same_everywhere(Op.QADD, x, [other, slopes], shape, types[1], **common, **two)


@settings(max_examples=100, deadline=None)
@given(
    count=st.integers(1, 100),
    dtype=TYPES,
    scale=SCALES,
    seed=st.integers(0, 2**32 - 1),
)
def test_quantize(count: int, dtype: Any, scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=count) * 10.0 ** rng.integers(-3, 5)).astype(np.float32)
    strange = np.array([np.nan, np.inf, -np.inf, 0.5, 1.5, -0.5, -0.0], np.float32)
    x = np.where(rng.random(count) < 0.2, rng.choice(strange, count), x)
    zero = int(random_codes(rng, dtype, 1)[0])
    y = same_everywhere(Op.QUANTIZE, x, [], (count,), dtype, scale=scale, zero=zero)
    # A NaN has the code of 0, and the specification says so too.
    with np.errstate(all="ignore"):
        whole = np.nan_to_num(np.rint(x / np.float32(scale)), nan=0.0, posinf=1e9, neginf=-1e9)
    info = np.iinfo(dtype)
    expected = np.clip(whole.astype(np.float64) + zero, info.min, info.max).astype(dtype)
    assert same_bits(y, expected)
