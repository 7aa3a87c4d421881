"""Which axes an operator mixes, and so where the batch is in what it makes.

A part runs sample by sample: it makes of each sample what the network makes of it at n = 1. That
is the network only where no node lets samples meet. Each rule here looks at one node at n = 1 and
at a large n, and says where the batch of each output is (`graph.Batch`), or refuses because the
node mixes samples or moves the batch to where the rule cannot follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from csideploy.export.graph import Batch, Node, Shape, Value
from csideploy.export.refusal import refuse

MANY = 7919
"""The large n: a prime, so that no size is a multiple of it by chance."""


@dataclass(frozen=True)
class Sizes:
    """One node; `one` and `many` are shapes for n = 1 and n = MANY, inputs then outputs."""

    node: Node
    inputs: Sequence[Value | None]
    inputs_many: Sequence[Shape | None]
    made: Sequence[Shape]
    made_many: Sequence[Shape]

    def mixes(self) -> None:
        """Refuse."""
        shapes = ", ".join(str(v.shape) for v in self.inputs if v is not None and v.batch)
        refuse(
            self.node,
            f"mixes the samples of the batch (of one sample: {shapes}); export with a fixed batch",
        )

    def batch(self, index: int = 0) -> Batch | None:
        """Of an input."""
        value = self.inputs[index] if index < len(self.inputs) else None
        return value.batch if value is not None else None

    def rank(self, index: int = 0) -> int:
        """Of an input."""
        value = self.inputs[index]
        assert value is not None
        return len(value.shape)


BatchRule = Callable[[Sizes], list[Batch | None]]


def growing_axis(sizes: Sizes, output: int) -> int:
    """The one axis of an output that grows with n."""
    one, many = sizes.made[output], sizes.made_many[output]
    grown = [i for i, (a, b) in enumerate(zip(one, many, strict=False)) if a != b]
    if len(one) != len(many) or len(grown) != 1:
        sizes.mixes()
    (axis,) = grown
    if int(many[axis]) != int(one[axis]) * MANY:
        sizes.mixes()
    return axis


def _like(sizes: Sizes, batch: Batch) -> list[Batch | None]:
    """Outputs whose batch axis is that of `batch`, wherever it went."""
    found: list[Batch | None] = []
    for output in range(len(sizes.made)):
        axis = growing_axis(sizes, output)
        if sizes.made[output][axis] != batch.before * batch.after:
            sizes.mixes()
        found.append(Batch(axis, batch.before, batch.after))
    return found


def elementwise(sizes: Sizes) -> list[Batch | None]:
    """Broadcasting: the batch must be the same axis, counted from the end, of all that have it."""
    found = set()
    for index, value in enumerate(sizes.inputs):
        batch = sizes.batch(index)
        if value is not None and batch is not None:
            found.add((len(value.shape) - batch.axis, batch.before, batch.after))
    if len(found) > 1:
        sizes.mixes()
    for back, before, after in found:
        axis = len(sizes.made[0]) - back
        if growing_axis(sizes, 0) == axis and sizes.made[0][axis] == before * after:
            return [Batch(axis, before, after)]
    sizes.mixes()
    return []


def along(axes: Callable[[Sizes], set[int]]) -> BatchRule:
    """Everything happens along `axes` of input 0 and its like; all other axes stay apart."""

    def rule(sizes: Sizes) -> list[Batch | None]:
        batches = {b for i in range(len(sizes.inputs)) if (b := sizes.batch(i)) is not None}
        if len(batches) != 1:
            sizes.mixes()
        (batch,) = batches
        if batch.axis in {axis % sizes.rank() for axis in axes(sizes)}:
            sizes.mixes()
        return _like(sizes, batch)

    return rule


def changed(sizes: Sizes) -> list[Batch | None]:
    """Slice, Split, Pad: an axis that keeps its size, at n = 1 and at a large n, is untouched."""
    (batch,) = {b for i in range(len(sizes.inputs)) if (b := sizes.batch(i)) is not None}
    source = sizes.inputs[0]
    whole = sizes.inputs_many[0]
    assert source is not None
    assert whole is not None
    for one, many in zip(sizes.made, sizes.made_many, strict=True):
        kept = one[batch.axis], many[batch.axis]
        if kept != (source.shape[batch.axis], whole[batch.axis]):
            sizes.mixes()
    return _like(sizes, batch)


def front(sizes: Sizes) -> list[Batch | None]:
    """Images, rows and codes: the batch is axis 0 of input 0, alone there, and stays there."""
    if any(sizes.batch(i) is not None for i in range(1, len(sizes.inputs))):
        refuse(sizes.node, "weights that depend on the sample are not supported")
    if sizes.batch() != Batch(0):
        sizes.mixes()
    return [Batch(0) for output in range(len(sizes.made)) if growing_axis(sizes, output) == 0]


def alike_in_front(sizes: Sizes) -> list[Batch | None]:
    """The batch is axis 0 of all inputs, alone there, and stays there."""
    if any(sizes.batch(i) != Batch(0) for i in range(len(sizes.inputs))):
        sizes.mixes()
    return [Batch(0) for output in range(len(sizes.made)) if growing_axis(sizes, output) == 0]


def reshape(sizes: Sizes) -> list[Batch | None]:
    """Row-major order stays, so what lies before the batch must still be the same number."""
    batch, source = sizes.batch(), sizes.inputs[0]
    if batch is None or source is None:
        sizes.mixes()
        return []
    ahead = math.prod(map(int, source.shape[: batch.axis])) * batch.before
    result = sizes.made[0]
    axis = growing_axis(sizes, 0)
    found = split_batch(result, axis, ahead)
    if found is None:
        sizes.mixes()
    return [found]


def split_batch(shape: Shape, axis: int, ahead: int) -> Batch | None:
    """The batch in `axis` of a shape, with `ahead` elements before it; None: impossible."""
    outer, size = math.prod(map(int, shape[:axis])), int(shape[axis])
    if ahead % outer or size % (ahead // outer):
        return None
    before = ahead // outer
    return Batch(axis, before, size // before)


def transpose(sizes: Sizes) -> list[Batch | None]:
    """The batch goes where its axis goes."""
    batch = sizes.batch()
    assert batch is not None
    order = list(sizes.node.attributes.get("perm", range(sizes.rank())[::-1]))
    return [Batch(order.index(batch.axis), batch.before, batch.after)]


def gather(sizes: Sizes) -> list[Batch | None]:
    """Samples stay apart along the indices, or along an axis that is not gathered."""
    data, indices = sizes.batch(0), sizes.batch(1)
    axis = int(sizes.node.attributes.get("axis", 0)) % sizes.rank()
    if data is not None and indices is not None:
        sizes.mixes()
    if data is not None:
        if data.axis == axis:
            sizes.mixes()
        return _like(sizes, data)
    assert indices is not None
    return [Batch(axis + indices.axis, indices.before, indices.after)]


def matmul(sizes: Sizes) -> list[Batch | None]:
    """(..., M, K) x (..., K, N): the leading axes and M of a, N of b stay apart, K does not."""
    a, b = sizes.batch(0), sizes.batch(1)
    rank_a, rank_b = sizes.rank(0), sizes.rank(1)
    rank = len(sizes.made[0])
    if a is not None and a.axis == rank_a - 1:
        sizes.mixes()
    if b is not None and b.axis == rank_b - (2 if rank_b > 1 else 1):
        sizes.mixes()
    both = a is not None and b is not None
    if both and a is not None and b is not None:
        leading = a.axis < rank_a - 2 and b.axis < rank_b - 2
        same = (rank_a - a.axis, a.before, a.after) == (rank_b - b.axis, b.before, b.after)
        if not (leading and same):
            sizes.mixes()
    found = a if a is not None else b
    assert found is not None
    axis = growing_axis(sizes, 0)
    if not both and a is not None and rank_b > 1 and rank - axis != rank_a - a.axis:
        sizes.mixes()
    return [Batch(axis, found.before, found.after)]


def gemm(sizes: Sizes) -> list[Batch | None]:
    """A row of A (or a column, with transA) is a sample."""
    a = sizes.batch(0)
    if sizes.batch(1) is not None:
        refuse(sizes.node, "weights that depend on the sample are not supported")
    mixed = 0 if sizes.node.attributes.get("transA", 0) else 1
    if a is not None and a.axis == mixed:
        sizes.mixes()
    bias = sizes.batch(2)
    if bias is not None and (sizes.rank(2) != 2 or bias.axis != 0 or bias.before * bias.after != 1):
        sizes.mixes()
    found = a if a is not None else bias
    if found is None or growing_axis(sizes, 0) != 0:
        sizes.mixes()
        return []
    return [Batch(0, found.before, found.after)]
