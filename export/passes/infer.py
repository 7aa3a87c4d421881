"""Pass: give every tensor its type and shape, compute what is constant, prove the batch.

One walk for all, because a shape may be computed from constants and sizes (Shape, Gather, Concat,
Reshape). A node whose inputs are all known is computed here and leaves the graph: fp16 weights
behind a Cast, Constant nodes, the exporters' arithmetic on shapes. By definition of a constant
this changes no result.

Every node is looked at twice, for n = 1 and for a large prime n. What the two have in common is
what does not depend on the batch; where they differ is where the batch is, and the operator's
rule in `batch_rules` proves that samples stay apart. Afterwards shapes are those of one sample.

A file that was written for one sample says 1 where it means n. It is taken to be a network for
any n if the proof goes through, else as one for a fixed shape.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.batch_rules import MANY, Sizes, split_batch
from csideploy.export.expand import body_of
from csideploy.export.fold_rules import provenance, reference
from csideploy.export.graph import Batch, Graph, Node, Shape, Value
from csideploy.export.onnx_shapes import Made, element_type, infer_outputs
from csideploy.export.refusal import MALFORMED, refuse
from csideploy.export.supported import Rule, find_rule, rule_for

Data = NDArray[Any]

_MOST_BYTES = 1 << 28
"""Of a constant; far above any edge device, and keeps a hostile file from filling the memory."""

_MOST_NODES = 100_000


def run(graph: Graph) -> None:
    """Infer in place; afterwards every value has a shape and no foldable node is left."""
    batched = any(graph.values[name].batch for name in graph.inputs)
    if batched and graph.literal_batch:
        try:
            walk = _Walk(graph)
            walk.run()
            walk.prove_outputs()
        except UnsupportedError:
            for name in graph.inputs:
                graph.values[name].batch = None
            walk = _Walk(graph)
            walk.run()
    else:
        walk = _Walk(graph)
        walk.run()
        if batched:
            walk.prove_outputs()
    graph.nodes, graph.values, graph.inferred = walk.kept, walk.values, True
    graph.sweep()


class _Walk:
    """values: at n = 1; many: at n = MANY, where that is something else."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.values = {name: replace(value) for name, value in graph.values.items()}
        self.many: dict[str, Value] = {}
        self.kept: list[Node] = []
        for name in graph.inputs:
            value = self.values[name]
            if value.batch is not None:
                self.many[name] = replace(value, shape=(MANY, *value.shape[1:]))

    def run(self) -> None:
        waiting = deque(replace(node) for node in self.graph.nodes)
        seen = 0
        while waiting:
            node = waiting.popleft()
            seen += 1
            inputs = [self._value(node, name) for name in node.inputs]
            if node.op == "CastLike" and len(inputs) == 2 and inputs[1] is not None:
                # Only the type of input 1 is read: it is a Cast.
                node.attributes = {"to": element_type(inputs[1].dtype)}
                node.op, node.inputs, inputs = "Cast", node.inputs[:1], inputs[:1]
            if node.op == "DFT" and self.graph.opset < 20:
                node.attributes = {"axis": 1, **node.attributes}
            rule = find_rule(node)
            if rule is None and seen < _MOST_NODES:
                body = body_of(node, inputs, self.graph.opset)
                if body is not None:
                    waiting.extendleft(reversed(body))
                    continue
            self._visit(node, rule or rule_for(node), inputs)
        for name in self.graph.outputs:
            if name not in self.values:
                raise InputError(f"output '{name}' is made by no node")

    def prove_outputs(self) -> None:
        """The samples of an output are its first axis, as the caller's buffers have them."""
        for name in self.graph.outputs:
            value = self.values[name]
            if value.batch is None and (name in self.many or self.graph.literal_batch):
                raise UnsupportedError(f"output '{name}' holds the batch size; it is not a result")
            if value.batch not in (None, Batch(0)):
                raise UnsupportedError(
                    f"output '{name}' {value.shape} does not have the batch in front"
                )

    def _value(self, node: Node, name: str) -> Value | None:
        if not name:
            return None
        if name not in self.values:
            raise InputError(f"node '{node.name}' reads '{name}', which nothing before it makes")
        return self.values[name]

    def _at_many(self, node: Node) -> list[Value | None] | None:
        """The inputs at the large n, None where they are the same."""
        if not any(name in self.many for name in node.inputs):
            return None
        return [self.many.get(name) or self.values.get(name) for name in node.inputs]

    def _visit(self, node: Node, rule: Rule, inputs: list[Value | None]) -> None:
        many = self._at_many(node)
        try:
            if node.op in ("Shape", "Size"):
                self._sizes(node, inputs, many)
            elif all(value is None or value.data is not None for value in inputs):
                self._fold(node, rule, inputs, many)
            else:
                self._infer(node, rule, inputs, many)
        except MALFORMED as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            refuse(node, f"is malformed: {lines[0]}")

    def _sizes(
        self, node: Node, inputs: list[Value | None], many: list[Value | None] | None
    ) -> None:
        (x,) = inputs
        assert x is not None
        one = _sizes_of(node, x.shape)
        self._store(node, [one], [_sizes_of(node, many[0].shape) if many and many[0] else one])

    def _fold(
        self, node: Node, rule: Rule, inputs: list[Value | None], many: list[Value | None] | None
    ) -> None:
        if rule.domain:
            refuse(node, "of constants only makes no sense")
        one = self._compute(node, rule, inputs)
        self._store(node, one, one if many is None else self._compute(node, rule, many))
        whole = [value for value in inputs if value is not None]
        if len(node.outputs) == 1 and len(whole) == len(inputs):
            made = self.values[node.outputs[0]]
            assert made.data is not None
            made.quantized = provenance(node, whole, rule.fold, made.data)

    def _compute(self, node: Node, rule: Rule, inputs: list[Value | None]) -> list[Data]:
        if node.op not in ("Constant", "ConstantOfShape", "Expand"):
            for dtype, shape in infer_outputs(node, inputs, self.graph.opset, lenient=True):
                if math.prod(map(int, shape)) * dtype.itemsize > _MOST_BYTES:
                    refuse(node, f"makes a constant of shape {shape}, larger than any device")
        data = [None if value is None else value.data for value in inputs]
        present = [array for array in data if array is not None]
        if rule.fold is not None and len(present) == len(data) and len(node.outputs) == 1:
            return [rule.fold(node, present)]
        return reference(node, data, self.graph.opset)

    def _store(self, node: Node, one: list[Data], many: list[Data]) -> None:
        names = [name for name in node.outputs if name]
        for name, data, other in zip(names, one, many, strict=False):
            if data.dtype.kind not in "fiub" and data.dtype.names is None and data.dtype.num < 24:
                refuse(node, f"makes {data.dtype}; numbers are supported")
            shape = tuple(int(size) for size in data.shape)
            if data.size == 0 and name in self.graph.outputs:
                refuse(node, f"makes an empty tensor of shape {shape}")
            self.values[name] = Value(name, data.dtype, shape, data)
            if other is data or (other.shape == data.shape and np.array_equal(other, data)):
                continue
            shape = tuple(int(size) for size in other.shape)
            self.many[name] = Value(name, other.dtype, shape, other)
            self.values[name].batch = _repeated(data, other)

    def _infer(
        self, node: Node, rule: Rule, inputs: list[Value | None], many: list[Value | None] | None
    ) -> None:
        if rule.steps is None:
            refuse(node, f"takes {rule.accepts}")
        made = self._shapes(node, rule, inputs)
        names = [name for name in node.outputs if name]
        batches: list[Batch | None] = [None] * len(made)
        if many is not None:
            for index, (value, name) in enumerate(zip(inputs, node.inputs, strict=True)):
                depends = value is not None and name in self.many and value.batch is None
                if depends and index not in rule.sizes:
                    refuse(node, "calculates with the batch size; the batch must be a dimension")
            try:
                made_many = self._shapes_at_many(node, rule, inputs, many, made)
            except (UnsupportedError, *MALFORMED):
                shapes = ", ".join(str(value.shape) for value in inputs if value is not None)
                refuse(node, f"takes one sample, {shapes}, but no batch of them")
            sizes = Sizes(
                node,
                [None if i in rule.sizes else value for i, value in enumerate(inputs)],
                [None if value is None else value.shape for value in many],
                [shape for _, shape in made],
                [shape for _, shape in made_many],
            )
            if made != made_many or any(value is not None and value.batch for value in inputs):
                batches = rule.batch(sizes)
            for name, (dtype, shape), batch in zip(names, made_many, batches, strict=False):
                if batch is not None:
                    self.many[name] = Value(name, dtype, shape)
        for name, (dtype, shape), batch in zip(names, made, batches, strict=False):
            if min(map(int, shape), default=1) < 1:
                refuse(node, f"makes an empty tensor of shape {shape}")
            self.values[name] = Value(name, dtype, shape, batch=batch)
        self.kept.append(node)

    def _shapes(self, node: Node, rule: Rule, inputs: list[Value | None]) -> Made:
        if rule.shape is not None:
            return rule.shape(node, inputs)
        return infer_outputs(node, inputs, self.graph.opset)

    def _shapes_at_many(
        self,
        node: Node,
        rule: Rule,
        inputs: list[Value | None],
        many: list[Value | None],
        made: Made,
    ) -> Made:
        """At the large n; a Reshape to literal sizes that say 1 for n is given its n."""
        x = inputs[0]
        literal = self.graph.literal_batch and node.op == "Reshape" and node.inputs[1] not in (
            self.many
        )  # fmt: skip
        if not literal or x is None or x.batch is None:
            return self._shapes(node, rule, many)
        ((dtype, shape),) = made
        ahead = math.prod(map(int, x.shape[: x.batch.axis])) * x.batch.before
        found = [b for i in range(len(shape)) if (b := split_batch(shape, i, ahead)) is not None]
        if not found:
            return self._shapes(node, rule, many)
        # A size of 1 if there is one, else the batch in front of what shares its axis.
        axis = min(found, key=lambda b: (b.before, b.after > 1, b.axis)).axis
        return [(dtype, (*shape[:axis], int(shape[axis]) * MANY, *shape[axis + 1 :]))]


def _sizes_of(node: Node, shape: Shape) -> Data:
    if node.op == "Size":
        return np.array(math.prod(map(int, shape)), np.int64)
    begin, end = node.attributes.get("start", 0), node.attributes.get("end", None)
    return np.array(shape[begin:end], np.int64)


def _repeated(one: Data, many: Data) -> Batch | None:
    """Where the samples are of a constant that is the same for each; None: it depends on n."""
    if one.ndim != many.ndim:
        return None
    grown = [i for i, (a, b) in enumerate(zip(one.shape, many.shape, strict=True)) if a != b]
    if len(grown) != 1 or many.shape[grown[0]] != MANY or one.shape[grown[0]] != 1:
        return None
    (axis,) = grown
    first = np.take(many, [0], axis)
    constant = many.strides[axis] == 0 or np.array_equal(np.broadcast_to(first, many.shape), many)
    return Batch(axis) if constant and np.array_equal(first, one) else None
