"""Pass: a LINEAR whose weights have one magnitude becomes BINARY_LINEAR, 32 times smaller.

sum_k w_k x_k with every w_k = s sign_k is s sum_k sign_k x_k. So it is seen from the weights alone
where a file has a 1-bit layer: QONNX's BipolarQuant, int8 codes of -1 and +1 behind a
DequantizeLinear, or the arithmetic of a training framework, folded by then. One magnitude may hold
for the whole matrix, or one for each output.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node
from csideploy.export.plan import Op

LEAST_INPUTS = 8
"""Of fewer inputs any row has few magnitudes by chance, and a byte holds 8 weights."""


def run(graph: Graph) -> None:
    """Change in place; after `fold_batch_norm`, which may give each output its own magnitude."""
    for node in graph.nodes:
        if node.op is Op.LINEAR:
            _recognise(graph, node)
    graph.sweep()


def _recognise(graph: Graph, node: Node) -> None:
    weight = graph.constant(node.inputs[1])
    if weight is None or weight.ndim != 2 or weight.shape[1] < LEAST_INPUTS:
        return
    scale = magnitudes(weight)
    if scale is None:
        return
    x, name, bias, slope = (*node.inputs, "", "")[:4]
    packed = graph.add_constant(f"{name}.packed", np.packbits(weight > 0, axis=1))
    node.op = Op.BINARY_LINEAR
    node.inputs = [x, packed, graph.add_constant(f"{name}.scale", scale), bias, slope]


def magnitudes(weight: NDArray[Any]) -> NDArray[np.float32] | None:
    """(1,) or (M,) of a matrix (M, K) whose rows have one magnitude each, else None."""
    found = np.abs(weight)
    rows = found[:, :1]
    if not np.array_equal(found, np.broadcast_to(rows, found.shape)) or not rows.all():
        return None
    same = bool((rows == rows[0]).all())
    return np.asarray(rows[0] if same else rows[:, 0], np.float32)
