"""Every rule of the verifier for EDGE_ATTENTION, RESIDUAL_QUANTIZE and RESIDUAL_DEQUANTIZE."""

from typing import Any

import numpy as np
import pytest
from hand_plan import HandPlan
from sound_steps import Held, Sound, Tensor, changed, image

from csideploy.errors import FormatError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part

F32, U8 = np.float32, np.uint8
E, Q, D = Op.EDGE_ATTENTION, Op.RESIDUAL_QUANTIZE, Op.RESIDUAL_DEQUANTIZE


def real(*shape: Any) -> Tensor:
    return Tensor(("n", *shape), F32)


def book(*shape: int, last: float = 0.5) -> Any:
    made = np.random.default_rng(0).normal(size=shape).astype(F32)
    made.reshape(-1)[-1] = last
    return made


EDGES = real("k", 3, 4)
SOUND: Sound = {
    E: (dict.fromkeys(("values", "queries", "keys", "y"), EDGES), {"average": 1}),
    Q: (
        {"feature": real(5), "codebook": book(8, 5), "codes": image(3), "rest": real(5)},
        {},
    ),
    D: ({"codes": image(7), "codebook": book(8, 5), "y": real(5)}, {"start": 2}),
}


def alike(shape: Tensor) -> dict[str, Any]:
    return dict.fromkeys(("values", "queries", "keys", "y"), shape)


ACCEPTED: dict[str, tuple[Op, dict[str, Any]]] = {
    "attention": (E, {}),
    "attention of three": (E, {**alike(real(3, 3, 4)), "average": 0}),
    "attention of no batch": (E, alike(Tensor((2, 3, 3, 4), F32))),
    "antennas of users": (E, alike(real(3, "k", 4))),
    "channels of users": (E, alike(real(3, 2, "k"))),
    "a tier": (Q, {}),
    "one bit": (Q, {"codebook": book(2, 5), "codes": image(1)}),
    "sixteen bits": (Q, {"feature": real(1), "rest": real(1), "codebook": book(1 << 16, 1),
                         "codes": image(16)}),
    "a tier of no batch": (Q, {"feature": Tensor((3, 5), F32), "rest": Tensor((3, 5), F32),
                               "codes": Tensor((3, 3))}),
    "a codeword": (D, {}),
    "the first bits": (D, {"start": 0}),
    "the last bits": (D, {"start": 4}),
    "sixteen of its bits": (D, {"codebook": book(1 << 16, 5), "codes": image(18)}),
}  # fmt: skip

SHAPE, FLOAT = "BAD_SHAPE", "FIELD_FLOAT"
ROWS: dict[str, tuple[Op, dict[str, Any], str]] = {
    "attention of rank 3": (E, alike(real("k", 4)), SHAPE),
    "queries": (E, {"queries": real("k", 3, 5)}, SHAPE),
    "keys": (E, {"keys": real("k", 2, 4)}, SHAPE),
    "result": (E, {"y": real(2, 3, 4)}, SHAPE),
    "a user's number for users": (E, {"values": real(2, 3, 4)}, SHAPE),
    "values of i8": (E, {"values": Tensor(("n", "k", 3, 4), np.int8)}, "BAD_DTYPE"),
    "residual of rank 3": (Q, {"feature": real(5, 1), "rest": real(5, 1)}, SHAPE),
    "codebook of rank 1": (Q, {"codebook": book(40)}, SHAPE),
    "codes of rank 3": (Q, {"codes": image(3, 1)}, SHAPE),
    "rest": (Q, {"rest": real(6)}, SHAPE),
    "width": (Q, {"codebook": book(8, 6)}, SHAPE),
    "residual of users": (Q, {"feature": real("k"), "rest": real("k")}, SHAPE),
    "batch of the codes": (Q, {"codes": Tensor((1, 3))}, SHAPE),
    "seventeen bits": (Q, {"codes": image(17)}, SHAPE),
    "codes of users": (Q, {"codes": image("k")}, SHAPE),
    "too few codewords": (Q, {"codebook": book(4, 5)}, SHAPE),
    "too many codewords": (Q, {"codebook": book(9, 5)}, SHAPE),
    "codebook of an input": (Q, {"codebook": Tensor((8, 5), F32)}, "BAD_OPERANDS"),
    "codes of f32": (Q, {"codes": real(3)}, "BAD_DTYPE"),
    "infinite codeword": (Q, {"codebook": book(8, 5, last=np.inf)}, FLOAT),
    "codeword that is no number": (Q, {"codebook": book(8, 5, last=np.nan)}, FLOAT),
    "codes to read of rank 3": (D, {"codes": image(7, 1)}, SHAPE),
    "codebook to read of rank 3": (D, {"codebook": book(8, 5, 1)}, SHAPE),
    "result of rank 3": (D, {"y": real(5, 1)}, SHAPE),
    "batch of the result": (D, {"y": Tensor((1, 5), F32)}, SHAPE),
    "width of the result": (D, {"y": real(4)}, SHAPE),
    "bits of users": (D, {"codes": image("k")}, SHAPE),
    "one codeword": (D, {"codebook": book(1, 5)}, SHAPE),
    "three codewords": (D, {"codebook": book(3, 5)}, SHAPE),
    "2^17 codewords": (D, {"codebook": book(1 << 17, 1), "y": real(1), "codes": image(30)}, SHAPE),
    "a bit too far": (D, {"start": 5}, SHAPE),
    "far away": (D, {"start": 65535}, SHAPE),
    "infinite number to read": (D, {"codebook": book(8, 5, last=-np.inf)}, FLOAT),
    "bits of i8": (D, {"codes": Tensor(("n", 7), np.int8)}, "BAD_DTYPE"),
}  # fmt: skip


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


def test_parameters_have_limits() -> None:
    for op, name, value in ((E, "average", 2), (E, "average", -1), (D, "start", 65536)):
        with pytest.raises(FormatError, match="legal is"):
            changed(SOUND, op, **{name: value})


def test_the_result_lies_on_no_input() -> None:
    for role in ("values", "queries", "keys"):
        hand = HandPlan(k_max=2)
        shape = ("n", "k", 3, 4)
        ends = {name: hand.input(name, shape) for name in ("values", "queries", "keys")}
        held = hand.arena("held", shape)
        hand.step(Op.COPY, [ends[role]], [held])
        ends[role] = held
        result = hand.view(held, "result", shape)
        hand.step(E, list(ends.values()), [result], average=0)
        hand.step(Op.COPY, [result], [hand.output("y", shape)])
        with pytest.raises(FormatError, match="BAD_OVERLAP"):
            Part(write_bundle(hand.plan()))


def test_codes_and_rest_apart() -> None:
    with pytest.raises(FormatError, match="BAD_OVERLAP"):
        Part(_in_arena(place=0))
    Part(_in_arena(place=16))


def _in_arena(place: int) -> bytes:
    hand = HandPlan()
    ends = [hand.input("residual", ("n", 5)), hand.constant("codebook", book(8, 5))]
    codes = hand.arena("codes", ("n", 3), U8, 0)
    rest = Held(("n", 5), F32, place)
    left = hand.arena("rest", rest.shape, rest.dtype, rest.place)
    hand.step(Q, ends, [codes, left])
    hand.step(Op.COPY, [codes], [hand.output("y", ("n", 3), U8)])
    return write_bundle(hand.plan())
