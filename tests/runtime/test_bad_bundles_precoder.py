"""One row for each condition of the verifier's rules for precoders."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from numpy.typing import NDArray
from sound_steps import Held, Operand, Tensor, changed, image

from csideploy.errors import FormatError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.operations import Op
from csideploy.export.plan import PayloadLayout
from csideploy.runtime import Part

U8, I8, I16, F32 = np.uint8, np.int8, np.int16, np.float32


def result(*shape: Any) -> Tensor:
    return Tensor(("n", *shape), F32)


def zeros(*shape: int, dtype: Any = F32) -> NDArray[Any]:
    return np.zeros(shape, dtype)


def last(values: NDArray[Any], number: float) -> NDArray[Any]:
    copy = values.copy()
    copy.reshape(-1)[-1] = number
    return copy


TABLE = zeros(10, 2, 2, 3, 2)
"""Sets of two indices of 2 bits: binomial(5, 2) rows."""
BOOK = zeros(4, 3, 2)
SOUND: dict[Op, tuple[dict[str, Operand], dict[str, Any]]] = {
    Op.TABLE_PRECODER: (
        {"payload": image(2, 1), "table": TABLE, "v": result(2, 2, 3, 2)},
        {"bits": 2, "sorted": 1, "per_user": 0},
    ),
    Op.RZF_PRECODER: (
        {"payload": image(2, 1), "codebook": BOOK, "v": result(2, 2, 3, 2)},
        {"bits": 2, "loading": 0.5},
    ),
    Op.ZERO_FORCING: (
        {
            "h": result(3, 4, 2), "loading": result(1), "w": result(3, 4, 2),
            "scratch": Held((3, 12), F32),
        },
        {},
    ),
}  # fmt: skip
T, R, Z = Op.TABLE_PRECODER, Op.RZF_PRECODER, Op.ZERO_FORCING


def forced(users: Any, *tail: int, room: int) -> dict[str, Operand]:
    """Channels of so many users, with room for so many."""
    h = result(users, *tail)
    return {"h": h, "w": h, "scratch": Held((users, 4 * room), F32)}


SIXTEEN = {"payload": image(16, 1), "v": result(16, 1, 1, 2), "bits": 1}
WIDE = {"payload": image(1, 1), "bits": 1, "sorted": 0}

ACCEPTED: dict[str, tuple[Op, dict[str, Any]]] = {
    **{op.name: (op, {}) for op in SOUND},
    "ordered": (T, {"table": zeros(16, 2, 2, 3, 2), "sorted": 0}),
    "one column": (T, {"table": zeros(10, 2, 1, 3, 2)}),
    "int8": (T, {"table": zeros(10, 2, 2, 3, 2, dtype=I8), "per_user": 1}),
    "four bits": (T, {"table": zeros(10, 2, 2, 3, dtype=U8)}),
    "two bytes": (R, {"payload": image(2, 2), "bits": 9, "codebook": zeros(512, 3, 2)}),
    "sixteen users": (T, {**SIXTEEN, "table": zeros(17, 16, 1, 1, 2)}),
    "any number of users": (Z, forced("k", 4, 2, room=2)),
    "64 users": (Z, forced(64, 1, 2, room=64)),
    "65535": (
        T,
        {**WIDE, "table": zeros(2, 1, 1, 13107, 2, dtype=I8), "v": result(1, 5, 13107, 2)},
    ),
}

SHAPE = "BAD_SHAPE"
MANY = {"payload": image(17, 1), "v": result(17, 1, 1, 2), "bits": 1}
ROWS: dict[str, tuple[Op, dict[str, Any], str]] = {
    "payload of rank 2": (T, {"payload": image(2)}, SHAPE),
    "v of rank 4": (T, {"v": result(2, 2, 3)}, SHAPE),
    "batch": (T, {"payload": Tensor((1, 2, 1))}, SHAPE),
    "users": (T, {"payload": image(3, 1)}, SHAPE),
    "bytes of a user": (T, {"payload": image(2, 2)}, SHAPE),
    "too few bytes": (R, {"bits": 9, "codebook": zeros(512, 3, 2)}, SHAPE),
    "seventeen users": (R, {**MANY, "codebook": zeros(2, 1, 2)}, SHAPE),
    "symbolic users": (T, {"payload": image("k", 1), "v": result("k", 2, 3, 2)}, SHAPE),
    "symbolic streams": (T, {"v": result(2, "k", 3, 2)}, SHAPE),
    "no pairs": (T, {"v": result(2, 2, 3, 1)}, SHAPE),
    "table of i16": (T, {"table": TABLE.astype(I16)}, "BAD_DTYPE"),
    "table not constant": (T, {"table": Tensor((10, 2, 2, 3, 2), F32)}, "BAD_OPERANDS"),
    "four bits of rank 5": (T, {"table": TABLE.astype(U8)}, SHAPE),
    "int8 of rank 4": (T, {"table": TABLE[..., 0].astype(I8)}, SHAPE),
    "table without pairs": (T, {"table": TABLE[..., :1]}, SHAPE),
    "rows": (T, {"table": TABLE[:9]}, SHAPE),
    "rows of the other kind": (T, {"sorted": 0}, SHAPE),
    "blocks": (T, {"table": TABLE[:, :1]}, SHAPE),
    "columns": (T, {"v": result(2, 3, 3, 2)}, SHAPE),
    "antennas": (T, {"v": result(2, 2, 4, 2)}, SHAPE),
    "2^32 rows": (T, {"payload": image(2, 2), "bits": 16, "sorted": 0}, SHAPE),
    "2^31 sets": (T, {"payload": image(2, 2), "bits": 16}, SHAPE),
    "65536": (
        T,
        {**WIDE, "table": zeros(2, 1, 1, 16384, 2, dtype=I8), "v": result(1, 4, 16384, 2)},
        SHAPE,
    ),
    "infinite": (T, {"table": last(TABLE, np.inf)}, "FIELD_FLOAT"),
    "book of rank 4": (R, {"codebook": BOOK[None]}, SHAPE),
    "book's entries": (R, {"codebook": BOOK[:3]}, SHAPE),
    "book's antennas": (R, {"v": result(2, 2, 4, 2)}, SHAPE),
    "book without pairs": (R, {"codebook": BOOK[..., :1]}, SHAPE),
    "book not constant": (R, {"codebook": Tensor((4, 3, 2), F32)}, "BAD_OPERANDS"),
    "book infinite": (R, {"codebook": last(BOOK, -np.inf)}, "FIELD_FLOAT"),
    "book NaN": (R, {"codebook": last(BOOK, np.nan)}, "FIELD_FLOAT"),
    "channels of rank 3": (Z, forced(3, 2, room=3), SHAPE),
    "w unlike h": (Z, {"w": result(3, 5, 2)}, SHAPE),
    "65 users": (Z, forced(65, 1, 2, room=65), SHAPE),
    "symbolic antennas": (
        Z,
        {**forced(3, 4, 2, room=3), "h": result(3, "k", 2), "w": result(3, "k", 2)},
        SHAPE,
    ),
    "channels without pairs": (Z, forced(3, 4, 1, room=3), SHAPE),
    "loading of rank 1": (Z, {"loading": result()}, SHAPE),
    "loading's batch": (Z, {"loading": Tensor((2, 1), F32)}, SHAPE),
    "loading of each user": (Z, {"loading": result(3)}, SHAPE),
    "scratch of the caller's": (Z, {"scratch": Tensor((3, 12), F32)}, SHAPE),
    "scratch of rank 1": (Z, {"scratch": Held((36,), F32)}, SHAPE),
    "rows of scratch": (Z, {"scratch": Held((2, 12), F32)}, SHAPE),
    "scratch of one user": (Z, forced("k", 4, 2, room=1), SHAPE),
    "too much scratch": (Z, forced("k", 4, 2, room=3), SHAPE),
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


def test_bits_have_a_limit_of_their_own() -> None:
    for op, bits, most in ((T, 17, 16), (T, 0, 16), (R, 13, 12)):
        with pytest.raises(FormatError, match=rf"legal is 1\.\.{most}"):
            changed(SOUND, op, bits=bits)


def of_users(*shape: Any, layout: PayloadLayout) -> bytes:
    hand = HandPlan(k_max=2)
    x, y = hand.input("x", shape, U8), hand.output("y", shape, U8)
    hand.step(Op.COPY, [x], [y])
    return write_bundle(hand.plan(payload=layout))


def test_payload_of_several_users() -> None:
    """One message a user: the layout is that of one."""
    layout = PayloadLayout(0x0101, 10, 1)
    for shape in (("n", 2), ("n", 3, 2), ("n", "k", 2)):
        part = Part(of_users(*shape, layout=layout))
        assert part.payload is not None
        assert part.payload.nbytes == 2
    for shape in (("n", 2, 3), ("n", 2, 1, 2), (1, 3, 2)):
        with pytest.raises(FormatError, match="BAD_PAYLOAD"):
            Part(of_users(*shape, layout=layout))
