"""Part of `recognise_qdq`: convolutions and fully connected layers between codes.

y = quantize(act(w . dequantize(x) + b)) with w = s_w c and b = s_x s_w d is the integer rule
min(max(rint(float32(d + sum c (x - x_zero)) * float32(s_x s_w / s_y)) + y_zero, low), high):
a ReLU or a Clip in front of QUANTIZE only moves low and high, since rounding keeps order.

A bias given as float is taken where it is a whole number of s_x s_w, up to the rounding of
float32. Rounded to one it would move results by whole steps where weights have few bits, so that
the layer stays float instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node
from csideploy.export.integer.elementwise import quantize
from csideploy.export.integer.rounding import code_range
from csideploy.export.integer.scales import (
    ACCUMULATOR_LIMIT,
    accumulator_bound,
    multiplier,
    quantize_bias,
)
from csideploy.export.operations import Unary
from csideploy.export.plan import OPS, Activation, Op

_INTEGER = {
    Op.CONV2D: Op.QCONV2D,
    Op.LINEAR: Op.QLINEAR,
    Op.BINARY_LINEAR: Op.QBINARY_LINEAR,
}
_MOST_PRODUCTS = 65536
_ROUNDING = 2.0**-21
"""A few units of float32's last place."""


def run(graph: Graph) -> None:
    """Change in place."""
    producers, users = graph.producers(), graph.users()
    gone: list[Node] = []
    for node in graph.nodes:
        if node.op is not Op.QUANTIZE:
            continue
        found = _behind(graph, node, producers, users)
        if found is not None and found.take(graph):
            gone += found.absorbed
    graph.remove(gone)


@dataclass
class _Site:
    """DEQUANTIZE, layer, [Clip], QUANTIZE; `low` and `high` are bounds of the floats."""

    back: Node
    layer: Node
    quantize: Node
    absorbed: list[Node]
    low: float
    high: float

    def take(self, graph: Graph) -> bool:
        """Make the layer an integer one; False where its numbers do not allow it."""
        x, y = graph.values[self.back.inputs[0]], graph.values[self.quantize.outputs[0]]
        weight = _weight(graph, self.layer)
        if weight is None or x.dtype.itemsize > 2:
            return False
        codes, scale, products = weight
        x_scale, y_scale = self.back.attributes["scale"], self.quantize.attributes["scale"]
        try:
            factor = multiplier(x_scale, scale, y_scale)
        except ValueError:
            return False
        bias = _bias(graph, self.layer, float(x_scale), scale)
        if bias is _NO_BIAS:
            whole = None
        elif bias is None:
            return False
        else:
            whole = bias
        binary = self.layer.op is Op.BINARY_LINEAR
        bound = accumulator_bound(products, whole, binary=binary)
        if products > _MOST_PRODUCTS or (x.dtype.itemsize == 1 and bound > ACCUMULATOR_LIMIT):
            return False
        self._become(graph, codes, whole, factor, x.name, y.dtype)
        return True

    def _become(
        self,
        graph: Graph,
        codes: NDArray[Any] | None,
        bias: NDArray[np.int32] | None,
        factor: NDArray[np.float32],
        x: str,
        dtype: np.dtype[Any],
    ) -> None:
        layer = self.layer
        assert isinstance(layer.op, Op)
        zero = int(self.quantize.attributes["zero"])
        low, high = self._bounds(dtype, zero)
        if codes is not None:
            weight = graph.add_constant(f"{layer.name}.weight", codes)
        else:
            weight = layer.inputs[1]
        names = [
            x,
            weight,
            "" if bias is None else graph.add_constant(f"{layer.name}.bias", bias),
            graph.add_constant(f"{layer.name}.multiplier", factor),
        ]
        layer.op = _INTEGER[layer.op]
        window = {k: v for k, v in layer.attributes.items() if k in OPS[layer.op].params}
        layer.attributes = {
            **window,
            "x_zero": int(self.back.attributes["zero"]),
            "y_zero": zero,
            "low": low,
            "high": high,
        }
        layer.inputs, layer.outputs = names, self.quantize.outputs

    def _bounds(self, dtype: np.dtype[Any], zero: int) -> tuple[int, int]:
        """Bounds of the codes: the type's, or those of the floats if they are tighter."""
        least, most = code_range(dtype)
        step = float(self.quantize.attributes["scale"])
        ends = np.array([self.low, self.high], np.float32)
        low, high = (int(code) for code in quantize(ends, step, zero, dtype))
        return max(least, low), min(most, high)


