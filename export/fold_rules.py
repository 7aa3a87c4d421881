"""What stands between constants, and between sizes, is computed when compiling.

NumPy for the operators that exporters use most; ONNX's own reference for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ValueInfoProto, helper, numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from csideploy.export.graph import Node, Quantized, Value
from csideploy.export.onnx_shapes import element_type, to_proto
from csideploy.export.refusal import refuse

Data = NDArray[Any]
Fold = Callable[[Node, Sequence[Data]], Data]

_SHORT_FORMS = (
    ("value_int", np.int64),
    ("value_ints", np.int64),
    ("value_float", np.float32),
    ("value_floats", np.float32),
)


def reference(node: Node, inputs: Sequence[Data | None], opset: int) -> list[Data]:
    """Any standard operator, by ONNX's reference implementation."""
    from onnx.reference import ReferenceEvaluator

    infos, feeds = [], {}
    for name, data in zip(node.inputs, inputs, strict=True):
        if data is not None and name not in feeds:
            feeds[name] = data
            infos.append(helper.make_tensor_value_info(name, element_type(data.dtype), data.shape))
    outputs = [name for name in node.outputs if name]
    graph = helper.make_graph(
        [to_proto(node)], "fold", infos, [ValueInfoProto(name=name) for name in outputs]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    try:
        with np.errstate(all="ignore"):
            made = ReferenceEvaluator(model).run(None, feeds)
    # The reference raises whatever its NumPy code raises.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        refuse(node, f"cannot be computed from its constants: {lines[0]}")
    return [np.asarray(data) for data in made]


def constant(node: Node, _: Sequence[Data]) -> Data:
    """A Constant node: a tensor, or one of the short forms."""
    attributes = node.attributes
    if "value" in attributes:
        return numpy_helper.to_array(attributes["value"])
    for name, dtype in _SHORT_FORMS:
        if name in attributes:
            return np.array(attributes[name], dtype)
    return refuse(node, f"a constant of the kind {sorted(attributes)}; numbers are supported")


def constant_of_shape(node: Node, inputs: Sequence[Data]) -> Data:
    """One number everywhere; takes no memory."""
    value = node.attributes.get("value")
    one = np.zeros(1, np.float32) if value is None else numpy_helper.to_array(value)
    return np.broadcast_to(one.reshape(()), [int(size) for size in inputs[0].reshape(-1)])


def expand(_: Node, inputs: Sequence[Data]) -> Data:
    """Broadcast to another shape; takes no memory."""
    x, shape = inputs
    sizes = np.broadcast_shapes(x.shape, tuple(int(size) for size in shape.reshape(-1)))
    return np.broadcast_to(x, sizes)


def identity(_: Node, inputs: Sequence[Data]) -> Data:
    """The input."""
    return inputs[0]


def cast(node: Node, inputs: Sequence[Data]) -> Data:
    """Another type."""
    target = np.dtype(tensor_dtype_to_np_dtype(int(node.attributes["to"])))
    with np.errstate(all="ignore"):
        return inputs[0].astype(target)


def reshape(node: Node, inputs: Sequence[Data]) -> Data:
    """Another shape; 0 keeps a size unless allowzero is set, -1 takes the rest."""
    x, shape = inputs
    keep = not node.attributes.get("allowzero", 0)
    sizes = [
        x.shape[i] if dim == 0 and keep else int(dim) for i, dim in enumerate(shape.reshape(-1))
    ]
    return x.reshape(sizes)


def flatten(node: Node, inputs: Sequence[Data]) -> Data:
    """Two axes: what is before `axis`, and the rest."""
    x = inputs[0]
    axis = int(node.attributes.get("axis", 1))
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape(int(np.prod(x.shape[:axis], dtype=np.int64)), -1)


def squeeze(_: Node, inputs: Sequence[Data]) -> Data:
    """Without the axes named, or all of size one."""
    axes = tuple(int(a) for a in inputs[1].reshape(-1)) if len(inputs) > 1 else None
    return np.squeeze(inputs[0], axes)


def unsqueeze(_: Node, inputs: Sequence[Data]) -> Data:
    """With axes of size one."""
    return np.expand_dims(inputs[0], tuple(int(a) for a in inputs[1].reshape(-1)))


def transpose(node: Node, inputs: Sequence[Data]) -> Data:
    """Axes in another order."""
    return np.transpose(inputs[0], node.attributes.get("perm"))


def gather(node: Node, inputs: Sequence[Data]) -> Data:
    """Elements by their indices along one axis."""
    taken = np.take(inputs[0], inputs[1].astype(np.int64), axis=int(node.attributes.get("axis", 0)))
    return np.asarray(taken, inputs[0].dtype)


def slice_(_: Node, inputs: Sequence[Data]) -> Data:
    """From start to end along each axis."""
    x, starts, ends, *rest = inputs
    axes = rest[0] if rest else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 else np.ones(len(starts), np.int64)
    cut = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # A step back to before the first element cannot be written as a Python slice.
        stop = None if step < 0 and end < -x.shape[int(axis)] else int(end)
        cut[int(axis)] = slice(int(start), stop, int(step))
    return x[tuple(cut)]


def concat(node: Node, inputs: Sequence[Data]) -> Data:
    """Joined along one axis."""
    return np.concatenate(list(inputs), int(node.attributes["axis"]))


def arithmetic(operation: Callable[[Any, Any], Any]) -> Fold:
    """A fold for a binary operator; integers divide towards zero."""

    def fold(node: Node, inputs: Sequence[Data]) -> Data:
        a, b = inputs
        if node.op == "Div" and a.dtype.kind in "iu":
            if not b.all():
                refuse(node, "divides by zero")
            return np.asarray(a // b if a.dtype.kind == "u" else _truncated(a, b), a.dtype)
        with np.errstate(all="ignore"):
            return np.asarray(operation(a, b), a.dtype)

    return fold


def _truncated(a: Data, b: Data) -> Data:
    quotient = np.abs(a) // np.abs(b)
    return np.asarray(quotient * np.sign(a) * np.sign(b))


def dequantize(node: Node, inputs: Sequence[Data]) -> Data:
    """(x - zero) scale; the pass `infer` keeps the codes beside it."""
    codes, scale = codes_and_scale(node, inputs)
    if scale.dtype != np.float32:
        refuse(node, f"scale is {scale.dtype}; float32 is supported")
    return np.asarray(codes.astype(np.float32) * scale, np.float32)


def codes_and_scale(node: Node, inputs: Sequence[Data]) -> tuple[NDArray[np.int32], Data]:
    """int32 codes without their zero point, and the scale, broadcast over them."""
    x, scale, *rest = inputs
    if node.attributes.get("block_size", 0):
        refuse(node, "scales by block are not supported")
    zero = rest[0].astype(np.int32) if rest else np.int32(0)
    if scale.size > 1:
        axis = int(node.attributes.get("axis", 1)) % x.ndim
        along = [1] * x.ndim
        along[axis] = -1
        scale = scale.reshape(along)
        zero = np.broadcast_to(zero, scale.size).reshape(along) if rest else zero
    else:
        scale = scale.reshape(())
        zero = np.asarray(zero).reshape(()) if rest else zero
    return np.asarray(x.astype(np.int32) - zero, np.int32), np.broadcast_to(scale, x.shape)


_MOVES = {"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout"}


def provenance(
    node: Node, inputs: Sequence[Value], fold: Fold | None, result: Data
) -> Quantized | None:
    """Codes and scale of a folded constant, if it has them."""
    data = [value.data for value in inputs if value.data is not None]
    if node.op == "DequantizeLinear":
        codes, scale = codes_and_scale(node, data)
        return Quantized(codes, scale)
    source = inputs[0].quantized if inputs else None
    if source is None or fold is None:
        return None
    if node.op in _MOVES:
        return source.moved(lambda array: fold(node, [array, *data[1:]]))
    if node.op == "Cast" and result.dtype == inputs[0].dtype:
        return source
    return None
