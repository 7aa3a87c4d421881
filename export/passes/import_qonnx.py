"""Pass: QONNX's Quant, BipolarQuant and Trunc become standard operators.

QONNX (Pappalardo et al. 2022) writes a quantizer as one node over floats:

    Quant:        y = (round(clip(x / scale + zero, low, high)) - zero) scale
    BipolarQuant: y = +scale where x >= 0, else -scale
    Trunc:        y = (round(rint(x / scale + zero) / 2^(in - out)) - zero) scale
    Trunc, 2:     y = (round(clip(rint(x / scale + zero) / t, low, high)) - zero / t) out,
                  t = the power of two next to out / scale

with low and high those of `bits` bits, signed or not; `narrow` leaves out the lowest code (signed)
or the highest (unsigned). The second Trunc is the one with an output scale. Clipping first is the
same as clipping last, because the limits are whole numbers and rounding keeps order.

A weight becomes integer codes behind a DequantizeLinear, so that the codes stay known. An
activation becomes QuantizeLinear, Clip, DequantizeLinear where that is the same: one scale, at
most 16 bits, rounding half to even, an even whole zero point (rint(x / s) + z and rint(x / s + z)
part at ties if z is odd). What else there is stays float arithmetic as written above.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.fold_rules import constant
from csideploy.export.graph import Graph, Node
from csideploy.export.refusal import MALFORMED, refuse, text

DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general")
"""Names under which QONNX's exporters have written these operators."""

Data = NDArray[Any]

_ROUNDINGS = {"ROUND": "Round", "HALF_EVEN": "Round", "CEIL": "Ceil", "FLOOR": "Floor"}
_NUMPY: dict[str, Callable[[Data], Data]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}

_OTHER_NAMES = {"ROUND_TO_ZERO": "DOWN"}
"""What brevitas calls it."""

_MOST_BITS = 24
"""Codes of more bits are not exact in float32."""
_MOST_WEIGHT_BITS = 32
"""Of a tensor that is known, such as a bias: its codes are taken as whole numbers here and now."""


def run(graph: Graph) -> None:
    """Change in place; before the pass `infer`."""
    if not any(node.domain in DOMAINS for node in graph.nodes):
        return
    constants = _constants(graph)
    rewritten: list[Node] = []
    for node in graph.nodes:
        maker = _MAKERS.get(str(node.op)) if node.domain in DOMAINS else None
        if maker is None:
            rewritten.append(node)
            continue
        try:
            rewritten += maker(_Site(graph, node, constants))
        except MALFORMED as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            refuse(node, f"is malformed: {lines[0]}")
    graph.nodes = rewritten
    graph.sweep()


def _constants(graph: Graph) -> dict[str, Data]:
    """What is known before anything is computed: initializers and Constant nodes."""
    known = {name: value.data for name, value in graph.values.items() if value.data is not None}
    for node in graph.nodes:
        if node.domain or node.op not in ("Constant", "Identity") or len(node.outputs) != 1:
            continue
        if node.op == "Constant":
            known[node.outputs[0]] = constant(node, [])
        elif len(node.inputs) == 1 and node.inputs[0] in known:
            known[node.outputs[0]] = known[node.inputs[0]]
    return known


