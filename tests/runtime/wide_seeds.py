"""Seeds of one step for the fuzzer whose tensors are wide: kernels go by tiles and blocks.

`every_operation.py` writes them beside those that its micro-bundle gives.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from hand_plan import HandPlan

from csideploy.export import fronthaul_rules
from csideploy.export.bundle_write import write_bundle
from csideploy.export.operations import Binary, Op, Reduction
from csideploy.export.plan import Dim, PayloadLayout
from csideploy.export.widths import pack_widths

WIDTHS = np.array([3, 0, 5, 1, 2, 4, 0], np.uint8)
"""Bits of the codebook strand's outputs, of an odd number."""


class Constants:
    """Constants of one seed, put into a plan."""

    def __init__(self, hand: HandPlan) -> None:
        self.hand = hand
        self.rng = np.random.default_rng(38)

    def f32(self, name: str, *shape: int) -> int:
        return self.hand.constant(name, self.rng.normal(size=shape).astype(np.float32))

    def scales(self, name: str, *shape: int) -> int:
        values = self.rng.uniform(0.002, 0.02, shape).astype(np.float32)
        return self.hand.constant(name, values)

    def whole(self, name: str, dtype: Any, low: int, high: int, *shape: int) -> int:
        return self.hand.constant(name, self.rng.integers(low, high, shape).astype(dtype))


def _one_step(
    op: Op, x: tuple[Dim, ...], y: tuple[Dim, ...], constants: Sequence[Any], **how: Any
) -> bytes:
    """A bundle of one step from input x to output y; `how`: element types and parameters."""
    hand = HandPlan(n_max=2)
    c = Constants(hand)
    made: list[int | None] = [hand.input("x", x, how.pop("x_type", np.float32))]
    for i, (kind, *shape) in enumerate(constants):
        if kind == "i8":
            made.append(c.whole(f"c{i}", np.int8, -127, 128, *shape))
        elif kind == "i32":
            made.append(c.whole(f"c{i}", np.int32, -999, 999, *shape))
        elif kind == "rising":
            made.append(hand.constant(f"c{i}", np.sort(c.rng.normal(size=shape)).astype("f4")))
        else:
            made.append(c.scales(f"c{i}", *shape) if kind == "scale" else c.f32(f"c{i}", *shape))
    hand.step(op, made, [hand.output("y", y, how.pop("y_type", np.float32))], **how)
    return write_bundle(hand.plan())


def _message_of_widths() -> bytes:
    """A part whose payload record leaves the bits of its codes to the step that packs them."""
    hand = HandPlan(n_max=2)
    x = hand.input("x", ("n", len(WIDTHS)), np.uint8)
    sent = hand.output("sent", ("n", 2), np.uint8)
    hand.step(Op.PACK_WIDTHS, [x, hand.constant("widths", pack_widths(WIDTHS))], [sent])
    layout = PayloadLayout(0x0202, len(WIDTHS), 0, tuple(WIDTHS.tolist()))
    return write_bundle(hand.plan(payload=layout))


def _nearest_in_tiles() -> bytes:
    """Two tiles of channel uses and some more, of an RU that goes by tiles and a wider one."""
    hand, rus = HandPlan(n_max=2), np.array([[2, 2], [9, 1]], np.int32)
    c = Constants(hand)
    x = hand.input("precoded", ("n", 70, 11, 2))
    constants = [c.f32("tables", 4 * 2 * 2 + 2 * 9 * 2), hand.constant("rus", rus)]
    sent = hand.output("sent", ("n", fronthaul_rules.payload_bytes(70, [2, 1])), np.uint8)
    hand.step(Op.TABLE_NEAREST, [x, *constants], [sent])
    return write_bundle(hand.plan())


def _one_step_of_edges() -> bytes:
    """A whole vector of channels and some more."""
    hand = HandPlan(n_max=2, k_max=3)
    ends = [hand.input(name, ("n", "k", 2, 19)) for name in ("values", "queries", "keys")]
    hand.step(Op.EDGE_ATTENTION, ends, [hand.output("y", ("n", "k", 2, 19))], average=0)
    return write_bundle(hand.plan())


def _wide_tier() -> bytes:
    """Two tiles of codewords."""
    hand = HandPlan(n_max=2)
    c = Constants(hand)
    ends = [hand.input("feature", ("n", 3)), c.f32("codebook", 32, 3)]
    made = [hand.output("codes", ("n", 5), np.uint8), hand.output("rest", ("n", 3))]
    hand.step(Op.RESIDUAL_QUANTIZE, ends, made)
    return write_bundle(hand.plan())


def _coded_block(*, whole: bool = False, **how: Any) -> bytes:
    """Codes between the convolutions of a block, and rows of more than one tile; `whole`: integers
    in all three. Where their scale is a power of two fast kernels divide by it beforehand; those of
    the micro-bundle are none."""
    hand = HandPlan(n_max=2)
    c = Constants(hand)

    def ends(name: str, *shape: int) -> int:
        return c.whole(name, np.int16, -32767, 32768, *shape) if whole else c.f32(name, *shape)

    operands = [
        hand.input("x", ("n", 2, 3, 45)),
        ends("expand", 4, 2, 1, 3),
        c.scales("channels", 5 + whole, 4),
        c.whole("middle", np.int8, -127, 128, 4, 2, 3, 3),
        ends("project", 2, 4, 3, 1),
    ]
    made = [hand.output("y", ("n", 2, 3, 45)), hand.arena("scratch", (4 * 3 * 45,))]
    pads = {"pad_left_1": 1, "pad_top_2": 1, "pad_left_2": 1, "pad_top_3": 1}
    hand.step(Op.CONV_BLOCK, operands, made, groups=2, **how, **pads)
    return write_bundle(hand.plan())


