"""A UE encoder as arrays, for a model of the Larq Compute Engine (LCE).

LCE multiplies signs by signs; a 1-bit FC of ours multiplies signs by integers. The integers are
taken apart into planes of signs, which costs a binary product a plane and no accuracy:

    u = q + 2^(P-1) for signed q, else q          codes of P bits, 0 <= u < 2^P
    u = sum_i 2^i b_i,  b_i = (s_i + 1) / 2       s_i = +1 where bit i of u is set, else -1
    W u = sum_i 2^(i-1) (W s_i + W 1)             W of +1 and -1, 1 = all ones

Two's complement says the same: there u = q + 2^(P-1) only turns the top bit round. With
acc = bias + W (q - zero), the sums of each byte g of u and a constant of each output make

    acc = sum_g 256^g (S_g + c_g),                S_g = sum_{i<8} 2^(i-1) W s_(8g+i)
    sum_g 256^g c_g = bias - (zero + u - q) W 1 + (2^P - 1) / 2 W 1

S_g + c_g is a multiple of 1/2 below 2^23: float32 has it exactly, in any order of summation. Codes
of 8 bits have one byte, so acc is exact; codes of 16 bits have two, and the one rounding of the
last sum is that of float32(acc) in `docs/numerics.md`. So what follows is the same to the bit.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import UnsupportedError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.integer.linear import signs
from csideploy.export.integer.run import weights
from csideploy.export.operations import Activation, Op
from csideploy.export.plan import Plan, Step, Storage, Tensor

Arrays = dict[str, NDArray[Any]]

_EXACT = 1 << 22
"""Below it float32 has all multiples of 1/2, and a sum S_g may be added."""
_TAIL = (Op.QBINARY_LINEAR, Op.QTHRESHOLD, Op.PACK_BITS)
_SLOPES = {Activation.NONE: 1.0, Activation.RELU: 0.0, Activation.LEAKY: None}


def larq_arrays(network: Plan, integers: Plan) -> Arrays:
    """What a Larq model of an encoder is made of.

    Args:
        network: the encoder in fp32: convolutions, then a 1-bit FC.
        integers: the same encoder in integers, which says how the FC's input is quantized.

    Returns:
        `layers`: JSON, one entry a convolution: {name, input, residual}, the last two being numbers
        of layers, -1 the network's input, null none;
        `N.weight` (out, in, kh, kw), `N.bias` (out,), `N.slope` (out,) of PReLU: 1 without one;
        `fc.signs` int8 (M, K), K in the order (channel, row, column); `fc.constants` float64
        (bytes of a code, M): c_g above; `fc.bias` int32 (M,); `fc.multiplier` float32 (1,) or (M,);
        `fc.thresholds` int32 (levels - 1,); `fc.bounds` int32 (4,): zero and offset u - q of the
        FC's input, least and greatest result before its zero is added; `fc.y_zero` int32;
        `fc.x_scale` float32; `fc.x_type` NumPy's name; `bits` of a payload code;
        `fc.bundle` uint8: the FC and what follows as a bundle of its own, q -> y, codes, payload.

    Raises:
        UnsupportedError: the encoder is not of that kind; names the step.
    """
    fc = _Tail.of(integers)
    layers, found = _convolutions(network)
    ones = fc.signs.sum(axis=1, dtype=np.int64)
    return {
        "layers": np.array(json.dumps(layers)),
        **found,
        "fc.signs": fc.signs,
        "fc.constants": fc.constants(ones),
        "fc.bias": fc.bias,
        "fc.multiplier": fc.multiplier,
        "fc.thresholds": fc.thresholds,
        "fc.bounds": np.array([fc.x_zero, fc.offset, fc.low, fc.high], np.int32),
        "fc.y_zero": np.array(fc.y_zero, np.int32),
        "fc.x_scale": np.array(fc.x_scale, np.float32),
        "fc.x_type": np.array(fc.x_type.name),
        "bits": np.array(fc.bits, np.int32),
        "fc.bundle": np.frombuffer(write_bundle(_cut(integers)), np.uint8),
    }


@dataclass(frozen=True)
class _Tail:
    """The FC of an integer plan, and the thresholds behind it."""

    signs: NDArray[np.int8]
    bias: NDArray[np.int32]
    multiplier: NDArray[np.float32]
    thresholds: NDArray[np.int32]
    x_scale: float
    x_type: np.dtype[Any]
    x_zero: int
    y_zero: int
    low: int
    high: int
    bits: int

    @classmethod
    def of(cls, plan: Plan) -> _Tail:
        """Read off the last three steps.

        Raises:
            UnsupportedError: they are others.
        """
        if len(plan.steps) <= len(_TAIL):
            raise UnsupportedError(f"{len(plan.steps)} steps are no encoder with convolutions")
        tail = plan.steps[-len(_TAIL) :]
        for step, wanted in zip(tail, _TAIL, strict=True):
            if step.op is not wanted:
                raise UnsupportedError(
                    f"step '{step.name}' is {step.op.name}: a Larq model is made of an encoder "
                    f"that ends in {', '.join(op.name for op in _TAIL)} (a 1-bit FC in integers "
                    "and uniform codes): export with --precision int8, --binarize encoder"
                )
        fc, threshold, pack = tail
        constants = weights(plan)
        x = plan.tensors[_required(fc.inputs[0])]
        packed, multiplier = (constants[_required(fc.inputs[i])] for i in (1, 3))
        bias = constants[fc.inputs[2]] if fc.inputs[2] is not None else np.zeros(len(packed))
        zero = int(fc.params["y_zero"])
        return cls(
            signs=signs(packed, int(x.shape[-1])).astype(np.int8),
            bias=bias.astype(np.int32),
            multiplier=multiplier.astype(np.float32),
            thresholds=constants[_required(threshold.inputs[1])].astype(np.int32),
            x_scale=_scale(plan, x),
            x_type=x.dtype.numpy,
            x_zero=int(fc.params["x_zero"]),
            y_zero=zero,
            low=int(fc.params["low"]) - zero,
            high=int(fc.params["high"]) - zero,
            bits=int(pack.params["bits"]),
        )

    @property
    def offset(self) -> int:
        """What makes a code unsigned: u - q."""
        return -int(np.iinfo(self.x_type).min)

    def constants(self, ones: NDArray[np.int64]) -> NDArray[np.float64]:
        """c_g of the docstring above, lowest byte first: float64 (bytes, M)."""
        count = self.x_type.itemsize
        half = ((1 << (8 * count)) - 1) / 2
        left = self.bias + (half - self.x_zero - self.offset) * ones
        found = []
        for _ in range(count - 1):
            rest = np.floor(left / 256)
            found.append(left - 256 * rest)
            left = rest
        found.append(left)
        if np.abs(found[-1]).max() >= _EXACT:
            raise UnsupportedError("a bias of the FC is too large for exact sums in float32")
        return np.stack(found)


def _required(index: int | None) -> int:
    assert index is not None
    return index


def _scale(plan: Plan, x: Tensor) -> float:
    """Scale of the FC's input: that of the step that last wrote its bytes."""
    step = plan.steps[-len(_TAIL) - 1]
    made = plan.tensors[step.outputs[0]]
    key = "scale" if step.op is Op.QUANTIZE else "y_scale"
    if (made.storage, made.place, made.nbytes) != (x.storage, x.place, x.nbytes) or (
        key not in step.params
    ):
        raise UnsupportedError(
            f"step '{step.name}' is {step.op.name}: the step in front of the 1-bit FC must be one "
            "that carries the scale of its result, such as QADD or QACTIVATION"
        )
    return float(step.params[key])


