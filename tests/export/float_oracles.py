"""NumPy oracles of the float operations of the executor, from the semantics in `operations`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, expit

from csideploy.export.operations import (
    AXES,
    Binary,
    Comparison,
    Integer,
    PadMode,
    Reduction,
    Unary,
)

Array = NDArray[Any]


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


UNARY = {
    Unary.NEG: lambda x, a, b: -x,
    Unary.ABS: lambda x, a, b: np.abs(x),
    Unary.EXP: lambda x, a, b: np.exp(x),
    Unary.LOG: lambda x, a, b: np.log(x),
    Unary.SQRT: lambda x, a, b: np.sqrt(x),
    Unary.RECIPROCAL: lambda x, a, b: 1 / x,
    Unary.ERF: lambda x, a, b: erf(x),
    Unary.FLOOR: lambda x, a, b: np.floor(x),
    Unary.CEIL: lambda x, a, b: np.ceil(x),
    Unary.ROUND: lambda x, a, b: np.rint(x),
    Unary.SIGN: lambda x, a, b: np.sign(x),
    Unary.SOFTPLUS: lambda x, a, b: softplus(x),
    Unary.MISH: lambda x, a, b: x * np.tanh(softplus(x)),
    Unary.GELU: lambda x, a, b: x * (1 + erf(x / np.sqrt(2))) / 2,
    Unary.GELU_TANH: lambda x, a, b: (
        x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2
    ),
    Unary.HARD_SIGMOID: lambda x, a, b: np.clip(a * x + b, 0, 1),
    Unary.CLIP: lambda x, a, b: np.minimum(np.maximum(x, a), b),
    Unary.ELU: lambda x, a, b: np.where(x < 0, a * np.expm1(x), x),
    Unary.SWISH: lambda x, a, b: x * expit(a * x),
}
BINARY = {
    Binary.ADD: np.add,
    Binary.SUB: np.subtract,
    Binary.MUL: np.multiply,
    Binary.DIV: np.divide,
    Binary.POW: np.power,
    Binary.MIN: np.minimum,
    Binary.MAX: np.maximum,
    Binary.FMOD: np.fmod,
}
COMPARE = {
    Comparison.EQUAL: np.equal,
    Comparison.LESS: np.less,
    Comparison.LESS_OR_EQUAL: np.less_equal,
    Comparison.GREATER: np.greater,
    Comparison.GREATER_OR_EQUAL: np.greater_equal,
}
REDUCE = {
    Reduction.SUM: np.sum,
    Reduction.MEAN: np.mean,
    Reduction.MAX: np.max,
    Reduction.MIN: np.min,
    Reduction.PROD: np.prod,
}


def integer(function: int, a: Array, b: Array) -> Array:
    """In Python's integers, then the low bits: sums wrap."""
    width = 8 * a.dtype.itemsize

    def one(x: int, y: int) -> int:
        x, y = int(x), int(y)
        unsigned = x % (1 << width)
        answers = {
            Integer.ADD: lambda: x + y,
            Integer.SUB: lambda: x - y,
            Integer.MUL: lambda: x * y,
            Integer.DIV: lambda: 0 if y == 0 else (abs(x) // abs(y)) * (1 if x * y >= 0 else -1),
            Integer.MOD: lambda: 0 if y == 0 else x % y,
            Integer.AND: lambda: x & y,
            Integer.OR: lambda: x | y,
            Integer.XOR: lambda: x ^ y,
            Integer.SHIFT_LEFT: lambda: unsigned << y if 0 <= y < width else 0,
            Integer.SHIFT_RIGHT: lambda: x >> y if 0 <= y < width else 0,
            Integer.MIN: lambda: min(x, y),
            Integer.MAX: lambda: max(x, y),
        }
        low = answers[Integer(function)]() % (1 << width)
        return low - (1 << width) if a.dtype.kind == "i" and low >> (width - 1) else low

    whole = np.frompyfunc(one, 2, 1)(a, b)
    return np.asarray(whole).astype(a.dtype)


def softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def running_sum(x: Array, p: dict[str, Any]) -> Array:
    turned = np.flip(x, p["axis"]) if p["reverse"] else x
    sums = np.cumsum(turned, p["axis"]) - (turned if p["exclusive"] else 0)
    return np.flip(sums, p["axis"]) if p["reverse"] else sums


def layer_norm(x: Array, scale: Array | float, bias: Array | float, p: dict[str, Any]) -> Array:
    axes = tuple(range(p["axis"], x.ndim))
    mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(variance + p["epsilon"]) * scale + bias


def reduce(x: Array, p: dict[str, Any]) -> Array:
    axes = tuple(i for i in range(x.ndim) if p["axes"] >> i & 1)
    return np.asarray(REDUCE[Reduction(p["function"])](x, axes, keepdims=True))


def arg_extreme(x: Array, p: dict[str, Any]) -> Array:
    find = np.argmax if p["function"] == Reduction.MAX else np.argmin
    axis = p["axis"]
    if not p["last"]:
        return np.asarray(find(x, axis, keepdims=True), np.int32)
    flipped = find(np.flip(x, axis), axis, keepdims=True)
    return np.asarray(x.shape[axis] - 1 - flipped, np.int32)


def pool2d(x: Array, p: dict[str, Any], shape: tuple[int, ...]) -> Array:
    """Window by window; the pads of the mean count as zeros, or not at all."""
    y = np.empty(shape)
    height, width = x.shape[2:]
    top, left = p["pad_top"], p["pad_left"]
    ends = height + p["pad_bottom"], width + p["pad_right"]
    for i in range(shape[2]):
        for j in range(shape[3]):
            rows = [i * p["stride_h"] - top + k * p["dilation_h"] for k in range(p["kernel_h"])]
            columns = [j * p["stride_w"] - left + k * p["dilation_w"] for k in range(p["kernel_w"])]
            inside = [r for r in rows if 0 <= r < height], [c for c in columns if 0 <= c < width]
            window = x[:, :, inside[0]][:, :, :, inside[1]]
            if p["function"] == Reduction.MAX:
                y[:, :, i, j] = window.max((2, 3))
                continue
            counted = sum(r < ends[0] for r in rows) * sum(c < ends[1] for c in columns)
            elements = counted if p["count_pad"] else len(inside[0]) * len(inside[1])
            y[:, :, i, j] = window.sum((2, 3)) / elements
    return y


def conv_transpose2d(x: Array, weight: Array, p: dict[str, Any], shape: tuple[int, ...]) -> Array:
    """y[i s + k d - pad] += x[i] w[k], as it is written."""
    y = np.zeros(shape)
    groups, per_group = p["groups"], weight.shape[1]
    inputs = x.shape[1] // groups
    for g in range(groups):
        own = x[:, g * inputs : (g + 1) * inputs]
        made = y[:, g * per_group : (g + 1) * per_group]
        for k in range(weight.shape[2]):
            for m in range(weight.shape[3]):
                taps = weight[g * inputs : (g + 1) * inputs, :, k, m]
                for i in range(x.shape[2]):
                    for j in range(x.shape[3]):
                        row = i * p["stride_h"] + k * p["dilation_h"] - p["pad_top"]
                        column = j * p["stride_w"] + m * p["dilation_w"] - p["pad_left"]
                        if 0 <= row < shape[2] and 0 <= column < shape[3]:
                            made[:, :, row, column] += own[:, :, i, j] @ taps
    return y


def by_axis(p: dict[str, Any], name: str, rank: int) -> list[int]:
    return [p[f"{name}_{axis}"] for axis in range(AXES)][:rank]


def slice_(x: Array, p: dict[str, Any], shape: tuple[int, ...]) -> Array:
    starts, steps = by_axis(p, "start", x.ndim), by_axis(p, "step", x.ndim)
    chosen = [
        start + step * np.arange(size)
        for start, step, size in zip(starts, steps, shape, strict=True)
    ]
    return x[np.ix_(*chosen)]


def pad(x: Array, p: dict[str, Any], shape: tuple[int, ...]) -> Array:
    before = by_axis(p, "before", x.ndim)
    widths = [(b, made - own - b) for b, made, own in zip(before, shape, x.shape, strict=True)]
    mode = PadMode(p["mode"])
    if mode is PadMode.CONSTANT:
        return np.pad(x, widths, constant_values=p["value"])
    return np.pad(x, widths, {1: "edge", 2: "reflect", 3: "wrap"}[mode])  # type: ignore[call-overload]


def gather(x: Array, indices: Array, axis: int) -> Array:
    size = x.shape[axis]
    wrapped = np.where(indices < 0, indices + size, indices)
    return x.take(np.clip(wrapped, 0, size - 1), axis)


def cast(x: Array, target: np.dtype[Any], p: dict[str, Any]) -> Array:
    if p["truth"]:
        return (x != 0).astype(target)
    if x.dtype.kind == "f" and target.kind in "iu":
        limits = np.iinfo(target)
        return np.clip(np.trunc(np.nan_to_num(x)), limits.min, limits.max).astype(target)
    return x.astype(target)


def quantize(x: Array, p: dict[str, Any], target: np.dtype[Any]) -> Array:
    """The quotient is rounded to float32, as the operation says."""
    limits = np.iinfo(target)
    quotient = x.astype(np.float32) / np.float32(p["scale"])
    return np.clip(np.rint(quotient) + p["zero"], limits.min, limits.max).astype(target)
