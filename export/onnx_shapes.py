"""Types and shapes by ONNX's own rules, one node at a time.

The rules of the standard are those of the operator's version at the file's opset, so that
attributes that became inputs, and defaults that changed, are ONNX's business and not ours.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TypeProto, helper, numpy_helper
from onnx.defs import OpSchema, SchemaError, get_schema
from onnx.shape_inference import InferenceError, infer_node_outputs

from csideploy.export.graph import Node, Shape
from csideploy.export.refusal import Inputs, given, refuse

Made = list[tuple[np.dtype[Any], Shape]]

_MOST_KNOWN = 4096
"""Elements of a constant whose values a shape can hang on; weights are larger."""


_POSITIVE = {
    "strides", "dilations", "kernel_shape", "blocksize", "num_outputs", "group", "num_groups",
    "q_num_heads", "kv_num_heads",
}  # fmt: skip
"""Attributes that ONNX's inference divides by without a look."""

_MOST = 0xFFFF


@functools.cache
def schema(op: str, opset: int) -> OpSchema | None:
    """What the standard says of an operator at an opset; None where it has none."""
    try:
        return get_schema(op, opset, "")
    except SchemaError:
        return None


def to_proto(node: Node) -> NodeProto:
    """The node as ONNX writes it."""
    return helper.make_node(
        str(node.op), node.inputs, node.outputs, name=node.name, domain=node.domain,
        **{k: v for k, v in node.attributes.items() if v is not None and v != []},
    )  # fmt: skip


def element_type(dtype: np.dtype[Any]) -> int:
    """ONNX's code of a NumPy type."""
    return int(helper.np_dtype_to_tensor_dtype(dtype))


def tensor_type(dtype: np.dtype[Any], shape: Shape) -> TypeProto:
    """ONNX's type of a tensor."""
    return helper.make_tensor_type_proto(element_type(dtype), list(shape))


def check_attributes(node: Node) -> None:
    """Refuse numbers that ONNX's inference, or the executor, cannot take."""
    for name in _POSITIVE & set(node.attributes):
        given_numbers = np.asarray(node.attributes[name])
        if given_numbers.min(initial=1) < 1 or given_numbers.max(initial=1) > _MOST:
            refuse(node, f"{name} {node.attributes[name]}; 1 to {_MOST} is right")


def infer_outputs(node: Node, inputs: Inputs, opset: int, *, lenient: bool = False) -> Made:
    """(dtype, shape) of each output; lenient: nothing, where the standard does not say.

    Raises:
        UnsupportedError: inputs that the standard does not take, or a shape that it leaves open.
    """
    described = schema(str(node.op), opset)
    if described is None:
        refuse(node, f"is no operator of opset {opset}")
    check_attributes(node)
    types: dict[str, TypeProto] = {}
    data: dict[str, onnx.TensorProto] = {}
    for name, value in zip(node.inputs, inputs, strict=True):
        if value is None:
            continue
        types[name] = tensor_type(value.dtype, value.shape)
        if value.data is not None and value.data.size <= _MOST_KNOWN:
            data[name] = numpy_helper.from_array(np.ascontiguousarray(value.data).reshape(
                value.data.shape))  # fmt: skip
    try:
        found = infer_node_outputs(
            described, to_proto(node), types, data,
            opset_imports=[helper.make_opsetid("", opset)], ir_version=10,
        )  # fmt: skip
    except (InferenceError, onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        if lenient:
            return []
        lines = str(error).strip().splitlines() or ["shapes do not fit"]
        refuse(node, f"does not fit its inputs: {lines[0]}")
    made = []
    for name in node.outputs:
        entry = _made(found.get(name)) if name else None
        if entry is not None:
            made.append(entry)
        elif name and not lenient:
            refuse(node, f"the shape of '{name}' is not known when compiling")
    return made


def _made(found: TypeProto | None) -> tuple[np.dtype[Any], Shape] | None:
    if found is None or not found.tensor_type.HasField("shape"):
        return None
    dims = found.tensor_type.shape.dim
    if not all(dim.HasField("dim_value") for dim in dims):
        return None
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(found.tensor_type.elem_type))
    return dtype, tuple(int(dim.dim_value) for dim in dims)


def truth_shape(node: Node, inputs: Inputs) -> Made:
    """A comparison of two tensors of one type; the standard leaves some open at opset 13."""
    a, b = given(node, inputs, 0), given(node, inputs, 1)
    if a.dtype != b.dtype:
        refuse(node, f"compares {a.dtype} and {b.dtype}")
    sizes = np.broadcast_shapes(
        tuple(int(size) for size in a.shape), tuple(int(size) for size in b.shape)
    )
    return [(np.dtype(np.bool_), sizes)]


def same_shape(node: Node, inputs: Inputs) -> Made:
    """The type and shape of input 0, where the standard leaves them open."""
    x = given(node, inputs, 0)
    return [(x.dtype, x.shape)]
