"""Pass: DequantizeLinear, an operation, QuantizeLinear become one operation on integers.

The integer operations are defined as that sequence (`export/integer/`, which ONNX Runtime's own
integer kernels agree with), so nothing changes but who computes it:

0. CAST of a small integer to float is DEQUANTIZE with scale 1 and zero point 0: the bits of a
   payload are codes as they are.
1. DEQUANTIZE moves behind what only moves elements, QUANTIZE in front of it: a move of dequantized
   codes is the dequantized move of the codes. (`recognise_qdq_moves`)
2. QUANTIZE of DEQUANTIZE with the same scale is nothing; with another, a QACTIVATION.
3. Products (`recognise_qdq_layers`), then sums, activations, tables and thresholds
   (`recognise_qdq_functions`).

Scales stay those of the file. What no rule takes up stays in float between a DEQUANTIZE and a
QUANTIZE.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.graph import Graph, Node
from csideploy.export.passes import (
    recognise_qdq_functions,
    recognise_qdq_layers,
    recognise_qdq_moves,
)
from csideploy.export.plan import Activation, Op


def run(graph: Graph) -> None:
    """Change in place; behind all passes that change float operations."""
    if not any(node.op in (Op.QUANTIZE, Op.DEQUANTIZE) for node in graph.nodes):
        return
    _casts(graph)
    recognise_qdq_moves.run(graph)
    _join(graph)
    recognise_qdq_layers.run(graph)
    recognise_qdq_functions.run(graph)
    _share(graph)


def _casts(graph: Graph) -> None:
    """(q - 0) 1 in float32 is the number itself, for codes of at most 16 bits."""
    for node in graph.nodes:
        if node.op is not Op.CAST or graph.values[node.outputs[0]].dtype != np.float32:
            continue
        if graph.values[node.inputs[0]].dtype in (np.uint8, np.int8, np.int16):
            node.op, node.attributes = Op.DEQUANTIZE, {"scale": 1.0, "zero": 0}


def _join(graph: Graph) -> None:
    """QUANTIZE behind DEQUANTIZE: the same codes, or those of another scale."""
    producers = graph.producers()
    same: dict[str, str] = {}
    gone = []
    for node in graph.nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        if node.op is not Op.QUANTIZE:
            continue
        back = producers.get(node.inputs[0])
        if back is None or back.op is not Op.DEQUANTIZE:
            continue
        source, result = graph.values[back.inputs[0]], graph.values[node.outputs[0]]
        if source.dtype.itemsize > 2:
            continue
        if (
            back.attributes == node.attributes
            and source.dtype == result.dtype
            and result.name not in graph.outputs
        ):
            same[result.name] = source.name
            gone.append(node)
            continue
        attributes = {
            "x_scale": back.attributes["scale"],
            "x_zero": back.attributes["zero"],
            "y_scale": node.attributes["scale"],
            "y_zero": node.attributes["zero"],
            "activation": Activation.NONE,
            "alpha": 0.0,
        }
        node.op, node.inputs, node.attributes = Op.QACTIVATION, [source.name, ""], attributes
    graph.remove(gone)
    drop_unread(graph)


def drop_unread(graph: Graph) -> None:
    """Take out nodes whose results nothing reads, from the end."""
    while True:
        users = graph.users()
        unread = [
            node
            for node in graph.nodes
            if not any(name in users or name in graph.outputs for name in node.outputs)
        ]
        if not unread:
            return
        graph.remove(unread)


def _share(graph: Graph) -> None:
    """One DEQUANTIZE for all that still read the same codes as floats."""
    drop_unread(graph)
    made: dict[tuple[object, ...], str] = {}
    same: dict[str, str] = {}
    gone: list[Node] = []
    for node in graph.nodes:
        node.inputs = [same.get(name, name) for name in node.inputs]
        if node.op is not Op.DEQUANTIZE:
            continue
        key = (node.inputs[0], node.attributes["scale"], node.attributes["zero"])
        if key in made and node.outputs[0] not in graph.outputs:
            same[node.outputs[0]] = made[key]
            gone.append(node)
        else:
            made.setdefault(key, node.outputs[0])
    graph.remove(gone)
