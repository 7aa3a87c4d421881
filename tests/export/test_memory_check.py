"""The plan checker catches each kind of fault: a good plan, broken in one place."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from csideploy.export.memory_check import PlanError, check_memory
from csideploy.export.plan import Activation, DType, Op, Plan, Step, Storage, Tensor

IMAGE = ("n", 2, 4, 4)
SIZE = 2 * 4 * 4 * 4
CONV = {
    **dict.fromkeys(("groups", "stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
    **dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 0),
    "activation": Activation.NONE,
    "alpha": 0.0,
}
X, W, A, B, C, VIEW, Y, Z = range(8)


def good() -> Plan:
    """x -> a -> b -> c (over a, its residual) -> y; c seen as a row -> z."""
    arena, f32 = Storage.ARENA, DType.F32
    tensors = (
        Tensor("x", f32, IMAGE, Storage.INPUT, 0),
        Tensor("w", f32, (2, 2, 1, 1), Storage.WEIGHTS, 0),
        Tensor("a", f32, IMAGE, arena, 0),
        Tensor("b", f32, IMAGE, arena, SIZE),
        Tensor("c", f32, IMAGE, arena, 0),
        Tensor("c.row", f32, ("n", 32), arena, 0),
        Tensor("y", f32, ("n", 32), Storage.OUTPUT, 0),
        Tensor("z", f32, IMAGE, Storage.OUTPUT, 1),
    )
    copy = {"activation": Activation.TANH, "alpha": 0.0}
    steps = (
        Step(Op.CONV2D, "first", (X, W, None, None, None), (A,), CONV),
        Step(Op.CONV2D, "second", (A, W, None, None, None), (B,), CONV),
        Step(Op.CONV2D, "third", (B, W, None, None, A), (C,), CONV),
        Step(Op.ACTIVATION, "row", (VIEW, None), (Y,), copy),
        Step(Op.ACTIVATION, "image", (C, None), (Z,), copy),
    )
    weights = np.ones(16, np.uint8)
    return Plan("p", "ue", tensors, steps, (X,), (Y, Z), weights, 2 * SIZE)


VIEWS = {VIEW: C}


def tensor(index: int, **changes: Any) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        tensors = list(plan.tensors)
        tensors[index] = replace(tensors[index], **changes)
        return replace(plan, tensors=tuple(tensors))

    return change


def steps(*order: int) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, steps=tuple(plan.steps[i] for i in order))


def step(index: int, **changes: Any) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        found = list(plan.steps)
        found[index] = replace(found[index], **changes)
        return replace(plan, steps=tuple(found))

    return change


def arena(nbytes: int, *others: Callable[[Plan], Plan]) -> Callable[[Plan], Plan]:
    def change(plan: Plan) -> Plan:
        for other in others:
            plan = other(plan)
        return replace(plan, arena_bytes=nbytes)

    return change


FAULTS: dict[str, tuple[Callable[[Plan], Plan], str]] = {
    "a convolution over its own x": (
        arena(SIZE, tensor(B, place=0)), "'second' writes 'b' over its input x"),
    "half over its x": (
        arena(SIZE + 64, tensor(B, place=64)), "'second' writes 'b' over its input x"),
    "over its residual of another shape": (
        tensor(A, shape=("n", 4, 2, 4)), "'third' writes 'c' over its input residual"),
    "over its residual of another type": (
        tensor(A, dtype=DType.I32), "'third' writes 'c' over its input residual"),
    "half over its residual": (
        arena(3 * SIZE - 64, tensor(A, place=2 * SIZE - 64), tensor(C, place=2 * SIZE - 128),
              tensor(VIEW, place=2 * SIZE - 128), tensor(B, place=0)),
        "'third' writes 'c' over its input residual"),
    "over a tensor that is needed later": (
        step(1, inputs=(X, W, None, None, None), outputs=(VIEW,)), "writes a view"),
    "what was overwritten is read": (
        step(4, inputs=(A, None)), "'image': 'a' is read where 'c' was written last"),
    "read before it is written": (steps(1, 0, 2, 3, 4), "'a' is read where nothing"),
    "an output that no step makes": (steps(0, 1, 2, 3), "at the end: 'z'"),
    "a view of something else": (tensor(VIEW, place=SIZE), "'c.row' is read where 'b'"),
    "arena too small": (arena(2 * SIZE - 16), "the tensors end at"),
    "arena too large": (arena(2 * SIZE + 16), "the tensors end at"),
    "misaligned": (arena(2 * SIZE + 4, tensor(B, place=SIZE + 4)), "'b' is misaligned"),
    "a weight outside": (tensor(W, place=16), "'w' is outside"),
    "a weight misaligned": (tensor(W, place=4), "'w' is misaligned"),
    "a step that writes weights": (step(1, outputs=(W,)), "not writable"),
    "a step that writes the input": (step(1, outputs=(X,)), "not writable"),
    "two outputs in one place": (tensor(Z, place=0), "output 'z' is not at its place"),
    "an output that is nowhere": (tensor(Z, place=2), "'z' is at no"),
    "an output in the arena": (
        tensor(Z, storage=Storage.ARENA, place=0), "output 'z' is not at its place"),
    "an input of another size": (
        lambda plan: tensor(Y, shape=("n", 16))(replace(plan, outputs=(Z, Z))), "not all of its"),
    "an empty tensor": (tensor(A, shape=("n", 0)), "'a' is empty"),
}  # fmt: skip


def test_the_good_plan_passes() -> None:
    check_memory(good(), VIEWS)
    with pytest.raises(PlanError, match=r"'c\.row' is read where 'c'"):
        check_memory(good())


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught(name: str) -> None:
    change, message = FAULTS[name]
    with pytest.raises(PlanError, match=message):
        check_memory(change(good()), VIEWS)
