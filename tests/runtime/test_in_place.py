"""Operations that may overwrite an input compute the same when they do."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan

from csideploy.export.bundle_write import write_bundle
from csideploy.export.operation_rules import IN_PLACE
from csideploy.export.operations import Activation, Binary, Integer, Unary
from csideploy.export.plan import OPS, Op
from csideploy.runtime import Part

SHAPE = (3, 4, 5)
ACT = {"activation": Activation.LEAKY, "alpha": 0.3}
Q = {"y_scale": 0.011, "y_zero": 3}
# (parameters, element types of the inputs in order; the output's is the first one's)
F, W, B = np.float32, np.int32, np.int8
FORMS: dict[Op, tuple[dict[str, Any], tuple[Any, ...]]] = {
    Op.CONV2D: ({"activation": Activation.RELU}, (F, F, None, None, F)),
    Op.ADD: (ACT, (F, F)),
    Op.ACTIVATION: (ACT, (F,)),
    Op.COPY: ({}, (F,)),
    Op.UNARY: ({"function": Unary.MISH}, (F,)),
    Op.BINARY: ({"function": Binary.SUB}, (F, F)),
    Op.INTEGER: ({"function": Integer.SUB}, (W, W)),
    Op.WHERE: ({}, (np.uint8, F, F)),
    Op.SOFTMAX: ({"axis": 1}, (F,)),
    Op.CUMSUM: ({"axis": 1, "exclusive": 1, "reverse": 1}, (F,)),
    Op.LAYER_NORM: ({"axis": 2, "epsilon": 1e-5}, (F,)),
    Op.QADD: ({**ACT, **Q, "a_scale": 0.02, "b_scale": 0.013, "b_zero": -7}, (B, B)),
    Op.QACTIVATION: ({**ACT, **Q, "x_scale": 0.02}, (B,)),
    Op.QTABLE: ({}, (B, B)),
}
CASES = [(op, role) for op, roles in IN_PLACE.items() for role in roles]


def part(op: Op, role: str, *, in_place: bool) -> Part:
    """Inputs are copied into the arena; the output lies there too, over `role` or apart."""
    params, dtypes = FORMS[op]
    hand = HandPlan(n_max=2)
    shape = ("n", *SHAPE)
    operands: list[int | None] = []
    for i, dtype in enumerate(dtypes):
        name = OPS[op].inputs[i].removesuffix("?")
        if dtype is None:
            operands.append(None)
        elif name == "weight":
            operands.append(hand.constant("w", np.eye(3, dtype=F).reshape(3, 3, 1, 1)))
        elif name == "table":
            operands.append(hand.constant("t", np.roll(np.arange(-128, 128), 99).astype(B)))
        else:
            operands.append(hand.arena(name, shape, dtype))
            hand.step(Op.COPY, [hand.input(f"in.{name}", shape, dtype)], [operands[-1]])
    over = operands[OPS[op].inputs.index(role)]
    assert over is not None
    y = hand.view(over, "y", shape) if in_place else hand.arena("y", shape, dtypes[-1])
    hand.step(op, operands, [y], **params)
    hand.step(Op.COPY, [y], [hand.output("out", shape, dtypes[-1])])
    return Part(write_bundle(hand.plan()))


def test_every_right_has_a_form() -> None:
    assert set(FORMS) == set(IN_PLACE)


@pytest.mark.parametrize(("op", "role"), CASES)
def test_the_same_bits(op: Op, role: str) -> None:
    apart, over = part(op, role, in_place=False), part(op, role, in_place=True)
    rng = np.random.default_rng(int(op))
    arrays = []
    for info in apart.inputs:
        if info.dtype == "float32":
            arrays.append(rng.normal(size=(5, *SHAPE)).astype(F))
        else:
            arrays.append(rng.integers(-100, 100, (5, *SHAPE)).astype(info.dtype))
    (expected,), (got,) = apart.run(*arrays), over.run(*arrays)
    assert np.array_equal(got, expected)
    assert len(np.unique(expected)) > 20
    assert over.arena_bytes < apart.arena_bytes
