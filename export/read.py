"""ONNX -> graph: what stands in the file, with the batch called n, nothing computed yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.functions import DOMAIN, FUNCTIONS, VERSION
from csideploy.export.graph import BATCH, Graph, Node, Shape, Value
from csideploy.export.supported import MAX_IR_VERSION, OPSETS


def read_model(model: ModelProto, name: str) -> Graph:
    """Read a model; intermediate tensors have no type and shape yet (the pass `infer` does that).

    Raises:
        InputError: not a valid model, or its weights are in another file that was not loaded.
        UnsupportedError: an IR version, opset or input shape that the compiler does not take.
    """
    _check_versions(model)
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise InputError(
                f"weight '{tensor.name}' is in another file; load the model with its external data"
            )
    _check_valid(model)
    _check_functions(model)
    proto = model.graph
    if proto.sparse_initializer:
        raise UnsupportedError("sparse initializers are not supported; store them dense")
    values: dict[str, Value] = {}
    for tensor in proto.initializer:
        try:
            data = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"weight '{tensor.name}' cannot be read: {error}") from error
        shape = tuple(int(size) for size in data.shape)
        values[tensor.name] = Value(tensor.name, data.dtype, shape, data)
    inputs = []
    for info in proto.input:
        if info.name not in values:  # old exporters list the weights among the inputs
            values[info.name] = _input(info)
            inputs.append(info.name)
    names = [*values, *(name for entry in proto.node for name in (entry.name, *entry.output))]
    if not all(isinstance(name, str) for name in names):  # protobuf gives broken UTF-8 as bytes
        raise InputError("not a valid ONNX model: a name is not UTF-8")
    if not inputs or not proto.output:
        raise InputError("a part needs at least one input and one output")
    nodes = [_node(entry, index) for index, entry in enumerate(proto.node)]
    return Graph(name, nodes, values, inputs, [info.name for info in proto.output])


def _check_valid(model: ModelProto) -> None:
    """Onnx's own checker, which wants shapes of outputs that runtimes do without."""
    whole = ModelProto()
    whole.CopyFrom(model)
    for info in whole.graph.output:
        info.type.tensor_type.shape.SetInParent()
    try:
        onnx.checker.check_model(whole)
    except (onnx.checker.ValidationError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise InputError(f"not a valid ONNX model: {first}") from error


def _check_versions(model: ModelProto) -> None:
    if not 3 <= model.ir_version <= MAX_IR_VERSION:
        raise UnsupportedError(
            f"ONNX IR version {model.ir_version}; 3 to {MAX_IR_VERSION} are supported"
        )
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version not in OPSETS:
            raise UnsupportedError(
                f"ONNX opset {entry.version}; {OPSETS[0]} to {OPSETS[-1]} are supported"
            )
        if entry.domain == DOMAIN and entry.version != VERSION:
            raise UnsupportedError(
                f"functions of domain '{DOMAIN}' version {entry.version}; {VERSION} is supported"
            )


_INPUT_TYPES: dict[int, np.dtype[Any]] = {
    int(onnx.TensorProto.FLOAT): np.dtype(np.float32),
    int(onnx.TensorProto.UINT8): np.dtype(np.uint8),
}


def _check_functions(model: ModelProto) -> None:
    """Our functions are recognised by name, so a body of that name must be ours."""
    for function in model.functions:
        if function.domain == DOMAIN and function.name in FUNCTIONS:
            own = FUNCTIONS[function.name]()
            if [_essence(node) for node in function.node] != [_essence(node) for node in own.node]:
                raise UnsupportedError(
                    f"function {DOMAIN}::{function.name} has another body than version {VERSION} "
                    "of that function; rename it, or inline it"
                )


def _essence(node: onnx.NodeProto) -> tuple[object, ...]:
    attributes = sorted((a.name, a.SerializeToString(deterministic=True)) for a in node.attribute)
    return node.domain, node.op_type, tuple(node.input), tuple(node.output), attributes


def _input(info: ValueInfoProto) -> Value:
    """An input of the part: float32 or uint8, the batch first and symbolic from here on."""
    kind = info.type.tensor_type
    dtype = _INPUT_TYPES.get(int(kind.elem_type))
    if dtype is None:
        known = onnx.TensorProto.DataType.values()
        given = onnx.TensorProto.DataType.Name(kind.elem_type) if kind.elem_type in known else "?"
        raise UnsupportedError(f"input '{info.name}' is {given}; FLOAT and UINT8 are supported")
    shape: list[int | str] = [
        int(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?"
        for dim in kind.shape.dim
    ]
    # A network exported for one sample runs sample by sample just the same.
    if len(shape) < 2 or (isinstance(shape[0], int) and shape[0] != 1):
        raise UnsupportedError(
            f"input '{info.name}' has shape {tuple(shape)}; (n, ...) or (1, ...) is supported"
        )
    if any(isinstance(dim, str) or dim < 1 for dim in shape[1:]):
        raise UnsupportedError(
            f"input '{info.name}' has shape {tuple(shape)}; only the batch may be symbolic"
        )
    fixed: Shape = (BATCH, *shape[1:])
    return Value(info.name, dtype, fixed)


def _node(entry: onnx.NodeProto, index: int) -> Node:
    attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in entry.attribute}
    outputs = list(entry.output)
    while len(outputs) > 1 and not outputs[-1]:
        outputs.pop()
    name = entry.name or f"{entry.op_type}_{index}"
    domain = "" if entry.domain == "ai.onnx" else entry.domain
    return Node(entry.op_type, name, list(entry.input), outputs, attributes, domain)
