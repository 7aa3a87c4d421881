"""The planner, on random lifetimes and on random graphs, against checks that share no code."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from csideploy.export.check import check_graph
from csideploy.export.graph import VIEW, Graph, Node, Value
from csideploy.export.lower import lower
from csideploy.export.memory import Lifetime, Reuse, lower_bound, plan_memory
from csideploy.export.memory_check import check_memory
from csideploy.export.passes import copy_outputs
from csideploy.export.plan import Activation, Op, Plan, Storage

F32 = np.dtype(np.float32)


@st.composite
def lifetimes(draw: Any) -> list[Lifetime]:
    found = []
    for _ in range(draw(st.integers(1, 14))):
        first = draw(st.integers(0, 12))
        found.append(Lifetime(draw(st.integers(1, 200)), first, first + draw(st.integers(0, 5))))
    return found


@given(lifetimes(), st.data())
@settings(max_examples=150, deadline=None)
def test_no_two_live_buffers_share_a_byte(buffers: list[Lifetime], data: Any) -> None:
    index = st.integers(0, len(buffers) - 1)
    pairs = data.draw(st.lists(st.tuples(index, index), max_size=6))
    reuses = [Reuse(a, b) for a, b in pairs if a != b]
    placed = plan_memory(buffers, reuses)
    assert all(offset % 16 == 0 for offset in placed.offsets)
    ends = [o + b.nbytes for o, b in zip(placed.offsets, buffers, strict=True)]
    assert placed.arena_bytes == max(ends)
    for i, a in enumerate(buffers):
        for j, b in enumerate(buffers[:i]):
            together = set(range(a.first, a.last + 1)) & set(range(b.first, b.last + 1))
            apart = ends[i] <= placed.offsets[j] or ends[j] <= placed.offsets[i]
            same = placed.offsets[i] == placed.offsets[j] and a.nbytes == b.nbytes
            legal = same and len(together) == 1 and _handed_over(buffers, reuses, i, j)
            assert apart or not together or legal


def _handed_over(buffers: Sequence[Lifetime], reuses: Sequence[Reuse], i: int, j: int) -> bool:
    return any(
        {reuse.result, reuse.operand} == {i, j}
        and buffers[reuse.operand].last == buffers[reuse.result].first
        for reuse in reuses
    )


@given(lifetimes())
@settings(max_examples=100, deadline=None)
def test_reuse_never_costs_and_the_bound_holds(buffers: list[Lifetime]) -> None:
    alone = plan_memory(buffers)
    # The bound rounds every buffer up; the arena does not round the last one.
    assert lower_bound(buffers) <= alone.arena_bytes + 15
    assert alone.arena_bytes <= sum(-(-b.nbytes // 16) * 16 for b in buffers)
    chain = [Reuse(i + 1, i) for i in range(len(buffers) - 1)]
    assert plan_memory(buffers, chain).arena_bytes <= alone.arena_bytes


CONV = {
    **dict.fromkeys(("groups", "stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
    **dict.fromkeys(("pad_top", "pad_left", "pad_bottom", "pad_right"), 0),
}
ACT = {"activation": Activation.NONE, "alpha": 0.0}


class Builder:
    """A graph grown operation by operation over images (n, C, 2, 2) or (n, C, 4, 1)."""

    def __init__(self) -> None:
        self.graph = Graph("random", [], {}, ["x"], [])
        self.put("x", ("n", 2, 2, 2))

    def put(self, name: str, shape: Any) -> str:
        self.graph.values[name] = Value(name, F32, shape)
        return name

    def grow(self, draw: Any) -> None:
        known = [name for name, value in self.graph.values.items() if value.data is None]
        a = draw(st.sampled_from(known[-6:]))
        shape = self.graph.values[a].shape
        twins = [name for name in known if self.graph.values[name].shape == shape]
        b = draw(st.sampled_from(twins))
        name = f"t{len(self.graph.nodes)}"
        kind = draw(st.sampled_from(["act", "add", "concat", "view", "conv", "residual"]))
        result = shape
        if kind == "act":
            node = Node(Op.ACTIVATION, name, [a, ""], [name], {**ACT, "activation": 1})
        elif kind == "add":
            node = Node(Op.ADD, name, [a, b, ""], [name], dict(ACT))
        elif kind == "concat":
            node = Node(Op.CONCAT, name, [a, b], [name], {"axis": 1})
            result = (shape[0], 2 * int(shape[1]), *shape[2:])
        elif kind == "view":
            node = Node(VIEW, name, [a], [name])
            result = (*shape[:2], *((4, 1) if shape[2] == 2 else (2, 2)))
        else:
            channels = int(shape[1])
            weight = np.ones((channels, channels, 1, 1), np.float32)
            w = self.graph.add_constant("w", weight)
            node = Node(
                Op.CONV2D, name, [a, w, "", "", b * (kind == "residual")], [name], {**CONV, **ACT}
            )
        self.graph.nodes.append(node)
        self.put(name, result)


@st.composite
def graphs(draw: Any) -> Graph:
    builder = Builder()
    for _ in range(draw(st.integers(1, 14))):
        builder.grow(draw)
    graph = builder.graph
    made = [node.outputs[0] for node in graph.nodes]
    graph.outputs = draw(st.lists(st.sampled_from(made), min_size=1, max_size=3, unique=True))
    return graph


def place(graph: Graph, n_max: int) -> tuple[Plan, dict[int, int]]:
    lowered = lower(graph, n_max)
    placed = plan_memory(lowered.lifetimes, lowered.reuses)
    tensors = tuple(
        replace(t, place=placed.offsets[t.place]) if t.storage is Storage.ARENA else t
        for t in lowered.tensors
    )
    return (
        Plan("random", "ue", tensors, tuple(lowered.steps), lowered.inputs, lowered.outputs,
             lowered.weights, placed.arena_bytes, n_max),
        lowered.views,
    )  # fmt: skip


@given(graphs(), st.sampled_from([1, 3]))
@settings(max_examples=200, deadline=None)
def test_every_plan_of_a_random_graph_passes_the_checker(graph: Graph, n_max: int) -> None:
    copy_outputs.run(graph)
    check_graph(graph, "copy_outputs")
    plan, views = place(graph, n_max)
    check_memory(plan, views)
