"""A QONNX file in standard operators, so that ONNX Runtime runs it and is the oracle.

The pass `import_qonnx` says what the operators mean; here its result is written as ONNX again.
"""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from csideploy.export.functions import DOMAIN
from csideploy.export.graph import Graph, Node
from csideploy.export.passes import import_qonnx
from csideploy.export.read import read_model
from csideploy.export.users import has_users


def has_qonnx(model: ModelProto) -> bool:
    """Whether any node is an operator of QONNX."""
    return any(node.domain in import_qonnx.DOMAINS for node in model.graph.node)


def standard_qonnx(model: ModelProto) -> ModelProto:
    """The same network without QONNX's operators; names of tensors stay, inputs and outputs too.

    Args:
        model: any network; one without such operators comes back as it is.

    Raises:
        InputError, UnsupportedError: as `read_model`, or a QONNX node that cannot be written so;
            names it.
    """
    if not has_qonnx(model):
        return model
    graph = read_model(model, "network", 1 if has_users(model) else None)
    import_qonnx.run(graph)
    _say_zero_points(graph)
    made = ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:], made.graph.initializer[:], made.graph.value_info[:]
    # ONNX Runtime wants every node to have a name of its own.
    made.graph.node.extend(_proto(node, f"{i}.{node.name}") for i, node in enumerate(graph.nodes))
    made.graph.initializer.extend(
        numpy_helper.from_array(value.data, name)
        for name, value in graph.values.items()
        if value.data is not None
    )
    # Exporters of old list the weights among the inputs; some have just been replaced.
    ends = [info for info in model.graph.input if info.name in graph.inputs]
    del made.graph.input[:]
    made.graph.input.extend(ends)
    functions = [one for one in model.functions if one.domain == DOMAIN]
    del made.functions[:]
    made.functions.extend(functions)
    imports = [e for e in model.opset_import if e.domain in ("", "ai.onnx", DOMAIN)]
    del made.opset_import[:]
    made.opset_import.extend(imports)
    return made


def _say_zero_points(graph: Graph) -> None:
    """Give 8-bit weights the zero point that they have, one each.

    ONNX Runtime 1.32 turns i8 weights into u8 ones on some processors, and then refuses those with
    a scale a channel that left their zero point out.
    """
    for node in graph.nodes:
        if node.op != "DequantizeLinear" or node.domain or len(node.inputs) != 2:
            continue
        codes, scale = (graph.constant(name) for name in node.inputs)
        if codes is not None and scale is not None and codes.dtype == np.int8:
            zero = np.zeros(scale.shape, np.int8)
            node.inputs.append(graph.add_constant(f"{node.name}.zero", zero))


def _proto(node: Node, name: str) -> NodeProto:
    made = helper.make_node(str(node.op), node.inputs, node.outputs, name=name, domain=node.domain)
    # An empty list has no type to be written with, and says what leaving it out says.
    made.attribute.extend(
        helper.make_attribute(key, value) for key, value in node.attributes.items() if value != []
    )
    return made
