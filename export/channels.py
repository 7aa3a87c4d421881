"""Constants that have one number a channel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node, Shape
from csideploy.export.plan import Op

LAYERS = (Op.CONV2D, Op.LINEAR, Op.BINARY_LINEAR, Op.CONV_TRANSPOSE2D)
"""Operations with an output channel, a weight row or scale for it, and a bias."""

IMAGES = (Op.CONV2D, Op.CONV_TRANSPOSE2D)
"""Those whose output channels are axis 1; of the others they are the last axis."""


def channel_axis(layer: Node, shape: Shape) -> int:
    """The axis of a layer's output channels: 1 of an image, the last of rows."""
    return 1 if layer.op in IMAGES else len(shape) - 1


def channel_vector(data: NDArray[Any], shape: Shape, axis: int = 1) -> NDArray[Any] | None:
    """A constant that broadcasts over `shape` along `axis` alone, as a vector; else None."""
    rank = len(shape)
    if not 0 <= axis < rank or not isinstance(shape[axis], int):
        return None
    channels = int(shape[axis])
    if data.size == 1 and data.ndim <= rank:
        return np.full(channels, data.reshape(-1)[0], data.dtype)
    aligned = (1,) * (rank - data.ndim) + data.shape
    if aligned == tuple(channels if i == axis else 1 for i in range(rank)):
        return data.reshape(channels)
    return None


def constant_beside(graph: Graph, node: Node) -> tuple[str, NDArray[Any], int] | None:
    """(activation, constant, place of the constant) of a node of one of each; else None."""
    for place in (0, 1):
        data = graph.constant(node.inputs[place])
        if data is not None and graph.constant(node.inputs[1 - place]) is None:
            return node.inputs[1 - place], data, place
    return None
