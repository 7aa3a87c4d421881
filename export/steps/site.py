"""One ONNX node on its way to steps: what it reads, what it makes, and how to write steps.

Stored tensors have the batch in front. A tensor of ONNX whose batch axis holds nothing else is
stored without that axis, (L, n, E) as (n, L, E); one that holds h as well keeps it, (L, n h, d)
as (n, L, h, d). Since a sample's elements keep their order, a stored tensor is ONNX's tensor of
one sample, and every step works on that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import BATCH, VIEW, Graph, Node, Quantized, Shape, Value
from csideploy.export.operations import AXES, Binary, Comparison, Integer, Unary
from csideploy.export.plan import Activation, Op
from csideploy.export.refusal import refuse

F32 = np.dtype(np.float32)
U8 = np.dtype(np.uint8)
I8 = np.dtype(np.int8)
I16 = np.dtype(np.int16)
I32 = np.dtype(np.int32)
BOOL = np.dtype(np.bool_)
I64 = np.dtype(np.int64)
U16 = np.dtype(np.uint16)

STORED: dict[np.dtype[Any], np.dtype[Any]] = {
    F32: F32,
    U8: U8,
    I8: I8,
    I16: I16,
    I32: I32,
    BOOL: U8,
    I64: I32,
}
"""Type in ONNX -> type of the stored tensor."""

_LIKE_CODES = {
    "QuantizeLinear", "DequantizeLinear", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity",
    "Transpose", "Slice", "Split", "Gather", "Expand", "Tile", "DepthToSpace", "SpaceToDepth",
}  # fmt: skip
"""Operators that may carry uint16, stored as int16 with another zero point: they only move it."""


def stored_dtype(node: Node, value: Value) -> np.dtype[Any]:
    """The element type that a tensor is stored in."""
    if value.dtype == U16 and node.op in _LIKE_CODES:
        return I16
    if value.dtype not in STORED:
        kinds = ", ".join(str(dtype) for dtype in STORED)
        refuse(node, f"tensor '{value.name}' is {value.dtype}; {kinds} are supported")
    return STORED[value.dtype]


def stored_shape(value: Value) -> Shape:
    """The shape that a tensor is stored in; a single number has one axis."""
    batch = value.batch
    if batch is None:
        return value.shape or (1,)
    if batch.before * batch.after != 1:
        return (BATCH, *value.shape)
    return (BATCH, *value.shape[: batch.axis], *value.shape[batch.axis + 1 :])


def broadcast(a: Shape, b: Shape) -> Shape:
    """NumPy's rule on stored shapes; "n" meets itself or 1."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    return tuple(y if x == 1 else x for x, y in pairs)


