"""An operator that ONNX defines by others is written out by that definition.

The standard carries a body of standard operators for many: Attention, GroupNormalization,
RMSNormalization, HardSwish ... What has a rule of its own in `supported` is not expanded.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import FunctionProto, helper

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import schema, tensor_type, to_proto
from csideploy.export.refusal import Inputs


def body_of(node: Node, inputs: Inputs, opset: int) -> list[Node] | None:
    """The nodes that the standard gives for this one, None where it gives none."""
    described: Any = schema(str(node.op), opset) if node.domain == "" else None
    if described is None:
        return None
    if described.has_function:
        versioned = described.get_function_with_opset_version(opset)
        function = _parse(versioned) if versioned else described.function_body
    elif described.has_context_dependent_function:
        types = [
            tensor_type(value.dtype, value.shape).SerializeToString() if value else b""
            for value in inputs
        ]
        proto = to_proto(node).SerializeToString()
        version = max(
            (v for v in described.context_dependent_function_opset_versions if v <= opset),
            default=None,
        )
        if version is None:
            return None
        try:
            function = _parse(
                described.get_context_dependent_function_with_opset_version(version, proto, types)
            )
        except (RuntimeError, ValueError):
            return None
    else:
        return None
    if not function.node:
        return None
    return _instantiate(node, function, described)


def _parse(data: Any) -> FunctionProto:
    function = FunctionProto()
    function.ParseFromString(data)
    return function


def _instantiate(node: Node, function: FunctionProto, described: onnx.defs.OpSchema) -> list[Node]:
    """The body under the node's own names and attributes."""
    defaults = {
        name: helper.get_attribute_value(attribute.default_value)
        for name, attribute in described.attributes.items()
        if attribute.default_value.name
    }
    own = {**defaults, **node.attributes}
    names = {"": ""}
    names.update(dict.fromkeys(function.input, ""))
    names.update(zip(function.input, node.inputs, strict=False))
    names.update(zip(function.output, node.outputs, strict=False))
    made = []
    for index, entry in enumerate(function.node):
        for name in (*entry.input, *entry.output):
            names.setdefault(name, f"{node.name}.{name}")
        attributes = {}
        for attribute in entry.attribute:
            if not attribute.ref_attr_name:
                attributes[attribute.name] = helper.get_attribute_value(attribute)
            elif attribute.ref_attr_name in own:
                attributes[attribute.name] = own[attribute.ref_attr_name]
        made.append(
            Node(
                entry.op_type,
                f"{node.name}.{entry.op_type}{index}",
                [names[name] for name in entry.input],
                [names[name] for name in entry.output],
                attributes,
            )
        )
    return made