def _behind(
    graph: Graph, quantizer: Node, producers: dict[str, Node], users: dict[str, list[Node]]
) -> _Site | None:
    """The layer in front of a QUANTIZE, whose input comes out of a DEQUANTIZE."""
    low, high = -np.inf, np.inf
    absorbed = [quantizer]
    node, name = producers.get(quantizer.inputs[0]), quantizer.inputs[0]
    while node is not None and graph.only_user(name, users) is absorbed[-1]:
        if node.op is Op.UNARY and node.attributes["function"] == Unary.CLIP:
            low = max(low, float(node.attributes["alpha"]))
            high = min(high, float(node.attributes["beta"]))
        elif node.op is Op.ACTIVATION and node.attributes["activation"] == Activation.RELU:
            low = max(low, 0.0)
        else:
            break
        absorbed.append(node)
        name = node.inputs[0]
        node = producers.get(name)
    if node is None or node.op not in _INTEGER or low > high:
        return None
    if graph.only_user(name, users) is not absorbed[-1]:
        return None
    activation = node.attributes["activation"]
    if activation not in (Activation.NONE, Activation.RELU) or any(node.inputs[4:]):
        return None
    if activation == Activation.RELU:
        # In front of a Clip: its bounds apply to what the ReLU lets through.
        low, high = max(low, 0.0), max(high, 0.0)
    back = producers.get(node.inputs[0])
    if back is None or back.op is not Op.DEQUANTIZE:
        return None
    return _Site(back, node, quantizer, absorbed, low, high)


def _weight(
    graph: Graph, layer: Node
) -> tuple[NDArray[np.int8] | None, NDArray[np.float32], int] | None:
    """int8 codes (None: 1-bit ones, which stay), scale (M,) or (1,), products an output."""
    value = graph.values[layer.inputs[1]]
    if layer.op is Op.BINARY_LINEAR:
        scale = graph.constant(layer.inputs[2])
        assert scale is not None
        inputs = int(graph.values[layer.inputs[0]].shape[-1])
        return None, scale.astype(np.float32), inputs
    if value.quantized is None or value.data is None:
        return None
    codes = value.quantized.codes
    rows = np.broadcast_to(value.quantized.scale, codes.shape).reshape(len(codes), -1)
    if (rows != rows[:, :1]).any() or codes.min() < -128 or codes.max() > 127:
        return None
    scales = np.ascontiguousarray(rows[:, 0], np.float32)
    return codes.astype(np.int8), scales, codes[0].size


_NO_BIAS = np.zeros(0, np.int32)


def _bias(
    graph: Graph, layer: Node, x_scale: float, scale: NDArray[np.float32]
) -> NDArray[np.int32] | None:
    """Codes (M,); `_NO_BIAS` where there is none, None where they do not fit."""
    place = OPS[layer.op].inputs.index("bias?") if isinstance(layer.op, Op) else 2
    if not layer.inputs[place]:
        return _NO_BIAS
    value = graph.values[layer.inputs[place]]
    assert value.data is not None
    unit = np.float32(x_scale) * scale
    given = value.quantized
    if given is not None:
        own = np.broadcast_to(given.scale, given.codes.shape)
        # The codes are meant for this unit if the scales are equal but for their rounding.
        if np.allclose(own, unit, rtol=1e-5, atol=0):
            return np.ascontiguousarray(given.codes, np.int32)
    exact = value.data.astype(np.float64)
    codes = quantize_bias(value.data, x_scale, scale)
    off = np.abs(codes * unit.astype(np.float64) - exact)
    return codes if (off <= _ROUNDING * np.abs(exact)).all() else None
