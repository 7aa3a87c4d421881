"""Pass: three convolutions, the middle one of groups, become one that runs group by group.

z = project(middle(expand(x))) with activations between. A group of `middle` reads only its own
outputs of `expand` and makes only its own inputs of `project`, and a sum over channels is the sum
over groups, in the same order. So what lies between, M channels wide, need not exist: the planes of
one group do, and y collects what each group gives. Nothing is computed twice, and to the bit
nothing changes, but that a ReLU makes NaN of minus infinity.

y is read and written once for every group, and x is read by each. That is cheap while both are
narrow; the inverted bottlenecks of image networks, 24 channels to 144 and back, would stream y 144
times, so they stay three steps. So do blocks that would need no smaller arena.

The codes of a quantized network, QUANTIZE and DEQUANTIZE in front of a `middle` with 8-bit weights,
become the block's: exact sums of integers where there were rounded ones. Codes are u8, or i16
around 0. Where the other two have weights of 16 bits too, and i16 codes with a power of two as
their scale in front, all three sum integers; where only one of them has, `middle` alone does, if
nothing stands in front of `project`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node, Value
from csideploy.export.passes import drop_dead
from csideploy.export.passes.fuse_block_codes import (
    Codes,
    Edges,
    Pair,
    codes_of,
    edges_of,
    pair_behind,
)
from csideploy.export.plan import Activation, Op

NARROW = 8
"""The most channels of x, of y and of a group: y and a group's planes stay near the processor."""

_KINKED = (Activation.NONE, Activation.RELU, Activation.LEAKY, Activation.PRELU)
_WEIGHT, _BIAS, _SLOPE, _RESIDUAL = 1, 2, 3, 4


def run(graph: Graph) -> None:
    """Change in place; behind all passes that fuse or fold what stands beside a convolution."""
    producers, users = graph.producers(), graph.users()
    gone: list[Node] = []
    for node in graph.nodes:
        found = _match(graph, node, producers, users)
        if found is not None:
            found.become(graph)
            gone += found.absorbed
    if gone:
        graph.remove(gone)
        drop_dead.run(graph)  # the codes of x, where nothing else reads them


