"""Part of `fuse_block`: where codes stand between the convolutions, and what becomes of them.

A weight that came out of a DequantizeLinear is codes times a scale, and so is what QUANTIZE and
DEQUANTIZE let through, so that a sum of products is a sum of integers times a product of scales.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Graph, Node
from csideploy.export.integer.scales import WIDE_SUM
from csideploy.export.plan import Op

MOST_PRODUCTS = {8: 514, 16: 511}
"""Of a sum of codes of so many bits and weights: float32 holds all integers up to 514 x 255 x 128,
int32 those up to 511 x 32,768 x 128."""
_BITS = {np.dtype(np.uint8): 8, np.dtype(np.int16): 16}
_EXPONENTS = (-126, 126)
"""Of two, for a scale whose reciprocal is exact as well."""
_WEIGHT = 1

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """A DEQUANTIZE, and the QUANTIZE in front of it that has its scale; None: another maker.

    bits: 8, or 16 around 0.
    """

    back: Node
    quantize: Node | None
    scale: float
    zero: int
    bits: int


@dataclass(frozen=True)
class Codes:
    """Of the middle: weight int8 like its own, multiplier float32 (M,), and what it reads."""

    weight: NDArray[np.int8]
    multiplier: Rows
    pair: Pair


@dataclass(frozen=True)
class Edges:
    """Of the other two: int16 weights, the multiplier float32 (M,) of `expand`, and scales.

    x: the floats whose codes `expand` reads.
    """

    x: str
    expand: NDArray[np.int16]
    project: NDArray[np.int16]
    multiplier: Rows
    x_scale: float
    m_scale: float
    y_scale: float


def pair_behind(graph: Graph, name: str, producers: dict[str, Node]) -> Pair | None:
    """The codes that a value is made of, where a block takes such."""
    back = producers.get(name)
    if back is None or back.op is not Op.DEQUANTIZE:
        return None
    codes = graph.values[back.inputs[0]]
    bits = _BITS.get(codes.dtype)
    scale, zero = float(np.float32(back.attributes["scale"])), int(back.attributes["zero"])
    if bits is None or (bits == 16 and zero != 0):
        return None
    maker = producers.get(codes.name)
    same = maker is not None and maker.op is Op.QUANTIZE and maker.attributes == back.attributes
    return Pair(back, maker if same else None, scale, zero, bits)


def codes_of(graph: Graph, middle: Node, pair: Pair) -> Codes | None:
    """Where `middle` has 8-bit weights of one scale an output, whose sums are exact."""
    found = _weight(graph, middle)
    if found is None:
        return None
    codes, scale = found
    if codes.min() < -128 or codes.max() > 127 or codes[0].size > MOST_PRODUCTS[pair.bits]:
        return None
    multiplier = _multiplier(pair.scale, scale)
    return None if multiplier is None else Codes(codes.astype(np.int8), multiplier, pair)


def edges_of(graph: Graph, expand: Node, project: Node, x: Pair, m: Pair) -> Edges | None:
    """Where both have weights of 16 bits whose sums fit int32, and both read such codes."""
    front, rear = _wide_weight(graph, expand), _wide_weight(graph, project)
    if front is None or rear is None or not (_is_wide(x) and _is_wide(m)):
        return None
    (first, scales), (last, shared) = front, rear
    multiplier, y_scale = _multiplier(x.scale, scales), _multiplier(m.scale, shared[:1])
    if multiplier is None or y_scale is None or (shared != shared[0]).any():
        return None
    floats = x.back.outputs[0] if x.quantize is None else x.quantize.inputs[0]
    return Edges(floats, first, last, multiplier, x.scale, m.scale, float(y_scale[0]))


def _wide_weight(graph: Graph, layer: Node) -> tuple[NDArray[np.int16], Rows] | None:
    """Codes of 16 bits that add up to WIDE_SUM at most in each output, and their scales."""
    found = _weight(graph, layer)
    if found is None:
        return None
    codes, scales = found
    size = np.abs(codes.astype(np.int64)).reshape(len(codes), -1)
    if codes.min() < -32768 or codes.max() > 32767 or size.sum(1).max() > WIDE_SUM:
        return None
    return codes.astype(np.int16), scales


def _is_wide(pair: Pair) -> bool:
    """Codes of 16 bits whose scale is a power of two."""
    fraction, exponent = np.frexp(pair.scale)
    low, high = _EXPONENTS
    return pair.bits == 16 and fraction == 0.5 and low <= exponent - 1 <= high


def _weight(graph: Graph, layer: Node) -> tuple[NDArray[np.int32], Rows] | None:
    """A weight's codes, and its scales (M,), one an output."""
    given = graph.values[layer.inputs[_WEIGHT]].quantized
    if given is None:
        return None
    rows = np.broadcast_to(given.scale, given.codes.shape).reshape(len(given.codes), -1)
    return None if (rows != rows[:, :1]).any() else (given.codes, rows[:, 0])


def _multiplier(scale: float, scales: Rows) -> Rows | None:
    """One scale times others, rounded once; None where one of them is no positive float32."""
    made = (np.float64(scale) * scales).astype(np.float32)
    return made if ((made > 0) & np.isfinite(made)).all() else None