def wide_seeds() -> dict[str, bytes]:
    """Operations whose kernels work in tiles and blocks, on more than one of them."""
    same, byte = {"pad_top": 1, "pad_bottom": 1}, {"x_type": np.uint8, "y_type": np.int8}
    limits = {"x_zero": 9, "y_zero": -3, "low": -128, "high": 127}
    wide = {"pad_left": 2, "pad_right": 2, **same}
    half = {"stride_h": 2, "stride_w": 2, "dilation_w": 3, "pad_left": 3, "pad_right": 3, **same}
    q = [("i8", 9, 2, 3, 5), ("i32", 9), ("scale", 9)]
    shift = {**byte, **limits}
    i16 = {"x_type": np.int16, "y_type": np.int16, **limits}
    return {
        "message_of_widths": _message_of_widths(),
        "wide_table_nearest": _nearest_in_tiles(),
        "wide_conv2d": _one_step(
            Op.CONV2D, ("n", 2, 4, 45), ("n", 10, 4, 45), [("f", 10, 2, 3, 5), ("f", 10)], **wide
        ),
        "wide_conv2d_strided": _one_step(
            Op.CONV2D, ("n", 2, 5, 40), ("n", 6, 3, 20), [("f", 6, 2, 3, 3), ("f", 6)], **half
        ),
        "wide_conv2d_whole": _one_step(
            Op.CONV2D, ("n", 3, 5, 7), ("n", 4, 1, 1), [("f", 4, 3, 5, 7), ("f", 4)]
        ),
        "wide_qconv2d": _one_step(
            Op.QCONV2D, ("n", 2, 4, 45), ("n", 9, 4, 45), q, **wide, **shift
        ),
        "wide_qconv2d_strided": _one_step(
            Op.QCONV2D, ("n", 2, 5, 40), ("n", 9, 3, 17), q, **half, **i16
        ),
        "wide_qlinear": _one_step(
            Op.QLINEAR, ("n", 6, 270), ("n", 6, 5), [("i8", 5, 270), ("i32", 5), ("scale", 5)],
            **i16,
        ),
        "wide_conv_block": _coded_block(code_scale=2.0**-6, code_zero=128),
        "wide_conv_block_16": _coded_block(code_scale=2.0**-12, code_bits=16),
        "wide_conv_block_whole": _coded_block(
            whole=True, code_scale=2.0**13, code_zero=99, x_scale=2.0**-12, y_scale=1e-6
        ),
        "wide_bits_network": _one_step(
            Op.BITS_NETWORK, ("n", 121), ("n", 44, 19),
            [("i8", 39, 22), ("i32", 39), ("scale", 39), ("i8", 19, 39), ("i32", 19),
             ("scale", 19)],
            x_type=np.uint8, hidden_zero=9, hidden_low=5, hidden_high=250,
            y_zero=99, low=3, high=255, y_scale=0.1,
        ),
        "wide_quantize_logit": _one_step(
            Op.QUANTIZE_LOGIT, ("n", 77), ("n", 77), [("rising", 255)], y_type=np.uint8
        ),
        "wide_edge_attention": _one_step_of_edges(),
        "wide_residual_quantize": _wide_tier(),
        "wide_linear": _one_step(Op.LINEAR, ("n", 35), ("n", 18), [("f", 18, 35), ("f", 18)]),
        "wide_matmul": _one_step(Op.MATMUL, ("n", 2, 9), ("n", 2, 70), [("f", 9, 70)]),
        "wide_softmax": _one_step(Op.SOFTMAX, ("n", 3, 70), ("n", 3, 70), [], axis=1),
        "wide_reduce": _one_step(
            Op.REDUCE, ("n", 5, 3, 17), ("n", 1, 3, 1), [], function=Reduction.MAX, axes=0b1010
        ),
        "wide_binary": _one_step(
            Op.BINARY, ("n", 3, 1), ("n", 3, 130), [("f", 130)], function=Binary.MIN
        ),
        "wide_pool2d": _one_step(
            Op.POOL2D, ("n", 2, 9, 35), ("n", 2, 5, 12), [], function=Reduction.MAX,
            kernel_h=3, kernel_w=4, stride_h=2, stride_w=3, pad_top=1, pad_bottom=1, pad_right=2,
        ),
        "wide_conv_transpose2d": _one_step(
            Op.CONV_TRANSPOSE2D, ("n", 2, 3, 50), ("n", 3, 5, 150), [("f", 2, 3, 3, 3), ("f", 3)],
            stride_h=2, stride_w=3, pad_top=1, pad_bottom=1,
        ),
    }  # fmt: skip
