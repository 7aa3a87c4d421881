"""The symbol k, the number of users: a network is compiled for two numbers, and k is what differs.

Every rule of the compiler works on numbers. So the passes run twice, with two primes in k's place
that divide no size of the file. Where both runs make the same steps of the same constants, and each
tensor has the one size or the other in at most one axis and is alike besides, that axis is k: what
a step does with an axis of any size follows from its operation, not from the size. All else is
refused: a size that is a multiple of k, a constant or a parameter in which k was calculated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from onnx import ModelProto

from csideploy.errors import UnsupportedError
from csideploy.export.batch_rules import MANY
from csideploy.export.check import GraphError, check_node
from csideploy.export.graph import USERS, Graph, Node, Shape, Value
from csideploy.export.plan import Op

_FROM = 499
"""Two primes above it, so that what is folded from a size stays small."""


def has_users(model: ModelProto) -> bool:
    """Whether an input has an axis named "k" behind its first."""
    return any(
        dim.dim_param == USERS
        for info in model.graph.input
        for dim in info.type.tensor_type.shape.dim[1:]
    )


def with_users(model: ModelProto, passed: Callable[[int], Graph]) -> Graph:
    """The graph with k.

    Args:
        model: the network.
        passed: the graph after all passes, for a number of users.

    Raises:
        UnsupportedError: a tensor or a step that k may not reach; names it.
    """
    graphs = [passed(users) for users in _probes(model)]
    graph, other = graphs
    _compare_steps(graph, other)
    for name, value in graph.values.items():
        value.shape = _symbolic(value, other.values[name], graphs)
    for node in graph.nodes:
        _check(graph, node)
    graph.user_count = None
    return graph


def _probes(model: ModelProto) -> list[int]:
    sizes = {dim for tensor in model.graph.initializer for dim in tensor.dims}
    for info in model.graph.input:
        sizes.update(dim.dim_value for dim in info.type.tensor_type.shape.dim)
    found = (p for p in _primes() if p != MANY and all(size % p or not size for size in sizes))
    return [next(found), next(found)]


def _primes() -> Iterator[int]:
    number = _FROM
    while True:
        number += 2
        if all(number % divisor for divisor in range(3, math.isqrt(number) + 1, 2)):
            yield number


def _compare_steps(graph: Graph, other: Graph) -> None:
    if len(graph.nodes) != len(other.nodes) or graph.values.keys() != other.values.keys():
        raise UnsupportedError("the network has other steps for other numbers of users k")
    for one, two in zip(graph.nodes, other.nodes, strict=True):
        same = (one.op, one.inputs, one.outputs) == (two.op, two.inputs, two.outputs)
        if not same or one.attributes.keys() != two.attributes.keys():
            raise UnsupportedError(
                f"node '{one.name}' is another step for other numbers of users k"
            )
        for name, number in one.attributes.items():
            if number != two.attributes[name]:
                raise UnsupportedError(
                    f"node '{one.name}': {name} of {one.label} depends on the number of users k"
                )


def _symbolic(value: Value, other: Value, graphs: list[Graph]) -> Shape:
    """The shape with k where it is; refused where the tensor knows k in another way."""
    sizes = tuple(graph.user_count for graph in graphs)
    if value.data is not None or other.data is not None:
        same = value.dtype == other.dtype and value.shape == other.shape
        floats = value.dtype.kind == "f"
        if (
            not same
            or value.data is None
            or other.data is None
            or not np.array_equal(value.data, other.data, equal_nan=floats)
        ):
            raise UnsupportedError(
                f"constant '{value.name}' {value.shape} is calculated from the number of users k; "
                "a constant may not depend on it"
            )
        return value.shape
    if value.dtype != other.dtype or len(value.shape) != len(other.shape):
        raise UnsupportedError(f"tensor '{value.name}' depends on the number of users k")
    found = [
        axis
        for axis, pair in enumerate(zip(value.shape, other.shape, strict=True))
        if pair[0] != pair[1]
    ]
    for axis in found:
        if len(found) > 1 or (value.shape[axis], other.shape[axis]) != sizes:
            named = ", ".join(
                _grown(a, b, sizes) for a, b in zip(value.shape, other.shape, strict=True)
            )
            raise UnsupportedError(
                f"tensor '{value.name}' ({named}) holds the number of users k otherwise than as "
                "one axis of that size"
            )
    return tuple(USERS if axis in found else dim for axis, dim in enumerate(value.shape))


def _grown(one: int | str, two: int | str, sizes: tuple[int | None, ...]) -> str:
    """A size for people: 3, k, 16 k, or k + 1."""
    if one == two or isinstance(one, str) or isinstance(two, str):
        return str(one)
    (first, second) = sizes
    assert first is not None
    assert second is not None
    if one * second == two * first and one % first == 0:
        return "k" if one == first else f"{one // first} k"
    return f"k {one - first:+d}" if two - one == second - first else "of k"


def _check(graph: Graph, node: Node) -> None:
    """The operation takes the symbol; a place along the users is one that every number has."""
    try:
        check_node(graph.values, node)
    except (GraphError, ValueError, TypeError) as error:
        shapes = ", ".join(str(graph.values[name].shape) for name in node.inputs if name)
        raise UnsupportedError(
            f"node '{node.name}': {node.label} of {shapes} does not take the users' axis k"
        ) from error
    if node.op is Op.GATHER:
        shape, picked = graph.values[node.inputs[0]].shape, graph.values[node.inputs[1]].data
        along = shape[int(node.attributes["axis"])] == USERS
        if along and picked is not None and bool((picked > 0).any()):
            raise UnsupportedError(
                f"node '{node.name}': picks users by number; there may be one alone"
            )
