"""One row for each condition of the verifier's rules for quantizers of the fronthaul."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sound_steps import Held, Operand, Tensor, changed

from csideploy.errors import FormatError
from csideploy.export.fronthaul_rules import search_scratch
from csideploy.export.operations import Op, Search
from csideploy.runtime import Part

U8, I32, F32 = np.uint8, np.int32, np.float32


def tensor(*shape: Any, dtype: Any = F32) -> Tensor:
    return Tensor(("n", *shape), dtype)


def zeros(*shape: int) -> NDArray[Any]:
    return np.zeros(shape, F32)


def last(values: NDArray[Any], number: float) -> NDArray[Any]:
    copy = values.copy()
    copy.reshape(-1)[-1] = number
    return copy


RUS = np.array([[2, 1], [1, 3]], I32)
TABLES = zeros(2 * 2 * 2 + 8 * 2)
"""Of two RUs: 3 antennas, 5 channel uses in 1 and 2 bytes."""
ROOM = search_scratch(2, [1, 3])
SOUND: dict[Op, tuple[dict[str, Operand], dict[str, Any]]] = {
    Op.INTERFERENCE_SCHEDULE: (
        {"gains": tensor(4, 3), "classes": tensor(4, dtype=I32)},
        {"excluded": 3},
    ),
    Op.TABLE_SEARCH: (
        {
            "effective": tensor(2, 3, 2),
            "targets": tensor(5, 2, 2),
            "classes": tensor(2, dtype=I32),
            "tables": TABLES,
            "rus": RUS,
            "payload": tensor(3, dtype=U8),
            "scratch": Held((ROOM,), F32),
        },
        {"function": Search.SEQUENTIAL, "iterations": 2},
    ),
    Op.TABLE_NEAREST: (
        {"precoded": tensor(5, 3, 2), "tables": TABLES, "rus": RUS, "payload": tensor(3, dtype=U8)},
        {},
    ),
}
G, S, N = Op.INTERFERENCE_SCHEDULE, Op.TABLE_SEARCH, Op.TABLE_NEAREST


def many(count: int, bits: int) -> dict[str, Any]:
    """RUs of one antenna, one channel use, one stream."""
    return {
        "effective": tensor(1, count, 2),
        "targets": tensor(1, 1, 2),
        "classes": None,
        "tables": zeros(count * 2 << bits),
        "rus": np.array([[1, bits]] * count, I32),
        "payload": tensor(count * (1 + bits // 9), dtype=U8),
        "scratch": Held((search_scratch(1, [bits] * count),), F32),
    }


ALL = {"function": Search.EXHAUSTIVE}
FIXED = {
    "effective": Tensor((1, 2, 3, 2), F32),
    "targets": Tensor((1, 5, 2, 2), F32),
    "classes": Tensor((1, 2), I32),
    "payload": Tensor((1, 3), U8),
}

ACCEPTED: dict[str, tuple[Op, dict[str, Any]]] = {
    **{op.name: (op, {}) for op in SOUND},
    "one block": (S, FIXED),
    "no classes": (S, {"classes": None}),
    "all combinations": (S, {"classes": None, **ALL}),
    "20 bits": (S, {**many(2, 10), **ALL}),
    "32 RUs": (S, many(32, 2)),
    "12 bits": (S, many(1, 12)),
    "32 RUs, all edges": (G, {"gains": tensor(32, 1), "classes": tensor(32, dtype=I32)}),
    "one RU": (G, {"gains": tensor(1, 3), "classes": tensor(1, dtype=I32), "excluded": 0}),
    "all excluded": (G, {"excluded": 6}),
}

SHAPE, RANGE = "BAD_SHAPE", "FIELD_RANGE"
ROWS: dict[str, tuple[Op, dict[str, Any], str]] = {
    "gains of rank 2": (G, {"gains": tensor(4)}, SHAPE),
    "classes of rank 1": (G, {"classes": Tensor(("n",), I32)}, SHAPE),
    "blocks of gains": (G, {"gains": Tensor((1, 4, 3), F32)}, SHAPE),
    "RUs of gains": (G, {"gains": tensor(3, 3)}, SHAPE),
    "33 RUs in a graph": (G, {"gains": tensor(33, 3), "classes": tensor(33, dtype=I32)}, SHAPE),
    "symbolic users": (G, {"gains": tensor(4, "k")}, SHAPE),
    "more than all edges": (G, {"excluded": 7}, SHAPE),
    "classes of floats": (G, {"classes": tensor(4)}, "BAD_DTYPE"),
    "effective of rank 3": (S, {"effective": tensor(2, 3)}, SHAPE),
    "targets of rank 3": (S, {"targets": tensor(5, 2)}, SHAPE),
    "blocks of targets": (S, {"targets": Tensor((1, 5, 2, 2), F32)}, SHAPE),
    "blocks of payload": (S, {"payload": Tensor((1, 3), U8)}, SHAPE),
    "streams": (S, {"targets": tensor(5, 3, 2)}, SHAPE),
    "symbolic streams": (S, {"effective": tensor("k", 3, 2), "targets": tensor(5, "k", 2)}, SHAPE),
    "effective without pairs": (S, {"effective": tensor(2, 3, 1)}, SHAPE),
    "targets without pairs": (S, {"targets": tensor(5, 2, 1)}, SHAPE),
    "antennas of effective": (S, {"effective": tensor(2, 4, 2)}, SHAPE),
    "21 bits": (S, {**many(3, 7), **ALL}, RANGE),
    "all combinations by classes": (S, ALL, SHAPE),
    "classes of rank 3": (S, {"classes": tensor(2, 1, dtype=I32)}, SHAPE),
    "blocks of classes": (S, {"classes": Tensor((1, 2), I32)}, SHAPE),
    "RUs of classes": (S, {"classes": tensor(3, dtype=I32)}, SHAPE),
    "scratch outside the arena": (S, {"scratch": Tensor((ROOM,), F32)}, SHAPE),
    "scratch of rank 2": (S, {"scratch": Held((1, ROOM), F32)}, SHAPE),
    "symbolic scratch": (S, {"scratch": Held(("k",), F32)}, SHAPE),
    "too little scratch": (S, {"scratch": Held((ROOM - 2,), F32)}, SHAPE),
    "too much scratch": (S, {"scratch": Held((ROOM + 2,), F32)}, SHAPE),
    "scratch over the payload": (
        S,
        {"payload": Held(("n", 3), U8, 16), "scratch": Held((ROOM,), F32, 0)},
        "BAD_OVERLAP",
    ),
    "searched rus of rank 1": (S, {"rus": RUS.reshape(-1)}, SHAPE),
    "rus of rank 1": (N, {"rus": RUS.reshape(-1)}, SHAPE),
    "33 RUs": (S, many(33, 1), SHAPE),
    "rus without pairs": (N, {"rus": RUS[:, :1]}, SHAPE),
    "rus of floats": (N, {"rus": RUS.astype(F32)}, "BAD_DTYPE"),
    "rus not constant": (N, {"rus": Tensor((2, 2), I32)}, "BAD_OPERANDS"),
    "symbolic channel uses": (S, {"targets": tensor("k", 2, 2)}, SHAPE),
    "no antennas": (N, {"rus": np.array([[0, 1], [1, 3]], I32)}, RANGE),
    "antennas below 0": (N, {"rus": np.array([[2, 1], [-1, 3]], I32)}, RANGE),
    "no bits": (N, {"rus": np.array([[2, 0], [1, 3]], I32)}, RANGE),
    "13 bits": (N, {"rus": np.array([[2, 13], [1, 3]], I32)}, RANGE),
    "antennas beyond all": (N, {"rus": np.array([[2**31 - 1, 12]] * 2, I32)}, SHAPE),
    "tables of rank 2": (N, {"tables": TABLES.reshape(-1, 2)}, SHAPE),
    "short tables": (N, {"tables": TABLES[:-2]}, SHAPE),
    "tables not constant": (N, {"tables": Tensor((24,), F32)}, "BAD_OPERANDS"),
    "tables infinite": (N, {"tables": last(TABLES, np.inf)}, "FIELD_FLOAT"),
    "tables NaN": (S, {"tables": last(TABLES, np.nan)}, "FIELD_FLOAT"),
    "payload of rank 3": (N, {"payload": tensor(3, 1, dtype=U8)}, SHAPE),
    "symbolic payload": (N, {"payload": tensor("k", dtype=U8)}, SHAPE),
    "bytes of payload": (N, {"payload": tensor(2, dtype=U8)}, SHAPE),
    "precoded of rank 3": (N, {"precoded": tensor(5, 3)}, SHAPE),
    "blocks of precoded": (N, {"precoded": Tensor((1, 5, 3, 2), F32)}, SHAPE),
    "precoded without pairs": (N, {"precoded": tensor(5, 3, 1)}, SHAPE),
    "antennas of precoded": (N, {"precoded": tensor(5, 4, 2)}, SHAPE),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_sound(name: str) -> None:
    op, changes = ACCEPTED[name]
    Part(changed(SOUND, op, **changes))


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    op, changes, status = ROWS[name]
    with pytest.raises(FormatError, match="refused at step 0") as error:
        Part(changed(SOUND, op, **changes))
    assert f"[{status}]" in str(error.value)


def test_parameters() -> None:
    for changes, legal in (
        ({"iterations": 0}, r"1\.\.4096"),
        ({"iterations": 4097}, r"1\.\.4096"),
        ({"function": 0}, r"1\.\.2"),
        ({"function": 3}, r"1\.\.2"),
    ):
        with pytest.raises(FormatError, match=f"legal is {legal}"):
            changed(SOUND, S, **changes)
    with pytest.raises(FormatError, match=r"legal is 0\.\.496"):
        changed(SOUND, G, excluded=497)
