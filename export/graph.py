"""The graph: the compiler's own form of a network, between ONNX and the plan.

A node's `op` is an ONNX operator's name where it still is one, and a `plan.Op` once a pass has
recognised it. A node with a plan.Op takes its inputs in the order of `plan.OPS`, absent ones as
"", and holds that operation's parameters as its attributes. VIEW is neither: the same bytes under
another shape, which costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.plan import Dim, Op

VIEW = "View"
BATCH = "n"
USERS = "k"

Shape = tuple[Dim, ...]


@dataclass(frozen=True)
class Batch:
    """Where the samples of an ONNX tensor are: `axis` has the size before x n x after.

    Seen row-major, sample i of a tensor of n samples is its elements [:, i, :], where the first
    axis runs over everything in front of the batch. It is what the network makes of that sample
    alone.
    """

    axis: int
    before: int = 1
    after: int = 1


@dataclass(frozen=True)
class Quantized:
    """Where a float constant comes from: codes x scale.

    codes: int32, the shape of the constant, the zero point already subtracted.
    scale: float32, broadcasts over that shape.
    """

    codes: NDArray[np.int32]
    scale: NDArray[np.float32]

    def moved(self, move: Callable[[NDArray[Any]], NDArray[Any]]) -> Quantized:
        """The same after a change of layout, such as a transpose."""
        scale = np.broadcast_to(self.scale, self.codes.shape)
        return Quantized(move(self.codes), move(scale))


@dataclass
class Value:
    """A tensor: an activation, or a constant where `data` is set.

    batch: between the passes `infer` and `recognise`, where shapes are those of ONNX for one
        sample: where the batch is. None: the tensor does not depend on the sample.
    """

    name: str
    dtype: np.dtype[Any]
    shape: Shape
    data: NDArray[Any] | None = None
    batch: Batch | None = None
    quantized: Quantized | None = None

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
    """Nodes in the order in which they run, over named values.

    opset: version of the standard operators.
    literal_batch: the file was written for one sample, so that a size of 1 may stand for n.
    inferred: whether what nodes make has its type and shape (after the pass `infer`).
    user_count: the number that stands for k in this graph; None where the network has no k.
    most_users: k_max, for what takes room by its square.
    """

    name: str
    nodes: list[Node]
    values: dict[str, Value]
    inputs: list[str]
    outputs: list[str]
    opset: int = 21
    literal_batch: bool = False
    inferred: bool = True
    user_count: int | None = None
    most_users: int = 1

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

    def free_name(self, wanted: str) -> str:
        """A name near `wanted` that no value has."""
        name, number = wanted, 1
        while name in self.values:
            number += 1
            name = f"{wanted}.{number}"
        return name

    def add_constant(
        self, wanted: str, data: NDArray[Any], quantized: Quantized | None = None
    ) -> str:
        """Store a constant under a free name near `wanted`; returns the name."""
        name = self.free_name(wanted)
        shape = tuple(int(size) for size in data.shape)
        self.values[name] = Value(name, data.dtype, shape, data, quantized=quantized)
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