def _convolutions(plan: Plan) -> tuple[list[dict[str, Any]], Arrays]:
    """Layers of the fp32 plan up to its 1-bit FC, and their arrays."""
    constants = weights(plan)
    numbers = {plan.inputs[0]: -1}
    layers: list[dict[str, Any]] = []
    arrays: Arrays = {}
    for step in plan.steps:
        if step.op is Op.BINARY_LINEAR:
            return layers, arrays
        _check(step, plan, numbers)
        x, weight, bias, slope, residual = step.inputs
        kernel = constants[_required(weight)]
        channels = len(kernel)
        made = constants[slope] if slope is not None else _slope(step, channels)
        at = len(layers)
        arrays[f"{at}.weight"] = kernel
        arrays[f"{at}.bias"] = (
            constants[bias] if bias is not None else np.zeros(channels, np.float32)
        )
        arrays[f"{at}.slope"] = made.astype(np.float32)
        layers.append(
            {
                "name": step.name,
                "input": numbers[_required(x)],
                "residual": None if residual is None else numbers[residual],
            }
        )
        numbers[step.outputs[0]] = at
    raise UnsupportedError("the network has no 1-bit FC: export with --binarize encoder")


def _slope(step: Step, channels: int) -> NDArray[np.float32]:
    slope = _SLOPES[Activation(int(step.params["activation"]))]
    return np.full(channels, step.params["alpha"] if slope is None else slope, np.float32)


