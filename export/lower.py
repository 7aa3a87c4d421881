"""Graph -> steps: every node is one operation of the executor, every value has a kind of place.

Values of one VIEW chain share a buffer. What the planner then needs of the arena is, for each
buffer, its size and the steps between which it lives, and which buffers may lie on one another.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import UnsupportedError
from csideploy.export.graph import BATCH, USERS, VIEW, Graph, Node
from csideploy.export.memory import ALIGNMENT, Lifetime, Reuse
from csideploy.export.operation_rules import IN_PLACE
from csideploy.export.operations import AXES
from csideploy.export.plan import OPS, DType, Op, Step, Storage, Tensor

_DTYPES = {dtype.numpy: dtype for dtype in DType}

# What the verifier accepts, but for a copy in place, which would be a view.
_IN_PLACE: dict[Op, tuple[str, ...]] = {
    op: roles for op, roles in IN_PLACE.items() if op is not Op.COPY
}


@dataclass
class Lowered:
    """Steps over tensors; `place` of an arena tensor is still the number of its buffer.

    views: tensor index -> index of the tensor whose bytes it shows.
    reuses: pairs of buffers that may be one.
    """

    tensors: list[Tensor] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    views: dict[int, int] = field(default_factory=dict)
    lifetimes: list[Lifetime] = field(default_factory=list)
    reuses: list[Reuse] = field(default_factory=list)
    weights: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))


def lower(graph: Graph, n_max: int = 1, k_max: int = 1) -> Lowered:
    """Lower a graph on which all passes have run; lifetimes have their sizes at n_max and k_max.

    Raises:
        UnsupportedError: a node that no pass recognised.
    """
    for node in graph.nodes:
        if not isinstance(node.op, Op) and node.op != VIEW:
            raise UnsupportedError(
                f"node '{node.name}': operator {node.label} is not supported where it stands"
            )
    return _Lowering(graph, n_max, k_max).result


class _Lowering:
    def __init__(self, graph: Graph, n_max: int, k_max: int) -> None:
        self.graph = graph
        self.most = {BATCH: n_max, USERS: k_max}
        self.result = Lowered()
        self.index: dict[str, int] = {}
        self.chunks: list[bytes | memoryview] = []
        self.stored_bytes = 0
        self.roots = self._roots()
        self.steps = [node for node in graph.nodes if isinstance(node.op, Op)]
        self.buffers = self._buffers()
        self.result.inputs = tuple(self._tensor(name) for name in graph.inputs)
        for node in self.steps:
            self.result.steps.append(self._step(node))
        self.result.outputs = tuple(self._tensor(name) for name in graph.outputs)
        # Tables may be a hundred megabytes: joined once.
        self.result.weights = np.frombuffer(b"".join(self.chunks), np.uint8)

    def _roots(self) -> dict[str, str]:
        roots: dict[str, str] = {}
        for node in self.graph.nodes:
            if node.op == VIEW:
                source = node.inputs[0]
                roots[node.outputs[0]] = roots.get(source, source)
        return roots

    def _root(self, name: str) -> str:
        return self.roots.get(name, name)

    def _buffers(self) -> dict[str, int]:
        """Arena buffers by root, with their lifetimes and the pairs that may be one."""
        outer = {self._root(name) for name in (*self.graph.inputs, *self.graph.outputs)}
        first: dict[str, int] = {}
        last: dict[str, int] = {}
        for index, node in enumerate(self.steps):
            for name in node.outputs:
                first[name] = last[name] = index
            for name in node.inputs:
                last[self._root(name)] = index
        buffers: dict[str, int] = {}
        for name, start in first.items():
            if name not in outer:
                buffers[name] = len(buffers)
                value = self.graph.values[name]
                nbytes = value.per_sample * value.dtype.itemsize
                for dim in value.shape:
                    nbytes *= self.most[dim] if isinstance(dim, str) else 1
                self.result.lifetimes.append(Lifetime(nbytes, start, last[name]))
        for node in self.steps:
            self._find_reuses(node, buffers)
        return buffers

    def _find_reuses(self, node: Node, buffers: dict[str, int]) -> None:
        assert isinstance(node.op, Op)
        roles = _IN_PLACE.get(node.op, ())
        result = buffers.get(node.outputs[0])
        made = self.graph.values[node.outputs[0]]
        others = {
            self._root(name)
            for other, name in zip(OPS[node.op].inputs, node.inputs, strict=True)
            if other not in roles
        }
        for role in roles:
            name = node.inputs[OPS[node.op].inputs.index(role)]
            operand = self._root(name)
            if result is None or operand not in buffers or operand in others:
                continue
            value = self.graph.values[name]
            if value.shape == made.shape and value.dtype == made.dtype:
                self.result.reuses.append(Reuse(result, buffers[operand]))

    def _tensor(self, name: str) -> int:
        if name in self.index:
            return self.index[name]
        value = self.graph.values[name]
        root = self._root(name)
        if value.data is not None:
            storage, place = Storage.WEIGHTS, self._store(value.data)
        elif root in self.graph.inputs:
            storage, place = Storage.INPUT, self.graph.inputs.index(root)
        elif root in self.buffers:
            storage, place = Storage.ARENA, self.buffers[root]
        else:
            names = [self._root(output) for output in self.graph.outputs]
            storage, place = Storage.OUTPUT, names.index(root)
        if len(value.shape) > AXES:
            raise UnsupportedError(
                f"tensor '{name}' has {len(value.shape)} dimensions {value.shape}; at most {AXES} "
                "are supported"
            )
        if value.dtype not in _DTYPES:
            raise UnsupportedError(f"tensor '{name}' is {value.dtype}; float32 and uint8 are taken")
        self.index[name] = index = len(self.result.tensors)
        self.result.tensors.append(Tensor(name, _DTYPES[value.dtype], value.shape, storage, place))
        if root != name:
            self.result.views[index] = self._tensor(root)
        return index

    def _store(self, data: NDArray[np.generic]) -> int:
        """Append a constant to the weights section; returns its offset."""
        little = np.ascontiguousarray(data, data.dtype.newbyteorder("<"))
        offset = -(-self.stored_bytes // ALIGNMENT) * ALIGNMENT
        self.chunks += [bytes(offset - self.stored_bytes), little.reshape(-1).view(np.uint8).data]
        self.stored_bytes = offset + little.nbytes
        return offset

    def _step(self, node: Node) -> Step:
        assert isinstance(node.op, Op)
        inputs = tuple(self._tensor(name) if name else None for name in node.inputs)
        outputs = tuple(self._tensor(name) for name in node.outputs)
        kinds = OPS[node.op].params
        params: dict[str, int | float] = {
            name: float(node.attributes[name]) if kind == "f32" else int(node.attributes[name])
            for name, kind in kinds.items()
        }
        return Step(node.op, node.name, inputs, outputs, params)