@dataclass
class _Site:
    """One node, and how to write others in its place."""

    graph: Graph
    node: Node
    constants: dict[str, Data]

    @property
    def x(self) -> Data | None:
        """Input 0 where it is a weight."""
        return self.constants.get(self.node.inputs[0])

    def floats(self, index: int, what: str) -> NDArray[np.float32]:
        """A parameter, which must be known."""
        names = self.node.inputs
        data = self.constants.get(names[index]) if index < len(names) else None
        if data is None:
            refuse(self.node, f"its {what} must be a constant")
        return np.asarray(data, np.float32)

    def whole(self, index: int, what: str, most: int = _MOST_BITS) -> int:
        """A parameter that is one whole number from 1 to `most`."""
        data = self.floats(index, what)
        if data.size != 1 or not 1 <= data.item() <= most or data.item() % 1:
            found = data.tolist()
            refuse(self.node, f"{what} {found}; one whole number of 1 to {most} is supported")
        return int(data.item())

    def rounding(self, default: str) -> str:
        """The rounding mode, in QONNX's words."""
        written = text(self.node.attributes.get("rounding_mode", default)).upper()
        mode = _OTHER_NAMES.get(written, written)
        if mode not in _NUMPY:
            refuse(self.node, f"rounding {mode}; {', '.join(_NUMPY)} are known")
        return mode

    def rounding_operator(self, default: str) -> str:
        """The standard operator that rounds an activation as the node says."""
        mode = self.rounding(default)
        if mode not in _ROUNDINGS:
            refuse(
                self.node,
                f"rounding {mode} of an activation; {', '.join(_ROUNDINGS)} are supported",
            )
        return _ROUNDINGS[mode]

    def constant(self, what: str, data: Data | np.float32) -> str:
        """A constant beside this node; returns its name."""
        return self.graph.add_constant(f"{self.node.name}.{what}", np.asarray(data))

    def chain(self, steps: Sequence[tuple[str, Sequence[str]]]) -> list[Node]:
        """Operators one behind the other, each with its further inputs."""
        made: list[Node] = []
        current = self.node.inputs[0]
        for index, (op, more) in enumerate(steps):
            last = index == len(steps) - 1
            name = f"{self.node.name}.{op}" if not last else self.node.name
            output = self.node.outputs[0] if last else f"{self.node.outputs[0]}.{index}"
            made.append(Node(op, name, [current, *more], [output]))
            current = output
        return made


def _quant(site: _Site) -> list[Node]:
    scale, zero = site.floats(1, "scale"), site.floats(2, "zero point")
    most_bits = _MOST_BITS if site.x is None else _MOST_WEIGHT_BITS
    bits, rounding = site.whole(3, "bit width", most_bits), site.rounding("ROUND")
    low, high = _limits(site.node, bits)
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        refuse(site.node, "scales must be finite and positive")
    if site.x is not None:
        x = np.asarray(site.x, np.float32)
        # float64 has the limits of 32 bits, which float32 has not.
        codes = np.clip(_NUMPY[rounding](x / scale + zero).astype(np.float64), low, high)
        return _weight(site, codes, scale, zero)
    even = zero.size == 1 and zero.item() % 2 == 0 and low <= zero.item() <= high
    # Codes of 16 bits came with opset 21.
    most = 16 if site.graph.opset >= 21 else 8
    half_even = rounding in ("ROUND", "HALF_EVEN")
    if scale.size == 1 and even and half_even and bits <= most:
        return _quantize_dequantize(site, scale, int(zero.item()), low, high, bits)
    limits = [site.constant(name, np.float32(v)) for name, v in (("low", low), ("high", high))]
    scale_name, zero_name = site.constant("scale", scale), site.constant("zero", zero)
    return site.chain(
        [
            ("Div", [scale_name]),
            ("Add", [zero_name]),
            ("Clip", limits),
            (site.rounding_operator("ROUND"), []),
            ("Sub", [zero_name]),
            ("Mul", [scale_name]),
        ]
    )


def _limits(node: Node, bits: int) -> tuple[int, int]:
    """Lowest and highest code."""
    signed = bool(node.attributes.get("signed", 1))
    narrow = bool(node.attributes.get("narrow", 0))
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def _weight(site: _Site, codes: Data, scale: Data, zero: Data) -> list[Node]:
    """Codes of a known tensor, and their scale; one a tensor or one along an axis."""
    whole = not (zero % 1).any()
    axes = [axis for axis, size in enumerate(scale.shape) if size > 1]
    aligned = scale.ndim in (0, codes.ndim) or scale.size == 1
    fits = np.abs(codes - zero).max(initial=0) <= np.iinfo(np.int32).max
    if not (whole and aligned and fits) or len(axes) > 1:
        values = np.asarray((codes - zero) * scale, np.float32)
        name = site.constant("weight", values)
        return [Node("Identity", site.node.name, [name], list(site.node.outputs))]
    centred = (codes - zero).astype(np.int32)
    small = np.array_equal(centred, centred.astype(np.int8))
    stored = site.constant("codes", centred.astype(np.int8) if small else centred)
    made = Node(
        "DequantizeLinear",
        site.node.name,
        [stored, site.constant("scale", scale.reshape(-1 if axes else ()))],
        list(site.node.outputs),
        {"axis": axes[0]} if axes else {},
    )
    return [made]


