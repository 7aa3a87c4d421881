"""Pass: give every tensor its type and shape, and compute what is constant.

One walk for both, because a shape may be computed from constants and sizes (Shape, Gather,
Concat, Reshape). A node whose inputs are all known is computed here with NumPy and leaves the
graph: fp16 weights behind a Cast, Constant nodes, the exporters' arithmetic on shapes. By
definition of a constant this changes no result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from csideploy.errors import InputError
from csideploy.export.graph import Graph, Node, Value
from csideploy.export.shape_rules import refuse
from csideploy.export.supported import rule_for

_MALFORMED = (ValueError, IndexError, TypeError, KeyError, ArithmeticError)
"""What NumPy and dictionaries raise on attributes and sizes that fit nothing."""


def run(graph: Graph) -> None:
    """Infer in place; afterwards every value has a shape and no foldable node is left."""
    kept = []
    for node in graph.nodes:
        inputs = [_value(graph, node, name) for name in node.inputs]
        rule = rule_for(node)
        data = [value.data for value in inputs if value is not None]
        known = [x for x in data if x is not None]
        if node.op == "Shape":
            _store(graph, node, _sizes(node, inputs[0]))
        elif rule.fold is not None and len(known) == len(data) == len(node.inputs):
            try:
                _store(graph, node, rule.fold(node, known))
            except _MALFORMED as error:
                refuse(node, f"cannot be computed from its constants: {error}")
        elif rule.shape is None:
            refuse(node, f"takes {rule.accepts}")
        else:
            try:
                made = rule.shape(node, inputs)
            except _MALFORMED as error:
                refuse(node, f"is malformed: {error!r}")
            for name, (dtype, shape) in zip(node.outputs, made, strict=False):
                graph.values[name] = Value(name, dtype, shape)
            kept.append(node)
    graph.nodes = kept
    for name in graph.outputs:
        if name not in graph.values:
            raise InputError(f"output '{name}' is made by no node")
    graph.sweep()


def _value(graph: Graph, node: Node, name: str) -> Value | None:
    if not name:
        return None
    if name not in graph.values:
        raise InputError(f"node '{node.name}' reads '{name}', which nothing before it makes")
    return graph.values[name]


def _sizes(node: Node, x: Value | None) -> np.ndarray[Any, np.dtype[Any]]:
    assert x is not None
    begin, end = node.attributes.get("start", 0), node.attributes.get("end", None)
    dims = x.shape[begin:end]
    symbolic = any(isinstance(dim, str) for dim in dims)
    return np.array(dims, object if symbolic else np.int64)


def _store(graph: Graph, node: Node, data: np.ndarray[Any, np.dtype[Any]]) -> None:
    (name,) = node.outputs
    dtype = np.dtype(np.int64) if data.dtype == object else data.dtype
    shape = tuple(int(size) for size in data.shape)
    graph.values[name] = Value(name, dtype, shape, data)
