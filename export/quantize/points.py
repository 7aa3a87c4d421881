"""Where activations are quantized: the tensors between the layers, in groups of one scale.

A layer (convolution, fully connected, 1-bit) takes codes and gives codes, so its input and its
output are points; a Relu behind a layer is part of it (the codes' lower bound does it), and so is
the bias that an Add brings. A sum of two activations takes codes, and gives them behind its own
activation: nothing is rounded in between. A function of one activation takes codes where a layer
makes them. What only moves numbers (Reshape, Concat, MaxPool, ...) has the same codes on both
sides, so these tensors are one point with one scale.

What is in no point stays float, and so does what only a matrix inverse reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto, helper

from csideploy.export.functions import DOMAIN, QUANTIZERS
from csideploy.export.quantize.prepare import Network

ACTIVATIONS = ("Relu", "LeakyRelu", "PRelu")
"""What the integer sum and the integer activation compute themselves."""
_CUTS = ("Relu", "Clip")
"""What the bounds of a layer's codes compute."""
_RISING = ("Sigmoid", "Tanh")
"""What may stand between a layer and the payload's quantizer: thresholds over codes do it."""
_MOVES = (
    "Concat",
    "Flatten",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
)


@dataclass
class Point:
    """Activations that share one scale.

    Attributes:
        name: of the first tensor in the order of the graph.
        layer: the node that makes it, or the graph's input; for people.
        tensors: all of them, in the order of the graph.
        fixed: 16 where 8 bits are never tried, 8 where the codes are exact, None: to be chosen.
        exact_bits: B where the values are (c + 0.5) / 2^B of a uniform dequantizer, else None.
        whole: the values are bytes (or bits) cast to float, which scale 1 holds exactly.
    """

    name: str
    layer: str
    tensors: list[str] = field(default_factory=list)
    fixed: int | None = None
    exact_bits: int | None = None
    whole: bool = False


def is_layer(network: Network, node: NodeProto) -> bool:
    """Whether a node is a product with a stored weight that integers are to compute."""
    if node.output[0] in network.inverted:
        return False
    if node.domain == DOMAIN:
        return node.op_type == "BinaryLinear" and all(
            network.constant(node, index) is not None for index in (1, 2, 3)
        )
    weight = network.constant(node, 1)
    if weight is None or node.domain not in ("", "ai.onnx"):
        return False
    if node.op_type == "Conv":
        absent = len(node.input) < 3 or not node.input[2]
        return weight.ndim in (3, 4) and (absent or network.constant(node, 2) is not None)
    if node.op_type == "Gemm":
        about = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        absent = len(node.input) < 3 or not node.input[2]
        return about == {"transB": 1} and (absent or network.constant(node, 2) is not None)
    return node.op_type == "MatMul" and weight.ndim == 2


def bias_add(network: Network, node: NodeProto) -> NodeProto | None:
    """The Add that gives a MatMul its bias, if there is one."""
    if node.op_type != "MatMul":
        return None
    reader = network.only_reader(node.output[0])
    if reader is None or reader.op_type != "Add":
        return None
    other = reader.input[1] if reader.input[0] == node.output[0] else reader.input[0]
    bias = network.constants.get(other)
    outputs = network.constants[node.input[1]].shape[1]
    return reader if bias is not None and bias.shape == (outputs,) else None


def result_of(network: Network, node: NodeProto) -> str:
    """The tensor that holds a layer's codes: behind its bias, and a cut that is part of it."""
    last = bias_add(network, node) or node
    return _behind(network, last.output[0], _CUTS)


def _behind(network: Network, name: str, kinds: tuple[str, ...]) -> str:
    """The tensor behind the activation that alone reads `name`, or `name` itself."""
    reader = network.only_reader(name)
    if reader is None or reader.op_type not in kinds or reader.domain:
        return name
    if any(other and other not in network.constants for other in reader.input[1:]):
        return name
    return str(reader.output[0])


def is_sum(network: Network, node: NodeProto) -> bool:
    """Whether a node adds two activations of one shape."""
    if node.op_type != "Add" or any(name in network.constants for name in node.input):
        return False
    shapes = [network.shapes.get(name) for name in node.input]
    return shapes[0] is not None and shapes[0] == shapes[1]


