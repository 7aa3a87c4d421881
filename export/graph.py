"""The graph: the compiler's own form of a network, between ONNX and the plan.

A node's `op` is an ONNX operator's name where it still is one, and a `plan.Op` once a pass has
recognised it. A node with a plan.Op takes its inputs in the order of `plan.OPS`, absent ones as
"", and holds that operation's parameters as its attributes. VIEW is neither: the same bytes under
another shape, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.plan import Dim, Op

VIEW = "View"
BATCH = "n"

Shape = tuple[Dim, ...]


@dataclass
class Value:
    """A tensor: an activation, or a constant where `data` is set.

    `data` of dtype object holds integers that are not all known: sizes with "n" among them.
    """

    name: str
    dtype: np.dtype[Any]
    shape: Shape
    data: NDArray[Any] | None = None

    @property
    def per_sample(self) -> int:
        """Elements of one sample: the symbolic dimension counts once."""
        count = 1
        for dim in self.shape:
            count *= 1 if isinstance(dim, str) else dim
        return count


@dataclass
class Node:
    """One operation; `domain` is set while it is not a standard operator."""

    op: str | Op
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    domain: str = ""

    @property
    def label(self) -> str:
        """For messages: the operator with its domain, and the node's name."""
        op = self.op.name if isinstance(self.op, Op) else self.op
        return f"{self.domain}::{op}" if self.domain else op


@dataclass
class Graph:
    """Nodes in the order in which they run, over named values."""

    name: str
    nodes: list[Node]
    values: dict[str, Value]
    inputs: list[str]
    outputs: list[str]

    def producers(self) -> dict[str, Node]:
        """Value name -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    def users(self) -> dict[str, list[Node]]:
        """Value name -> the nodes that read it, a node once for every time it reads."""
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                if name:
                    users.setdefault(name, []).append(node)
        return users

    def constant(self, name: str) -> NDArray[Any] | None:
        """The data of a constant, None for an activation or an absent input."""
        return self.values[name].data if name else None

    def add_constant(self, wanted: str, data: NDArray[Any]) -> str:
        """Store a constant under a free name near `wanted`; returns the name."""
        name, number = wanted, 1
        while name in self.values:
            number += 1
            name = f"{wanted}.{number}"
        shape = tuple(int(size) for size in data.shape)
        self.values[name] = Value(name, data.dtype, shape, data)
        return name

    def only_user(self, name: str, users: dict[str, list[Node]]) -> Node | None:
        """The one node that reads a value, None where there are more or the value leaves."""
        readers = users.get(name, [])
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def remove(self, gone: Iterable[Node]) -> None:
        """Take nodes out, and the values that nothing mentions any more."""
        ids = {id(node) for node in gone}
        self.nodes = [node for node in self.nodes if id(node) not in ids]
        self.sweep()

    def sweep(self) -> None:
        """Forget values that no node and no end of the graph mentions."""
        used = {*self.inputs, *self.outputs}
        for node in self.nodes:
            used.update(node.inputs)
            used.update(node.outputs)
        self.values = {name: value for name, value in self.values.items() if name in used}
