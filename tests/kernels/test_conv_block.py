"""CONV_BLOCK: the bits of its three convolutions in sequence; with an int8 middle and codes of 8 or
16 bits, of integer sums in NumPy between the first and the last; with integers in all three, of
integer sums alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from hypothesis import given, settings
from hypothesis import strategies as st
from one_step import Array, same_bits

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, Op
from csideploy.runtime import Part

F32 = np.float32
Y_SCALE = 1e-8


@dataclass
class Shape:
    """A block's sizes and parameters; kernels (kh, kw) with their pads in front (top, left)."""

    n: int = 2
    groups: int = 2
    per_group: int = 2
    inputs: int = 2
    outputs: int = 2
    image: tuple[int, int] = (5, 9)
    kernels: tuple[tuple[int, int], ...] = ((3, 3),) * 3
    pads: tuple[tuple[int, int], ...] = ((1, 1),) * 3
    act: Activation = Activation.NONE
    slopes: int = 1
    has_bias: bool = True
    has_residual: bool = True
    scale: float = 0.25
    zero: int = 3
    x_scale: float = 2.0**-12
    m_scale: float = 2.0**-9
    seed: int = 7


@st.composite
def shapes(draw: Any) -> Shape:
    def number(low: int, high: int) -> int:
        return int(draw(st.integers(low, high)))

    kernels = tuple((number(1, 9), number(1, 9)) for _ in range(3))
    outputs = number(1, 3)
    return Shape(
        n=number(1, 3),
        groups=number(1, 4),
        per_group=number(1, 4),
        inputs=number(1, 3),
        outputs=outputs,
        image=(number(1, 12), number(2, 40)),
        kernels=kernels,
        pads=tuple((number(0, kh - 1), number(0, kw - 1)) for kh, kw in kernels),
        act=draw(st.sampled_from(Activation)),
        slopes=draw(st.sampled_from([1, outputs])),
        has_bias=draw(st.booleans()),
        has_residual=draw(st.booleans()),
        scale=draw(st.sampled_from([1.0, 0.25, 0.03, 2.0**-11, 1e-4])),
        zero=number(0, 255),
        x_scale=draw(st.sampled_from([2.0**-14, 2.0**-12, 1.0])),
        m_scale=draw(st.sampled_from([2.0**-12, 2.0**-5, 2.0**3])),
        seed=number(0, 2**32 - 1),
    )


