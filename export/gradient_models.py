"""Quantizers of a fronthaul by gradient descent as parts: neural-MQ and neural-VQ of paper 003.

The distributed unit takes the effective channel and the symbols of a block of R channel uses and
gives the bits of all radio units, `payload` uint8 (n, bytes). Sec. V, Algorithms 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export import gradient_rules as rules
from csideploy.export.graph import BATCH
from csideploy.export.memory_check import check_memory
from csideploy.export.plan import Dim, DType, Op, PayloadLayout, Plan, Step, Storage, Tensor
from csideploy.fronthaul.networks import Network

METHODS = ("neural-mq", "neural-vq")


def unit_sizes(networks: Sequence[Network]) -> list[rules.UnitSizes]:
    """Sizes as GRADIENT_SEARCH has them: hidden layers in whole vectors."""
    return [rules.UnitSizes(net.antennas, net.bits, rules.round_up(net.hidden)) for net in networks]


def gradient_plan(
    networks: Sequence[Network],
    *,
    streams: int,
    block: int,
    iterations: int,
    method: str,
    max_blocks: int = 1,
    part: str = "quantizer",
    side: str = "du",
    pairing_id: bytes = bytes(16),
    payload: PayloadLayout | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Plan:
    """Gradient descent over the bits of neural codebooks as a part; no ONNX.

    neural-mq: effective float32 (n, L, N, 2), targets (n, R, L, 2), step (n,) -> payload: all units
    together make |C f - d|^2 small. neural-vq: precoded (n, R, N, 2), step (n,) -> payload: every
    unit for itself makes |f_m - x_m|^2 small. N = sum of all antennas; n blocks, symbolic.

    Args:
        networks: the codebooks of M units, all with the same number of hidden layers.
        streams: L of all users; read by neural-mq alone.
        block: R, channel uses under one channel.
        iterations: I, steps of the descent.
        method: "neural-mq" or "neural-vq".
        max_blocks: blocks that one run takes at once; more are taken in turn.
        part: its name.
        side: where it runs.
        pairing_id: 16 bytes that both ends of the fronthaul share.
        payload: the layout of a block's payload.
        metadata: short strings for people.

    Raises:
        InputError: an argument that fits no such part.
    """
    if method not in METHODS:
        raise InputError(f"method {method}; {' or '.join(METHODS)} is right")
    if not 1 <= len(networks) <= rules.MOST_UNITS:
        raise InputError(f"{len(networks)} networks; 1 to {rules.MOST_UNITS} are right")
    layers = networks[0].layers
    for m, net in enumerate(networks):
        if net.layers != layers or layers > rules.MOST_LAYERS:
            raise InputError(
                f"network {m} has {net.layers} hidden layers; the same for all, at most "
                f"{rules.MOST_LAYERS}, are right"
            )
        limits = {"bits": rules.MOST_BITS, "hidden": rules.MOST_HIDDEN,
                  "antennas": rules.MOST_ANTENNAS}  # fmt: skip
        for name, most in limits.items():
            if getattr(net, name) > most:
                raise InputError(f"network {m}: {name} = {getattr(net, name)}; at most {most}")
    for name, value, most in (
        ("streams", streams, rules.MOST_ANTENNAS),
        ("block", block, rules.MOST_BLOCK),
        ("iterations", iterations, rules.MOST_ITERATIONS),
        ("max_blocks", max_blocks, rules.MOST_BLOCK),
    ):
        if not 1 <= value <= most:
            raise InputError(f"{name} = {value}; 1 to {most} is right")
    if len(pairing_id) != 16:
        raise InputError(f"pairing id of {len(pairing_id)} bytes; 16 are right")
    units, shared = unit_sizes(networks), method == "neural-mq"
    antennas, size = sum(net.antennas for net in networks), rules.payload_bytes(units, block)
    if payload is not None and payload.nbytes != size:
        raise InputError(f"payload of {payload.nbytes} bytes a block declared; {size} are made")
    width = 2 * (streams if shared else antennas)
    weights = np.concatenate([_stored(net) for net in networks])
    sizes = np.array([[u.antennas, u.bits, u.hidden] for u in units], "<i4")
    scratch = rules.scratch_floats(units, layers, block, width, shared=shared)
    ends: list[tuple[str, tuple[Dim, ...]]]
    ends = [("effective", (BATCH, streams, antennas, 2))] if shared else []
    ends += [("targets" if shared else "precoded", (BATCH, block, width // 2, 2))]
    ends += [("step", (BATCH,))]
    tensors = [
        Tensor(name, DType.F32, shape, Storage.INPUT, i) for i, (name, shape) in enumerate(ends)
    ]
    first = len(tensors)
    tensors += [
        Tensor("weights", DType.F32, weights.shape, Storage.WEIGHTS, 0),
        Tensor("sizes", DType.I32, sizes.shape, Storage.WEIGHTS, weights.nbytes),
        Tensor("payload", DType.U8, (BATCH, size), Storage.OUTPUT, 0),
        Tensor("scratch", DType.F32, (scratch,), Storage.ARENA, 0),
    ]
    given = (*range(first), first, first + 1)
    plan = Plan(
        part=part,
        side=side,
        tensors=tuple(tensors),
        steps=(
            Step(
                Op.GRADIENT_SEARCH,
                "search",
                given if shared else (None, *given),
                (first + 2, first + 3),
                {"layers": layers, "iterations": iterations},
            ),
        ),
        inputs=tuple(range(first)),
        outputs=(first + 2,),
        weights=np.concatenate([weights.view(np.uint8), sizes.reshape(-1).view(np.uint8)]),
        arena_bytes=4 * scratch,
        n_max=max_blocks,
        pairing_id=pairing_id,
        payload=payload,
        metadata=dict(metadata or {}),
    )
    check_memory(plan)
    return plan


def _padded(matrix: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    out = np.zeros((rows, columns), "<f4")
    out[: matrix.shape[0], : matrix.shape[1]] = matrix
    return out


def _stored(net: Network) -> NDArray[np.float32]:
    """One unit's weights as the operation reads them: hidden layers both ways, padded."""
    hidden, width = rules.round_up(net.hidden), 2 * net.antennas
    pieces = []
    for k, (w, b) in enumerate(zip(net.weights[:-1], net.biases[:-1], strict=True)):
        inputs = net.bits if k == 0 else hidden
        pieces += [_padded(w.T, inputs, hidden), _padded(w, hidden, rules.round_up(inputs))]
        pieces += [_padded(b[None], 1, hidden)]
    features = hidden if net.layers else rules.round_up(net.bits)
    pieces += [_padded(net.weights[-1], width, features)]
    pieces += [_padded(net.biases[-1][None], 1, rules.round_up(width))]
    return np.concatenate([piece.reshape(-1) for piece in pieces])
