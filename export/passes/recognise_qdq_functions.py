"""Part of `recognise_qdq`: sums, activations, tables and thresholds between codes.

QADD and QACTIVATION are the float32 sequence itself. A chain of functions of one 8-bit code has
256 results: a table. A chain that ends in the payload's quantizer, uniform or by codebook, steps up
at some codes: thresholds, so that no function is left to the device. Uniform dequantizer and
QUANTIZE are a table over the payload's codes; a codebook's values are as many as its thresholds, so
its dequantizer stays in front of the QUANTIZE.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from csideploy.export.graph import Graph, Node
from csideploy.export.integer.elementwise import quantize
from csideploy.export.integer.functions import Function, function_of
from csideploy.export.integer.tables import codebook_thresholds_of, table_of, thresholds_of
from csideploy.export.operations import Unary
from csideploy.export.plan import Activation, Op

_PIECEWISE = (Activation.NONE, Activation.RELU, Activation.LEAKY, Activation.PRELU)


def run(graph: Graph) -> None:
    """Change in place."""
    walk = _Walk(graph)
    gone: list[Node] = []
    for node in graph.nodes:
        if node.op is Op.QUANTIZE:
            gone += walk.quantizer(node)
        elif node.op in (Op.QUANTIZE_UNIFORM, Op.QUANTIZE_CODEBOOK):
            gone += walk.payload(node)
    graph.remove(gone)


class _Walk:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.producers, self.users = graph.producers(), graph.users()

    def quantizer(self, node: Node) -> list[Node]:
        """Turn what stands in front of a QUANTIZE; the nodes that are then done with."""
        source = self._alone(node)
        if source is None:
            return []
        if source.op is Op.DEQUANTIZE_UNIFORM:
            self._become_code_table(node, source)
            return [source]
        if source.op is Op.ADD:
            return [source] if self._become_sum(node, source) else []
        if source.op is Op.ACTIVATION and source.attributes["activation"] in _PIECEWISE:
            back = self._back(source)
            if back is not None:
                self._become_activation(node, source, back)
                return [source]
        chain, back = self._chain(node)
        if back is None or not chain:
            return []
        x = self.graph.values[back.inputs[0]]
        if x.dtype.itemsize != 1:
            return []
        table = table_of(
            [_function(link) for link in chain],
            x_scale=back.attributes["scale"],
            x_zero=back.attributes["zero"],
            x_dtype=x.dtype,
            y_scale=node.attributes["scale"],
            y_zero=node.attributes["zero"],
            y_dtype=self.graph.values[node.outputs[0]].dtype,
        )
        self._become_table(node, chain[0].name, x.name, table)
        return chain

    def payload(self, node: Node) -> list[Node]:
        """Turn a chain in front of the payload's quantizer into thresholds."""
        chain, back = self._chain(node)
        if back is None or self.graph.values[back.inputs[0]].dtype.itemsize > 2:
            return []
        functions = [_function(link) for link in chain]
        about: dict[str, Any] = {
            "x_scale": back.attributes["scale"],
            "x_zero": back.attributes["zero"],
            "x_dtype": self.graph.values[back.inputs[0]].dtype,
        }
        try:
            if node.op is Op.QUANTIZE_UNIFORM:
                made = thresholds_of(functions, **about, bits=int(node.attributes["bits"]))
                op, rest = Op.QTHRESHOLD, []
            else:
                floats = self.graph.constant(node.inputs[1])
                assert floats is not None
                made = codebook_thresholds_of(functions, floats, **about)
                op, rest = Op.QCODEBOOK, [node.inputs[2]]
        except ValueError:
            # The codes fall somewhere: the float steps stay.
            return []
        thresholds = self.graph.add_constant(f"{node.name}.thresholds", made)
        node.op, node.inputs, node.attributes = op, [back.inputs[0], thresholds, *rest], {}
        return chain

    def _alone(self, node: Node) -> Node | None:
        """What makes a node's input, where nothing else reads it."""
        source = self.producers.get(node.inputs[0])
        alone = self.graph.only_user(node.inputs[0], self.users) is node
        return source if alone else None

    def _back(self, node: Node, index: int = 0) -> Node | None:
        """The DEQUANTIZE, of at most 16 bits, that makes an input."""
        back = self.producers.get(node.inputs[index])
        if back is None or back.op is not Op.DEQUANTIZE:
            return None
        return back if self.graph.values[back.inputs[0]].dtype.itemsize <= 2 else None

    def _chain(self, node: Node) -> tuple[list[Node], Node | None]:
        """Functions of one number in front of a node, in order, and the DEQUANTIZE before them."""
        chain: list[Node] = []
        while True:
            first = chain[0] if chain else node
            back = self._back(first)
            if back is not None:
                return chain, back
            source = self._alone(first)
            if source is None or source.op not in (Op.UNARY, Op.ACTIVATION):
                return [], None
            if source.op is Op.ACTIVATION and source.inputs[1]:
                return [], None
            chain.insert(0, source)

    def _become_code_table(self, node: Node, source: Node) -> None:
        bits = int(source.attributes["bits"])
        # QTABLE's own definition on codes, in float32: (code + 0.5) / 2^B of the low B bits.
        low = (np.arange(256) & ((1 << bits) - 1)).astype(np.float32)
        values = (low + np.float32(0.5)) / np.float32(1 << bits)
        dtype = self.graph.values[node.outputs[0]].dtype
        table = quantize(values, node.attributes["scale"], node.attributes["zero"], dtype)
        self._become_table(node, source.name, source.inputs[0], table)

    def _become_table(self, node: Node, name: str, x: str, table: Any) -> None:
        node.op, node.name = Op.QTABLE, name
        node.inputs = [x, self.graph.add_constant(f"{name}.table", table)]
        node.attributes = {}

    def _become_sum(self, node: Node, source: Node) -> bool:
        if source.attributes["activation"] not in _PIECEWISE:
            return False
        backs = [self._back(source, index) for index in (0, 1)]
        if backs[0] is None or backs[1] is None:
            return False
        about: dict[str, Any] = {}
        for role, back in zip("ab", backs, strict=True):
            assert back is not None
            about[f"{role}_scale"] = back.attributes["scale"]
            about[f"{role}_zero"] = back.attributes["zero"]
        node.inputs = [*(back.inputs[0] for back in backs if back is not None), source.inputs[2]]
        node.op, node.name = Op.QADD, source.name
        node.attributes = {**about, **_result(node), **source.attributes}
        return True

    def _become_activation(self, node: Node, source: Node, back: Node) -> None:
        about = {"x_scale": back.attributes["scale"], "x_zero": back.attributes["zero"]}
        node.inputs = [back.inputs[0], source.inputs[1]]
        node.op, node.name = Op.QACTIVATION, source.name
        node.attributes = {**about, **_result(node), **source.attributes}


def _result(node: Node) -> dict[str, Any]:
    return {"y_scale": node.attributes["scale"], "y_zero": node.attributes["zero"]}


def _function(node: Node) -> Function:
    """The function of a UNARY, or of an ACTIVATION without slopes."""
    about = node.attributes
    if node.op is Op.ACTIVATION:
        return function_of(Activation(about["activation"]), about["alpha"])
    return function_of(Unary(about["function"]), about["alpha"], about["beta"])
