"""What each ONNX operator accepts, and the type and shape of what it makes.

One function an operator. It gets the node and its input values, and returns a (dtype, shape) for
each output, or raises UnsupportedError saying what it does not take. The batch is the symbol "n"
in dimension 0 and never meets arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import UnsupportedError
from csideploy.export.graph import BATCH, Node, Shape, Value
from csideploy.export.plan import Dim

Made = list[tuple[np.dtype[Any], Shape]]
Inputs = Sequence[Value | None]

F32 = np.dtype(np.float32)
U8 = np.dtype(np.uint8)


def refuse(node: Node, why: str) -> NoReturn:
    """Raise for this node; one line."""
    raise UnsupportedError(f"node '{node.name}' ({node.label}): {why}")


def given(node: Node, inputs: Inputs, index: int) -> Value:
    """An input that must be there."""
    value = inputs[index] if index < len(inputs) else None
    if value is None:
        refuse(node, f"input {index} is missing")
    return value


def known(node: Node, inputs: Inputs, index: int, what: str) -> NDArray[Any]:
    """An input that must be a constant."""
    value = given(node, inputs, index)
    if value.data is None or value.data.dtype == object:
        refuse(node, f"{what} '{value.name}' must be a constant")
    return value.data


def floats(node: Node, inputs: Inputs, index: int, what: str) -> NDArray[np.float32]:
    """An input that must be a float32 constant."""
    data = known(node, inputs, index, what)
    if data.dtype != F32:
        refuse(node, f"{what} is {data.dtype}; float32 is supported")
    return data


def activation_input(node: Node, inputs: Inputs, rank: int | None = None) -> Value:
    """Input 0: float32 with the batch in front."""
    x = given(node, inputs, 0)
    if x.dtype != F32:
        refuse(node, f"input '{x.name}' is {x.dtype}; float32 is supported")
    if not x.shape or x.shape[0] != BATCH or any(isinstance(d, str) for d in x.shape[1:]):
        refuse(node, f"input '{x.name}' has shape {x.shape}; (n, ...) with the rest fixed is right")
    if rank is not None and len(x.shape) != rank:
        refuse(node, f"input '{x.name}' has shape {x.shape}; {rank} dimensions are supported")
    return x


def _size(dim: Dim) -> int:
    assert isinstance(dim, int)
    return dim


def conv_geometry(node: Node, x: Shape, kernel: Sequence[int]) -> dict[str, list[int]]:
    """strides, dilations and pads (top, left, bottom, right) with ONNX's defaults resolved."""
    attributes = node.attributes
    strides = list(attributes.get("strides", [1, 1]))
    dilations = list(attributes.get("dilations", [1, 1]))
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    if len(strides) != 2 or len(dilations) != 2 or len(pads) != 4:
        refuse(node, "strides, dilations and pads must be those of a 2-D convolution")
    if min(strides) < 1 or min(dilations) < 1:
        refuse(node, "strides and dilations must be positive")
    auto = attributes.get("auto_pad", b"NOTSET")
    auto = auto.decode() if isinstance(auto, bytes) else auto
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        for axis in (0, 1):
            size = _size(x[2 + axis])
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            total = max((-(-size // strides[axis]) - 1) * strides[axis] + reach - size, 0)
            small, large = total // 2, total - total // 2
            first = small if auto == "SAME_UPPER" else large
            pads[axis], pads[axis + 2] = first, total - first
    elif auto == "VALID":
        pads = [0, 0, 0, 0]
    elif auto != "NOTSET":
        refuse(node, f"auto_pad {auto} is unknown")
    if min(pads) < 0:
        refuse(node, "negative pads are not supported")
    return {"strides": strides, "dilations": dilations, "pads": pads}


def conv(node: Node, inputs: Inputs) -> Made:
    """X (n, C, H, W), weight (O, C / groups, kh, kw), bias (O,) -> (n, O, H', W')."""
    x = activation_input(node, inputs, 4)
    weight = floats(node, inputs, 1, "weight")
    if weight.ndim != 4 or weight.size == 0:
        refuse(node, f"weight has shape {weight.shape}; (O, C / groups, kh, kw) is right")
    groups = int(node.attributes.get("group", 1))
    outputs, per_group, *kernel = weight.shape
    if groups < 1 or per_group * groups != x.shape[1] or outputs % groups:
        refuse(
            node, f"{groups} groups of {per_group} inputs and {outputs} outputs against {x.shape}"
        )
    if len(inputs) > 2 and inputs[2] is not None:
        bias = floats(node, inputs, 2, "bias")
        if bias.shape != (outputs,):
            refuse(node, f"bias has shape {bias.shape}; ({outputs},) is right")
    geometry = conv_geometry(node, x.shape, kernel)
    sizes = []
    for axis in (0, 1):
        pads = geometry["pads"][axis] + geometry["pads"][axis + 2]
        reach = (kernel[axis] - 1) * geometry["dilations"][axis] + 1
        sizes.append((_size(x.shape[2 + axis]) + pads - reach) // geometry["strides"][axis] + 1)
    if min(sizes) < 1:
        refuse(node, f"the kernel {tuple(kernel)} does not fit into {x.shape}")
    return [(F32, (BATCH, outputs, *sizes))]


def batch_norm(node: Node, inputs: Inputs) -> Made:
    """X (n, C, ...) and four constants (C,) -> the same shape."""
    x = activation_input(node, inputs)
    if node.attributes.get("training_mode", 0) or len(node.outputs) != 1:
        refuse(node, "training mode; export the network in evaluation mode")
    for index, what in enumerate(("scale", "bias", "mean", "variance"), 1):
        if floats(node, inputs, index, what).shape != x.shape[1:2]:
            refuse(node, f"{what} must have the {x.shape[1]} channels of the input")
    return [(F32, x.shape)]


def elementwise(node: Node, inputs: Inputs) -> Made:
    """Any shape -> the same shape."""
    x = activation_input(node, inputs)
    return [(F32, x.shape)]


def prelu(node: Node, inputs: Inputs) -> Made:
    """X (n, C, ...), slope of one element or (C, 1, 1) -> the same shape."""
    x = activation_input(node, inputs)
    slope = floats(node, inputs, 1, "slope")
    if slope.size != 1:
        channels = x.shape[1]
        aligned = (1,) * (len(x.shape) - slope.ndim) + slope.shape
        if aligned != (1, channels) + (1,) * (len(x.shape) - 2):
            refuse(node, f"slope of shape {slope.shape}; one slope, or one a channel, is supported")
    return [(F32, x.shape)]


def add(node: Node, inputs: Inputs) -> Made:
    """Two equal shapes, or one and a constant by channel -> the same shape."""
    a, b = given(node, inputs, 0), given(node, inputs, 1)
    if a.data is not None:
        a, b = b, a
    activation_input(node, [a])
    if b.data is None:
        if a.shape != b.shape:
            refuse(node, f"shapes {a.shape} and {b.shape}; two equal shapes are supported")
        return [(F32, a.shape)]
    if b.data.dtype != F32 or channel_vector(b.data, a.shape) is None:
        refuse(node, f"a constant of shape {b.shape} on {a.shape}; one number a channel is right")
    return [(F32, a.shape)]


def channel_vector(data: NDArray[Any], shape: Shape) -> NDArray[Any] | None:
    """A constant that broadcasts over `shape` by channel, as one number a channel; else None."""
    rank, channels = len(shape), _size(shape[1])
    if data.size == 1:
        return np.full(channels, data.reshape(-1)[0], data.dtype)
    aligned = (1,) * (rank - data.ndim) + data.shape
    if aligned == (1, channels) + (1,) * (rank - 2):
        return data.reshape(channels)
    return None


def concat(node: Node, inputs: Inputs) -> Made:
    """(n, C_i, ...) -> (n, sum of C_i, ...)."""
    first = activation_input(node, inputs)
    axis = int(node.attributes["axis"])
    if axis not in (1, 1 - len(first.shape)):
        refuse(node, f"axis {axis}; only axis 1, the channels, is supported")
    channels = 0
    for index in range(len(inputs)):
        part = activation_input(node, inputs[index:])
        if part.data is not None or part.shape[2:] != first.shape[2:]:
            refuse(node, f"input '{part.name}' of shape {part.shape} beside {first.shape}")
        channels += _size(part.shape[1])
    return [(F32, (BATCH, channels, *first.shape[2:]))]


def gemm(node: Node, inputs: Inputs) -> Made:
    """X (n, K), weight (K, M), or (M, K) with transB, bias (M,) -> (n, M)."""
    x = activation_input(node, inputs, 2)
    weight = floats(node, inputs, 1, "weight")
    if weight.ndim != 2 or weight.size == 0:
        refuse(node, f"weight has shape {weight.shape}; two dimensions are supported")
    if node.attributes.get("transA", 0):
        refuse(node, "transA is not supported: the batch comes first")
    rows, columns = weight.shape[::-1] if node.attributes.get("transB", 0) else weight.shape
    if rows != x.shape[1]:
        refuse(node, f"{x.shape[1]} inputs against a weight of shape {weight.shape}")
    if len(inputs) > 2 and inputs[2] is not None:
        bias = floats(node, inputs, 2, "bias")
        if channel_vector(bias, (BATCH, columns)) is None:
            refuse(node, f"bias has shape {bias.shape}; ({columns},) is right")
    return [(F32, (BATCH, columns))]


def reshape(node: Node, inputs: Inputs) -> Made:
    """X and a known target -> the target, if no sample gets elements of another."""
    x = given(node, inputs, 0)
    wanted = given(node, inputs, 1)
    if wanted.data is None:
        refuse(node, f"the shape '{wanted.name}' must be known when compiling")
    if node.attributes.get("allowzero", 0) and 0 in wanted.data.tolist():
        refuse(node, "allowzero with a size of zero")
    dims: list[Dim] = [
        x.shape[i] if dim == 0 and i < len(x.shape) else dim
        for i, dim in enumerate(wanted.data.reshape(-1).tolist())
    ]
    return [(x.dtype, batched(node, x, dims))]


def batched(node: Node, x: Value, dims: list[Dim]) -> Shape:
    """The shape that `dims` (with at most one -1) mean, batch first.

    The batch may be written as "n", as -1, or as 1 in a network that was exported for one sample.
    """
    fixed = math.prod(d for d in dims if isinstance(d, int) and d > 0)
    if dims.count(-1) == 1:
        hole = dims.index(-1)
        if BATCH not in dims and hole == 0 and fixed == x.per_sample:
            dims[0] = BATCH
        elif x.per_sample % fixed == 0:
            dims[hole] = x.per_sample // fixed
    if dims and dims[0] == 1:
        dims[0] = BATCH
    rest = dims[1:]
    if not dims or dims[0] != BATCH or not all(isinstance(d, int) and d > 0 for d in rest):
        refuse(node, f"shape {x.shape} to {tuple(dims)} mixes samples of the batch")
    if math.prod(_size(d) for d in rest) != x.per_sample:
        refuse(node, f"shape {x.shape} to {tuple(dims)} changes the number of elements")
    return tuple(dims)


def flatten(node: Node, inputs: Inputs) -> Made:
    """(n, ...) -> (n, product of the rest)."""
    x = given(node, inputs, 0)
    if int(node.attributes.get("axis", 1)) not in (1, 1 - len(x.shape)):
        refuse(node, "only axis 1, which keeps the batch, is supported")
    return [(x.dtype, (BATCH, x.per_sample))]


def squeeze(node: Node, inputs: Inputs) -> Made:
    """Without the axes named, which are of size one."""
    x = given(node, inputs, 0)
    axes = [int(a) % len(x.shape) for a in known(node, inputs, 1, "axes").reshape(-1)]
    if any(x.shape[a] != 1 for a in axes):
        refuse(node, f"axes {axes} of {x.shape} are not all 1")
    return [(x.dtype, tuple(d for i, d in enumerate(x.shape) if i not in axes))]


def unsqueeze(node: Node, inputs: Inputs) -> Made:
    """With axes of size one, none in front of the batch."""
    x = given(node, inputs, 0)
    axes = known(node, inputs, 1, "axes").reshape(-1)
    rank = len(x.shape) + len(axes)
    places = {int(a) % rank for a in axes}
    if 0 in places:
        refuse(node, "an axis in front of the batch")
    rest = iter(x.shape)
    return [(x.dtype, tuple(1 if i in places else next(rest) for i in range(rank)))]


def transpose(node: Node, inputs: Inputs) -> Made:
    """Only where axes of size one move."""
    x = given(node, inputs, 0)
    order = list(node.attributes.get("perm", range(len(x.shape))[::-1]))
    if sorted(order) != list(range(len(x.shape))):
        refuse(node, f"order {order} on {x.shape} is no permutation")
    moving = [axis for axis in order if x.shape[axis] != 1]
    if moving != sorted(moving) or order[0] != 0:
        refuse(node, f"order {order} on {x.shape} moves data; only one that moves none is taken")
    return [(x.dtype, tuple(x.shape[axis] for axis in order))]


def same(node: Node, inputs: Inputs) -> Made:
    """Any -> the same type and shape."""
    x = given(node, inputs, 0)
    return [(x.dtype, x.shape)]


def dropout(node: Node, inputs: Inputs) -> Made:
    """Any -> the same type and shape, in evaluation mode."""
    training = inputs[2] if len(inputs) > 2 else None
    if training is not None and known(node, inputs, 2, "training_mode").any():
        refuse(node, "training mode; export the network in evaluation mode")
    return same(node, inputs)


def cast(node: Node, inputs: Inputs) -> Made:
    """Only to the type it has."""
    from onnx.helper import tensor_dtype_to_np_dtype

    x = given(node, inputs, 0)
    target = np.dtype(tensor_dtype_to_np_dtype(int(node.attributes["to"])))
    if target != x.dtype:
        refuse(node, f"{x.dtype} to {target} on an activation; only a Cast of a constant is taken")
    return [(x.dtype, x.shape)]


def shape_of(node: Node, inputs: Inputs) -> Made:
    """(rank,) int64; the sizes themselves are computed by the pass `infer`."""
    x = given(node, inputs, 0)
    return [(np.dtype(np.int64), (len(x.shape),))]
