"""Bundles of one sound step with a change, for the rows of bad bundles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from hand_plan import HandPlan
from numpy.typing import NDArray

from csideploy.export.bundle_write import write_bundle
from csideploy.export.operations import OPS, Op


@dataclass(frozen=True)
class Tensor:
    """An input or the output of the step: shape and element type."""

    shape: tuple[Any, ...]
    dtype: Any = np.uint8


Operand = Tensor | NDArray[Any] | None
Sound = Mapping[Op, tuple[dict[str, Operand], dict[str, Any]]]


def image(*shape: Any) -> Tensor:
    return Tensor(("n", *shape))


def changed(sound: Sound, op: Op, **changes: Any) -> bytes:
    """The sound step of an operation with other operands or parameters."""
    operands, params = sound[op]
    unknown = set(changes) - set(operands) - set(params)
    assert not unknown, unknown
    hand = HandPlan(k_max=2)
    indices: list[int | None] = []
    for role in (*OPS[op].inputs, *OPS[op].outputs):
        name = role.rstrip("?")
        operand = changes.get(name, operands[name])
        if operand is None:
            indices.append(None)
        elif isinstance(operand, Tensor):
            add = hand.output if role in OPS[op].outputs else hand.input
            indices.append(add(name, operand.shape, operand.dtype))
        else:
            indices.append(hand.constant(name, operand))
    count = len(OPS[op].inputs)
    outputs = [index for index in indices[count:] if index is not None]
    assert len(outputs) == len(OPS[op].outputs)
    hand.step(op, indices[:count], outputs, **{k: changes.get(k, v) for k, v in params.items()})
    return write_bundle(hand.plan())
