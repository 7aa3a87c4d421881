"""Part of `recognise_qdq`: integers, not floats, go through what only moves elements.

For a move m (VIEW, TRANSPOSE, SLICE, EXPAND, PAD, GATHER, CONCAT) and one scale and zero point a
tensor, m(dequantize(q)) = dequantize(m(q)), and quantize(m(x)) = m(quantize(x)); the constant of a
PAD is quantized with the rest. A CONCAT is turned where its inputs share one scale; QUANTIZE goes
in front of any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from csideploy.export.graph import VIEW, Graph, Node
from csideploy.export.integer.elementwise import quantize
from csideploy.export.plan import Op

_ONE_INPUT = (VIEW, Op.COPY, Op.TRANSPOSE, Op.SLICE, Op.EXPAND, Op.PAD, Op.GATHER)


def run(graph: Graph) -> None:
    """Change in place. Afterwards every DEQUANTIZE has one reader."""
    _one_reader_each(graph)
    while _sink(graph) or _lift(graph):
        _one_reader_each(graph)


def _sources(node: Node) -> list[int]:
    """Which inputs of a move are moved; empty for anything else."""
    if node.op is Op.CONCAT:
        return [0, 1]
    return [0] if node.op in _ONE_INPUT else []


def _one_reader_each(graph: Graph) -> None:
    """A DEQUANTIZE of its own for every reader, so that each can be taken up on its own."""
    users = graph.users()
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(node)
        if node.op is not Op.DEQUANTIZE:
            continue
        (name,) = node.outputs
        readers = users.get(name, [])
        first = 0 if name in graph.outputs else 1
        for reader in readers[first:]:
            copy = graph.free_name(name)
            graph.values[copy] = replace(graph.values[name], name=copy)
            at = len(reader.inputs) - 1 - reader.inputs[::-1].index(name)
            reader.inputs[at] = copy
            nodes.append(Node(Op.DEQUANTIZE, node.name, node.inputs[:], [copy], node.attributes))
    graph.nodes = nodes


def _sink(graph: Graph) -> bool:
    """Turn DEQUANTIZE, move into move, DEQUANTIZE; whether anything was turned."""
    producers = graph.producers()
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes.append(node)
        sources = _sources(node)
        backs = [producers.get(node.inputs[i]) for i in sources]
        back = backs[0] if backs else None
        if back is None or any(
            other is None or other.op is not Op.DEQUANTIZE or other.attributes != back.attributes
            for other in backs
        ):
            continue
        names = [other.inputs[0] for other in backs if other is not None]
        dtype = graph.values[names[0]].dtype
        if any(graph.values[name].dtype != dtype for name in names):
            continue
        if node.op is Op.PAD and not _pad(node, back, dtype):
            continue
        (result,) = node.outputs
        codes = graph.free_name(f"{result}.quantized")
        graph.values[codes] = replace(graph.values[result], name=codes, dtype=dtype)
        for index, name in zip(sources, names, strict=True):
            node.inputs[index] = name
        node.outputs = [codes]
        nodes.append(Node(Op.DEQUANTIZE, back.name, [codes], [result], dict(back.attributes)))
        producers[result] = nodes[-1]
    return _changed(graph, nodes)


def _lift(graph: Graph) -> bool:
    """Turn move, QUANTIZE into QUANTIZE, move; whether anything was turned."""
    producers, users = graph.producers(), graph.users()
    before: dict[int, list[Node]] = {}
    turned: list[Node] = []
    for node in graph.nodes:
        if node.op is not Op.QUANTIZE:
            continue
        move = producers.get(node.inputs[0])
        if move is None or not _sources(move) or id(move) in before:
            continue
        if graph.only_user(move.outputs[0], users) is not node:
            continue
        result = graph.values[node.outputs[0]]
        if move.op is Op.PAD and not _pad(move, node, result.dtype):
            continue
        made = []
        for index in _sources(move):
            name = move.inputs[index]
            codes = graph.free_name(f"{name}.quantized")
            graph.values[codes] = replace(
                graph.values[name], name=codes, dtype=result.dtype, data=None, quantized=None
            )
            made.append(Node(Op.QUANTIZE, node.name, [name], [codes], dict(node.attributes)))
            move.inputs[index] = codes
        move.outputs = node.outputs
        before[id(move)] = made
        turned.append(node)
    gone = {id(node) for node in turned}
    nodes: list[Node] = []
    for node in graph.nodes:
        nodes += before.get(id(node), [])
        if id(node) not in gone:
            nodes.append(node)
    return _changed(graph, nodes)


def _changed(graph: Graph, nodes: list[Node]) -> bool:
    if len(nodes) == len(graph.nodes) and all(map(_is, nodes, graph.nodes)):
        return False
    graph.nodes = nodes
    graph.sweep()
    return True


_is: Callable[[Node, Node], bool] = lambda a, b: a is b  # noqa: E731


def _pad(node: Node, scale: Node, dtype: np.dtype[np.generic]) -> bool:
    """Give a PAD the code of its value; whether there is one."""
    value = np.float32(node.attributes["value"])
    step, zero = float(scale.attributes["scale"]), int(scale.attributes["zero"])
    code = int(quantize(np.array([value]), step, zero, dtype)[0])
    if scale.op is Op.DEQUANTIZE and np.float32(code - zero) * np.float32(step) != value:
        return False
    node.attributes["value"] = float(code)
    return True
