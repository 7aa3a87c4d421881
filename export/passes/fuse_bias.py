"""Pass: a constant that is added to a layer's result, or multiplies it, goes into the layer.

(w . x + b) + c = w . x + (b + c) and (w . x + b) g = (g w) . x + g b, with c and g one number an
output channel, where nothing else reads the layer's result. So z - c, c - z and z / g too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.export.channels import LAYERS, channel_axis, channel_vector, constant_beside
from csideploy.export.graph import Graph, Node
from csideploy.export.operations import Binary
from csideploy.export.passes.fold_batch_norm import fold_affine
from csideploy.export.plan import Activation, Op

_TAKEN = (Binary.ADD, Binary.SUB, Binary.MUL, Binary.DIV)
Vector = NDArray[np.float64]


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    gone: list[Node] = []
    for node in graph.nodes:
        if node.op is not Op.BINARY or node.attributes["function"] not in _TAKEN:
            continue
        pair = constant_beside(graph, node)
        if pair is None:
            continue
        source, data, place = pair
        layer = producers.get(source)
        if layer is None or layer.op not in LAYERS or graph.only_user(source, users) is not node:
            continue
        if layer.attributes.get("activation", Activation.NONE) != Activation.NONE:
            continue
        shape = graph.values[source].shape
        vector = channel_vector(data, shape, channel_axis(layer, shape))
        if vector is None or graph.values[node.outputs[0]].shape != shape:
            continue
        affine = _affine(Binary(node.attributes["function"]), vector.astype(np.float64), place)
        if affine is None:
            continue
        fold_affine(graph, layer, *affine)
        layer.outputs = node.outputs
        producers[node.outputs[0]] = layer
        gone.append(node)
    graph.remove(gone)


def _affine(function: Binary, vector: Vector, place: int) -> tuple[Vector | None, Vector] | None:
    """Gain (None: 1) and shift; `place` 0: the constant is the first operand."""
    nothing = np.zeros_like(vector)
    if function is Binary.ADD:
        return None, vector
    if function is Binary.SUB:
        return (None, -vector) if place == 1 else (-np.ones_like(vector), vector)
    if function is Binary.MUL:
        return vector, nothing
    if place == 1 and vector.all():
        return 1 / vector, nothing
    return None
