"""What a plan costs, step by step: operations and stored bytes.

Multiply-accumulates are counted as the CSI-feedback papers count "FLOPs": convolutions and fully
connected layers only, no bias, batch norm, activation or residual (ACRNet paper, table I; each
figure there is this count). A 1-bit layer's are counted in full and also apart, because they are
additions. 2 x MACs is the count of other fields.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from csideploy.export.plan import Activation, Op, Plan, Step, Storage, Tensor


@dataclass(frozen=True)
class StepCost:
    """One step, for one sample.

    macs: multiply-accumulates of convolutions and linear layers, 1-bit ones included.
    binary_macs: those of them whose weight is one bit.
    elementwise: additions of bias and residual, scales, activations, quantizer operations: one
        an element and operation.
    bit_operations: payload bits moved by packing or unpacking.
    weight_bytes: stored float weights, scales, biases and slopes; constants that several steps
        share count at the first.
    binary_bytes: stored packed 1-bit weights.
    parameters: stored numbers; a packed bit is one.
    """

    name: str
    op: str
    macs: int = 0
    binary_macs: int = 0
    elementwise: int = 0
    bit_operations: int = 0
    weight_bytes: int = 0
    binary_bytes: int = 0
    parameters: int = 0

    @property
    def stored_bytes(self) -> int:
        """All constants of the step."""
        return self.weight_bytes + self.binary_bytes


def _count(tensor: Tensor) -> int:
    return tensor.nbytes // tensor.dtype.size


def costs(plan: Plan) -> list[StepCost]:
    """One row a step, in order."""
    seen: set[int] = set()
    return [_cost(plan, step, seen) for step in plan.steps]


def total(rows: list[StepCost], name: str = "total") -> StepCost:
    """The sum of all rows."""
    numbers = [f.name for f in fields(StepCost) if f.type == "int"]
    return StepCost(name, "", **{n: sum(getattr(cost, n) for cost in rows) for n in numbers})


def _cost(plan: Plan, step: Step, seen: set[int]) -> StepCost:
    tensors = [None if i is None else plan.tensors[i] for i in step.inputs]
    result = plan.tensors[step.outputs[0]]
    elements = _count(result)
    macs = binary_macs = bit_operations = 0
    each = 0  # operations for each element of the result
    if step.op is Op.CONV2D:
        weight = tensors[1]
        assert weight is not None
        macs = elements * _count(weight) // int(weight.shape[0])
        each = sum(tensors[i] is not None for i in (2, 4))
    elif step.op in (Op.LINEAR, Op.BINARY_LINEAR):
        x = tensors[0]
        assert x is not None
        macs = elements * _count(x)
        if step.op is Op.BINARY_LINEAR:
            binary_macs = macs
            each = 1 + (tensors[3] is not None)
        else:
            each = int(tensors[2] is not None)
    elif step.op in (Op.PACK_BITS, Op.UNPACK_BITS):
        codes = tensors[0] if step.op is Op.PACK_BITS else result
        assert codes is not None
        bit_operations = _count(codes) * int(step.params["bits"])
    elif step.op in (Op.QUANTIZE_UNIFORM, Op.DEQUANTIZE_UNIFORM):
        each = 3 if step.op is Op.QUANTIZE_UNIFORM else 2
    elif step.op is Op.ADD:
        each = 1
    if step.params.get("activation", Activation.NONE) != Activation.NONE:
        each += 1
    weight_bytes = binary_bytes = parameters = 0
    for index, (place, tensor) in enumerate(zip(step.inputs, tensors, strict=True)):
        if place is None or tensor is None or place in seen:
            continue
        if tensor.storage is not Storage.WEIGHTS:
            continue
        seen.add(place)
        if step.op is Op.BINARY_LINEAR and index == 1:
            binary_bytes += tensor.nbytes
            assert tensors[0] is not None
            parameters += elements * _count(tensors[0])
        else:
            weight_bytes += tensor.nbytes
            parameters += _count(tensor)
    return StepCost(
        step.name,
        step.op.name,
        macs,
        binary_macs,
        each * elements,
        bit_operations,
        weight_bytes,
        binary_bytes,
        parameters,
    )