def _quantize_dequantize(
    site: _Site, scale: Data, zero: int, low: int, high: int, bits: int
) -> list[Node]:
    signed = low < 0
    dtype = np.dtype(f"{'i' if signed else 'u'}{1 if bits <= 8 else 2}")
    if bits > 8 and not signed:  # the executor has no uint16; 15 bits fit into int16
        dtype = np.dtype(np.int16)
        if high > np.iinfo(dtype).max:
            refuse(site.node, "unsigned codes of 16 bits; up to 15 are supported")
    scale_name = site.constant("scale", scale.reshape(()))
    zero_name = site.constant("zero", np.array(zero, dtype))
    steps: list[tuple[str, Sequence[str]]] = [("QuantizeLinear", [scale_name, zero_name])]
    kind = np.iinfo(dtype)
    if (low, high) != (kind.min, kind.max):
        limits = [site.constant(n, np.array(v, dtype)) for n, v in (("low", low), ("high", high))]
        steps.append(("Clip", limits))
    return site.chain([*steps, ("DequantizeLinear", [scale_name, zero_name])])


def _bipolar(site: _Site) -> list[Node]:
    scale = site.floats(1, "scale")
    if site.x is not None:
        codes = np.where(site.x >= 0, np.float32(1), np.float32(-1))
        return _weight(site, codes, scale, np.zeros((), np.float32))
    zero = site.constant("zero", np.float32(0))
    signs = f"{site.node.outputs[0]}.positive"
    plus, minus = site.constant("plus", scale), site.constant("minus", -scale)
    return [
        Node("GreaterOrEqual", f"{site.node.name}.compare", [site.node.inputs[0], zero], [signs]),
        Node("Where", site.node.name, [signs, plus, minus], list(site.node.outputs)),
    ]


def _trunc(site: _Site) -> list[Node]:
    count = len(site.node.inputs)
    if count not in (5, 6):
        refuse(site.node, f"{count} inputs; the forms of 5 and of 6 are supported")
    scale, zero = site.floats(1, "scale"), site.floats(2, "zero point")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        refuse(site.node, "scales must be finite and positive")
    before: list[tuple[str, Sequence[str]]] = [
        ("Div", [site.constant("scale", scale)]),
        ("Add", [site.constant("zero", zero)]),
        ("Round", []),
    ]
    if count == 5:
        dropped = site.whole(3, "input bit width") - site.whole(4, "output bit width")
        if dropped < 0:
            refuse(site.node, "the output has more bits than the input")
        step, behind, out = np.full((), 1 << dropped, np.float32), zero, scale
        bounds: list[tuple[str, Sequence[str]]] = []
    else:
        out = site.floats(4, "output scale")
        low, high = _limits(site.node, site.whole(5, "output bit width"))
        if not (np.isfinite(out).all() and (out > 0).all()):
            refuse(site.node, "scales must be finite and positive")
        step = np.asarray(np.exp2(np.rint(np.log2(out / scale))), np.float32)
        limits = [site.constant(n, np.float32(v)) for n, v in (("low", low), ("high", high))]
        bounds, behind = [("Clip", limits)], np.asarray(zero / step, np.float32)
    after: list[tuple[str, Sequence[str]]] = [
        ("Div", [site.constant("step", step)]),
        *bounds,
        (site.rounding_operator("FLOOR"), []),
        ("Sub", [site.constant("origin", behind)]),
        ("Mul", [site.constant("out", out)]),
    ]
    return site.chain([*before, *after])


_MAKERS = {"Quant": _quant, "IntQuant": _quant, "BipolarQuant": _bipolar, "Trunc": _trunc}
