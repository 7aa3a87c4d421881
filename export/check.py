"""The graph checker, run after every pass.

What it finds is a fault of the compiler, not of the user's file: it says which pass left the
graph wrong, and where.
"""

from __future__ import annotations

from collections.abc import Callable

from csideploy.errors import CsideployError
from csideploy.export.graph import BATCH, VIEW, Graph, Node, Shape
from csideploy.export.plan import OPS, Activation, DType, Op

_ELEMENTS = {dtype.numpy: dtype for dtype in DType}


class GraphError(CsideployError):
    """The graph is inconsistent after a pass: a defect of the compiler."""


def check_graph(graph: Graph, after: str) -> None:
    """Check names, order, types, shapes and parameters; `after` names the last pass.

    Raises:
        GraphError: the first fault found.
    """
    made = set(graph.inputs)
    made.update(name for name, value in graph.values.items() if value.data is not None)
    try:
        for name, value in graph.values.items():
            _demand(name == value.name, f"value '{name}' calls itself '{value.name}'")
            if value.data is not None:
                _demand(value.data.shape == value.shape, f"constant '{name}' has another shape")
        for node in graph.nodes:
            for name in node.inputs:
                _demand(not name or name in made, f"'{node.name}' reads '{name}' before it is made")
            if isinstance(node.op, Op):
                _check_operation(graph, node)
            elif node.op == VIEW:
                _check_view(graph, node)
            for name in node.outputs:
                _demand(name in graph.values, f"'{name}' has no type and shape")
                _demand(name not in made, f"'{name}' is made twice")
                _demand(graph.values[name].shape[:1] == (BATCH,), f"'{name}' has no batch in front")
                made.add(name)
        for name in graph.outputs:
            _demand(name in made, f"output '{name}' is not made")
    except GraphError as error:
        raise GraphError(
            f"after pass {after}: {error} (a defect of the compiler, please report it)"
        ) from None


def _demand(holds: bool, fault: str) -> None:
    if not holds:
        raise GraphError(fault)


def _check_view(graph: Graph, node: Node) -> None:
    source, result = graph.values[node.inputs[0]], graph.values[node.outputs[0]]
    _demand(source.dtype == result.dtype, f"view '{node.name}' changes the type")
    _demand(source.per_sample == result.per_sample, f"view '{node.name}' changes the size")


def _check_operation(graph: Graph, node: Node) -> None:
    assert isinstance(node.op, Op)
    spec = OPS[node.op]
    _demand(len(node.inputs) == len(spec.inputs), f"'{node.name}' has {len(node.inputs)} inputs")
    _demand(len(node.outputs) == len(spec.outputs), f"'{node.name}': number of outputs")
    _demand(set(node.attributes) == set(spec.params), f"'{node.name}': {set(node.attributes)}")
    shapes: dict[str, Shape] = {}
    for role, name in zip(spec.inputs, node.inputs, strict=True):
        _demand(bool(name) or role.endswith("?"), f"'{node.name}' has no {role}")
        if name:
            shapes[role.rstrip("?")] = graph.values[name].shape
    for name in (*node.inputs, *node.outputs):
        _demand(not name or graph.values[name].dtype in _ELEMENTS, f"'{name}': type")
    slope = node.attributes.get("activation") == Activation.PRELU
    _demand(slope == ("slope" in shapes), f"'{node.name}': slope and activation disagree")
    result = graph.values[node.outputs[0]].shape
    expected = _RESULTS[node.op](node, shapes, result)
    _demand(expected == result, f"'{node.name}' makes {expected}, its value says {result}")
    for role in ("bias", "slope"):
        if role in shapes:
            _demand(shapes[role] == result[1:2], f"'{node.name}': {role} {shapes[role]}")
    if "residual" in shapes:
        _demand(shapes["residual"] == result, f"'{node.name}': residual {shapes['residual']}")


def _conv(node: Node, shapes: dict[str, Shape], _: Shape) -> Shape:
    p = node.attributes
    (_n, channels, *image), (outputs, per_group, *kernel) = shapes["x"], shapes["weight"]
    _demand(int(per_group) * p["groups"] == channels, f"'{node.name}': groups")
    _demand(int(outputs) % p["groups"] == 0, f"'{node.name}': groups")
    sizes = []
    for axis, pads in (
        ("h", p["pad_top"] + p["pad_bottom"]),
        ("w", p["pad_left"] + p["pad_right"]),
    ):
        size, reach = image["hw".index(axis)], kernel["hw".index(axis)]
        span = p[f"dilation_{axis}"] * (int(reach) - 1) + 1
        sizes.append((int(size) + pads - span) // p[f"stride_{axis}"] + 1)
    return (BATCH, outputs, *sizes)


def _linear(node: Node, shapes: dict[str, Shape], _: Shape) -> Shape:
    _demand(shapes["x"][1:] == shapes["weight"][1:], f"'{node.name}': inputs and weight")
    return (BATCH, shapes["weight"][0])


def _binary(node: Node, shapes: dict[str, Shape], _: Shape) -> Shape:
    (_n, inputs), (outputs, row) = shapes["x"], shapes["weight"]
    _demand(row == -(-int(inputs) // 8), f"'{node.name}': inputs and packed weight")
    _demand(shapes["scale"] in ((1,), (outputs,)), f"'{node.name}': scale")
    return (BATCH, outputs)


def _join(_: Node, shapes: dict[str, Shape], __: Shape) -> Shape:
    a, b = shapes["a"], shapes["b"]
    return (BATCH, int(a[1]) + int(b[1]), *a[2:])


def _add(node: Node, shapes: dict[str, Shape], _: Shape) -> Shape:
    _demand(shapes["a"] == shapes["b"], f"'{node.name}': two shapes")
    return shapes["a"]


def _same(_: Node, shapes: dict[str, Shape], __: Shape) -> Shape:
    return next(iter(shapes.values()))


def _packed(node: Node, shapes: dict[str, Shape], _: Shape) -> Shape:
    return (BATCH, (int(shapes["codes"][1]) * node.attributes["bits"] + 7) // 8)


def _unpacked(node: Node, shapes: dict[str, Shape], result: Shape) -> Shape:
    length = (int(result[1]) * node.attributes["bits"] + 7) // 8
    _demand(shapes["payload"] == (BATCH, length), f"'{node.name}': payload {shapes['payload']}")
    return result


_RESULTS: dict[Op, Callable[[Node, dict[str, Shape], Shape], Shape]] = {
    Op.CONV2D: _conv,
    Op.LINEAR: _linear,
    Op.BINARY_LINEAR: _binary,
    Op.ADD: _add,
    Op.ACTIVATION: _same,
    Op.CONCAT: _join,
    Op.QUANTIZE_UNIFORM: _same,
    Op.PACK_BITS: _packed,
    Op.UNPACK_BITS: _unpacked,
    Op.DEQUANTIZE_UNIFORM: _same,
    Op.COPY: _same,
}
