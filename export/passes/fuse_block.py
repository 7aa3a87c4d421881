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
around 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node, Value
from csideploy.export.plan import Activation, Op

NARROW = 8
"""The most channels of x, of y and of a group: y and a group's planes stay near the processor."""
MOST_PRODUCTS = {8: 514, 16: 511}
"""Of a sum of codes of so many bits and weights: float32 holds all integers up to 514 x 255 x 128,
int32 those up to 511 x 32,768 x 128."""
_BITS = {np.dtype(np.uint8): 8, np.dtype(np.int16): 16}

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
    graph.remove(gone)


@dataclass
class _Codes:
    """weight int8 like the middle's, multiplier float32 (M,), and the scale of what it reads."""

    weight: NDArray[np.int8]
    multiplier: NDArray[np.float32]
    scale: float
    zero: int
    bits: int


@dataclass
class _Block:
    """The nodes of a block; `project` becomes the block."""

    expand: Node
    middle: Node
    project: Node
    absorbed: list[Node]
    codes: _Codes | None

    def become(self, graph: Graph) -> None:
        layers = (self.expand, self.middle, self.project)
        name = _common_name([layer.name for layer in layers])
        x = graph.values[self.expand.inputs[0]]
        middle = graph.values[self.middle.inputs[_WEIGHT]]
        per_group = int(middle.shape[1])
        floats = 2 * per_group * int(x.shape[2]) * int(x.shape[3])
        rows = [row for layer in layers[:2] for row in _rows(graph, layer)]
        attributes: dict[str, int | float] = {"groups": int(self.middle.attributes["groups"])}
        for i, layer in enumerate(layers, 1):
            for side in ("top", "left"):
                attributes[f"pad_{side}_{i}"] = layer.attributes[f"pad_{side}"]
        attributes |= {role: self.project.attributes[role] for role in ("activation", "alpha")}
        attributes |= {"code_scale": 1.0, "code_zero": 0, "code_bits": 8}
        attributes |= dict.fromkeys(("x_scale", "m_scale", "y_scale"), 1.0)
        weight = middle.name
        if self.codes is not None:
            rows.append(self.codes.multiplier)
            attributes |= {"code_scale": self.codes.scale, "code_zero": self.codes.zero}
            attributes["code_bits"] = self.codes.bits
            weight = graph.add_constant(f"{middle.name}.codes", self.codes.weight)
        scratch = graph.free_name(f"{name}.scratch")
        graph.values[scratch] = Value(scratch, np.dtype(np.float32), (floats,))
        node = self.project
        ends = node.inputs
        node.op, node.name, node.attributes = Op.CONV_BLOCK, name, attributes
        node.inputs = [
            x.name,
            self.expand.inputs[_WEIGHT],
            graph.add_constant(f"{name}.channels", np.stack(rows)),
            weight,
            ends[_WEIGHT],
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
    middle = _alone_before(graph, project, producers, users)
    if middle is None or not _is_inside(graph, middle) or middle.attributes["groups"] < 2:
        return None
    absorbed, codes = [middle], None
    expand = _alone_before(graph, middle, producers, users)
    if expand is not None and expand.op is Op.DEQUANTIZE:
        quantize = _alone_before(graph, expand, producers, users)
        codes = _codes(graph, middle, expand, quantize)
        if codes is None or quantize is None:
            return None
        absorbed += [expand, quantize]
        expand = _alone_before(graph, quantize, producers, users)
    if expand is None or not _is_inside(graph, expand) or expand.attributes["groups"] != 1:
        return None
    absorbed.append(expand)
    wide, per_group = (int(d) for d in graph.values[middle.inputs[_WEIGHT]].shape[:2])
    outputs = int(graph.values[project.inputs[_WEIGHT]].shape[0])
    inputs = int(graph.values[expand.inputs[_WEIGHT]].shape[1])
    if max(inputs, outputs, per_group) > NARROW or inputs + outputs + 2 * per_group >= 2 * wide:
        return None
    return _Block(expand, middle, project, absorbed, codes)


def _alone_before(
    graph: Graph, node: Node, producers: dict[str, Node], users: dict[str, list[Node]]
) -> Node | None:
    """The node that makes the first input, where nothing else reads it."""
    before = producers.get(node.inputs[0])
    return before if graph.only_user(node.inputs[0], users) is node else None


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


def _codes(graph: Graph, middle: Node, back: Node, quantize: Node | None) -> _Codes | None:
    """Where `middle` reads codes of the two kinds, with 8-bit weights of one scale an output."""
    weight = graph.values[middle.inputs[_WEIGHT]].quantized
    if quantize is None or quantize.op is not Op.QUANTIZE or weight is None:
        return None
    bits = _BITS.get(graph.values[back.inputs[0]].dtype)
    if bits is None or quantize.attributes != back.attributes:
        return None
    codes = weight.codes
    rows = np.broadcast_to(weight.scale, codes.shape).reshape(len(codes), -1)
    if (rows != rows[:, :1]).any() or codes.min() < -128 or codes.max() > 127:
        return None
    scale, zero = np.float32(back.attributes["scale"]), int(back.attributes["zero"])
    if bits == 16 and zero != 0:
        return None
    multiplier = (np.float64(scale) * rows[:, 0]).astype(np.float32)
    if (
        codes[0].size > MOST_PRODUCTS[bits]
        or not ((multiplier > 0) & np.isfinite(multiplier)).all()
    ):
        return None
    return _Codes(codes.astype(np.int8), multiplier, float(scale), zero, bits)