@dataclass
class _Block:
    """The nodes of a block; `project` becomes the block."""

    expand: Node
    middle: Node
    project: Node
    absorbed: list[Node]
    codes: Codes | None
    edges: Edges | None

    def become(self, graph: Graph) -> None:
        layers = (self.expand, self.middle, self.project)
        name = _common_name([layer.name for layer in layers])
        x = graph.values[self.expand.inputs[0]]
        middle = graph.values[self.middle.inputs[_WEIGHT]]
        channels, *size = (int(dim) for dim in x.shape[1:])
        pixels = size[0] * size[1]
        planes = [int(middle.shape[1]) * pixels] * 2
        rows = [row for layer in layers[:2] for row in _rows(graph, layer)]
        attributes: dict[str, int | float] = {"groups": int(self.middle.attributes["groups"])}
        for i, layer in enumerate(layers, 1):
            for side in ("top", "left"):
                attributes[f"pad_{side}_{i}"] = layer.attributes[f"pad_{side}"]
        attributes |= {role: self.project.attributes[role] for role in ("activation", "alpha")}
        attributes |= {"code_scale": 1.0, "code_zero": 0, "code_bits": 8}
        attributes |= dict.fromkeys(("x_scale", "m_scale", "y_scale"), 1.0)
        weights = [layer.inputs[_WEIGHT] for layer in layers]
        if self.codes is not None:
            pair = self.codes.pair
            rows.append(self.codes.multiplier)
            attributes |= {"code_scale": pair.scale, "code_zero": pair.zero}
            attributes["code_bits"] = pair.bits
            weights[1] = graph.add_constant(f"{weights[1]}.codes", self.codes.weight)
        if (edges := self.edges) is not None:
            rows.append(edges.multiplier)
            attributes |= {"x_scale": edges.x_scale, "m_scale": edges.m_scale}
            attributes["y_scale"] = edges.y_scale
            weights[0] = graph.add_constant(f"{weights[0]}.codes", edges.expand)
            weights[2] = graph.add_constant(f"{weights[2]}.codes", edges.project)
            x = graph.values[edges.x]
            planes[1] = max(planes[1], -(-channels * pixels // 2))
        scratch = graph.free_name(f"{name}.scratch")
        graph.values[scratch] = Value(scratch, np.dtype(np.float32), (sum(planes),))
        node = self.project
        ends = node.inputs
        node.op, node.name, node.attributes = Op.CONV_BLOCK, name, attributes
        node.inputs = [
            x.name,
            weights[0],
            graph.add_constant(f"{name}.channels", np.stack(rows)),
            weights[1],
            weights[2],
            ends[_BIAS],
            ends[_SLOPE],
            ends[_RESIDUAL],
        ]
        node.outputs = [*node.outputs, scratch]


def _common_name(names: list[str]) -> str:
    """What the names of the layers begin with, up to a dot or slash; else the last one's name."""
    parts = [name.replace("/", ".").split(".") for name in names]
    common = 0
    while all(len(p) > common + 1 and p[common] == parts[0][common] for p in parts):
        common += 1
    length = sum(len(part) + 1 for part in parts[0][:common]) - 1
    return names[0][:length] if length > 0 else names[-1]


def _rows(graph: Graph, layer: Node) -> list[NDArray[np.float32]]:
    """Bias and slope, one number a channel."""
    channels = int(graph.values[layer.inputs[_WEIGHT]].shape[0])
    bias, slope = graph.constant(layer.inputs[_BIAS]), graph.constant(layer.inputs[_SLOPE])
    kind = layer.attributes["activation"]
    if kind == Activation.LEAKY:
        factor = layer.attributes["alpha"]
    else:
        factor = {Activation.NONE: 1.0, Activation.RELU: 0.0}.get(kind)
    given = np.float32(factor) if slope is None else slope
    rows = (np.float32(0) if bias is None else bias, given)
    return [np.broadcast_to(np.asarray(row, np.float32), (channels,)) for row in rows]


def _match(
    graph: Graph, project: Node, producers: dict[str, Node], users: dict[str, list[Node]]
) -> _Block | None:
    """The block that ends with `project`."""
    if not _keeps_size(graph, project) or project.attributes["groups"] != 1:
        return None
    walk = _Walk(graph, producers, users)
    middle, last = walk.before(project)
    if middle is None or not _is_inside(graph, middle) or middle.attributes["groups"] < 2:
        return None
    expand, pair = walk.before(middle)
    if expand is None or not _is_inside(graph, expand) or expand.attributes["groups"] != 1:
        return None
    codes = None if pair is None else codes_of(graph, middle, pair)
    if codes is None and (pair is not None or last is not None):
        return None
    first = pair_behind(graph, expand.inputs[0], producers)
    edges = None
    if last is not None:
        edges = None if first is None else edges_of(graph, expand, project, first, last)
        if edges is None:
            return None
    wide, per_group = (int(d) for d in graph.values[middle.inputs[_WEIGHT]].shape[:2])
    outputs = int(graph.values[project.inputs[_WEIGHT]].shape[0])
    inputs = int(graph.values[expand.inputs[_WEIGHT]].shape[1])
    if not is_bottleneck(inputs, wide, per_group, outputs):
        return None
    return _Block(expand, middle, project, [expand, middle, *walk.passed], codes, edges)


def is_bottleneck(inputs: int, wide: int, per_group: int, outputs: int) -> bool:
    """Whether the channels of x, between, of a group and of y are few enough for a block."""
    narrow = max(inputs, outputs, per_group) <= NARROW
    return narrow and inputs + outputs + 2 * per_group < 2 * wide


class _Walk:
    """Upwards from a node, over codes that nothing else reads.

    passed: QUANTIZE and DEQUANTIZE on the way.
    """

    def __init__(
        self, graph: Graph, producers: dict[str, Node], users: dict[str, list[Node]]
    ) -> None:
        self.graph, self.producers, self.users = graph, producers, users
        self.passed: list[Node] = []

    def before(self, node: Node) -> tuple[Node | None, Pair | None]:
        """What makes the first input, and the codes between, where nothing else reads it."""
        pair = pair_behind(self.graph, node.inputs[0], self.producers)
        if pair is None:
            return self._alone_before(node), None
        quantize = pair.quantize
        alone = self._alone_before(node) is pair.back and self._alone_before(pair.back) is quantize
        if quantize is None or not alone:
            return None, None
        self.passed += [pair.back, quantize]
        return self._alone_before(quantize), pair

    def _alone_before(self, node: Node) -> Node | None:
        name = node.inputs[0]
        alone = self.graph.only_user(name, self.users) is node
        return self.producers.get(name) if alone else None


def _keeps_size(graph: Graph, node: Node) -> bool:
    """A CONV2D of stride and dilation 1 whose result has the size of x, more than one pixel."""
    if node.op is not Op.CONV2D:
        return False
    own = node.attributes
    if any(own[f"{what}_{axis}"] != 1 for what in ("stride", "dilation") for axis in "hw"):
        return False
    x, y = graph.values[node.inputs[0]].shape, graph.values[node.outputs[0]].shape
    return x[2:] == y[2:] and x[2:] != (1, 1)


def _is_inside(graph: Graph, node: Node) -> bool:
    """A convolution of that kind that a block takes in front of its last one."""
    if not _keeps_size(graph, node) or node.inputs[_RESIDUAL]:
        return False
    return node.attributes["activation"] in _KINKED
