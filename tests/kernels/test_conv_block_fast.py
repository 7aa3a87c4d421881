"""CONV_BLOCK's fast kernels: the reference's bits on every instruction set of this machine."""

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_step import Array, same_bits
from test_conv_block import FORMS, Block, Shape

from csideploy.export.plan import Activation
from csideploy.runtime import Part, instruction_sets

FIELD = Shape(
    n=2,
    groups=5,
    image=(32, 32),
    kernels=((1, 9), (7, 7), (9, 1)),
    pads=((0, 4), (3, 3), (4, 0)),
    act=Activation.PRELU,
    slopes=2,
)
WITH_VECTORS = [isa for isa in instruction_sets() if isa not in ("reference", "baseline")]
# Kernels with tiles of their own, those that have none, and the largest.
KERNELS = [(1, 9), (3, 3), (5, 5), (7, 7), (9, 1), (1, 1), (2, 4), (9, 9), (1, 3)]


def part(block: Block, isa: str) -> Part:
    return Part(block.bundle(), isa=isa)


def is_prepared(block: Block, isa: str) -> bool:
    """The kernel only takes what its preparer has taken."""
    return bool(part(block, isa)._core.prepared_bytes > 0)


def compare(block: Block) -> None:
    expected = block.run("reference")
    for isa in instruction_sets()[1:]:
        assert same_bits(block.run(isa), expected), isa


@st.composite
def taken_shapes(draw: Any) -> Shape:
    """Images up to strips in height and whole width, with pads anywhere."""

    def number(low: int, high: int) -> int:
        return int(draw(st.integers(low, high)))

    kernels = tuple(draw(st.sampled_from(KERNELS)) for _ in range(3))
    outputs = number(1, 4)
    return Shape(
        n=number(1, 2),
        groups=number(1, 5),
        per_group=number(1, 4),
        inputs=number(1, 4),
        outputs=outputs,
        image=(number(1, 40), number(2, 64)),
        kernels=kernels,
        pads=tuple((number(0, kh - 1), number(0, kw - 1)) for kh, kw in kernels),
        act=draw(st.sampled_from(Activation)),
        slopes=draw(st.sampled_from([1, outputs])),
        has_bias=draw(st.booleans()),
        has_residual=draw(st.booleans()),
        scale=draw(st.sampled_from([1.0, 0.25, 0.03, 2.0**-11, 2.0**-149, 2.0**127])),
        zero=number(0, 255),
        x_scale=draw(st.sampled_from([2.0**-14, 2.0**-126, 1.0, 2.0**126])),
        m_scale=draw(st.sampled_from([2.0**-12, 2.0**-126, 2.0**3, 2.0**126])),
        seed=number(0, 2**32 - 1),
    )


def spoil(block: Block, rng: np.random.Generator, weights: bool) -> None:
    """Numbers that are none, too large for a code, or zeros with a sign, here and there."""
    odd = np.array([np.inf, -np.inf, np.nan, 3e38, -3e38, -0.0, 1e-45], np.float32)
    places: list[Array] = [block.x]
    if weights:
        places += [block.channels[:4]]
        places += [] if block.whole else [block.expand, block.project]
    if block.rest is not None:
        places.append(block.rest)
    for array in places:
        at = rng.integers(0, array.size, 2)
        array.reshape(-1)[at] = rng.choice(odd, 2)


@pytest.mark.parametrize(("bits", "whole"), FORMS)
@settings(max_examples=60, deadline=None)
@given(shape=taken_shapes(), bad=st.sampled_from(["none", "inputs", "weights"]))
def test_every_instruction_set_gives_the_same_bits(
    bits: int, whole: bool, shape: Shape, bad: str
) -> None:
    block = Block(shape, bits, whole)
    if bad != "none":
        spoil(block, np.random.default_rng(shape.seed), bad == "weights")
    compare(block)


@pytest.mark.parametrize(("bits", "whole"), FORMS)
def test_the_field_is_fast(bits: int, whole: bool) -> None:
    """Its shape is taken, in one strip; tall images go by several, the last of them lower."""
    block = Block(FIELD, bits, whole)
    compare(block)
    tall = Block(dataclasses.replace(FIELD, n=1, image=(83, 31)), bits, whole)
    compare(tall)
    for isa in WITH_VECTORS:
        assert is_prepared(block, isa)
        assert is_prepared(tall, isa)


