"""Runs a plan in float64 NumPy: an oracle that shares nothing with the C executor.

The arena is one array of bytes, twice as wide as the plan's (a float32 at offset o is a float64
at 2 o), full of NaN before each run. So a plan that reads what was overwritten, or never written,
does not pass by luck.
"""

from collections.abc import Callable
from typing import Any

import float_oracles as floats
import function_oracles as oracles
import numpy as np
from numpy.typing import NDArray

from csideploy.export.plan import OPS, Activation, DType, Op, Plan, Step, Storage

F64 = np.dtype(np.float64)


def run_plan(plan: Plan, *arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """Any batch, one sample at a time as the executor does; the poison comes anew each time.

    A part without a batch runs once.
    """
    if not any("n" in tensor.shape for tensor in plan.tensors):
        return tuple(_Run(plan, list(arrays)).outputs())
    samples = [_Run(plan, [a[i : i + 1] for a in arrays]).outputs() for i in range(len(arrays[0]))]
    return tuple(np.concatenate(parts) for parts in zip(*samples, strict=True))


def _wide(dtype: DType) -> np.dtype[Any]:
    """What an element is held in: float64 for float32, integers as they are."""
    return F64 if dtype is DType.F32 else dtype.numpy


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
        wide = _wide(tensor.dtype)
        if tensor.storage is Storage.WEIGHTS:
            flat = np.frombuffer(
                self.weights, tensor.dtype.numpy, int(np.prod(shape)), tensor.place
            )
            return flat.reshape(shape).astype(wide)
        if tensor.storage is Storage.INPUT:
            return self.inputs[tensor.place].reshape(shape).astype(wide)
        memory = self.arena if tensor.storage is Storage.ARENA else self.results[tensor.place]
        start = 2 * tensor.place if tensor.storage is Storage.ARENA else 0
        size = int(np.prod(shape)) * wide.itemsize
        return memory[start : start + size].view(wide).reshape(shape)

    def step(self, step: Step) -> None:
        roles = {
            role.rstrip("?"): self.view(index)
            for role, index in zip(OPS[step.op].inputs, step.inputs, strict=True)
            if index is not None
        }
        result = self.view(step.outputs[0])
        with np.errstate(all="ignore"):
            made = np.asarray(_compute(step, roles, result.shape, result.dtype))
        assert made.shape == result.shape, (step, made.shape, result.shape)
        for index in step.outputs[1:]:
            self.view(index)[...] = np.nan  # scratch
        result[...] = made


def _compute(
    step: Step, t: dict[str, NDArray[Any]], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    p: dict[str, Any] = step.params
    if step.op in _SIMPLE:
        return np.asarray(_SIMPLE[step.op](t, p, shape, dtype))
    if step.op is Op.CONV2D:
        y = conv2d(t["x"], t["weight"], p)
        y = y + t["bias"].reshape(1, -1, 1, 1) if "bias" in t else y
        return activate(y + t.get("residual", 0.0), p, t)
    if step.op is Op.CONV_BLOCK:
        return conv_block(t, p)
    if step.op is Op.LINEAR:
        return activate(t["x"] @ t["weight"].T + t.get("bias", 0.0), p, t)
    if step.op is Op.BINARY_LINEAR:
        bias = t.get("bias", np.zeros(shape[-1]))
        rows = t["x"].reshape(-1, t["x"].shape[-1])
        made = oracles.binary_linear(rows, t["weight"], t["scale"], bias)
        return activate(made.reshape(shape), p, t)
    if step.op is Op.ADD:
        return activate(t["a"] + t["b"], p, t)
    if step.op is Op.ACTIVATION:
        return activate(t["x"], p, t)
    if step.op is Op.CONCAT:
        return np.concatenate([t["a"], t["b"]], p["axis"])
    if step.op is Op.QUANTIZE_UNIFORM:
        return oracles.uniform_quantize(t["x"], p["bits"])
    if step.op is Op.QUANTIZE_LOGIT:
        return (t["x"][..., None] > t["thresholds"]).sum(axis=-1)
    if step.op is Op.PACK_BITS:
        return oracles.pack_bits(t["codes"], p["bits"])
    if step.op is Op.UNPACK_BITS:
        return oracles.unpack_bits(t["payload"], shape[1], p["bits"])
    if step.op is Op.DEQUANTIZE_UNIFORM:
        return oracles.uniform_dequantize(t["codes"].astype(np.uint16), p["bits"])
    assert step.op is Op.COPY
    return t["x"]


_SIMPLE: dict[Op, Callable[..., Any]] = {
    Op.UNARY: lambda t, p, s, d: floats.UNARY[p["function"]](t["x"], p["alpha"], p["beta"]),
    Op.BINARY: lambda t, p, s, d: floats.BINARY[p["function"]](t["a"], t["b"]),
    Op.INTEGER: lambda t, p, s, d: floats.integer(p["function"], t["a"], t["b"]),
    Op.COMPARE: lambda t, p, s, d: floats.COMPARE[p["function"]](t["a"], t["b"]),
    Op.WHERE: lambda t, p, s, d: np.where(t["condition"] != 0, t["a"], t["b"]),
    Op.MATMUL: lambda t, p, s, d: t["a"] @ t["b"],
    Op.SOFTMAX: lambda t, p, s, d: floats.softmax(t["x"], p["axis"]),
    Op.CUMSUM: lambda t, p, s, d: floats.running_sum(t["x"], p),
    Op.LAYER_NORM: lambda t, p, s, d: floats.layer_norm(
        t["x"], t.get("scale", 1.0), t.get("bias", 0.0), p
    ),
    Op.REDUCE: lambda t, p, s, d: floats.reduce(t["x"], p),
    Op.ARG_EXTREME: lambda t, p, s, d: floats.arg_extreme(t["x"], p),
    Op.POOL2D: lambda t, p, s, d: floats.pool2d(t["x"], p, s),
    Op.CONV_TRANSPOSE2D: lambda t, p, s, d: (
        floats.conv_transpose2d(t["x"], t["weight"], p, s)
        + t.get("bias", np.zeros(s[1])).reshape(1, -1, 1, 1)
    ),
    Op.TRANSPOSE: lambda t, p, s, d: t["x"].transpose(floats.by_axis(p, "perm", t["x"].ndim)),
    Op.SLICE: lambda t, p, s, d: floats.slice_(t["x"], p, s),
    Op.PAD: lambda t, p, s, d: floats.pad(t["x"], p, s),
    Op.EXPAND: lambda t, p, s, d: np.broadcast_to(t["x"], s),
    Op.GATHER: lambda t, p, s, d: floats.gather(t["x"], t["indices"], p["axis"]),
    Op.CAST: lambda t, p, s, d: floats.cast(t["x"], d, p),
    Op.QUANTIZE: lambda t, p, s, d: floats.quantize(t["x"], p, d),
    Op.DEQUANTIZE: lambda t, p, s, d: (t["x"].astype(F64) - p["zero"]) * p["scale"],
}


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


def conv_block(t: dict[str, NDArray[Any]], p: dict[str, Any]) -> NDArray[Any]:
    def convolve(x: NDArray[Any], role: str, place: int, groups: int = 1) -> NDArray[Any]:
        kh, kw = t[role].shape[2:]
        top, left = p[f"pad_top_{place}"], p[f"pad_left_{place}"]
        window = dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1)
        window |= {"pad_top": top, "pad_bottom": kh - 1 - top}
        window |= {"pad_left": left, "pad_right": kw - 1 - left, "groups": groups}
        return conv2d(x, t[role], window)

    rows = t["channels"].reshape(-1, t["channels"].shape[1], 1, 1)

    def code16(values: NDArray[Any]) -> NDArray[Any]:
        return np.clip(np.rint(values), -32768, 32767)

    whole = len(rows) > 5
    x = code16(t["x"] / p["x_scale"]) if whole else t["x"]
    v = convolve(x, "expand", 1) * (rows[5] if whole else 1.0) + rows[0]
    v = np.where(v < 0, v * rows[1], v)
    if len(rows) > 4:
        codes = np.rint(v / p["code_scale"]) + p["code_zero"]
        least, most = (0, 255) if p["code_bits"] == 8 else (-32768, 32767)
        v = (np.clip(codes, least, most) - p["code_zero"]) * 1.0
    m = convolve(v, "middle", 2, p["groups"])
    m = (m * rows[4] if len(rows) > 4 else m) + rows[2]
    m = np.where(m < 0, m * rows[3], m)
    m = code16(m / p["m_scale"]) if whole else m
    y = convolve(m, "project", 3) * (p["y_scale"] if whole else 1.0)
    y = y + t["bias"].reshape(1, -1, 1, 1) if "bias" in t else y
    return activate(y + t.get("residual", 0.0), p, t)


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