def find_points(network: Network) -> list[Point]:
    """All points of a prepared network, in the order of the graph."""
    return _Finder(network).points()


class _Finder:
    def __init__(self, network: Network) -> None:
        self.network = network
        self.chosen: set[str] = set()
        self.parent: dict[str, str] = {}
        nodes = [n for n in network.model.graph.node if n.output[0] not in network.inverted]
        for node in nodes:
            self._visit(node)
        # A move behind a point hands its codes on; one in front of it must be given them.
        moves = [n for n in nodes if n.op_type in _MOVES and n.domain == ""]
        grown = -1
        while grown != len(self.chosen):
            grown = len(self.chosen)
            for node in moves:
                self._move(node)

    def points(self) -> list[Point]:
        graph = self.network.model.graph
        order = [*self.network.inputs, *(name for n in graph.node for name in n.output)]
        found: dict[str, Point] = {}
        for name in order:
            if name not in self.chosen:
                continue
            root = self._root(name)
            if root not in found:
                maker = self.network.producers.get(name)
                found[root] = Point(name, maker.name if maker is not None else name)
            found[root].tensors.append(name)
        for point in found.values():
            self._constrain(point)
        return list(found.values())

    def _visit(self, node: NodeProto) -> None:
        if is_layer(self.network, node):
            self.chosen.update((node.input[0], result_of(self.network, node)))
        elif is_sum(self.network, node) and self._from_codes(node):
            self.chosen.update(node.input)
            self.chosen.add(_behind(self.network, node.output[0], ACTIVATIONS))
        elif node.op_type in ACTIVATIONS and node.input[0] in self.chosen:
            self.chosen.add(node.output[0])

    def _from_codes(self, node: NodeProto) -> bool:
        """Whether one side of a sum is made of codes, maybe moved."""
        for name in node.input:
            while name not in self.chosen:
                maker = self.network.producers.get(name)
                if maker is None or maker.op_type not in _MOVES or maker.domain:
                    break
                name = maker.input[0]
            else:
                return True
        return False

    def _move(self, node: NodeProto) -> None:
        sources = list(node.input) if node.op_type == "Concat" else [node.input[0]]
        # MaxPool's second output holds indices.
        made = [node.output[0]] if node.op_type == "MaxPool" else list(node.output)
        ends = [name for name in (*sources, *made) if name not in self.network.constants]
        if len(ends) < len(sources) + len(made) or not self.chosen.intersection(ends):
            return
        if any(self.network.types.get(name, np.float32) != np.float32 for name in ends):
            return
        self.chosen.update(ends)
        for name in ends[1:]:
            self.parent[self._root(name)] = self._root(ends[0])

    def _root(self, name: str) -> str:
        while self.parent.get(name, name) != name:
            name = self.parent[name]
        return name

    def _constrain(self, point: Point) -> None:
        makers = [self.network.producers.get(name) for name in point.tensors]
        for maker in makers:
            if maker is not None and (maker.domain, maker.op_type) == (DOMAIN, "UniformDequantize"):
                point.exact_bits = next(a.i for a in maker.attribute if a.name == "bits")
        if point.exact_bits is not None and len(point.tensors) == 1 and point.exact_bits <= 7:
            point.fixed = 8
        # A move's source is in the point too, so nothing but bytes comes in.
        point.whole = all(m is not None and self._is_whole(m) for m in makers)
        if point.whole:
            point.fixed = 8
        if any(self._is_sent(name) for name in point.tensors):
            # The quantizer of the payload sees this tensor: its own step must not show.
            point.fixed = 16

    def _is_whole(self, maker: NodeProto) -> bool:
        """Whether a node casts bytes, or moves what the same point holds."""
        if maker.domain or maker.op_type not in ("Cast", *_MOVES):
            return False
        return maker.op_type != "Cast" or self.network.types.get(maker.input[0]) == np.uint8

    def _is_sent(self, name: str) -> bool:
        """Whether the payload's quantizer reads a tensor, at once or behind a function."""
        for reader in self.network.readers.get(name, []):
            last = reader
            if reader.op_type in _RISING and not reader.domain:
                last = self.network.only_reader(reader.output[0]) or reader
            if last.domain == DOMAIN and last.op_type in QUANTIZERS:
                return True
        return False