class Block:
    """Random weights and inputs of a shape; its codes have `bits`, 0 for a middle of floats, and
    `whole` means integers in all three convolutions."""

    def __init__(self, shape: Shape, bits: int, whole: bool = False) -> None:
        self.shape, self.bits, self.coded, self.whole = shape, bits, bits > 0, whole
        self.zero = shape.zero if bits == 8 else 0
        self.wide = wide = shape.groups * shape.per_group
        rng = np.random.default_rng(shape.seed)

        def real(*size: int) -> Array:
            return rng.normal(size=size).astype(F32)

        self.x = real(shape.n, shape.inputs, *shape.image)
        self.rest = real(shape.n, shape.outputs, *shape.image) if shape.has_residual else None
        self.expand = real(wide, shape.inputs, *shape.kernels[0])
        self.channels = real(4 + self.coded + whole, wide)
        self.channels[4:] = np.exp(self.channels[4:] - 6)
        self.middle = real(wide, shape.per_group, *shape.kernels[1])
        if bits:
            self.middle = rng.integers(-128, 128, self.middle.shape).astype(np.int8)
        self.project = real(shape.outputs, wide, *shape.kernels[2])
        if whole:  # sums of about 2^26 to 2^31, some of them beyond
            for name in ("expand", "project"):
                size = getattr(self, name).shape
                setattr(self, name, rng.integers(-32768, 32768, size).astype(np.int16))
            self.channels[5] *= F32(2.0**-18)
        self.bias = real(shape.outputs) if shape.has_bias else None
        self.slope = real(shape.slopes) if shape.act == Activation.PRELU else None

    def arrays(self) -> list[Array]:
        return [a for a in (self.x, self.rest) if a is not None]

    def run(self, isa: str | None = None) -> Array:
        return Part(self.bundle(), isa=isa).run(*self.arrays())[0]

    def bundle(self) -> bytes:
        s, hand = self.shape, HandPlan(n_max=2)
        (h, w), per = s.image, s.per_group
        x, r = hand.input("x", ("n", s.inputs, h, w)), None
        if self.rest is not None:
            r = hand.input("r", ("n", s.outputs, h, w))
        named = ("expand", "channels", "middle", "project", "bias", "slope")
        held = [
            None if (value := getattr(self, name)) is None else hand.constant(name, value)
            for name in named
        ]
        room = 2 * per * h * w
        if self.whole:
            room = per * h * w + max(per * h * w, -(-s.inputs * h * w // 2))
        made = [hand.output("y", ("n", s.outputs, h, w)), hand.arena("scratch", (room,))]
        how: dict[str, Any] = {"activation": s.act, "alpha": 0.3, "groups": s.groups}
        for i, (top, left) in enumerate(s.pads, 1):
            how |= {f"pad_top_{i}": top, f"pad_left_{i}": left}
        if self.coded:
            how |= {"code_scale": s.scale, "code_zero": self.zero, "code_bits": self.bits}
        if self.whole:
            how |= {"x_scale": s.x_scale, "m_scale": s.m_scale, "y_scale": Y_SCALE}
        hand.step(Op.CONV_BLOCK, [x, *held, r], made, **how)
        return write_bundle(hand.plan())

    def convolve(self, x: Array, weight: Array, place: int, **how: Any) -> Array:
        """CONV2D as a part of its own, on the scalar kernels."""
        hand = HandPlan(n_max=2)
        (h, w), (kh, kw), (top, left) = (
            self.shape.image,
            self.shape.kernels[place],
            self.shape.pads[place],
        )
        operands: list[int | None] = [hand.input("x", ("n", *x.shape[1:]))]
        operands.append(hand.constant("w", weight))
        for role in ("bias", "slope"):
            value = how.pop(role, None)
            operands.append(None if value is None else hand.constant(role, value))
        arrays = [x]
        if (residual := how.pop("residual", None)) is not None:
            operands.append(hand.input("r", ("n", *residual.shape[1:])))
            arrays.append(residual)
        how |= {"pad_top": top, "pad_left": left}
        how |= {"pad_bottom": kh - 1 - top, "pad_right": kw - 1 - left}
        hand.step(Op.CONV2D, operands, [hand.output("y", ("n", len(weight), h, w))], **how)
        return Part(write_bundle(hand.plan()), isa="reference").run(*arrays)[0]

    def expected(self) -> Array:
        if self.whole:
            return self.expected_of_integers()
        prelu: dict[str, Any] = {"activation": Activation.PRELU}
        bias, slope, *second = self.channels
        v = self.convolve(self.x, self.expand, 0, bias=bias, slope=slope, **prelu)
        if self.coded:
            middle = self.decoded(v)
        else:
            prelu |= {"groups": self.shape.groups, "bias": second[0], "slope": second[1]}
            middle = self.convolve(v, self.middle, 1, **prelu)
        end: dict[str, Any] = {"activation": self.shape.act, "alpha": 0.3, "slope": self.slope}
        return self.convolve(middle, self.project, 2, bias=self.bias, residual=self.rest, **end)

    def sums(self, codes: Array, weight: Array, place: int) -> Array:
        """Of codes times weights, in int64; modulo 2^32, which int32 holds."""
        (h, w), (kh, kw) = self.shape.image, self.shape.kernels[place]
        top, left = self.shape.pads[place]
        padded = np.pad(codes, ((0, 0), (0, 0), (top, kh - 1 - top), (left, kw - 1 - left)))
        sums = np.zeros((len(codes), len(weight), h, w), np.int64)
        per = weight.shape[1]
        for (o, c, i, j), tap in np.ndenumerate(weight):
            channel = (o // per * per if place == 1 else 0) + c
            sums[:, o] += int(tap) * padded[:, channel, i : i + h, j : j + w]
        return (sums + 2**31) % 2**32 - 2**31

    def coded_as(self, v: Array, scale: float, bits: int, zero: int = 0) -> Array:
        least, most = (0, 255) if bits == 8 else (-32768, 32767)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = np.nan_to_num(v / F32(scale), nan=0.0, posinf=1e9, neginf=-1e9)
        whole = np.rint(np.clip(ratio, -1e9, 1e9)).astype(np.int64)
        return np.asarray(np.clip(whole + zero, least, most) - zero)

    def decoded(self, v: Array) -> Array:
        """Codes and sums in integers, two roundings to float32 behind them."""
        codes = self.coded_as(v, self.shape.scale, self.bits, self.zero)
        _, _, bias, slope, multiplier = (row[:, None, None] for row in self.channels[:5])
        made = self.sums(codes, self.middle, 1).astype(F32) * multiplier + bias
        return np.where(made < 0, slope * made, made)

    def expected_of_integers(self) -> Array:
        s = self.shape
        with np.errstate(over="ignore", invalid="ignore"):
            x = self.coded_as(self.x, s.x_scale, 16)
            bias, slope, multiplier = (self.channels[i][:, None, None] for i in (0, 1, 5))
            v = self.sums(x, self.expand, 0).astype(F32) * multiplier + bias
            m = self.decoded(np.where(v < 0, slope * v, v))
            y = self.sums(self.coded_as(m, s.m_scale, 16), self.project, 2).astype(F32)
            y = y * F32(Y_SCALE)
            bias = np.zeros(s.outputs, F32) if self.bias is None else self.bias
            y = y + (bias[:, None, None] + (F32(0) if self.rest is None else self.rest))
        return self.activated(y)

    def activated(self, y: Array) -> Array:
        """ACTIVATION as a part of its own, on the scalar kernels."""
        hand = HandPlan(n_max=2)
        shape = ("n", *y.shape[1:])
        slope = None if self.slope is None else hand.constant("slope", self.slope)
        how = {"activation": self.shape.act, "alpha": 0.3}
        hand.step(Op.ACTIVATION, [hand.input("x", shape), slope], [hand.output("y", shape)], **how)
        return Part(write_bundle(hand.plan()), isa="reference").run(y)[0]


FORMS = [(0, False), (8, False), (16, False), (8, True), (16, True)]
"""Bits of the codes, and whether all three convolutions have integers."""


@pytest.mark.parametrize(("bits", "whole"), FORMS)
@settings(max_examples=60, deadline=None)
@given(shape=shapes())
def test_it_is_three_convolutions(bits: int, whole: bool, shape: Shape) -> None:
    block = Block(shape, bits, whole)
    expected = block.expected()
    for isa in (None, "reference"):
        assert same_bits(block.run(isa), expected)


@pytest.mark.parametrize(("bits", "whole"), FORMS)
def test_numbers_that_are_none(bits: int, whole: bool) -> None:
    """Infinities and NaN reach the pixels whose windows hold them; as codes they saturate."""
    block = Block(Shape(), bits, whole)
    block.x[0, 0, 2, 3], block.x[1, 1, 0, 0] = np.inf, np.nan
    if whole:
        block.channels[0, 1], block.channels[2, 2], block.channels[3, 3] = -np.inf, np.nan, np.inf
    else:
        block.expand[1, 0, 0, 0] = -np.inf
    expected = block.expected()
    assert np.isnan(expected).any() == (bits == 0)
    for isa in (None, "reference"):
        assert same_bits(block.run(isa), expected)


@pytest.mark.parametrize("weight", [-128, 127])
def test_the_largest_sums(weight: int) -> None:
    """511 products of the least codes: 2^22 below 2^31, which one more would reach."""
    block = Block(Shape(groups=1, per_group=1, image=(9, 74), kernels=((1, 1), (7, 73), (1, 1)),
                        pads=((0, 0), (3, 36), (0, 0)), act=Activation.NONE), 16)  # fmt: skip
    block.middle[:] = weight
    block.x[:] = -1e6
    block.expand[:] = 1
    block.channels[1] = 1
    expected = block.expected()
    for isa in (None, "reference"):
        assert same_bits(block.run(isa), expected)
