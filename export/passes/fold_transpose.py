"""Pass: a transpose between images and a linear layer goes into the layer's weight.

With P the permutation of a row's elements, W (P x) = (W P) x: the columns of W in another order.
So files from frameworks that keep the channels last, where a flatten stands behind a transpose
and an image begins with one, need no step for it. Behind a layer it is the order of the rows of
W, of the bias and of the scale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import BATCH, VIEW, Graph, Node
from csideploy.export.operations import AXES
from csideploy.export.plan import Activation, Op

Order = NDArray[np.int64]


def run(graph: Graph) -> None:
    """Change in place."""
    for node in list(graph.nodes):
        if node.op is Op.LINEAR and len(graph.values[node.inputs[0]].shape) == 2:
            _columns(graph, node)
        if node.op is Op.TRANSPOSE:
            _rows(graph, node)


def _order(graph: Graph, node: Node) -> Order | None:
    """Element j of the transposed sample is element order[j] of the sample; None: no batch."""
    shape = graph.values[node.inputs[0]].shape
    axes = [int(node.attributes[f"perm_{i}"]) for i in range(AXES)][: len(shape)]
    if shape[0] != BATCH:
        return None
    sizes = [int(size) for size in shape[1:]]
    places = np.arange(int(np.prod(sizes))).reshape(sizes)
    return places.transpose([axis - 1 for axis in axes[1:]]).reshape(-1)


def _columns(graph: Graph, layer: Node) -> None:
    """TRANSPOSE, VIEW, LINEAR -> VIEW, LINEAR."""
    producers, users = graph.producers(), graph.users()
    view = producers.get(layer.inputs[0])
    if view is None or view.op != VIEW or graph.only_user(layer.inputs[0], users) is not layer:
        return
    moved = producers.get(view.inputs[0])
    if moved is None or moved.op is not Op.TRANSPOSE:
        return
    if graph.only_user(moved.outputs[0], users) is not view:
        return
    order = _order(graph, moved)
    weight = graph.values[layer.inputs[1]]
    if order is None or weight.data is None or len(order) != weight.data.shape[1]:
        return
    back = np.argsort(order)
    _replace(graph, layer, 1, lambda data: data[:, back])
    view.inputs = moved.inputs[:1]
    graph.remove([moved])


def _rows(graph: Graph, moved: Node) -> None:
    """LINEAR, VIEW, TRANSPOSE -> LINEAR, VIEW."""
    producers, users = graph.producers(), graph.users()
    view = producers.get(moved.inputs[0])
    if view is None or view.op != VIEW or graph.only_user(moved.inputs[0], users) is not moved:
        return
    layer = producers.get(view.inputs[0])
    if layer is None or layer.op is not Op.LINEAR:
        return
    if layer.attributes["activation"] == Activation.PRELU:
        return
    shape = graph.values[layer.outputs[0]].shape
    order = _order(graph, moved)
    if order is None or len(shape) != 2 or len(order) != shape[1]:
        return
    if graph.only_user(layer.outputs[0], users) is not view:
        return
    _replace(graph, layer, 1, lambda data: data[order])
    if layer.inputs[2]:
        _replace(graph, layer, 2, lambda data: data[order])
    view.outputs = moved.outputs
    graph.remove([moved])


def _replace(
    graph: Graph, layer: Node, place: int, move: Callable[[NDArray[Any]], NDArray[Any]]
) -> None:
    value = graph.values[layer.inputs[place]]
    assert value.data is not None
    codes = value.quantized.moved(move) if value.quantized else None
    data = np.ascontiguousarray(move(value.data))
    layer.inputs[place] = graph.add_constant(f"{value.name}.moved", data, codes)
