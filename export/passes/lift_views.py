"""Pass: what looks at single elements or at channels moves in front of a view.

f(view(z)) = view(f(z)) where f treats every element alike, or every channel where the view keeps
the channels; and view(a) + view(b) = view(a + b). Behind a layer that lets the layer take f: 1-D
convolutions are 2-D ones between two views, and a decoder's FC is seen as images.
"""

from __future__ import annotations

import math

import numpy as np

from csideploy.export.graph import VIEW, Graph, Node, Shape, Value
from csideploy.export.operations import Binary
from csideploy.export.plan import Op

_LAYERS = (Op.CONV2D, Op.LINEAR, Op.BINARY_LINEAR, Op.CONV_TRANSPOSE2D)
_AFFINE = (Binary.ADD, Binary.SUB, Binary.MUL, Binary.DIV)


def run(graph: Graph) -> None:
    """Change in place."""
    nodes = list(graph.nodes)
    for node in nodes:
        _lift(graph, node)
    graph.sweep()


def _lift(graph: Graph, node: Node) -> None:
    """Moves `node` once: the views that it makes are met by the nodes behind it."""
    users, producers = graph.users(), graph.producers()
    for place, name in enumerate(node.inputs[:2]):
        view = producers.get(name)
        if view is None or view.op != VIEW or graph.only_user(name, users) is not node:
            continue
        source = graph.values[view.inputs[0]]
        layer = producers.get(source.name)
        behind = _chain_start(producers, layer)
        if behind is None or graph.only_user(source.name, users) is not view:
            continue
        others = _others(graph, node, place, source.shape)
        if others is None:
            continue
        _move(graph, node, place, view, others)
        return


def _chain_start(producers: dict[str, Node], node: Node | None) -> Node | None:
    """The layer behind functions that were lifted before."""
    while node is not None and node.op not in _LAYERS:
        steps = node.op in (Op.UNARY, Op.ACTIVATION, Op.BINARY) or node.op == "BatchNormalization"
        node = producers.get(node.inputs[0]) if steps else None
    return node


def _others(graph: Graph, node: Node, place: int, shape: Shape) -> dict[int, str] | None:
    """The other inputs in the shape of the view's source; None: it cannot be moved."""
    result = graph.values[node.outputs[0]].shape
    if result != graph.values[node.inputs[place]].shape:
        return None
    channels = shape[:2] == result[:2] and min(len(shape), len(result)) > 1
    if node.op is Op.UNARY or (node.op is Op.ACTIVATION and not node.inputs[1]):
        return {}
    if node.op == "BatchNormalization" or node.op is Op.ACTIVATION:
        return {} if channels and place == 0 else None
    if node.op is not Op.BINARY or node.attributes["function"] not in _AFFINE:
        return None
    other = graph.values[node.inputs[1 - place]]
    if other.data is None:
        same = other.shape == result and node.attributes["function"] == Binary.ADD
        return {1 - place: _seen_as(graph, node, other, shape)} if same else None
    if other.data.size == 1:
        return {}
    aligned = (1,) * (len(result) - other.data.ndim) + other.data.shape
    if channels and aligned == (1, result[1], *(1,) * (len(result) - 2)):
        data = other.data.reshape(-1, *(1,) * (len(shape) - 2))
        return {1 - place: graph.add_constant(f"{node.name}.channels", data)}
    if len(shape) == 2 and aligned[0] == 1 and all(isinstance(d, int) for d in result[1:]):
        # One number an output of a linear layer, whatever it is seen as.
        sizes = [int(d) for d in result[1:]]
        if math.prod(sizes) != shape[1]:
            return None
        data = np.broadcast_to(other.data.reshape(aligned[1:]), sizes).reshape(-1)
        return {1 - place: graph.add_constant(f"{node.name}.outputs", np.ascontiguousarray(data))}
    return None


def _seen_as(graph: Graph, node: Node, value: Value, shape: Shape) -> str:
    name = graph.free_name(f"{value.name}.seen")
    graph.values[name] = Value(name, value.dtype, shape)
    at = next(i for i, entry in enumerate(graph.nodes) if entry is node)
    graph.nodes.insert(at, Node(VIEW, f"{node.name}.seen", [value.name], [name]))
    return name


def _move(graph: Graph, node: Node, place: int, view: Node, others: dict[int, str]) -> None:
    """`node` reads the view's source, and the view shows the node's result."""
    source = graph.values[view.inputs[0]]
    result = graph.values[node.outputs[0]]
    made = graph.free_name(f"{node.name}.lifted")
    graph.values[made] = Value(made, result.dtype, source.shape)
    node.inputs[place] = source.name
    for index, name in others.items():
        node.inputs[index] = name
    node.outputs = [made]
    graph.nodes = [entry for entry in graph.nodes if entry is not view]
    at = next(i for i, entry in enumerate(graph.nodes) if entry is node)
    graph.nodes.insert(at + 1, Node(VIEW, view.name, [made], [result.name]))
