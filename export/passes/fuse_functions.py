"""Pass: functions that exporters write out become one step.

    mish:          x tanh(softplus(x))
    swish:         x sigmoid(x)
    gelu:          x (1 + erf(x / sqrt 2)) / 2
    gelu, tanh:    x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    hard sigmoid:  g min(max(x + c, 0), 1 / g) = max(0, min(1, g x + g c)), for g > 0

Products are taken apart into their factors first, because their order differs from exporter to
exporter. What lies between must have no other reader. The sums differ in the last bits only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from csideploy.export.channels import constant_beside
from csideploy.export.graph import Graph, Node
from csideploy.export.operations import Binary, Unary
from csideploy.export.plan import Activation, Op

_NEAR = 1e-4
"""Relative; exporters round sqrt(2 / pi) and its like to few digits."""


def run(graph: Graph) -> None:
    """Change in place."""
    for rule in (_gated, _gelu, _hard_sigmoid):
        view = _View(graph)
        for node in list(graph.nodes):
            made = rule(view, node)
            if made is not None:
                source, function, alpha, beta = made
                node.op = Op.UNARY
                node.inputs = [source]
                node.attributes = {
                    "function": function,
                    "alpha": float(np.float32(alpha)),
                    "beta": float(np.float32(beta)),
                }
                _drop_unread(graph)
                view = _View(graph)


Made = tuple[str, Unary, float, float]


@dataclass
class _View:
    """The graph as the rules look at it: backwards, through results with one reader."""

    graph: Graph
    producers: dict[str, Node] = field(init=False)
    users: dict[str, list[Node]] = field(init=False)

    def __post_init__(self) -> None:
        self.producers, self.users = self.graph.producers(), self.graph.users()

    def made_by(self, name: str, op: Op, code: int | None = None) -> Node | None:
        """The node behind a result that only one node reads, if it is of this kind."""
        node = self.producers.get(name)
        if node is None or node.op is not op:
            return None
        if code is not None and code not in (
            node.attributes.get("function"),
            node.attributes.get("activation"),
        ):
            return None
        return node if self.graph.only_user(name, self.users) is not None else None

    def scalar_beside(self, node: Node) -> tuple[str, float, int] | None:
        """(tensor, number, place of the number) of BINARY with one number."""
        pair = constant_beside(self.graph, node)
        if pair is None or pair[1].size != 1:
            return None
        return pair[0], float(pair[1].reshape(-1)[0]), pair[2]

    def scaled(self, name: str) -> tuple[str, float]:
        """(x, g) with the tensor g x; g = 1 where it is no such product."""
        node = self.made_by(name, Op.BINARY)
        pair = self.scalar_beside(node) if node is not None else None
        if node is None or pair is None:
            return name, 1.0
        source, number, place = pair
        if node.attributes["function"] == Binary.MUL:
            return source, number
        if node.attributes["function"] == Binary.DIV and place == 1 and number != 0:
            return source, 1 / number
        return name, 1.0

    def shifted(self, name: str) -> tuple[str, float]:
        """(x, c) with the tensor x + c; c = 0 where it is no such sum."""
        node = self.made_by(name, Op.BINARY, Binary.ADD)
        pair = self.scalar_beside(node) if node is not None else None
        return (name, 0.0) if pair is None else (pair[0], pair[1])

    def factors(self, node: Node) -> tuple[list[str], float]:
        """The tensors and the number whose product BINARY MUL or DIV by a number makes."""
        tensors: list[str] = []
        number = 1.0
        waiting = list(node.inputs)
        if node.attributes["function"] == Binary.DIV:
            pair = self.scalar_beside(node)
            if pair is None or pair[2] != 1 or pair[1] == 0:
                return [], 0.0
            waiting, number = [pair[0]], 1 / pair[1]
        while waiting:
            name = waiting.pop()
            data = self.graph.constant(name)
            inner = self.made_by(name, Op.BINARY)
            if data is not None and data.size == 1:
                number *= float(data.reshape(-1)[0])
            elif inner is not None and inner.attributes["function"] == Binary.MUL:
                waiting += inner.inputs
            elif inner is not None and self.scaled(name)[0] != name:
                source, gain = self.scaled(name)
                waiting.append(source)
                number *= gain
            else:
                tensors.append(name)
        return tensors, number


def _near(value: float, wanted: float) -> bool:
    return abs(value - wanted) <= _NEAR * abs(wanted)


def _is_product(node: Node) -> bool:
    return node.op is Op.BINARY and node.attributes["function"] in (Binary.MUL, Binary.DIV)


def _ordered(tensors: list[str], test: Callable[[str], str | None]) -> str | None:
    """x, where the two factors are x and something of x that `test` knows."""
    if len(tensors) != 2:
        return None
    for x, other in (tensors, tensors[::-1]):
        if test(other) == x:
            return x
    return None


def _gated(view: _View, node: Node) -> Made | None:
    """Mish and swish."""
    if not _is_product(node) or node.attributes["function"] != Binary.MUL:
        return None

    def mish(name: str) -> str | None:
        tanh = view.made_by(name, Op.ACTIVATION, Activation.TANH)
        inner = view.made_by(tanh.inputs[0], Op.UNARY, Unary.SOFTPLUS) if tanh else None
        return inner.inputs[0] if inner else None

    def swish(name: str) -> str | None:
        gate = view.made_by(name, Op.ACTIVATION, Activation.SIGMOID)
        return gate.inputs[0] if gate else None

    x = _ordered(node.inputs, mish)
    if x is not None:
        return x, Unary.MISH, 0.0, 0.0
    x = _ordered(node.inputs, swish)
    return None if x is None else (x, Unary.SWISH, 1.0, 0.0)


def _gelu(view: _View, node: Node) -> Made | None:
    if not _is_product(node):
        return None
    tensors, number = view.factors(node)
    if not _near(number, 0.5):
        return None

    def exact(name: str) -> str | None:
        inner, one = view.shifted(name)
        erf = view.made_by(inner, Op.UNARY, Unary.ERF)
        if erf is None or one != 1.0:
            return None
        x, gain = view.scaled(erf.inputs[0])
        return x if _near(gain, math.sqrt(0.5)) else None

    def by_tanh(name: str) -> str | None:
        inner, one = view.shifted(name)
        tanh = view.made_by(inner, Op.ACTIVATION, Activation.TANH)
        if tanh is None or one != 1.0:
            return None
        total, gain = view.scaled(tanh.inputs[0])
        return _cubic(view, total) if _near(gain, math.sqrt(2 / math.pi)) else None

    x = _ordered(tensors, exact)
    if x is not None:
        return x, Unary.GELU, 0.0, 0.0
    x = _ordered(tensors, by_tanh)
    return None if x is None else (x, Unary.GELU_TANH, 0.0, 0.0)


def _cubic(view: _View, name: str) -> str | None:
    """X of x + 0.044715 x^3."""
    node = view.made_by(name, Op.BINARY, Binary.ADD)
    for x, term in (node.inputs, node.inputs[::-1]) if node else ():
        product = view.made_by(term, Op.BINARY, Binary.MUL)
        if product is None:
            continue
        tensors, number = view.factors(product)
        if not _near(number, 0.044715):
            continue
        if tensors == [x] * 3:
            return x
        power = view.made_by(tensors[0], Op.BINARY, Binary.POW) if len(tensors) == 1 else None
        exponent = view.scalar_beside(power) if power else None
        if exponent == (x, 3.0, 1):
            return x
    return None


def _hard_sigmoid(view: _View, node: Node) -> Made | None:
    if not _is_product(node):
        return None
    pair = view.scalar_beside(node)
    if pair is None or (node.attributes["function"] == Binary.DIV and pair[2] != 1):
        return None
    source, number, _ = pair
    gain = 1 / number if node.attributes["function"] == Binary.DIV and number else number
    clip = view.made_by(source, Op.UNARY, Unary.CLIP)
    if clip is None or gain <= 0 or clip.attributes["alpha"] != 0:
        return None
    if not _near(gain * clip.attributes["beta"], 1.0):
        return None
    x, shift = view.shifted(clip.inputs[0])
    return x, Unary.HARD_SIGMOID, gain, gain * shift


def _drop_unread(graph: Graph) -> None:
    """Nodes in front of a fused one that nobody reads any more."""
    while True:
        users = graph.users()
        dead = [n for n in graph.nodes if not any(o in users or o in graph.outputs
                                                  for o in n.outputs)]  # fmt: skip
        if not dead:
            return
        graph.remove(dead)
