"""ONNX -> graph: what stands in the file, for one sample, nothing computed yet."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto, helper, numpy_helper
from onnx.inliner import inline_selected_functions

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.functions import DOMAIN, FUNCTIONS, VERSION
from csideploy.export.graph import USERS, Batch, Graph, Node, Value
from csideploy.export.supported import MAX_IR_VERSION, OPSETS


def read_model(model: ModelProto, name: str, users: int | None = None) -> Graph:
    """Read a model; intermediate tensors have no type and shape yet (the pass `infer` does that).

    Args:
        model: ONNX.
        name: of the part.
        users: what stands for k, a dimension of that name behind the first one of an input.

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
    model = _inline_others(model)
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
    inputs, kinds = [], []
    for info in proto.input:
        if info.name not in values:  # old exporters list the weights among the inputs
            values[info.name], kind = _input(info, users)
            inputs.append(info.name)
            kinds.append(kind)
    literal = _find_batch([values[name] for name in inputs], kinds)
    names = [*values, *(name for entry in proto.node for name in (entry.name, *entry.output))]
    if not all(isinstance(name, str) for name in names):  # protobuf gives broken UTF-8 as bytes
        raise InputError("not a valid ONNX model: a name is not UTF-8")
    if not inputs or not proto.output:
        raise InputError("a part needs at least one input and one output")
    nodes = [_node(entry, index) for index, entry in enumerate(proto.node)]
    versions = [e.version for e in model.opset_import if e.domain in ("", "ai.onnx")]
    opset = versions[0] if versions else OPSETS[-1]
    outputs = [info.name for info in proto.output]
    return Graph(
        name, nodes, values, inputs, outputs, opset, literal, inferred=False, user_count=users
    )


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


def _inline_others(model: ModelProto) -> ModelProto:
    """Functions that are not ours are written out: exporters wrap operators in their own."""
    others = [(f.domain, f.name) for f in model.functions if f.domain != DOMAIN]
    if not others:
        return model
    try:
        inlined: ModelProto = inline_selected_functions(model, others)
    except (RuntimeError, ValueError) as error:
        first = (str(error).strip().splitlines() or ["?"])[0]
        raise InputError(f"the file's functions cannot be written out: {first}") from error
    return inlined


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
    int(onnx.TensorProto.INT8): np.dtype(np.int8),
    int(onnx.TensorProto.INT16): np.dtype(np.int16),
    int(onnx.TensorProto.INT32): np.dtype(np.int32),
    int(onnx.TensorProto.INT64): np.dtype(np.int64),
    int(onnx.TensorProto.BOOL): np.dtype(np.bool_),
}
"""int64 is int32 at the part's interface, and bool is uint8."""


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


def _input(info: ValueInfoProto, users: int | None) -> tuple[Value, str]:
    """An input of the part for one sample, and how its first size is given.

    "symbol": the batch; "one": a literal 1, which may be the batch; "fixed": something else.
    """
    kind = info.type.tensor_type
    dtype = _INPUT_TYPES.get(int(kind.elem_type))
    if dtype is None:
        known = onnx.TensorProto.DataType.values()
        given = onnx.TensorProto.DataType.Name(kind.elem_type) if kind.elem_type in known else "?"
        names = ", ".join(onnx.TensorProto.DataType.Name(code) for code in _INPUT_TYPES)
        raise UnsupportedError(f"input '{info.name}' is {given}; {names} are supported")
    shape: list[int | str] = [
        int(dim.dim_value) if dim.HasField("dim_value") else str(dim.dim_param or "?")
        for dim in kind.shape.dim
    ]
    if shape.count(USERS) > 1:
        raise UnsupportedError(
            f"input '{info.name}' has shape {tuple(shape)}; k may be one axis, behind the batch"
        )
    if users is not None:
        shape[1:] = [users if dim == USERS else dim for dim in shape[1:]]
    if any(isinstance(dim, str) or dim < 1 for dim in shape[1:]) or shape[:1] == [0]:
        raise UnsupportedError(
            f"input '{info.name}' has shape {tuple(shape)}; only the batch, and the number of "
            f"users named '{USERS}', may be symbolic"
        )
    fixed = tuple(1 if isinstance(dim, str) else dim for dim in shape)
    if shape and isinstance(shape[0], str):
        if len(shape) < 2:
            raise UnsupportedError(
                f"input '{info.name}' has shape {tuple(shape)}; (n, ...) with at least one more "
                "size is supported"
            )
        return Value(info.name, dtype, fixed), "symbol"
    return Value(info.name, dtype, fixed), "one" if len(shape) > 1 and shape[0] == 1 else "fixed"


def _find_batch(values: list[Value], kinds: list[str]) -> bool:
    """Mark the inputs that have a batch; returns whether a literal 1 was taken for it."""
    if "symbol" in kinds and "fixed" in kinds:
        name = values[kinds.index("fixed")].name
        raise UnsupportedError(f"input '{name}' has no batch in front, others have")
    if "symbol" in kinds and "one" in kinds:
        name = values[kinds.index("one")].name
        raise UnsupportedError(
            f"input '{name}' has a batch of 1, others a symbolic one; give all the same"
        )
    if "fixed" in kinds:
        return False
    for value in values:
        value.batch = Batch(0)
    return "symbol" not in kinds


def _node(entry: onnx.NodeProto, index: int) -> Node:
    attributes: dict[str, Any] = {a.name: helper.get_attribute_value(a) for a in entry.attribute}
    outputs = list(entry.output)
    while len(outputs) > 1 and not outputs[-1]:
        outputs.pop()
    name = entry.name or f"{entry.op_type}_{index}"
    domain = "" if entry.domain == "ai.onnx" else entry.domain
    return Node(entry.op_type, name, list(entry.input), outputs, attributes, domain)
