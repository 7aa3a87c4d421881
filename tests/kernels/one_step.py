"""One operation with fixed shapes through the real runtime, on every instruction set."""

from typing import Any

import numpy as np
from hand_plan import HandPlan
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part

Array = NDArray[Any]
EPS = float(np.finfo(np.float32).eps)


def same_bits(a: Array, b: Array) -> bool:
    """Equal to the last bit; the sign and payload of a NaN are the target's."""
    if a.dtype != np.float32:
        return np.array_equal(a, b)
    numbers = ~(np.isnan(a) & np.isnan(b))
    return np.array_equal(a[numbers].view(np.uint32), b[numbers].view(np.uint32))


def run_fixed(
    op: Op,
    inputs: list[Array | None],
    out_shape: tuple[int, ...],
    out_dtype: Any = np.float32,
    constants: tuple[int, ...] = (),
    **params: Any,
) -> Array:
    """Runs one operation without a batch; `constants` are the indices of constant inputs.

    The default instruction set and the scalar reference must give the same bits.
    """
    hand = HandPlan()
    operands: list[int | None] = []
    arrays = []
    for i, value in enumerate(inputs):
        if value is None:
            operands.append(None)
        elif i in constants:
            operands.append(hand.constant(f"c{i}", value))
        else:
            operands.append(hand.input(f"x{i}", value.shape, value.dtype))
            arrays.append(value)
    if not arrays:
        raise ValueError("a part needs an input")
    hand.step(op, operands, [hand.output("y", out_shape, out_dtype)], **params)
    bundle = write_bundle(hand.plan())
    y = Part(bundle).run(*arrays)[0]
    assert same_bits(y, Part(bundle, isa="reference").run(*arrays)[0])
    return y


def run_in_place(op: Op, inputs: list[Array], place: int, **params: Any) -> Array:
    """The same with y on the bytes of input `place`, which is copied into the arena before."""
    hand = HandPlan()
    operands = [hand.input(f"x{i}", value.shape, value.dtype) for i, value in enumerate(inputs)]
    shape, dtype = inputs[place].shape, inputs[place].dtype
    held = hand.arena("held", shape, dtype)
    hand.step(Op.COPY, [operands[place]], [held])
    result = hand.view(held, "result", shape)
    hand.step(op, [held if i == place else t for i, t in enumerate(operands)], [result], **params)
    hand.step(Op.COPY, [result], [hand.output("y", shape, dtype)])
    return Part(write_bundle(hand.plan())).run(*inputs)[0]


def normal(seed: int, *shape: int, scale: float = 1.0) -> Array:
    return np.random.default_rng(seed).normal(scale=scale, size=shape).astype(np.float32)
