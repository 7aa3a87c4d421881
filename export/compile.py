"""ONNX -> plan: read, run the passes with a check after each, lower, place, check again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import ModelProto

from csideploy.errors import InputError, UnsupportedError
from csideploy.export.check import check_graph
from csideploy.export.graph import BATCH, USERS, Graph
from csideploy.export.lower import Lowered, lower
from csideploy.export.memory import plan_memory
from csideploy.export.memory_check import check_memory
from csideploy.export.passes import PIPELINE
from csideploy.export.plan import Op, PayloadLayout, Plan, Storage
from csideploy.export.read import read_model
from csideploy.export.users import has_users, with_users
from csideploy.export.widths import step_widths

UNIFORM_LAYOUT = 0x0100
"""Layout id of M codes of B uniform bits: this plus B."""

CODEBOOK_LAYOUT = 0x0200
"""Layout id of M codes with a number of bits each: this plus the budget, in bits an output."""

K_MAX = 8
"""Users of a call, where a network has k and nobody says more."""

MAX_TENSOR_BYTES = 1 << 28
"""Far above any edge device; keeps a hostile file from exhausting the compiler's memory."""


def compile_model(
    model: ModelProto,
    *,
    part: str,
    side: str,
    pairing_id: bytes = bytes(16),
    payload: PayloadLayout | None = None,
    metadata: Mapping[str, str] | None = None,
    n_max: int = 1,
    k_max: int = K_MAX,
) -> Plan:
    """Compile one part.

    Args:
        model: ONNX, opset 13 to 25; weights inside. Inputs (n, ...), or of a fixed shape; one axis
            behind the first may be named "k", the number of users.
        part: its name, such as "encoder".
        side: where it runs, such as "ue".
        pairing_id: 16 bytes that both ends of a link share.
        payload: what crosses the air; None: read off the network's payload functions, if any.
        metadata: short strings for people.
        n_max: samples that one run of the executor takes; sizes the arena.
        k_max: the most users of a call; sizes the arena of a network with k, any other has none.

    Raises:
        InputError: the model is not valid ONNX, or an argument does not fit it.
        UnsupportedError: an operator, attribute, version or shape that the compiler does not
            take; names the node.
    """
    if len(pairing_id) != 16:
        raise InputError(f"pairing id of {len(pairing_id)} bytes; 16 are right")
    if n_max < 1:
        raise InputError(f"n_max = {n_max}; at least one sample is needed")
    if k_max < 1:
        raise InputError(f"k_max = {k_max}; at least one user is needed")
    if has_users(model):
        graph = with_users(model, lambda users: _passed(model, part, users, k_max))
    else:
        graph, k_max = _passed(model, part), 1
    lowered = lower(graph, n_max, k_max)
    _check_sizes(lowered, n_max, k_max)
    placement = plan_memory(lowered.lifetimes, lowered.reuses)
    tensors = tuple(
        replace(tensor, place=placement.offsets[tensor.place])
        if tensor.storage is Storage.ARENA
        else tensor
        for tensor in lowered.tensors
    )
    plan = Plan(
        part=part,
        side=side,
        tensors=tensors,
        steps=tuple(lowered.steps),
        inputs=lowered.inputs,
        outputs=lowered.outputs,
        weights=lowered.weights,
        arena_bytes=placement.arena_bytes,
        n_max=n_max,
        k_max=k_max,
        pairing_id=pairing_id,
        payload=_payload(lowered, payload),
        metadata=dict(metadata or {}),
    )
    check_memory(plan, lowered.views)
    return plan


def _check_sizes(lowered: Lowered, n_max: int, k_max: int) -> None:
    for tensor in lowered.tensors:
        most = tensor.nbytes
        most *= n_max if BATCH in tensor.shape else 1
        most *= k_max if USERS in tensor.shape else 1
        if most > MAX_TENSOR_BYTES:
            raise UnsupportedError(
                f"tensor '{tensor.name}' {tensor.shape} takes {most} bytes; "
                f"at most {MAX_TENSOR_BYTES} are supported"
            )


def _passed(model: ModelProto, part: str, users: int | None = None, most_users: int = 1) -> Graph:
    """The graph after all passes; what cannot take a batch, and need not, has a fixed shape."""
    graph = read_model(model, part, users)
    graph.most_users = most_users
    literal = graph.literal_batch
    try:
        run_passes(graph)
    except UnsupportedError:
        if not literal:
            raise
        graph = read_model(model, part, users)
        graph.most_users = most_users
        graph.literal_batch = False
        for name in graph.inputs:
            graph.values[name].batch = None
        run_passes(graph)
    return graph


def run_passes(graph: Graph) -> None:
    """All passes in their order, the graph checked after each one."""
    with np.errstate(all="ignore"):  # constants of a file may be any numbers
        for name, run in PIPELINE:
            run(graph)
            check_graph(graph, name)


def _payload(lowered: Lowered, declared: PayloadLayout | None) -> PayloadLayout | None:
    """The layout that the payload steps imply; a declared one must agree with it."""
    found = None
    for step in lowered.steps:
        widths = step_widths(step, lowered.tensors, lowered.weights)
        if step.op in (Op.PACK_BITS, Op.UNPACK_BITS):
            index = step.inputs[0] if step.op is Op.PACK_BITS else step.outputs[0]
            assert index is not None
            count, bits = int(lowered.tensors[index].shape[1]), int(step.params["bits"])
            found = PayloadLayout(UNIFORM_LAYOUT + bits, count, bits)
        elif step.op in (Op.PACK_WIDTHS, Op.UNPACK_WIDTHS) and widths is not None:
            found = codebook_layout(widths.tolist())
    if declared is None:
        return found
    if found is None and declared.bits == 0:
        raise InputError(f"payload of {_described(declared)} declared, but the network packs none")
    if found is not None and replace(found, layout_id=declared.layout_id) != declared:
        raise InputError(
            f"payload of {_described(declared)} declared, but the network makes {_described(found)}"
        )
    return declared


def codebook_layout(widths: Sequence[int], budget: int | None = None) -> PayloadLayout:
    """The layout of codes with a number of bits each.

    Args:
        widths: B_m, one a code.
        budget: bits an output that were shared out, 1 to 8; None: the least that has room for the
            widths.
    """
    spent = max(1, -(-sum(widths) // len(widths))) if budget is None else budget
    return PayloadLayout(CODEBOOK_LAYOUT + spent, len(widths), 0, tuple(widths))


def _described(layout: PayloadLayout) -> str:
    if layout.bits:
        return f"{layout.count} codes of {layout.bits} bits"
    return f"{layout.count} codes of {sum(layout.widths)} bits together"
