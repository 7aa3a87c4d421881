"""Quantizers of a DU with tables as parts: VQ, MQ, SMQ and alpha-PMQ (paper 003); no ONNX.

A part takes blocks of R channel uses under one channel and gives each block's payload, uint8
(n, bytes): for RU 1, 2, ..., M its R messages of B_m bits, MSB first, zero pad behind each RU's.
`csideploy.fronthaul.search` has the same functions in NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export.fronthaul_rules import payload_bytes, search_scratch
from csideploy.export.graph import BATCH
from csideploy.export.memory_check import check_memory
from csideploy.export.operations import Search
from csideploy.export.plan import Dim, DType, Op, PayloadLayout, Plan, Step, Storage, Tensor
from csideploy.fronthaul.search import MOST_BITS, MOST_JOINT_BITS, MOST_RUS, excluded_products

METHODS = ("vq", "mq", "smq", "pmq")
_ALIGN = 16


class _Builder:
    """Tensors of a plan in order, each at its place."""

    def __init__(self, max_blocks: int) -> None:
        self.max_blocks = max_blocks
        self.tensors: list[Tensor] = []
        self.inputs: list[int] = []
        self.weights = bytearray()
        self.arena = 0

    def _add(self, name: str, dtype: DType, shape: tuple[Dim, ...], where: Storage, at: int) -> int:
        self.tensors.append(Tensor(name, dtype, shape, where, at))
        return len(self.tensors) - 1

    def input(self, name: str, *shape: int) -> int:
        """Float32, the blocks first."""
        index = self._add(name, DType.F32, (BATCH, *shape), Storage.INPUT, len(self.inputs))
        self.inputs.append(index)
        return index

    def constant(self, name: str, dtype: DType, values: NDArray[Any]) -> int:
        self.weights += bytes(-len(self.weights) % _ALIGN)
        at = len(self.weights)
        self.weights += values.astype(dtype.numpy).tobytes()
        return self._add(name, dtype, values.shape, Storage.WEIGHTS, at)

    def held(self, name: str, dtype: DType, *shape: Dim) -> int:
        """In the arena, behind what is there."""
        at = -(-self.arena // _ALIGN) * _ALIGN
        index = self._add(name, dtype, shape, Storage.ARENA, at)
        many = self.max_blocks if BATCH in shape else 1
        self.arena = at + self.tensors[index].nbytes * many
        return index

    def output(self, name: str, size: int) -> int:
        return self._add(name, DType.U8, (BATCH, size), Storage.OUTPUT, 0)


def search_plan(
    tables: Sequence[NDArray[np.complexfloating[Any, Any]]],
    *,
    method: str,
    block: int,
    streams: int | None = None,
    users: int | None = None,
    alpha: float = 0.5,
    iterations: int | None = None,
    max_blocks: int = 1,
    part: str = "quantizer",
    side: str = "du",
    pairing_id: bytes = bytes(16),
    payload: PayloadLayout | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Plan:
    """A DU's quantizer as a part.

    Inputs, float32, complex numbers as (re, im) in the last axis: of "vq" `precoded` (n, R, N, 2);
    of the others `effective` (n, L, N, 2), C = F^H H Gamma of a block, and `targets` (n, R, L, 2);
    of "pmq" also `gains` (n, M, U), |H_mu|^2 summed over the antennas of RU m.

    Args:
        tables: of each RU its codewords, complex (2^B_m, N_m); 1 to 32 RUs of 1 to 12 bits. They
            are stored as float32.
        method: "vq" (16), each RU by itself; "mq" (19), all 2^(sum B_m) combinations, of
            20 bits at most; "smq", RU after RU; "pmq", classes of RUs without much interference
            (algorithm 1).
        block: R, channel uses of a block.
        streams: L, of all users together; not of "vq".
        users: U, of "pmq".
        alpha: of "pmq", from 0, RU after RU, to 1, all at the same time.
        iterations: T of "smq" and "pmq"; None: M. An RU that none of them visits sends index 0.
        max_blocks: n_max, blocks that the arena has room for at a time.
        part: its name.
        side: where it runs.
        pairing_id: 16 bytes that both ends of a fronthaul share.
        payload: the layout of a block's payload.
        metadata: short strings for people.

    Raises:
        InputError: an argument that fits no such part.
    """
    if method not in METHODS:
        raise InputError(f"method '{method}'; {', '.join(METHODS)} are possible")
    rus = _rus_of(tables)
    bits, antennas = rus[:, 1].tolist(), int(rus[:, 0].sum())
    _demand_count(block, "channel uses a block")
    _demand_count(max_blocks, "blocks at a time")
    size = payload_bytes(block, bits)
    if len(pairing_id) != 16:
        raise InputError(f"pairing id of {len(pairing_id)} bytes; 16 are right")
    if payload is not None and payload.nbytes != size:
        raise InputError(f"payload of {payload.nbytes} bytes a block declared; it has {size}")
    made = _Builder(max_blocks)
    numbers = np.concatenate([_pairs(table).reshape(-1) for table in tables])
    constants = [
        made.constant("tables", DType.F32, numbers),
        made.constant("rus", DType.I32, rus),
    ]
    if method == "vq":
        x = made.input("precoded", block, antennas, 2)
        output = made.output("payload", size)
        steps = [Step(Op.TABLE_NEAREST, "nearest", (x, *constants), (output,))]
    else:
        streams = _demand_count(streams, "streams")
        if method == "mq" and sum(bits) > MOST_JOINT_BITS:
            raise InputError(
                f"mq: {sum(bits)} bits of all RUs; up to {MOST_JOINT_BITS} are possible"
            )
        turns = _demand_count(len(bits) if iterations is None else iterations, "iterations", 4096)
        found = [
            made.input("effective", streams, antennas, 2),
            made.input("targets", block, streams, 2),
        ]
        classes, steps = _schedule(made, method, len(bits), users, alpha)
        output = made.output("payload", size)
        scratch = made.held("scratch", DType.F32, search_scratch(streams, bits))
        function = Search.EXHAUSTIVE if method == "mq" else Search.SEQUENTIAL
        how: dict[str, int | float] = {
            "function": int(function),
            "iterations": 1 if method == "mq" else turns,
        }
        operands = (*found, classes, *constants)
        steps.append(Step(Op.TABLE_SEARCH, "search", operands, (output, scratch), how))
    plan = Plan(
        part=part,
        side=side,
        tensors=tuple(made.tensors),
        steps=tuple(steps),
        inputs=tuple(made.inputs),
        outputs=(output,),
        weights=np.frombuffer(bytes(made.weights), np.uint8),
        arena_bytes=made.arena,
        n_max=max_blocks,
        pairing_id=pairing_id,
        payload=payload,
        metadata=dict(metadata or {}),
    )
    check_memory(plan)
    return plan


def _schedule(
    made: _Builder, method: str, rus: int, users: int | None, alpha: float
) -> tuple[int | None, list[Step]]:
    """Classes from the gains; None where RU m is of class m, or there are none."""
    if method != "pmq":
        return None, []
    gains = made.input("gains", rus, _demand_count(users, "users"))
    classes = made.held("classes", DType.I32, BATCH, rus)
    how: dict[str, int | float] = {"excluded": excluded_products(rus, alpha)}
    return classes, [Step(Op.INTERFERENCE_SCHEDULE, "schedule", (gains,), (classes,), how)]


def _rus_of(tables: Sequence[NDArray[np.complexfloating[Any, Any]]]) -> NDArray[np.int64]:
    """N_m and B_m, (M, 2)."""
    if not 1 <= len(tables) <= MOST_RUS:
        raise InputError(f"tables of {len(tables)} RUs; 1 to {MOST_RUS} are possible")
    rows = []
    for m, table in enumerate(tables):
        if table.ndim != 2 or table.shape[1] < 1 or not np.iscomplexobj(table):
            raise InputError(
                f"table {m}: {table.dtype} {table.shape}; complex (codewords, antennas) is right"
            )
        bits = len(table).bit_length() - 1
        if len(table) != 1 << bits or not 1 <= bits <= MOST_BITS:
            raise InputError(f"table {m}: {len(table)} codewords; 2^1 to 2^{MOST_BITS} are right")
        if not np.isfinite(_pairs(table)).all():
            raise InputError(f"table {m}: a number is not finite in float32")
        rows.append((table.shape[1], bits))
    return np.array(rows)


def _pairs(table: NDArray[np.complexfloating[Any, Any]]) -> NDArray[np.float32]:
    """(2^B, N, 2)."""
    with np.errstate(over="ignore"):
        return np.stack([table.real, table.imag], axis=-1).astype(np.float32)


def _demand_count(number: int | None, what: str, most: int = 0xFFFF) -> int:
    if number is None or not 1 <= number <= most:
        raise InputError(f"{what}: {number}; 1 to {most} are right")
    return number
