"""What the latency model has to know of a plan's step beside its operations and constants."""

from __future__ import annotations

from csideploy.export.operations import OPS, Activation, Op, Unary
from csideploy.export.plan import Plan, Step, Storage, Tensor
from csideploy.targets.kinds import CONVOLUTIONS, kind_by_name

WIDE = 8
"""Channels from which a convolution keeps vectors busy: those of 256 bits hold 8 fp32 numbers."""

SIMPLE = {Unary.NEG, Unary.ABS, Unary.FLOOR, Unary.CEIL, Unary.ROUND, Unary.SIGN, Unary.CLIP}
CURVED = {Activation.SIGMOID, Activation.TANH}


def kind_of(step: Step, plan: Plan) -> str:
    """The kind of a step."""
    if step.op is Op.UNARY and step.params["function"] in SIMPLE:
        return "elementwise"
    if step.op is Op.ACTIVATION and step.params["activation"] in CURVED:
        return "function"
    if step.op.name not in CONVOLUTIONS:
        return kind_by_name(step.op.name)
    weight = plan.tensors[_present(step.inputs[1])]
    groups = int(step.params["groups"])
    if step.op is Op.CONV_TRANSPOSE2D:  # weight (C, O/groups, kh, kw)
        inputs, outputs = int(weight.shape[0]) // groups, int(weight.shape[1])
    else:  # weight (O, C/groups, kh, kw)
        inputs, outputs = int(weight.shape[1]), int(weight.shape[0]) // groups
    if groups > 1 and max(inputs, outputs) < WIDE:
        return "grouped_conv"
    return "conv" if outputs >= WIDE else "narrow_conv"


def activation_bytes(step: Step, plan: Plan) -> tuple[int, int]:
    """Bytes of activations that a step reads and writes, for one sample of the most users."""
    read = {index for index in step.inputs if index is not None}
    moved = [plan.tensors[i] for i in read if plan.tensors[i].storage is not Storage.WEIGHTS]
    roles = zip(OPS[step.op].outputs, step.outputs, strict=True)
    written = [plan.tensors[index] for role, index in roles if role != "scratch"]
    return sum(_nbytes(t, plan) for t in moved), sum(_nbytes(t, plan) for t in written)


def _nbytes(tensor: Tensor, plan: Plan) -> int:
    users: int = plan.k_max ** tensor.shape.count("k")
    return tensor.nbytes * users


def _present(index: int | None) -> int:
    assert index is not None
    return index
