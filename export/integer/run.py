"""A whole plan by the specification: the oracle of integer bundles, and where vectors come from.

Integer steps, moves and payload steps are exact. Of the float operations it has those in which an
integer part may end: activations and functions of one number, rounded from float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from csideploy.errors import UnsupportedError
from csideploy.export.integer import payload
from csideploy.export.integer.elementwise import activate
from csideploy.export.integer.functions import evaluate, function_of
from csideploy.export.integer.logit import logit_codes
from csideploy.export.integer.lookup import rank
from csideploy.export.integer.rounding import Array
from csideploy.export.integer.steps import run_step
from csideploy.export.integer.tables import uniform_codes
from csideploy.export.operations import Activation, Op, PadMode, Unary
from csideploy.export.plan import Plan, Step, Storage

Arrays = dict[str, Array]
_PAD_MODES: dict[int, Any] = {
    PadMode.CONSTANT: "constant",
    PadMode.EDGE: "edge",
    PadMode.REFLECT: "reflect",
    PadMode.WRAP: "wrap",
}


def is_integer(op: Op) -> bool:
    """Whether `run_step` defines the operation to the bit."""
    return Op.QUANTIZE <= op <= Op.QTHRESHOLD or op in (Op.QCODEBOOK, Op.BITS_NETWORK)


def run_plan(plan: Plan, inputs: Sequence[Array]) -> Arrays:
    """The outputs of a part, by name.

    Args:
        plan: compiled; the batch first in every activation.
        inputs: in the order of the part's inputs, (n, ...).

    Raises:
        UnsupportedError: a float operation that is not among those above.
    """
    constants = weights(plan)
    held = _given(plan, inputs, constants)
    symbols = _symbols(plan, inputs)
    for step in plan.steps:
        arrays = [
            None if i is None else _shaped(held, plan, i, symbols, constants) for i in step.inputs
        ]
        result = plan.tensors[step.outputs[0]]
        made = _step(step, arrays, result.dtype.numpy, _sizes(result.shape, symbols))
        held[step.outputs[0]] = made
        _show(plan, held, step.outputs[0])
    return {plan.tensors[i].name: _shaped(held, plan, i, symbols, constants) for i in plan.outputs}


def check_steps(plan: Plan, inputs: Sequence[Array], traced: Sequence[Array]) -> tuple[int, str]:
    """Hold every integer step of a run against its specification, on that step's own inputs.

    Args:
        plan: what ran.
        inputs: of one sample, in the order of the part's inputs.
        traced: the output of every step, in order.

    Returns:
        How many steps were compared, and the first that differs ("" if none does).
    """
    constants = weights(plan)
    held = _given(plan, inputs, constants)
    symbols = _symbols(plan, inputs)
    compared = 0
    for step, result in zip(plan.steps, traced, strict=True):
        if is_integer(step.op):
            arrays = [
                None if i is None else _shaped(held, plan, i, symbols, constants)
                for i in step.inputs
            ]
            expected = run_step(step.op, arrays, step.params, result.dtype)
            wrong = int((expected.reshape(result.shape) != result).sum())
            compared += 1
            if wrong:
                about = f"{step.name} ({step.op.name}): {wrong} of {result.size} values differ"
                return compared, about
        held[step.outputs[0]] = result
        _show(plan, held, step.outputs[0])
    return compared, ""


def weights(plan: Plan) -> dict[int, Array]:
    """The constants of a plan, by the tensor's index."""
    found = {}
    for index, tensor in enumerate(plan.tensors):
        if tensor.storage is Storage.WEIGHTS:
            data = plan.weights[tensor.place : tensor.place + tensor.nbytes]
            found[index] = data.view(tensor.dtype.numpy).reshape(_sizes(tensor.shape, {}))
    return found


def _given(plan: Plan, inputs: Sequence[Array], constants: Mapping[int, Array]) -> dict[int, Array]:
    """What is there before the first step: constants, inputs, and views of inputs."""
    held: dict[int, Array] = {**constants, **dict(zip(plan.inputs, inputs, strict=True))}
    for index in plan.inputs:
        _show(plan, held, index)
    return held


def _symbols(plan: Plan, inputs: Sequence[Array]) -> dict[str, int]:
    """N and k of a call."""
    found = {}
    for index, array in zip(plan.inputs, inputs, strict=True):
        for dim, size in zip(plan.tensors[index].shape, array.shape, strict=True):
            if isinstance(dim, str):
                found[dim] = size
    return found


