"""Convolutions have the reference's bits on every instruction set, whatever the shape.

The reference itself is compared with float64 and integer NumPy in test_conv2d.py and
test_integer_products.py.
"""

from typing import Any

import numpy as np
import pytest
from geometry import geometries
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from one_step import same_bits
from test_integer_products import biases, multipliers, random_codes, requantization

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part, instruction_sets

Array = NDArray[Any]
SEEDS = st.integers(0, 2**32 - 1)
# Kernels of the field, and whether a group has two channels as there, or 80 of all outputs.
FIELD = [(5, 5), (3, 3), (7, 7), (1, 9), (9, 1), (1, 1), (2, 4)]


def out_shape(x: Array, w: Array, p: dict[str, int]) -> tuple[int, ...]:
    sides = []
    for axis, length, kernel in (("h", x.shape[2], w.shape[2]), ("w", x.shape[3], w.shape[3])):
        ends = ("top", "bottom") if axis == "h" else ("left", "right")
        room = length + sum(p.get(f"pad_{end}", 0) for end in ends)
        room -= (kernel - 1) * p.get(f"dilation_{axis}", 1) + 1
        sides.append(room // p.get(f"stride_{axis}", 1) + 1)
    return (x.shape[0], w.shape[0], *sides)


def same_everywhere(
    op: Op,
    x: Array,
    constants: list[Array | None],
    shape: tuple[int, ...],
    dtype: Any,
    **params: Any,
) -> Array:
    """The result, which all instruction sets agree on; x is the only input."""
    hand = HandPlan()
    operands: list[int | None] = [hand.input("x", x.shape, x.dtype)]
    for i, value in enumerate(constants):
        operands.append(None if value is None else hand.constant(f"c{i}", value))
    hand.step(op, operands, [hand.output("y", shape, dtype)], **params)
    bundle = write_bundle(hand.plan())
    (expected,) = Part(bundle, isa="reference").run(x)
    for isa in instruction_sets()[1:]:
        assert same_bits(Part(bundle, isa=isa).run(x)[0], expected), isa
    return expected


def floats(rng: np.random.Generator, *shape: int, special: float = 0.0) -> Array:
    """Normal numbers, of which a share is 0, infinite or no number."""
    values = rng.normal(size=shape).astype(np.float32)
    strange = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-42], np.float32)
    return np.where(rng.random(shape) < special, rng.choice(strange, shape), values)


@settings(max_examples=200, deadline=None)
@given(
    geometry=geometries((20, 70)),
    samples=st.integers(1, 3),
    channels=st.sampled_from([1, 2, 3, 40]),
    outputs=st.sampled_from([1, 2, 3, 4, 5, 9]),
    optional=st.tuples(st.booleans(), st.booleans(), st.sampled_from([None, 1, 2])),
    activation=st.sampled_from(Activation),
    special=st.tuples(st.sampled_from([0.0, 0.01]), st.sampled_from([0.0, 0.0, 0.05])),
    seed=SEEDS,
)
def test_any_float_shape(
    geometry: tuple[dict[str, int], tuple[int, int], list[int]],
    samples: int,
    channels: int,
    outputs: int,
    optional: tuple[bool, bool, int | None],
    activation: Activation,
    special: tuple[float, float],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    p, kernel, size = geometry
    count = p["groups"] * outputs
    x = floats(rng, samples, p["groups"] * channels, *size, special=special[0])
    w = floats(rng, count, channels, *kernel, special=special[1])
    shape = out_shape(x, w, p)
    bias = floats(rng, count, special=0.1) if optional[0] else None
    residual = floats(rng, *shape) if optional[1] else None
    slopes = None
    if activation is Activation.PRELU:
        slopes = floats(rng, 1 if optional[2] is None else count)
    same_everywhere(
        Op.CONV2D,
        *(x, [w, bias, slopes, residual], shape, np.float32),
        activation=activation,
        alpha=0.3,
        **p,
    )


@pytest.mark.parametrize("kernel", FIELD)
@pytest.mark.parametrize(
    ("channels", "outputs", "groups"), [(2, 2, 1), (2, 80, 1), (80, 2, 1), (6, 6, 3)]
)
def test_the_shapes_of_the_field(
    kernel: tuple[int, int], channels: int, outputs: int, groups: int
) -> None:
    """2 x 32 x 32 and wide tensors, with the residual on the result's own bytes."""
    rng = np.random.default_rng(sum(kernel) + channels)
    x = floats(rng, 2, channels, 32, 32)
    w = floats(rng, outputs, channels // groups, *kernel)
    p = {"pad_top": (kernel[0] - 1) // 2, "pad_bottom": kernel[0] // 2}
    p |= {"pad_left": (kernel[1] - 1) // 2, "pad_right": kernel[1] // 2, "groups": groups}
    shape = out_shape(x, w, p)
    residual = floats(rng, *shape)
    hand = HandPlan()
    held = hand.arena("held", shape)
    hand.step(Op.COPY, [hand.constant("r", residual)], [held])
    result = hand.view(held, "result", shape)
    operands = [hand.input("x", x.shape), hand.constant("w", w)]
    operands += [hand.constant("b", floats(rng, outputs)), hand.constant("s", floats(rng, outputs))]
    prelu = Activation.PRELU
    hand.step(Op.CONV2D, [*operands, held], [result], activation=prelu, **p)
    hand.step(Op.COPY, [result], [hand.output("y", shape)])
    bundle = write_bundle(hand.plan())
    (expected,) = Part(bundle, isa="reference").run(x)
    assert len(np.unique(expected)) > expected.size / 2
    for isa in instruction_sets()[1:]:
        assert same_bits(Part(bundle, isa=isa).run(x)[0], expected), isa


@settings(max_examples=200, deadline=None)
@given(
    geometry=geometries((20, 70)),
    samples=st.integers(1, 2),
    channels=st.sampled_from([1, 2, 3, 40]),
    outputs=st.sampled_from([1, 2, 3, 4, 5, 9]),
    has_bias=st.booleans(),
    types=st.tuples(*[st.sampled_from([np.uint8, np.int8, np.int16])] * 2),
    seed=SEEDS,
)
def test_any_integer_shape(
    geometry: tuple[dict[str, int], tuple[int, int], list[int]],
    samples: int,
    channels: int,
    outputs: int,
    has_bias: bool,
    types: tuple[Any, Any],
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    p, kernel, size = geometry
    count, products = p["groups"] * outputs, channels * kernel[0] * kernel[1]
    x = random_codes(rng, types[0], samples, p["groups"] * channels, *size)
    w = random_codes(rng, np.int8, count, channels, *kernel)
    bias = biases(rng, products, count, types[0] is not np.int16) if has_bias else None
    scale = multipliers(rng, x, products, types[1], count)
    params = requantization(rng, x, products, types[1])
    same_everywhere(Op.QCONV2D, x, [w, bias, scale], out_shape(x, w, p), types[1], **p, **params)
