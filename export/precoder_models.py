"""Precoders of a base station as parts: tables as ONNX, regularised zero forcing as a plan.

The UE's feedback is B bits a user; the part takes the messages of K users, `payload` uint8
(n, K, ceil(B / 8)), and gives `V` float32 (n, K, N, M, 2), last axis (re, im).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

import csideploy
from csideploy.errors import InputError
from csideploy.export.functions import attach_functions
from csideploy.export.graph import BATCH
from csideploy.export.interface import IR_VERSION, OPSET, function_call
from csideploy.export.memory_check import check_memory
from csideploy.export.plan import DType, Op, PayloadLayout, Plan, Step, Storage, Tensor
from csideploy.export.precoder_rules import MOST_USERS, TABLE_DTYPES, row_terms, table_rows

_MOST_RZF_BITS = 12


def table_precoder_model(
    table: NDArray[np.generic],
    *,
    users: int,
    streams: int,
    antennas: int,
    bits: int,
    sorted_: bool,
    per_user: bool = False,
) -> ModelProto:
    """A table of precoders as a part: payload -> V, batch symbolic.

    Args:
        table: float32 or int8 (E, K, C, M, 2), or uint8 (E, K, C, M) with two numbers of four bits,
            re in the high ones. C = streams, or 1 for one column that all streams of a user share.
        users: K, 1 to 16.
        streams: N, columns of a user's precoder.
        antennas: M.
        bits: B a user, 1 to 16.
        sorted_: E is the number of sets of indices, binomial(2^B + K - 1, K), row
            sum binomial(s_i + i, i + 1) for sorted indices s_0 <= s_1 <= ...; else 2^(B K) rows,
            the first user's index in the high bits.
        per_user: integers: scale the C columns of a user together, to length sqrt(C), instead of
            each to 1. A float32 table is taken as it is.

    Raises:
        InputError: the table fits no such part.
    """
    names = {dtype: name for name, dtype in TABLE_DTYPES.items()}
    if table.dtype not in names:
        raise InputError(f"table of {table.dtype}; float32, int8 or uint8 (four bits) is right")
    if not (1 <= users <= MOST_USERS and 1 <= bits <= 16):
        raise InputError(f"{users} users of {bits} bits; 1 to {MOST_USERS} of 1 to 16 are right")
    rows = table_rows(bits, users, sorted_=sorted_)
    tail = (2,) if table.dtype != np.uint8 else ()
    shapes = [(rows, users, columns, antennas, *tail) for columns in dict.fromkeys((streams, 1))]
    if table.shape not in shapes:
        raise InputError(f"table {table.shape}; {' or '.join(map(str, shapes))} is right")
    attributes = {"bits": bits, "sorted": int(sorted_), "streams": streams}
    if table.dtype != np.float32:
        attributes["per_user"] = int(per_user)
    terms = row_terms(bits, users, sorted_=sorted_)
    stored = [
        numpy_helper.from_array(table, "payload.table"),
        numpy_helper.from_array(terms, "payload.terms"),
    ]
    call = function_call(
        names[table.dtype], ["payload", *(tensor.name for tensor in stored)], ["V"], **attributes
    )
    sizes: list[str | int | None] = [BATCH, users, -(-bits // 8)]
    made: list[str | int | None] = [BATCH, users, streams, antennas, 2]
    graph = helper.make_graph(
        [call],
        "precoder",
        [helper.make_tensor_value_info("payload", TensorProto.UINT8, sizes)],
        [helper.make_tensor_value_info("V", TensorProto.FLOAT, made)],
    )
    graph.initializer.extend(stored)
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="csideploy",
        producer_version=csideploy.__version__,
    )
    attach_functions(model)
    return model


def rzf_plan(
    codebook: NDArray[np.float32],
    *,
    users: int,
    streams: int,
    bits: int,
    loading: float,
    part: str = "precoder",
    side: str = "bs",
    pairing_id: bytes = bytes(16),
    payload: PayloadLayout | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Plan:
    """Regularised zero forcing on the users' codewords as a part, payload -> V; no ONNX.

    W = A (A^H A + loading I)^-1 of the codewords A that K users chose; every stream of user k gets
    w_k / |w_k|.

    Args:
        codebook: (2^B, M, 2).
        users: K, 1 to 16.
        streams: N, copies of a user's column.
        bits: B a user, 1 to 12.
        loading: above 0; K N0 / P where noise and power are known.
        part: its name.
        side: where it runs.
        pairing_id: 16 bytes that both ends of a link share.
        payload: the layout of one user's message, of ceil(B / 8) bytes.
        metadata: short strings for people.

    Raises:
        InputError: an argument that fits no such part.
    """
    if not (1 <= users <= MOST_USERS and 1 <= bits <= _MOST_RZF_BITS and streams >= 1):
        raise InputError(
            f"{users} users of {bits} bits, {streams} streams; 1 to {MOST_USERS} users of 1 to "
            f"{_MOST_RZF_BITS} bits are right"
        )
    codebook = np.ascontiguousarray(codebook, np.float32)
    if codebook.ndim != 3 or codebook.shape[::2] != (1 << bits, 2) or codebook.shape[1] < 1:
        raise InputError(f"codebook {codebook.shape}; ({1 << bits}, antennas, 2) is right")
    if not np.isfinite(codebook).all():
        raise InputError("a number of the codebook is not finite")
    if len(pairing_id) != 16:
        raise InputError(f"pairing id of {len(pairing_id)} bytes; 16 are right")
    if not (np.isfinite(np.float32(loading)) and np.float32(loading) > 0):
        raise InputError(f"loading = {loading}; a finite number above 0 is right")
    size, antennas = -(-bits // 8), codebook.shape[1]
    if payload is not None and payload.nbytes != size:
        raise InputError(f"payload of {payload.nbytes} bytes a user declared; {bits} bits: {size}")
    plan = Plan(
        part=part,
        side=side,
        tensors=(
            Tensor("payload", DType.U8, (BATCH, users, size), Storage.INPUT, 0),
            Tensor("codebook", DType.F32, codebook.shape, Storage.WEIGHTS, 0),
            Tensor("V", DType.F32, (BATCH, users, streams, antennas, 2), Storage.OUTPUT, 0),
        ),
        steps=(
            Step(Op.RZF_PRECODER, "rzf", (0, 1), (2,), {"bits": bits, "loading": float(loading)}),
        ),
        inputs=(0,),
        outputs=(2,),
        weights=codebook.astype("<f4", copy=False).reshape(-1).view(np.uint8),
        arena_bytes=0,
        pairing_id=pairing_id,
        payload=payload,
        metadata=dict(metadata or {}),
    )
    check_memory(plan)
    return plan
