"""The emitter: a float ONNX network and its scales -> the same network with QDQ pairs.

Every tensor of a point goes through QuantizeLinear and DequantizeLinear; weights are stored as
int8, one scale an output, zero point 0, and biases as int32 in units of x_scale * w_scale, each
behind a DequantizeLinear. The convolutions beside a grouped one have int16 weights and a pair of
their own in front of them (`edges`); their biases are floats. The operators, our local functions
among them, stay what they are, so any runtime runs the file, and ours reads the integers off it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

import csideploy
from csideploy.export.functions import DOMAIN
from csideploy.export.integer.scales import (
    least_weight_scale,
    quantize_bias,
    quantize_weight,
    quantize_wide,
)
from csideploy.export.quantize.edges import Edge
from csideploy.export.quantize.points import Point, bias_add, is_layer, result_of
from csideploy.export.quantize.prepare import Network
from csideploy.export.quantize.ranges import Scale

Array = NDArray[Any]


def emit(
    network: Network,
    points: Sequence[Point],
    scales: Mapping[str, Scale],
    shifts: Mapping[str, Array] | None = None,
    layers: Collection[str] | None = None,
    edges: Mapping[str, Edge] | None = None,
) -> ModelProto:
    """Write the QDQ network.

    Args:
        network: prepared; it stays as it is.
        points: its points.
        scales: the scale of each point, by name. A point without one stays float.
        shifts: what biases are lowered by, (M,) by the layer's name.
        layers: names of those whose weights become integers; None: all that take codes.
        edges: convolutions with int16 weights and codes, by name.
    """
    return _Emitter(network, points, scales, shifts or {}, layers, edges or {}).model


class _Emitter:
    def __init__(
        self,
        network: Network,
        points: Sequence[Point],
        scales: Mapping[str, Scale],
        shifts: Mapping[str, Array],
        layers: Collection[str] | None,
        edges: Mapping[str, Edge],
    ) -> None:
        self.network = network
        self.shifts = shifts
        self.layers = layers
        self.edges = edges
        self.scales = {
            tensor: scales[point.name]
            for point in points
            if point.name in scales
            for tensor in point.tensors
        }
        self.model = ModelProto()
        self.model.CopyFrom(network.model)
        self.stored = {tensor.name: tensor for tensor in self.model.graph.initializer}
        self.nodes: list[NodeProto] = []
        self.taken = {*network.constants, *network.inputs, *network.producers}
        self.backs: dict[str, str] = {}
        for info in self.model.graph.input:
            if info.name in self.scales:
                self._pair(info.name, info.name)
        for node in self.model.graph.node:
            self._add(node)
        graph = self.model.graph
        del graph.node[:]
        graph.node.extend(self.nodes)
        used = {name for node in graph.node for name in node.input}
        del graph.initializer[:]
        graph.initializer.extend(t for name, t in self.stored.items() if name in used)
        self.model.producer_name = "csideploy"
        self.model.producer_version = csideploy.__version__

    def _add(self, node: NodeProto) -> None:
        chosen = self.layers is None or node.name in self.layers
        if chosen and is_layer(self.network, node) and node.input[0] in self.scales:
            self._layer(node)
        elif node.op_type == "Add" and node.output[0] in self.scales:
            # ONNX Runtime fuses Q behind Add to a kernel that rounds in another order.
            node.op_type = "Sum"
        outputs = [name for name in node.output if name in self.scales]
        node.input[:] = [self._back(name) for name in node.input]
        if node.name in self.edges:
            self._edge(node, self.edges[node.name])
        made = {name: f"{name}.float" for name in outputs if name in self.network.outputs}
        node.output[:] = [made.get(name, name) for name in node.output]
        self.nodes.append(node)
        for name in outputs:
            self._pair(name, made.get(name, name))

    def _back(self, name: str) -> str:
        """What the readers of a tensor read."""
        if name not in self.scales:
            return name
        if name not in self.backs:
            self.backs[name] = self._free(f"{name}.dequantized")
        return self.backs[name]

    def _pair(self, name: str, source: str) -> None:
        """Q and DQ behind a tensor; where it is an output, `source` has its values instead."""
        back = [self._back(name)] if self.network.readers.get(name) else []
        self._codes(name, source, self.scales[name], [*back, *([name] if source != name else [])])

    def _codes(self, name: str, source: str, scale: Scale, made: Sequence[str]) -> None:
        """Q behind `source`, and a DQ that makes each of `made`."""
        codes = self._free(f"{name}.quantized")
        ends = self._ends(name, np.array(scale.scale), np.array(scale.zero, scale.dtype))
        self._node("QuantizeLinear", [source, *ends], codes, f"{name}.quantize")
        for number, result in enumerate(made, 1):
            label = f"{name}.dequantize" + (f".{number}" if number > 1 else "")
            self._node("DequantizeLinear", [codes, *ends], result, label)

    def _edge(self, node: NodeProto, edge: Edge) -> None:
        """Codes for this reader alone, and an int16 weight."""
        given = self._free(f"{node.name}.input.dequantized")
        self._codes(f"{node.name}.input", node.input[0], edge.scale, [given])
        codes, scale = quantize_wide(self.network.constants[node.input[1]], axis=edge.axis)
        weight = self._integers(f"{node.name}.weight", codes, scale, np.int16)
        node.input[:2] = [given, weight]

    def _layer(self, node: NodeProto) -> None:
        """Integer weight and bias of a layer, each behind a DequantizeLinear."""
        x_scale = self.scales[node.input[0]].scale
        coded = result_of(self.network, node) in self.scales
        if (node.domain, node.op_type) == (DOMAIN, "BinaryLinear"):
            scale = self.network.constants[node.input[2]].astype(np.float32)
            bias = self.network.constants[node.input[3]]
            node.input[3] = self._bias(node, bias, x_scale, scale, coded)
            return
        add = bias_add(self.network, node)
        holder, index = node, 2
        if add is not None:
            holder = next(n for n in self.model.graph.node if n.name == add.name)
            index = 1 if add.input[0] == node.output[0] else 0
        stored = self.network.constant(holder, index)
        least = 0.0 if stored is None else least_weight_scale(stored, x_scale)
        axis = 1 if node.op_type == "MatMul" else 0
        weight = self.network.constants[node.input[1]]
        codes, scale = _signs(weight, axis) or quantize_weight(weight, axis=axis, least_scale=least)
        node.input[1] = self._integers(f"{node.name}.weight", codes, scale, np.int8, axis)
        if stored is not None:
            holder.input[index] = self._bias(node, stored, x_scale, scale, coded)

    def _bias(self, node: NodeProto, bias: Array, x_scale: float, scale: Array, coded: bool) -> str:
        """Integers of the products' unit; floats where the sum leaves as floats, not `coded`."""
        layer = node.name
        bias = np.asarray(bias - self.shifts.get(layer, np.float32(0)), np.float32)
        if not coded:
            return self._store(f"{layer}.bias", bias)
        unit = (np.float32(x_scale) * scale).astype(np.float32)
        return self._integers(f"{layer}.bias", quantize_bias(bias, x_scale, scale), unit, np.int32)

    def _integers(
        self, name: str, codes: Array, scale: Array, dtype: type[np.integer[Any]], axis: int = 0
    ) -> str:
        """Stored integers behind a DequantizeLinear; returns the name of the floats."""
        per_axis = scale.size > 1
        scale = scale if per_axis else scale.reshape(())
        stored = self._store(f"{name}.quantized", codes)
        ends = self._ends(name, scale, np.zeros(scale.shape, dtype))
        made = self._free(f"{name}.dequantized")
        along = axis if per_axis else None
        self._node("DequantizeLinear", [stored, *ends], made, f"{name}.dequantize", along)
        return made

    def _free(self, wanted: str) -> str:
        """A name that no tensor has yet."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}.{number}"
        self.taken.add(name)
        return name

    def _node(
        self, op: str, inputs: list[str], made: str, name: str, axis: int | None = None
    ) -> None:
        # None leaves the attribute out.
        self.nodes.append(helper.make_node(op, inputs, [made], name=name, axis=axis))

    def _ends(self, name: str, scale: Array, zero: Array) -> list[str]:
        """Store scale and zero point; returns their names."""
        return [
            self._store(f"{name}.step", np.asarray(scale, np.float32)),
            self._store(f"{name}.zero", zero),
        ]

    def _store(self, wanted: str, data: Array) -> str:
        name = self._free(wanted)
        self.stored[name] = numpy_helper.from_array(np.asarray(data), name)
        return name


def _signs(weight: Array, axis: int) -> tuple[Array, Array] | None:
    """+1 and -1 with one scale an output, for weights that are of one size: 1-bit ones."""
    size = np.abs(weight)
    others = tuple(i for i in range(weight.ndim) if i != axis)
    largest = size.max(others, keepdims=True)
    if weight.ndim != 2 or (size != largest).any() or not largest.all():
        return None
    return np.sign(weight).astype(np.int8), largest.reshape(-1).astype(np.float32)
