"""One row for each rule of verify_float.c, and one accepted bundle for each way to satisfy it."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan

from csideploy.errors import FormatError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.operations import Binary, Comparison, Integer, PadMode, Reduction, Unary
from csideploy.export.plan import Op
from csideploy.runtime import Part

Shape = tuple[int | str, ...]
Case = tuple[list[Shape | None], Shape, dict[str, Any]]
F32, U8, I32 = np.float32, np.uint8, np.int32
CONSTANT = {Op.LAYER_NORM: (1, 2), Op.CONV_TRANSPOSE2D: (1, 2)}
TYPES: dict[Op, tuple[list[Any], Any]] = {
    Op.INTEGER: ([I32, I32], I32),
    Op.COMPARE: ([F32, F32], U8),
    Op.WHERE: ([U8, F32, F32], F32),
    Op.ARG_EXTREME: ([F32], I32),
    Op.GATHER: ([F32, I32], F32),
    Op.CAST: ([F32], I32),
}


def bundle(op: Op, case: Case) -> bytes:
    """One step with inputs of these shapes, n_max 2 and k_max 3."""
    shapes, out, params = case
    hand = HandPlan(n_max=2, k_max=3)
    types, gives = TYPES.get(op, ([F32] * len(shapes), F32))
    operands: list[int | None] = []
    for i, (shape, dtype) in enumerate(zip(shapes, types, strict=True)):
        if shape is None:
            operands.append(None)
        elif i in CONSTANT.get(op, ()):
            operands.append(hand.constant(f"c{i}", np.ones(shape, dtype)))  # type: ignore[arg-type]
        else:
            operands.append(hand.input(f"x{i}", shape, dtype))
    hand.step(op, operands, [hand.output("y", out, gives)], **params)
    return write_bundle(hand.plan())


BROADCAST: dict[Op, dict[str, Any]] = {
    Op.BINARY: {"function": Binary.ADD},
    Op.INTEGER: {"function": Integer.ADD},
    Op.COMPARE: {"function": Comparison.LESS},
}
GOOD_PAIRS: list[tuple[Shape, Shape, Shape]] = [
    (("n", 3, 4), ("n", 3, 4), ("n", 3, 4)),
    (("n", 3, 1), (4,), ("n", 3, 4)),
    ((1, 3, 4), ("n", 1, 1), ("n", 3, 4)),
    (("n", "k", 4), ("k", 1), ("n", "k", 4)),
]
BAD_PAIRS: list[tuple[Shape, Shape, Shape]] = [
    (("n", 3, 4), ("n", 2, 4), ("n", 3, 4)),  # 2 against 3
    (("n", 3, 4), ("n", 3, 4), ("n", 3, 5)),  # y of another size
    ((1, 3), (1, 3), ("n", 3)),  # y longer than both
    ((2, 3), ("n", 3), ("n", 3)),  # n against a number
    (("n", 3), (2, "n", 3)[1:], (2, 3)),  # y without the batch
    (("n", 3), ("k", 3), ("n", 3)),  # users against samples
    ((3, 4), (3, 4), (1, 3, 4)),  # y of a higher rank
    ((2, 3, 4), (3, 4), (3, 4)),  # y of a lower rank
]

P1 = dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 1)
MAX3 = {"function": Reduction.MAX, "kernel_h": 3, "kernel_w": 3}
POOL = {**MAX3, "stride_h": 2, "stride_w": 2}
SUM = {"function": Reduction.SUM}
ARG = {"function": Reduction.MAX}
EPS = {"epsilon": 1e-5}
IMAGE: Shape = ("n", 4, 8, 9)
T = {"stride_h": 2, "stride_w": 2}


def perm(*axes: int) -> dict[str, int]:
    return {f"perm_{i}": axis for i, axis in enumerate(axes)}


def cut(starts: tuple[int, ...], steps: tuple[int, ...]) -> dict[str, int]:
    named = {f"start_{i}": value for i, value in enumerate(starts)}
    return named | {f"step_{i}": value for i, value in enumerate(steps)}


def before(*counts: int, mode: PadMode = PadMode.CONSTANT) -> dict[str, int]:
    return {f"before_{i}": count for i, count in enumerate(counts)} | {"mode": mode}


GOOD: list[tuple[Op, Case]] = [
    *((op, ([a, b], y, params)) for op, params in BROADCAST.items() for a, b, y in GOOD_PAIRS),
    (Op.UNARY, ([("n", 3)], ("n", 3), {"function": Unary.EXP})),
    (Op.WHERE, ([("n", 1), ("n", 5), (1,)], ("n", 5), {})),
    (Op.MATMUL, ([("n", 2, 3, 4), ("n", 2, 4, 5)], ("n", 2, 3, 5), {})),
    (Op.MATMUL, ([("n", 2, 3, 4), (4, 5)], ("n", 2, 3, 5), {})),
    (Op.MATMUL, ([("n", 4), (4, 5)], ("n", 5), {})),
    (Op.MATMUL, ([(3, 4), ("n", 1, 4, "k")], ("n", 1, 3, "k"), {})),
    (Op.MATMUL, ([("n", 3, "k"), ("n", "k", 2)], ("n", 3, 2), {})),
    (Op.SOFTMAX, ([("n", 3, "k")], ("n", 3, "k"), {"axis": 2})),
    (Op.SOFTMAX, ([(3,)], (3,), {"axis": 0})),
    (Op.CUMSUM, ([("n", 3, "k")], ("n", 3, "k"), {"axis": 2})),
    (Op.LAYER_NORM, ([("n", 3, 4), (3, 4), (3, 4)], ("n", 3, 4), {"axis": 1, **EPS})),
    (Op.LAYER_NORM, ([("n", 3, 4), (4,), None], ("n", 3, 4), {"axis": 2, **EPS})),
    (Op.LAYER_NORM, ([("n", 3, "k"), None, None], ("n", 3, "k"), {"axis": 1, **EPS})),
    (Op.REDUCE, ([("n", 3, "k")], ("n", 1, 1), {**SUM, "axes": 0b110})),
    (Op.REDUCE, ([(3, 4)], (1, 4), {**SUM, "axes": 1})),
    (Op.ARG_EXTREME, ([("n", 3, "k")], ("n", 3, 1), {**ARG, "axis": 2})),
    (Op.POOL2D, ([("n", "k", 8, 9)], ("n", "k", 6, 7), MAX3)),
    (Op.POOL2D, ([IMAGE], ("n", 4, 4, 4), {**POOL, "pad_top": 1})),
    # ceil_mode: one more window, which begins inside and reaches beyond the pads.
    (Op.POOL2D, ([IMAGE], ("n", 4, 4, 4), POOL)),
    (Op.POOL2D, ([IMAGE], ("n", 4, 3, 4), POOL)),
    (Op.POOL2D, ([("n", 4, 2, 9)], ("n", 4, 1, 4), POOL)),
    (Op.CONV_TRANSPOSE2D, ([("n", 4, 5, 6), (4, 3, 3, 3), (6,)], ("n", 6, 7, 8), {"groups": 2})),
    (Op.CONV_TRANSPOSE2D, ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 11, 14), T)),
    (Op.CONV_TRANSPOSE2D, ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 9, 12), {**T, **P1})),
    (
        Op.CONV_TRANSPOSE2D,
        (
            [("n", 4, 5, 6), (4, 3, 3, 3), None],
            ("n", 3, 11, 12),
            {"dilation_h": 3, "dilation_w": 3},
        ),
    ),
    (Op.TRANSPOSE, ([("n", 3, "k")], ("n", "k", 3), perm(0, 2, 1))),
    (Op.SLICE, ([("n", 3, "k", 9)], ("n", 2, "k", 4), cut((0, 2, 0, 1), (1, -2, 1, 2)))),
    (Op.PAD, ([("n", 3, "k")], ("n", 6, "k"), before(0, 2, 0))),
    (Op.PAD, ([("n", 3)], ("n", 7), before(0, 2, mode=PadMode.REFLECT))),
    (Op.PAD, ([("n", 3)], ("n", 12), before(0, 4, mode=PadMode.EDGE))),
    (Op.EXPAND, ([(1, 3)], ("n", "k", 3), {})),
    (Op.EXPAND, ([("n", 1)], ("n", 3), {})),
    (Op.GATHER, ([(9, 3), ("n", 2)], ("n", 2, 3), {"axis": 0})),
    (Op.GATHER, ([("n", "k", 3), (2, 2)], ("n", 2, 2, 3), {"axis": 1})),
    (Op.CAST, ([("n", 3)], ("n", 3), {})),
]

BAD: list[tuple[str, Op, Case]] = [
    *((op.name, op, ([a, b], y, p)) for op, p in BROADCAST.items() for a, b, y in BAD_PAIRS),
    ("unary shape", Op.UNARY, ([("n", 3)], ("n", 4), {"function": Unary.EXP})),
    ("condition", Op.WHERE, ([("n", 2), ("n", 5), (1,)], ("n", 5), {})),
    ("second branch", Op.WHERE, ([("n", 1), ("n", 5), (4,)], ("n", 5), {})),
    ("matrix of rank 1", Op.MATMUL, ([(4,), (4, 5)], (1, 5), {})),
    ("second of rank 1", Op.MATMUL, ([("n", 4), (4,)], ("n", 1), {})),
    ("product of rank 1", Op.MATMUL, ([(3, 4), (4, 5)], (15,), {})),
    ("leading axes", Op.MATMUL, ([("n", 2, 3, 4), ("n", 3, 4, 5)], ("n", 2, 3, 5), {})),
    ("inner axes", Op.MATMUL, ([("n", 3, 4), (5, 5)], ("n", 3, 5), {})),
    ("inner users", Op.MATMUL, ([("n", 3, "k"), (4, 5)], ("n", 3, 5), {})),
    ("product's rows", Op.MATMUL, ([("n", 3, 4), (4, 5)], ("n", 2, 5), {})),
    ("product's columns", Op.MATMUL, ([("n", 3, 4), (4, 5)], ("n", 3, 4), {})),
    ("cumsum shape", Op.CUMSUM, ([("n", 3)], ("n", 4), {"axis": 1})),
    ("cumsum axis", Op.CUMSUM, ([("n", 3)], ("n", 3), {"axis": 2})),
    ("cumsum over samples", Op.CUMSUM, ([("n", 3)], ("n", 3), {"axis": 0})),
    ("softmax shape", Op.SOFTMAX, ([("n", 3)], ("n", 4), {"axis": 1})),
    ("softmax axis", Op.SOFTMAX, ([("n", 3)], ("n", 3), {"axis": 2})),
    ("softmax over samples", Op.SOFTMAX, ([("n", 3)], ("n", 3), {"axis": 0})),
    ("norm shape", Op.LAYER_NORM, ([("n", 3), None, None], ("n", 4), {"axis": 1, **EPS})),
    ("norm axis", Op.LAYER_NORM, ([("n", 3), None, None], ("n", 3), {"axis": 2, **EPS})),
    ("norm over samples", Op.LAYER_NORM, ([("n", 3), None, None], ("n", 3), {"axis": 0, **EPS})),
    ("norm scale", Op.LAYER_NORM, ([("n", 3), (4,), None], ("n", 3), {"axis": 1, **EPS})),
    ("scale's rank", Op.LAYER_NORM, ([("n", 3), (1, 3), None], ("n", 3), {"axis": 1, **EPS})),
    ("norm bias", Op.LAYER_NORM, ([("n", 2, 3), None, (3,)], ("n", 2, 3), {"axis": 1, **EPS})),
    ("scale of users", Op.LAYER_NORM, ([("n", "k"), (3,), None], ("n", "k"), {"axis": 1, **EPS})),
    ("axes beyond", Op.REDUCE, ([("n", 3)], ("n", 3), {**SUM, "axes": 4})),
    ("sum over samples", Op.REDUCE, ([("n", 3)], (1, 3), {**SUM, "axes": 1})),
    ("sum's rank", Op.REDUCE, ([("n", 3)], ("n",), {**SUM, "axes": 2})),
    ("sum not 1", Op.REDUCE, ([("n", 3)], ("n", 3), {**SUM, "axes": 2})),
    ("kept axis", Op.REDUCE, ([("n", 3, 4)], ("n", 2, 1), {**SUM, "axes": 4})),
    ("index axis", Op.ARG_EXTREME, ([("n", 3)], ("n", 3), {**ARG, "axis": 2})),
    ("index not 1", Op.ARG_EXTREME, ([("n", 3)], ("n", 3), {**ARG, "axis": 1})),
    ("index over samples", Op.ARG_EXTREME, ([("n", 3)], (1, 3), {**ARG, "axis": 0})),
    ("pool of rank 3", Op.POOL2D, ([("n", 8, 9)], ("n", 6, 7, 1), MAX3)),
    ("pool to rank 3", Op.POOL2D, ([IMAGE], ("n", 6, 7), MAX3)),
    ("pool batch", Op.POOL2D, ([IMAGE], (1, 4, 6, 7), MAX3)),
    ("pool channels", Op.POOL2D, ([IMAGE], ("n", 5, 6, 7), MAX3)),
    ("pool of users", Op.POOL2D, ([("n", 4, "k", 9)], ("n", 4, 6, 7), MAX3)),
    ("pool to users", Op.POOL2D, ([IMAGE], ("n", 4, 6, "k"), MAX3)),
    ("pool too few", Op.POOL2D, ([IMAGE], ("n", 4, 5, 7), MAX3)),
    ("pool too many", Op.POOL2D, ([IMAGE], ("n", 4, 6, 8), MAX3)),
    ("one window too many", Op.POOL2D, ([IMAGE], ("n", 4, 5, 4), POOL)),
    ("window in the pads", Op.POOL2D, ([IMAGE], ("n", 4, 5, 4), {**POOL, "pad_bottom": 2})),
    (
        "window that overhangs",
        Op.POOL2D,
        ([("n", 4, 1, 9)], ("n", 4, 1, 7), {**MAX3, "stride_w": 1}),
    ),
    *(
        (name, Op.CONV_TRANSPOSE2D, case)
        for name, case in {
            "transposed x": ([("n", 4, 6), (4, 3, 3, 3), None], ("n", 3, 7, 8), {}),
            "transposed weight": ([("n", 4, 5, 6), (4, 3, 9), None], ("n", 3, 7, 8), {}),
            "transposed y": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 7, 8), {}),
            "transposed batch": ([("n", 4, 5, 6), (4, 3, 3, 3), None], (1, 3, 7, 8), {}),
            "users in": ([("n", 4, "k", 6), (4, 3, 3, 3), None], ("n", 3, 7, 8), {}),
            "users out": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 7, "k"), {}),
            "channels in": ([("n", 4, 5, 6), (5, 3, 3, 3), None], ("n", 3, 7, 8), {}),
            "channels of users": ([("n", "k", 5, 6), (4, 3, 3, 3), None], ("n", 3, 7, 8), {}),
            "channels out": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 4, 7, 8), {}),
            "groups": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 9, 7, 8), {"groups": 3}),
            "bias": ([("n", 4, 5, 6), (4, 3, 3, 3), (4,)], ("n", 3, 7, 8), {}),
            "rows too few": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 6, 8), {}),
            "rows too many": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 8, 8), {}),
            "columns too few": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 11, 12), T),
            "columns too many": ([("n", 4, 5, 6), (4, 3, 3, 3), None], ("n", 3, 11, 15), T),
        }.items()
    ),
    ("transposed rank", Op.TRANSPOSE, ([("n", 12)], ("n", 3, 4), perm(0, 1))),
    ("perm beyond", Op.TRANSPOSE, ([("n", 3, 4)], ("n", 4, 3), perm(0, 3, 1))),
    ("perm twice", Op.TRANSPOSE, ([("n", 3, 3)], ("n", 3, 3), perm(0, 1, 1))),
    ("perm of nothing", Op.TRANSPOSE, ([("n", 3)], ("n", 3), perm(0, 1, 2))),
    ("perm's shape", Op.TRANSPOSE, ([("n", 3, 4)], ("n", 3, 4), perm(0, 2, 1))),
    ("slice rank", Op.SLICE, ([("n", 12)], ("n", 3, 4), {})),
    ("slice start", Op.SLICE, ([("n", 5)], ("n", 1), cut((0, 5), (1, -1)))),
    ("slice end", Op.SLICE, ([("n", 5)], ("n", 3), cut((0, 1), (1, 2)))),
    ("slice before 0", Op.SLICE, ([("n", 5)], ("n", 4), cut((0, 2), (1, -1)))),
    ("slice far beyond", Op.SLICE, ([("n", 5)], ("n", 5), cut((0, 0), (1, 0x7FFFFFFF)))),
    ("step 0", Op.SLICE, ([("n", 5)], ("n", 5), cut((0, 0), (1, 0)))),
    ("slice of samples", Op.SLICE, ([("n", 5)], (1, 5), {})),
    ("slice of users", Op.SLICE, ([("n", "k")], ("n", "k"), cut((0, 1), (1, 1)))),
    ("users backwards", Op.SLICE, ([("n", "k")], ("n", "k"), cut((0, 0), (1, -1)))),
    ("slice to users", Op.SLICE, ([("n", 5)], ("n", "k"), {})),
    ("unused start", Op.SLICE, ([("n", 5)], ("n", 5), cut((0, 0, 1), (1, 1)))),
    ("unused step", Op.SLICE, ([("n", 5)], ("n", 5), cut((0, 0), (1, 1, 2)))),
    ("pad rank", Op.PAD, ([("n", 12)], ("n", 3, 4), before(0, 0))),
    ("pad too small", Op.PAD, ([("n", 5)], ("n", 6), before(0, 2))),
    ("pad of samples", Op.PAD, ([("n", 5)], (1, 5), before(0, 0))),
    ("pad in front of users", Op.PAD, ([("n", "k")], ("n", "k"), before(0, 1))),
    ("pad to users", Op.PAD, ([("n", 5)], ("n", "k"), before(0, 0))),
    ("unused pad", Op.PAD, ([("n", 5)], ("n", 5), before(0, 0, 1))),
    ("mirror in front", Op.PAD, ([("n", 3)], ("n", 6), before(0, 3, mode=PadMode.REFLECT))),
    ("mirror behind", Op.PAD, ([("n", 3)], ("n", 6), before(0, 0, mode=PadMode.REFLECT))),
    ("expand rank", Op.EXPAND, ([(1, 3)], (3,), {})),
    ("expand size", Op.EXPAND, ([("n", 2)], ("n", 4), {})),
    ("expand samples", Op.EXPAND, ([("n", 1)], (2, 2), {})),
    ("gather axis", Op.GATHER, ([(9, 3), ("n", 2)], ("n", 2), {"axis": 2})),
    ("gather samples", Op.GATHER, ([("n", 3), (2,)], (2, 3), {"axis": 0})),
    ("gather rank", Op.GATHER, ([(9, 3), ("n", 2)], ("n", 6), {"axis": 0})),
    ("gather before", Op.GATHER, ([(9, 3), (2,)], (8, 2), {"axis": 1})),
    ("gather indices", Op.GATHER, ([(9, 3), (2,)], (9, 3), {"axis": 1})),
    ("gather behind", Op.GATHER, ([(9, 3), (2,)], (2, 2), {"axis": 0})),
    ("cast shape", Op.CAST, ([("n", 3)], ("n", 1, 3), {})),
]


@pytest.mark.parametrize(("op", "case"), GOOD)
def test_accepted(op: Op, case: Case) -> None:
    Part(bundle(op, case))


@pytest.mark.parametrize(("name", "op", "case"), BAD)
def test_refused(name: str, op: Op, case: Case) -> None:
    with pytest.raises(FormatError) as error:
        Part(bundle(op, case))
    text = str(error.value)
    assert "BAD_SHAPE" in text, name
    assert "step 0" in text
    assert "\n" not in text
