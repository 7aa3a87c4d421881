"""The graph checker, run after every pass.

What it finds is a fault of the compiler, not of the user's file: it says which pass left the
graph wrong, and where.
"""

from __future__ import annotations

from csideploy.export.check_shapes import RESULTS, GraphError, demand
from csideploy.export.graph import BATCH, VIEW, Graph, Node, Value
from csideploy.export.operation_rules import CONSTANT_ROLES, SAME_DTYPE, role_dtypes
from csideploy.export.plan import OPS, Activation, DType, Op

__all__ = ["GraphError", "check_graph"]

_ELEMENTS = {dtype.numpy: dtype for dtype in DType}
_ROWS = (Op.LINEAR, Op.BINARY_LINEAR, Op.QLINEAR, Op.QBINARY_LINEAR)
"""Operations whose output channels are the last axis."""


def check_graph(graph: Graph, after: str) -> None:
    """Check names, order, types, shapes and parameters; `after` names the last pass.

    Raises:
        GraphError: the first fault found.
    """
    made = set(graph.inputs)
    made.update(name for name, value in graph.values.items() if value.data is not None)
    try:
        for name, value in graph.values.items():
            demand(name == value.name, f"value '{name}' calls itself '{value.name}'")
            if value.data is not None:
                demand(value.data.shape == value.shape, f"constant '{name}' has another shape")
        for node in graph.nodes:
            for name in node.inputs:
                demand(not name or name in made, f"'{node.name}' reads '{name}' before it is made")
            if isinstance(node.op, Op):
                _check_operation(graph, node)
            elif node.op == VIEW:
                _check_view(graph, node)
            for name in filter(None, node.outputs):
                demand(name not in made, f"'{name}' is made twice")
                made.add(name)
                if not graph.inferred:
                    continue
                demand(name in graph.values, f"'{name}' has no type and shape")
                shape = graph.values[name].shape
                front = not isinstance(node.op, Op) or BATCH not in shape[1:]
                demand(front, f"'{name}' {shape} has the batch elsewhere than in front")
        for name in graph.outputs:
            demand(name in made, f"output '{name}' is not made")
    except GraphError as error:
        raise GraphError(
            f"after pass {after}: {error} (a defect of the compiler, please report it)"
        ) from None


def _check_view(graph: Graph, node: Node) -> None:
    source, result = graph.values[node.inputs[0]], graph.values[node.outputs[0]]
    demand(source.dtype == result.dtype, f"view '{node.name}' changes the type")
    demand(source.per_sample == result.per_sample, f"view '{node.name}' changes the size")


def _check_operation(graph: Graph, node: Node) -> None:
    assert isinstance(node.op, Op)
    spec = OPS[node.op]
    demand(len(node.inputs) == len(spec.inputs), f"'{node.name}' has {len(node.inputs)} inputs")
    demand(len(node.outputs) == len(spec.outputs), f"'{node.name}': number of outputs")
    demand(set(node.attributes) == set(spec.params), f"'{node.name}': {set(node.attributes)}")
    roles: dict[str, Value] = {}
    for role, name in zip(
        (*spec.inputs, *spec.outputs), (*node.inputs, *node.outputs), strict=True
    ):
        demand(bool(name) or role.endswith("?"), f"'{node.name}' has no {role}")
        if name:
            roles[role.rstrip("?")] = graph.values[name]
    _check_types(node, roles)
    slope = node.attributes.get("activation") == Activation.PRELU
    demand(slope == ("slope" in roles), f"'{node.name}': slope and activation disagree")
    result = graph.values[node.outputs[0]].shape
    shapes = {role: roles[role].shape for role in (r.rstrip("?") for r in spec.inputs)
              if role in roles}  # fmt: skip
    expected = RESULTS[node.op](node, shapes, result)
    demand(expected == result, f"'{node.name}' makes {expected}, its value says {result}")
    if node.op is Op.LAYER_NORM:
        return
    channels = result[-1:] if node.op in _ROWS else result[1:2]
    for role in ("bias", "slope"):
        if role in roles:
            demand(shapes[role] == channels, f"'{node.name}': {role} {shapes[role]}")
    if "residual" in roles:
        demand(shapes["residual"] == result, f"'{node.name}': residual {shapes['residual']}")


def _check_types(node: Node, roles: dict[str, Value]) -> None:
    assert isinstance(node.op, Op)
    for role, value in roles.items():
        kind = _ELEMENTS.get(value.dtype)
        demand(kind in role_dtypes(node.op, role), f"'{node.name}': {role} is {value.dtype}")
        if role in CONSTANT_ROLES:
            demand(value.data is not None, f"'{node.name}': {role} is no constant")
    alike = {roles[role].dtype for role in SAME_DTYPE.get(node.op, ()) if role in roles}
    demand(len(alike) < 2, f"'{node.name}': types {alike}")