def _sizes(shape: tuple[int | str, ...], symbols: Mapping[str, int]) -> tuple[int, ...]:
    return tuple(symbols[dim] if isinstance(dim, str) else dim for dim in shape)


def _shaped(
    held: dict[int, Array],
    plan: Plan,
    index: int,
    symbols: Mapping[str, int],
    constants: Mapping[int, Array],
) -> Array:
    if index in constants:
        return constants[index]
    return held[index].reshape(_sizes(plan.tensors[index].shape, symbols))


def _show(plan: Plan, held: dict[int, Array], made: int) -> None:
    """Views: tensors of the same bytes under another shape show what was just written."""
    source = plan.tensors[made]
    for index, tensor in enumerate(plan.tensors):
        same = (tensor.storage, tensor.place, tensor.dtype, tensor.nbytes) == (
            source.storage,
            source.place,
            source.dtype,
            source.nbytes,
        )
        if same and index != made and tensor.storage is not Storage.WEIGHTS:
            held[index] = held[made]


def _step(
    step: Step, inputs: list[Array | None], dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    if is_integer(step.op):
        return run_step(step.op, inputs, step.params, dtype)
    if step.op not in _OTHERS:
        raise UnsupportedError(f"step '{step.name}': {step.op.name} has no integer specification")
    arrays = [array for array in inputs if array is not None]
    return np.asarray(_OTHERS[step.op](arrays, step.params, shape), dtype).reshape(shape)


Made = Callable[[list[Array], Mapping[str, Any], tuple[int, ...]], Array]


def _activation(x: list[Array], params: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    kind = Activation(params["activation"])
    if kind in (Activation.SIGMOID, Activation.TANH):
        return evaluate([function_of(kind)], x[0])
    slope = np.float32(params["alpha"]) if len(x) == 1 else x[1].reshape(-1, *[1] * (x[0].ndim - 2))
    return activate(x[0], kind, np.asarray(slope, np.float32))


def _unary(x: list[Array], params: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    function = function_of(Unary(params["function"]), params["alpha"], params["beta"])
    return evaluate([function], x[0])


def _slice(x: list[Array], params: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    picked = [
        params[f"start_{axis}"] + params[f"step_{axis}"] * np.arange(size)
        for axis, size in enumerate(shape)
    ]
    return np.asarray(x[0][np.ix_(*picked)])


def _pad(x: list[Array], params: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    width = []
    for axis, size in enumerate(shape):
        before = int(params[f"before_{axis}"])
        width.append((before, size - x[0].shape[axis] - before))
    mode = _PAD_MODES[int(params["mode"])]
    about = {"constant_values": params["value"]} if mode == "constant" else {}
    return np.pad(x[0], width, mode, **about)


def _transpose(x: list[Array], params: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    return x[0].transpose([int(params[f"perm_{axis}"]) for axis in range(x[0].ndim)])


_OTHERS: dict[Op, Made] = {
    Op.COPY: lambda x, params, shape: x[0],
    Op.CONCAT: lambda x, params, shape: np.concatenate(x, axis=int(params["axis"])),
    Op.TRANSPOSE: _transpose,
    Op.SLICE: _slice,
    Op.PAD: _pad,
    Op.EXPAND: lambda x, params, shape: np.broadcast_to(x[0], shape),
    Op.PACK_BITS: lambda x, params, shape: payload.pack_bits(x[0], int(params["bits"])),
    Op.UNPACK_BITS: lambda x, params, shape: payload.unpack_bits(
        x[0], shape[1], int(params["bits"])
    ),
    Op.DEQUANTIZE_UNIFORM: lambda x, params, shape: payload.dequantize_uniform(
        x[0], int(params["bits"])
    ),
    Op.QUANTIZE_CODEBOOK: lambda x, params, shape: rank(x[0], x[1], x[2], side="left"),
    Op.PACK_WIDTHS: lambda x, params, shape: payload.pack_widths(x[0], x[1]),
    Op.UNPACK_WIDTHS: lambda x, params, shape: payload.unpack_widths_of(x[0], x[1], shape[1]),
    Op.DEQUANTIZE_CODEBOOK: lambda x, params, shape: payload.dequantize_codebook(*x),
    Op.QUANTIZE_UNIFORM: lambda x, params, shape: uniform_codes(x[0], int(params["bits"])),
    Op.QUANTIZE_LOGIT: lambda x, params, shape: logit_codes(x[0], x[1]),
    Op.ACTIVATION: _activation,
    Op.UNARY: _unary,
}
