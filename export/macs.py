"""What a plan costs, step by step: operations and stored bytes.

Multiply-accumulates are counted as the CSI-feedback papers count "FLOPs": convolutions, fully
connected layers and products of matrices only, no bias, batch norm, activation or residual
(ACRNet paper, table I; each figure there is this count). A 1-bit layer's are counted in full and
also apart, because they are additions. 2 x MACs is the count of other fields.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from csideploy.export.fronthaul_rules import step_macs, step_rus
from csideploy.export.gradient_rules import UnitSizes, block_macs
from csideploy.export.plan import OPS, Activation, DType, Op, Plan, Step, Storage, Tensor
from csideploy.export.widths import step_widths


@dataclass(frozen=True)
class StepCost:
    """One step, for one sample.

    macs: multiply-accumulates of convolutions, linear layers (1-bit ones included), MATMUL,
        EDGE_ATTENTION, RZF_PRECODER, ZERO_FORCING (its are in doubles), distances to the codewords
        of a tier and the fronthaul's searches, of a whole block: those by classes at most, those of
        GRADIENT_SEARCH as if no hidden unit were 0, which are left out.
    binary_macs: those of them whose weight is one bit.
    elementwise: additions of bias and residual, scales, activations, quantizer operations: one
        an element and operation; comparisons with thresholds, one a bit of the code.
    bit_operations: payload bits moved by packing or unpacking.
    int8_bytes: stored int8 weights.
    weight_bytes: other stored weights, scales, biases, slopes and tables; constants that several
        steps share count at the first.
    binary_bytes: stored packed 1-bit weights.
    parameters: stored numbers; a packed bit is one, and so is a width of 4 bits. Thresholds in
        the place of a sigmoid are none.
    """

    name: str
    op: str
    macs: int = 0
    binary_macs: int = 0
    elementwise: int = 0
    bit_operations: int = 0
    weight_bytes: int = 0
    binary_bytes: int = 0
    int8_bytes: int = 0
    parameters: int = 0

    @property
    def stored_bytes(self) -> int:
        """All constants of the step."""
        return self.weight_bytes + self.binary_bytes + self.int8_bytes


def _count(tensor: Tensor) -> int:
    return tensor.nbytes // tensor.dtype.size


def costs(plan: Plan) -> list[StepCost]:
    """One row a step, in order; for the most users of a call, where the plan has k."""
    seen: set[int] = set()
    numbers = tuple(
        replace(tensor, shape=tuple(plan.k_max if d == "k" else d for d in tensor.shape))
        for tensor in plan.tensors
    )
    plan = replace(plan, tensors=numbers)
    return [_cost(plan, step, seen) for step in plan.steps]


def total(rows: list[StepCost], name: str = "total") -> StepCost:
    """The sum of all rows."""
    numbers = [f.name for f in fields(StepCost) if f.type == "int"]
    return StepCost(name, "", **{n: sum(getattr(cost, n) for cost in rows) for n in numbers})


_BINARY = (Op.BINARY_LINEAR, Op.QBINARY_LINEAR)
_ROWS = (Op.LINEAR, Op.QLINEAR, *_BINARY)
_IMAGES = (Op.CONV2D, Op.QCONV2D)
_COMPARED = (Op.QUANTIZE_CODEBOOK, Op.QCODEBOOK)
"""Searches by halving: B comparisons for a code of B bits."""
_ONE_EACH = {
    Op.ADD,
    Op.UNARY,
    Op.BINARY,
    Op.INTEGER,
    Op.COMPARE,
    Op.WHERE,
    Op.CAST,
    Op.QTABLE,
    Op.CUMSUM,
    Op.DEQUANTIZE_CODEBOOK,
    Op.RESIDUAL_DEQUANTIZE,
}
_EACH = {
    Op.QUANTIZE_UNIFORM: 3,  # times, floor, limit
    Op.DEQUANTIZE_UNIFORM: 2,
    Op.QUANTIZE: 3,
    Op.DEQUANTIZE: 2,
    Op.SOFTMAX: 4,  # largest, difference, power, quotient
    Op.LAYER_NORM: 4,  # mean, difference, square, quotient; scale and bias apart
    Op.QADD: 8,  # two dequantized, one sum, one quantized
    Op.QACTIVATION: 5,
    Op.QTHRESHOLD: 8,  # a search among up to 255
    Op.RZF_PRECODER: 4,  # largest, quotient, square, quotient
    Op.ZERO_FORCING: 2,  # square, scale
}
"""Operations an element of the result, as their definitions in `operations` read."""


def _cost(plan: Plan, step: Step, seen: set[int]) -> StepCost:
    operands = dict(zip(OPS[step.op].inputs, step.inputs, strict=True))
    roles = {
        role.rstrip("?"): plan.tensors[index]
        for role, index in operands.items()
        if index is not None
    }
    result = plan.tensors[step.outputs[0]]
    rus = step_rus(step, plan.tensors, plan.weights)
    if step.op is Op.GRADIENT_SEARCH:
        macs = _search_macs(plan, step, roles)
    elif rus is not None:
        macs = step_macs(step, roles, rus)
    else:
        macs = _multiplications(step, roles, result)
    bit_operations = 0
    if step.op in (Op.PACK_BITS, Op.UNPACK_BITS):
        codes = roles["codes"] if step.op is Op.PACK_BITS else result
        bit_operations = _count(codes) * int(step.params["bits"])
    widths = step_widths(step, plan.tensors, plan.weights)
    bits = 0 if widths is None else int(widths.sum())
    if step.op is Op.BITS_NETWORK:
        bit_operations = int(result.shape[1]) * int(roles["hidden_weight"].shape[1])
    if step.op in (Op.PACK_WIDTHS, Op.UNPACK_WIDTHS):
        bit_operations = bits
    weight_bytes = binary_bytes = int8_bytes = parameters = 0
    for role, place in operands.items():
        if place is None or place in seen or plan.tensors[place].storage is not Storage.WEIGHTS:
            continue
        seen.add(place)
        tensor = plan.tensors[place]
        if step.op in _BINARY and role == "weight":
            binary_bytes += tensor.nbytes
            parameters += int(tensor.shape[0]) * int(roles["x"].shape[-1])
        elif role == "widths" and widths is not None:
            weight_bytes += tensor.nbytes
            parameters += len(widths)
        elif role in ("weight", "middle", "hidden_weight") and tensor.dtype is DType.I8:
            int8_bytes += tensor.nbytes
            parameters += _count(tensor)
        else:
            weight_bytes += tensor.nbytes
            parameters += 0 if step.op is Op.QUANTIZE_LOGIT else _count(tensor)
    return StepCost(
        step.name,
        step.op.name,
        macs,
        macs if step.op in _BINARY else 0,
        bits if step.op in _COMPARED else _elementwise(step, roles, result),
        bit_operations,
        weight_bytes,
        binary_bytes,
        int8_bytes,
        parameters,
    )


def _multiplications(step: Step, roles: dict[str, Tensor], result: Tensor) -> int:
    if step.op in _IMAGES:
        return _count(result) * _count(roles["weight"]) // int(roles["weight"].shape[0])
    if step.op is Op.CONV_TRANSPOSE2D:  # every pixel of x meets all taps of its channel
        return _count(roles["x"]) * _count(roles["weight"]) // int(roles["weight"].shape[0])
    if step.op in _ROWS:
        return _count(result) * int(roles["x"].shape[-1])
    if step.op is Op.MATMUL:
        return _count(result) * int(roles["a"].shape[-1])
    if step.op is Op.BITS_NETWORK:
        return int(result.shape[1]) * (_count(roles["hidden_weight"]) + _count(roles["weight"]))
    if step.op is Op.CONV_BLOCK:  # each weight meets every pixel
        pixels = int(result.shape[2]) * int(result.shape[3])
        return pixels * sum(_count(roles[role]) for role in ("expand", "middle", "project"))
    if step.op is Op.RZF_PRECODER:
        # Complex products: A^H A from its lower half, its root, then K (K - 1) columns of M.
        users, antennas = int(result.shape[1]), int(result.shape[3])
        pairs = users * (users + 1) // 2
        root = (users - 1) * users * (users + 1) // 6
        return 4 * (pairs * antennas + root + users * (users - 1) * antennas)
    if step.op is Op.EDGE_ATTENTION:  # scores, and what they weigh
        return 2 * _count(result) * (int(result.shape[1]) - 1)
    if step.op is Op.RESIDUAL_QUANTIZE:
        return _count(roles["codebook"])
    if step.op is Op.ZERO_FORCING:
        # Complex products: h h^H from its lower half, its factors, their inverse, the inverse, and
        # that by h; in doubles.
        users, antennas = int(result.shape[1]), int(result.shape[2])
        pairs = users * (users + 1) // 2
        cube = (users - 1) * users * (users + 1) // 6
        return 4 * (pairs * antennas + 3 * cube + users * users * antennas)
    if step.op is Op.INTERFERENCE_SCHEDULE:
        rus, users = (int(size) for size in roles["gains"].shape[1:])
        return rus * (rus - 1) // 2 * users
    return 0


def _search_macs(plan: Plan, step: Step, roles: dict[str, Tensor]) -> int:
    sizes, (_, block, width, _) = roles["sizes"], roles["targets"].shape
    raw = plan.weights[sizes.place : sizes.place + sizes.nbytes].view(sizes.dtype.numpy)
    units = [UnitSizes(*row) for row in raw.reshape(-1, 3).tolist()]
    layers, iterations = int(step.params["layers"]), int(step.params["iterations"])
    shared = "effective" in roles
    return block_macs(units, layers, int(block), 2 * int(width), iterations, shared=shared)


def _elementwise(step: Step, roles: dict[str, Tensor], result: Tensor) -> int:
    if step.op in (Op.REDUCE, Op.ARG_EXTREME):
        return _count(roles["x"])
    if step.op is Op.POOL2D:
        return _count(result) * int(step.params["kernel_h"]) * int(step.params["kernel_w"])
    if step.op is Op.TABLE_PRECODER and roles["table"].dtype is not DType.F32:
        return 3 * _count(result)  # square, sum, scale
    if step.op is Op.GRADIENT_SEARCH:
        return 0
    if step.op is Op.QUANTIZE_LOGIT:  # a search by halving
        return _count(result) * int(roles["thresholds"].shape[0]).bit_length()
    if step.op is Op.EDGE_ATTENTION:  # one factor a score
        return _count(result) // int(result.shape[2]) * (int(result.shape[1]) - 1)
    if step.op is Op.RESIDUAL_QUANTIZE:  # a difference each, and the rest
        return _count(roles["codebook"]) + _count(roles["feature"])
    if step.op is Op.CONV_BLOCK:  # of what is wide: two biases, two slopes; the codes apart
        pixels = int(result.shape[2]) * int(result.shape[3])
        coded = 4 if roles["middle"].dtype is DType.I8 else 0  # quantize, times the multiplier
        whole = roles["project"].dtype is DType.I16  # the same again, of `expand` and for `project`
        wide = (4 + coded + 4 * whole) * int(roles["middle"].shape[0]) * pixels
        wide += 3 * whole * _count(roles["x"])
        ends = whole + sum(role in roles for role in ("bias", "residual"))
        ends += step.params.get("activation", Activation.NONE) != Activation.NONE
        return wide + ends * _count(result)
    each = _EACH.get(step.op, int(step.op in _ONE_EACH))
    each += sum(role in roles for role in ("bias", "residual"))
    each += step.op is Op.BINARY_LINEAR or (step.op is Op.LAYER_NORM and "scale" in roles)
    each += 3 * ("multiplier" in roles)  # times, round, limit
    each += step.params.get("activation", Activation.NONE) != Activation.NONE
    return each * _count(result)