@pytest.mark.parametrize("slope", [0.0, 1.0, -0.5, 3.0, -np.inf, np.nan])
@pytest.mark.parametrize(("bits", "whole"), FORMS)
def test_every_slope(bits: int, whole: bool, slope: float) -> None:
    block = Block(dataclasses.replace(FIELD, n=1), bits, whole)
    block.channels[1], block.channels[3] = slope, slope
    compare(block)


@pytest.mark.parametrize("bits", [8, 16])
def test_codes_at_both_ends(bits: int) -> None:
    """All codes and all weights at their ends: the largest sums, of which none wraps."""
    block = Block(dataclasses.replace(FIELD, per_group=4, zero=255), bits)
    block.middle[:] = np.where(block.middle < 0, -128, 127)
    block.x *= np.float32(1e6)
    compare(block)
    block.middle[:] = -128
    compare(block)


def may_divide(block: Block) -> bool:
    """Whether multipliers and biases are divided by the scales of the codes before: by powers of
    two within 2^60, slopes within 2^60 as well, and no code beyond 2^29."""
    fits = True
    for weight, codes, scale, rows in (
        (block.expand, 2.0**15, block.shape.scale, (5, 0, 1)),
        (block.middle, 255.0 if block.bits == 8 else 2.0**15, block.shape.m_scale, (4, 2, 3)),
    ):
        multiplier, bias, slope = np.abs(block.channels[list(rows)].astype(np.float64))
        sums = np.clip(np.abs(weight.astype(np.float64)).sum((1, 2, 3)) * codes, 1, 2.0**31)
        most = np.maximum(slope, 1) * (sums * multiplier + bias)
        power = np.frexp(scale)[0] == 0.5 and 2.0**-60 <= scale <= 2.0**60
        fits &= bool(power and (slope <= 2.0**60).all() and (most / scale < 2.0**29).all())
    return fits


def scaled_block(shape: Shape, bits: int) -> Block:
    """Integers in all three convolutions; what becomes codes is about as large as their scale."""
    block = Block(shape, bits, True)
    for row in (0, 2, 4, 5):
        block.channels[row] *= np.float32(shape.scale)
    return block


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("scale", [2.0**-61, 2.0**-60, 2.0**-9, 0.3, 2.0**60, 2.0**61])
def test_scales_that_may_divide_before(bits: int, scale: float) -> None:
    """Multipliers and biases are divided by a power of two once where that is exact; slopes at
    their greatest, and numbers below 2^-126 that are not divided to the last bit."""
    divides = scale in (2.0**-60, 2.0**-9, 2.0**60)
    m_scale = 2.0**-3 if scale == 0.3 else scale
    block = scaled_block(dataclasses.replace(FIELD, n=1, scale=scale, m_scale=m_scale), bits)
    assert may_divide(block) == divides
    compare(block)
    block.channels[1, ::3] = 1e-45
    block.channels[3, ::3] = 2.0**60
    block.channels[[2, 4], ::3] *= np.float32(2.0**-60)
    assert may_divide(block) == divides
    compare(block)
    block.channels[[0, 2], 1] = 1e-40
    assert may_divide(block) == divides
    compare(block)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("weight", "row"), [("expand", 5), ("middle", 4)])
def test_a_multiplier_of_no_weights_is_not_divided_to_infinity(
    bits: int, weight: str, row: int
) -> None:
    """The sum of an output without weights is 0, whatever it is multiplied by, but not NaN."""
    shape = dataclasses.replace(FIELD, n=1, groups=3, scale=2.0**-40, m_scale=2.0**-40)
    block = scaled_block(shape, bits)
    assert may_divide(block)
    getattr(block, weight)[1] = 0
    block.channels[row, 1] = 2.0**100
    assert not may_divide(block)
    compare(block)


def test_infinite_weights_are_left_to_the_reference() -> None:
    """A pad is not multiplied; the fast kernel's zeros would be."""
    for name in ("expand", "middle", "project"):
        block = Block(FIELD, 0)
        getattr(block, name)[0, 0, 0, 0] = np.inf
        compare(block)
        for isa in WITH_VECTORS:
            assert not is_prepared(block, isa)


@pytest.mark.parametrize(
    "change",
    [
        {"per_group": 5},
        {"inputs": 5},
        {"outputs": 5, "slopes": 5},
        {"image": (4, 65)},
        {"kernels": ((1, 10), (7, 7), (9, 1))},
        {"kernels": ((1, 9), (10, 7), (9, 1))},
    ],
)
def test_what_it_is_not_made_for(change: dict[str, Any]) -> None:
    block = Block(dataclasses.replace(FIELD, **change), 0)
    compare(block)
    for isa in WITH_VECTORS:
        assert not is_prepared(block, isa)
