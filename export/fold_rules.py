"""NumPy for the operators that may stand between constants, and between sizes.

Exporters compute shapes and convert weights with them. Sizes that hold the batch are arrays of
dtype object with "n" among the integers: what only moves elements moves "n" too, what would
calculate with it is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from csideploy.export.graph import Node
from csideploy.export.shape_rules import refuse

Data = NDArray[Any]
Fold = Callable[[Node, Sequence[Data]], Data]


def constant(node: Node, _: Sequence[Data]) -> Data:
    """A Constant node: a tensor, or one of the short forms."""
    attributes = node.attributes
    if "value" in attributes:
        return numpy_helper.to_array(attributes["value"])
    for name, dtype in (
        ("value_int", np.int64),
        ("value_ints", np.int64),
        ("value_float", np.float32),
        ("value_floats", np.float32),
    ):
        if name in attributes:
            return np.array(attributes[name], dtype)
    return refuse(node, f"a constant of the kind {sorted(attributes)}; numbers are supported")


def identity(_: Node, inputs: Sequence[Data]) -> Data:
    """The input."""
    return inputs[0]


def cast(node: Node, inputs: Sequence[Data]) -> Data:
    """Another type; the batch stays a symbol."""
    (x,) = inputs
    target = np.dtype(tensor_dtype_to_np_dtype(int(node.attributes["to"])))
    if x.dtype == object:
        if target.kind != "i":
            refuse(node, "the batch size is used as a number that is not an integer")
        return x
    return x.astype(target)


def reshape(_: Node, inputs: Sequence[Data]) -> Data:
    """Another shape; 0 keeps a size, -1 takes the rest."""
    x, shape = inputs
    sizes = [x.shape[i] if dim == 0 else int(dim) for i, dim in enumerate(shape.reshape(-1))]
    return x.reshape(sizes)


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
    mixed = any(x.dtype == object for x in inputs)
    parts = [x.astype(object) if mixed else x for x in inputs]
    return np.concatenate(parts, int(node.attributes["axis"]))


def arithmetic(operation: Callable[[Any, Any], Any]) -> Fold:
    """A fold for a binary operator."""

    def fold(node: Node, inputs: Sequence[Data]) -> Data:
        a, b = inputs
        if object in (a.dtype, b.dtype):
            refuse(node, "arithmetic with the batch size; the batch must stay a dimension")
        return np.asarray(operation(a, b), a.dtype)

    return fold
