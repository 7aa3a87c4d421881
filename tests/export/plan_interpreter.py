"""Runs a plan in float64 NumPy: an oracle that shares nothing with the C executor.

The arena is one array of bytes, twice as wide as the plan's (a float32 at offset o is a float64
at 2 o), full of NaN before each run. So a plan that reads what was overwritten, or never written,
does not pass by luck.
"""

from typing import Any

import function_oracles as oracles
import numpy as np
from numpy.typing import NDArray

from csideploy.export.plan import OPS, Activation, DType, Op, Plan, Step, Storage

F64 = np.dtype(np.float64)


def run_plan(plan: Plan, *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Any batch, one sample at a time as the executor does; the poison comes anew each time."""
    samples = [_Run(plan, [a[i : i + 1] for a in arrays]).outputs() for i in range(len(arrays[0]))]
    return tuple(np.concatenate(parts) for parts in zip(*samples, strict=True))


class _Run:
    def __init__(self, plan: Plan, inputs: list[NDArray[Any]]) -> None:
        assert plan.n_max == 1
        self.plan = plan
        self.weights = bytes(plan.weights)
        self.arena = np.full(2 * plan.arena_bytes, 0xFF, np.uint8)
        self.inputs = inputs
        self.results = [np.full(2 * plan.tensors[i].nbytes, 0xFF, np.uint8) for i in plan.outputs]
        for step in plan.steps:
            self.step(step)

    def outputs(self) -> list[NDArray[Any]]:
        return [self.view(index).copy() for index in self.plan.outputs]

    def view(self, index: int) -> NDArray[Any]:
        tensor = self.plan.tensors[index]
        shape = [1 if isinstance(dim, str) else dim for dim in tensor.shape]
        if tensor.storage is Storage.WEIGHTS:
            dtype = np.float32 if tensor.dtype is DType.F32 else np.uint8
            flat = np.frombuffer(self.weights, dtype, int(np.prod(shape)), tensor.place)
            return flat.reshape(shape).astype(F64 if tensor.dtype is DType.F32 else np.uint8)
        if tensor.storage is Storage.INPUT:
            array = self.inputs[tensor.place].reshape(shape)
            return array.astype(F64) if tensor.dtype is DType.F32 else array
        memory = self.arena if tensor.storage is Storage.ARENA else self.results[tensor.place]
        start = 2 * tensor.place if tensor.storage is Storage.ARENA else 0
        width = 2 if tensor.dtype is DType.F32 else 1
        region = memory[start : start + width * tensor.nbytes]
        return region.view(F64 if tensor.dtype is DType.F32 else np.uint8).reshape(shape)

    def step(self, step: Step) -> None:
        roles = {
            role.rstrip("?"): self.view(index)
            for role, index in zip(OPS[step.op].inputs, step.inputs, strict=True)
            if index is not None
        }
        result = self.view(step.outputs[0])
        result[...] = _compute(step, roles, result.shape)


def _compute(step: Step, t: dict[str, NDArray[Any]], shape: tuple[int, ...]) -> NDArray[Any]:
    p: dict[str, Any] = step.params
    if step.op is Op.CONV2D:
        y = conv2d(t["x"], t["weight"], p)
        y = y + t["bias"].reshape(1, -1, 1, 1) if "bias" in t else y
        return activate(y + t.get("residual", 0.0), p, t)
    if step.op is Op.LINEAR:
        return activate(t["x"] @ t["weight"].T + t.get("bias", 0.0), p, t)
    if step.op is Op.BINARY_LINEAR:
        bias = t.get("bias", np.zeros(shape[1]))
        return activate(oracles.binary_linear(t["x"], t["weight"], t["scale"], bias), p, t)
    if step.op is Op.ADD:
        return activate(t["a"] + t["b"], p, t)
    if step.op is Op.ACTIVATION:
        return activate(t["x"], p, t)
    if step.op is Op.CONCAT:
        return np.concatenate([t["a"], t["b"]], 1)
    if step.op is Op.QUANTIZE_UNIFORM:
        return oracles.uniform_quantize(t["x"], p["bits"])
    if step.op is Op.PACK_BITS:
        return oracles.pack_bits(t["codes"], p["bits"])
    if step.op is Op.UNPACK_BITS:
        return oracles.unpack_bits(t["payload"], shape[1], p["bits"])
    if step.op is Op.DEQUANTIZE_UNIFORM:
        return oracles.uniform_dequantize(t["codes"].astype(np.uint16), p["bits"])
    assert step.op is Op.COPY
    return t["x"]


def activate(z: NDArray[Any], p: dict[str, Any], t: dict[str, NDArray[Any]]) -> NDArray[Any]:
    kind = Activation(p["activation"])
    if kind is Activation.RELU:
        return np.maximum(z, 0)
    if kind is Activation.LEAKY:
        return np.where(z < 0, p["alpha"] * z, z)
    if kind is Activation.PRELU:
        return np.where(z < 0, t["slope"].reshape(1, -1, *(1,) * (z.ndim - 2)) * z, z)
    if kind is Activation.SIGMOID:
        return 1 / (1 + np.exp(-z))
    if kind is Activation.TANH:
        return np.tanh(z)
    return z


def conv2d(x: NDArray[Any], weight: NDArray[Any], p: dict[str, Any]) -> NDArray[Any]:
    pads = ((p["pad_top"], p["pad_bottom"]), (p["pad_left"], p["pad_right"]))
    padded = np.pad(x, ((0, 0), (0, 0), *pads))
    kh, kw = weight.shape[2:]
    span = ((kh - 1) * p["dilation_h"] + 1, (kw - 1) * p["dilation_w"] + 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, span, (2, 3))
    windows = windows[
        :, :, :: p["stride_h"], :: p["stride_w"], :: p["dilation_h"], :: p["dilation_w"]
    ]
    groups, per_group = p["groups"], weight.shape[1]
    outputs = weight.shape[0] // groups
    parts = [
        np.tensordot(
            windows[:, g * per_group : (g + 1) * per_group],
            weight[g * outputs : (g + 1) * outputs],
            ((1, 4, 5), (1, 2, 3)),
        )
        for g in range(groups)
    ]
    return np.moveaxis(np.concatenate(parts, -1), -1, 1)