class Site:
    """Steps are collected in `nodes`; `result` binds the last of them to the node's output."""

    def __init__(self, graph: Graph, stored: dict[str, Value], node: Node) -> None:
        self.graph = graph
        self.stored = stored
        self.node = node
        self.inputs = [graph.values[name] if name else None for name in node.inputs]
        self.outputs = [graph.values[name] if name else None for name in node.outputs]
        self.nodes: list[Node] = []

    # What the node says.

    def refuse(self, why: str) -> NoReturn:
        """Raise for this node; one line."""
        refuse(self.node, why)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of the node, or its default."""
        return self.node.attributes.get(name, default)

    def value(self, index: int) -> Value:
        """An input that must be there, as ONNX has it."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            self.refuse(f"input {index} is missing")
        return value

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def data(self, index: int, what: str) -> NDArray[Any]:
        """An input that must be a constant."""
        value = self.value(index)
        if value.data is None:
            self.refuse(f"{what} '{value.name}' must be a constant")
        return value.data

    def floats(self, index: int, what: str) -> NDArray[np.float32]:
        """An input that must be a float32 constant."""
        data = self.data(index, what)
        if data.dtype != F32:
            self.refuse(f"{what} is {data.dtype}; float32 is supported")
        return data

    def need(self, dtype: np.dtype[Any], *indices: int) -> None:
        """Refuse inputs of another type."""
        for index in indices:
            value = self.value(index)
            if value.dtype != dtype:
                self.refuse(f"input '{value.name}' is {value.dtype}; {dtype} is supported")

    @property
    def out(self) -> Value:
        """The first output, as ONNX has it."""
        value = self.outputs[0]
        assert value is not None
        return value

    def axis(self, value: Value, axis: int) -> int:
        """Where an ONNX axis is in the stored tensor."""
        rank = len(value.shape)
        if not -rank <= axis < rank:
            self.refuse(f"axis {axis} of a tensor of {rank} dimensions")
        axis %= rank
        batch = value.batch
        if batch is None:
            return axis
        if axis == batch.axis:
            self.refuse("mixes the samples of the batch")
        return axis + 1 if batch.before * batch.after != 1 or axis < batch.axis else axis

    # Stored tensors.

    def shape(self, name: str) -> Shape:
        """Of a stored tensor."""
        return self.stored[name].shape

    def dtype(self, name: str) -> np.dtype[Any]:
        """Of a stored tensor."""
        return self.stored[name].dtype

    def x(self, index: int) -> str:
        """An input as it is stored."""
        value = self.value(index)
        if value.data is None:
            stored_dtype(self.node, value)
            return value.name
        return self.constant(value.data.reshape(value.data.shape or (1,)), value)

    def constant(
        self, data: NDArray[Any], of: Value | None = None, quantized: Quantized | None = None
    ) -> str:
        """Store a constant; returns its name."""
        if data.dtype not in STORED:
            self.refuse(f"a constant is {data.dtype}; float32 and integers are supported")
        dtype = STORED[data.dtype]
        if data.size == 0:
            self.refuse(f"an empty constant of shape {data.shape}")
        if data.dtype == I64:
            limits = np.iinfo(np.int32)
            if data.size and (data.min() < limits.min or data.max() > limits.max):
                self.refuse("an int64 constant does not fit 32 bits; int64 is computed in int32")
        data = data.reshape(data.shape or (1,))
        if of is not None:
            known = self.stored.get(of.name)
            if known is not None and known.data is not None:
                same = known.data.dtype == dtype and np.array_equal(known.data, data)
                if same and known.shape == data.shape:
                    return of.name
        wanted = of.name if of is not None else f"{self.node.name}.constant"
        own = of.name if of is not None else None
        name, number = wanted, 1
        while name in self.stored or (name in self.graph.values and name != own):
            number += 1
            name = f"{wanted}.{number}"
        shape = data.shape
        if quantized is None and of is not None and of.quantized is not None:
            quantized = of.quantized.moved(lambda array: array.reshape(shape))
        contiguous = np.ascontiguousarray(data.astype(dtype, copy=False)).reshape(shape)
        self.stored[name] = Value(name, dtype, shape, contiguous, quantized=quantized)
        return name

    def operand(self, index: int, against: Value | None = None) -> str:
        """An input in the stored shape that broadcasts against the output's.

        The axis that stored tensors lack goes from constants too, where it is 1; activations of
        fewer axes get theirs behind the batch.
        """
        value, out = self.value(index), against or self.out
        batch = out.batch
        if batch is None:
            return self.x(index)
        full = (1,) * (len(out.shape) - len(value.shape)) + value.shape
        whole = batch.before * batch.after == 1
        if value.batch is None and full[batch.axis] != 1:
            self.refuse(f"{value.shape} does not broadcast to a batch of {out.shape}")
        rest = full[: batch.axis] + full[batch.axis + 1 :] if whole else full
        if value.batch is not None and value.data is None:
            return self.view(value.name, (BATCH, *rest))
        while rest and rest[0] == 1:
            rest = rest[1:]
        shape = rest or (1,)
        if value.data is None:
            return self.view(value.name, shape)
        return self.constant(value.data.reshape([int(d) for d in shape]), value)

    # Writing steps.

    def step(
        self,
        op: Op | str,
        inputs: Sequence[str],
        shape: Shape,
        dtype: np.dtype[Any] = F32,
        numbers: Mapping[str, int | float] | None = None,
        **parameters: int | float,
    ) -> str:
        """One step with a new tensor for its result; returns that tensor's name.

        numbers, parameters: the operation's parameters, together.
        """
        if len(shape) > AXES and op != VIEW:
            self.refuse(f"needs a tensor of {len(shape)} dimensions {shape}; {AXES} are supported")
        name, number = f"{self.node.name}.{len(self.nodes)}", 1
        while name in self.stored or name in self.graph.values:
            name = f"{self.node.name}.{len(self.nodes)}.{number}"
            number += 1
        self.stored[name] = Value(name, dtype, shape)
        self.nodes.append(Node(op, name, list(inputs), [name], {**(numbers or {}), **parameters}))
        return name

    def second(self, shape: Shape, dtype: np.dtype[Any] = F32) -> str:
        """A second result of the step just written."""
        last = self.nodes[-1]
        name, number = f"{last.name}.second", 1
        while name in self.stored or name in self.graph.values:
            name, number = f"{last.name}.second.{number}", number + 1
        self.stored[name] = Value(name, dtype, shape)
        last.outputs.append(name)
        return name

    def view(self, source: str, shape: Shape) -> str:
        """The same elements under another shape."""
        if self.shape(source) == shape:
            return source
        data = self.stored[source].data
        if data is not None:
            return self.constant(data.reshape([int(d) for d in shape]))
        return self.step(VIEW, [source], shape, self.dtype(source))

    def unary(self, source: str, function: Unary, alpha: float = 0.0, beta: float = 0.0) -> str:
        """Y = function(x)."""
        return self.step(
            Op.UNARY, [source], self.shape(source),
            function=function, alpha=float(np.float32(alpha)), beta=float(np.float32(beta)),
        )  # fmt: skip

    def activation(self, source: str, kind: Activation, alpha: float = 0.0, slope: str = "") -> str:
        """Y = act(x)."""
        return self.step(
            Op.ACTIVATION, [source, slope], self.shape(source),
            activation=kind, alpha=float(np.float32(alpha)),
        )  # fmt: skip

    def binary(self, a: str, b: str, function: Binary) -> str:
        """Two float tensors, broadcast."""
        shape = broadcast(self.shape(a), self.shape(b))
        return self.step(Op.BINARY, [a, b], shape, function=function)

    def integer(self, a: str, b: str, function: Integer) -> str:
        """Two integer tensors of one type, broadcast."""
        shape = broadcast(self.shape(a), self.shape(b))
        return self.step(Op.INTEGER, [a, b], shape, self.dtype(a), function=function)

    def compare(self, a: str, b: str, function: Comparison) -> str:
        """1 where it holds, else 0."""
        shape = broadcast(self.shape(a), self.shape(b))
        return self.step(Op.COMPARE, [a, b], shape, U8, function=function)

    def number(self, value: float, dtype: np.dtype[Any] = F32) -> str:
        """One number that broadcasts over anything."""
        return self.constant(np.array([value], dtype))

    def cast(self, source: str, dtype: np.dtype[Any], *, truth: bool = False) -> str:
        """Another type."""
        if self.dtype(source) == dtype and not truth:
            return source
        return self.step(Op.CAST, [source], self.shape(source), dtype, truth=int(truth))

    def reduce(self, source: str, function: int, axes: Sequence[int]) -> str:
        """Over stored axes, which have size 1 afterwards."""
        if not axes:
            return source
        shape = tuple(1 if i in axes else d for i, d in enumerate(self.shape(source)))
        mask = sum(1 << axis for axis in set(axes))
        return self.step(Op.REDUCE, [source], shape, function=function, axes=mask)

    def transpose(self, source: str, order: Sequence[int]) -> str:
        """Stored axes in another order."""
        shape = tuple(self.shape(source)[axis] for axis in order)
        moving = [axis for axis in order if self.shape(source)[axis] != 1]
        if moving == sorted(moving):
            return self.view(source, shape)
        thin, short = merged_axes(self.shape(source), order, self.graph.user_count)
        moved = self.step(
            Op.TRANSPOSE,
            [self.view(source, thin)],
            tuple(thin[axis] for axis in short),
            self.dtype(source),
            by_axis("perm", short, 0),
        )
        return self.view(moved, shape)

    def result(self, name: str, index: int = 0) -> None:
        """Bind a stored tensor to an output of the node."""
        target = self.outputs[index]
        if target is None:
            return
        shape, dtype = stored_shape(target), stored_dtype(self.node, target)
        assert self.dtype(name) == dtype, (self.node, self.dtype(name), dtype)
        last = self.nodes[-1] if self.nodes else None
        if self.stored[name].data is not None:
            if shape[:1] == (BATCH,):
                self.step(Op.EXPAND, [name], shape, dtype)
            else:
                self.step(Op.COPY, [name], shape, dtype)
        elif last is None or last.outputs != [name] or self.shape(name) != shape:
            self.step(VIEW, [name], shape, dtype)
        last = self.nodes[-1]
        del self.stored[last.outputs[0]]
        last.outputs = [target.name]
        last.name = self.node.name if len(self.outputs) == 1 else f"{self.node.name}.{index}"
        self.stored[target.name] = Value(target.name, dtype, shape)


def merged_axes(
    shape: Shape, order: Sequence[int], users: int | None = None
) -> tuple[Shape, list[int]]:
    """The same transpose of fewer axes: without those of size 1, neighbours that stay as one.

    The batch stays an axis of its own, and so does the users' axis, whose size is `users`.
    """
    groups: list[list[int]] = []
    for axis in order:
        if shape[axis] == 1:
            continue
        last = groups[-1][-1] if groups else -2
        between = range(last + 1, axis)
        follows = last >= 0 and axis > last and all(shape[i] == 1 for i in between)
        apart = shape[last] == BATCH or (users is not None and users in (shape[last], shape[axis]))
        if follows and not apart:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    ranked = sorted(groups)
    thin: list[int | str] = []
    for group in ranked:
        sizes = [shape[axis] for axis in group]
        thin.append(sizes[0] if len(sizes) == 1 else math.prod(int(size) for size in sizes))
    return tuple(thin), [ranked.index(group) for group in groups]


def by_axis(name: str, numbers: Sequence[int], fill: int) -> dict[str, int]:
    """Parameters with one number an axis."""
    padded = [*numbers, *(fill,) * (AXES - len(numbers))]
    return {f"{name}_{axis}": int(number) for axis, number in enumerate(padded)}