def _check(step: Step, plan: Plan, numbers: dict[int, int]) -> None:
    """A convolution as Keras has it: stride 1, the same size, of layers that stand there."""
    if step.op is not Op.CONV2D:
        raise UnsupportedError(
            f"step '{step.name}' is {step.op.name}: in front of the 1-bit FC a Larq model takes "
            "CONV2D alone, with its activation and its residual"
        )
    p = step.params
    kh, kw = plan.tensors[_required(step.inputs[1])].shape[2:]
    pads = [p[f"pad_{side}"] for side in ("top", "bottom", "left", "right")]
    same = [int(kh) // 2] * 2 + [int(kw) // 2] * 2
    plain = all(p[name] == 1 for name in ("groups", "stride_h", "stride_w", "dilation_h",
                                          "dilation_w"))  # fmt: skip
    known = (*_SLOPES, Activation.PRELU)
    taken = all(i is None or i in numbers for i in (step.inputs[0], step.inputs[4]))
    if not (plain and pads == same and int(kh) % 2 and int(kw) % 2 and taken) or (
        p["activation"] not in known
    ):
        raise UnsupportedError(
            f"step '{step.name}': a Larq model takes convolutions of odd size, of stride 1 and "
            "padding 'same', with ReLU, LeakyReLU or PReLU"
        )


def _cut(plan: Plan) -> Plan:
    """The last three steps as a part of their own: q -> y, codes, payload."""
    steps = plan.steps[-len(_TAIL) :]
    used = sorted({i for step in steps for i in (*step.inputs, *step.outputs) if i is not None})
    new = {old: at for at, old in enumerate(used)}
    tensors = [plan.tensors[i] for i in used]
    x = new[_required(steps[0].inputs[0])]
    outputs = [new[step.outputs[0]] for step in steps]
    tensors[x] = replace(tensors[x], name="q", storage=Storage.INPUT, place=0)
    for place, (index, name) in enumerate(zip(outputs, ("y", "codes", "payload"), strict=True)):
        tensors[index] = replace(tensors[index], name=name, storage=Storage.OUTPUT, place=place)
    return replace(
        plan,
        tensors=tuple(tensors),
        steps=tuple(
            replace(
                step,
                inputs=tuple(None if i is None else new[i] for i in step.inputs),
                outputs=tuple(new[i] for i in step.outputs),
            )
            for step in steps
        ),
        inputs=(x,),
        outputs=tuple(outputs),
        arena_bytes=0,
        n_max=1,
    )
