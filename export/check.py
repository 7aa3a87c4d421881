"""The graph checker, run after every pass.

What it finds is a fault of the compiler, not of the user's file: it says which pass left the
graph wrong, and where.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from csideploy.export.check_shapes import RESULTS, GraphError, demand
from csideploy.export.graph import BATCH, USERS, VIEW, Graph, Node, Value
from csideploy.export.operation_rules import (
    CONSTANT_ROLES,
    SAME_DTYPE,
    ParamKind,
    param_rules,
    role_dtypes,
)
from csideploy.export.plan import OPS, Activation, DType, Op

__all__ = ["GraphError", "check_graph", "check_node"]

_ELEMENTS = {dtype.numpy: dtype for dtype in DType}
_ROWS = (Op.LINEAR, Op.BINARY_LINEAR, Op.QLINEAR, Op.QBINARY_LINEAR, Op.BITS_NETWORK)
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
            check_node(graph.values, node)
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


def check_node(values: Mapping[str, Value], node: Node) -> None:
    """Check one node's types, shapes and parameters, where it is a step or a view.

    Raises:
        GraphError: the first fault found.
    """
    if isinstance(node.op, Op):
        _check_operation(values, node)
    elif node.op == VIEW:
        _check_view(values, node)


def _check_view(values: Mapping[str, Value], node: Node) -> None:
    source, result = values[node.inputs[0]], values[node.outputs[0]]
    demand(source.dtype == result.dtype, f"view '{node.name}' changes the type")
    demand(source.per_sample == result.per_sample, f"view '{node.name}' changes the size")
    for symbol in (BATCH, USERS):
        same = (symbol in source.shape) == (symbol in result.shape)
        demand(same, f"view '{node.name}' of {source.shape} as {result.shape}")


def _check_operation(values: Mapping[str, Value], node: Node) -> None:
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
            roles[role.rstrip("?")] = values[name]
    _check_types(node, roles)
    _check_numbers(node)
    slope = node.attributes.get("activation") == Activation.PRELU
    demand(slope == ("slope" in roles), f"'{node.name}': slope and activation disagree")
    result = values[node.outputs[0]].shape
    named = (r.rstrip("?") for r in (*spec.inputs, *spec.outputs[1:]))
    shapes = {role: roles[role].shape for role in named if role in roles}
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
    if node.op is Op.CONV_BLOCK:
        _check_block_types(node, roles)


def _check_block_types(node: Node, roles: dict[str, Value]) -> None:
    """Integers at both ends or at none, and around integers alone; the rows of `channels`."""
    ends = {roles[role].dtype == np.int16 for role in ("expand", "project")}
    coded, whole = roles["middle"].dtype == np.int8, True in ends
    demand(len(ends) == 1 and coded >= whole, f"'{node.name}': types of weights")
    rows = 4 + coded + whole
    channels = roles["channels"].shape
    demand(channels[:1] == (rows,), f"'{node.name}': channels {channels}, not {rows} rows")


def _check_numbers(node: Node) -> None:
    assert isinstance(node.op, Op)
    for name, rule in param_rules(node.op):
        number = node.attributes[name]
        if rule.kind in (ParamKind.U32_RANGE, ParamKind.I32_RANGE):
            legal = rule.lo <= number <= rule.hi
        else:
            legal = math.isfinite(number) and (number > 0 or rule.kind is ParamKind.F32_FINITE)
        demand(legal, f"'{node.name}': {name} is {number}")
