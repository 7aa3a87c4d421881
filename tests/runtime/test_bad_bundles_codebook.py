"""One row for each condition of the verifier's rules for codes with a number of bits each."""

from typing import Any

import numpy as np
import pytest
from bundle_surgery import edited, put_section
from hand_plan import HandPlan
from numpy.typing import NDArray
from sound_steps import Operand, Tensor, changed, image

from csideploy.errors import FormatError
from csideploy.export.bundle_write import write_bundle
from csideploy.export.operations import Op
from csideploy.export.plan import PayloadLayout
from csideploy.runtime import Part

U8, I8, I16, I32, F32 = np.uint8, np.int8, np.int16, np.int32, np.float32
WIDTHS = np.array([0x20, 0x30], U8)
"""Three outputs of 2, 0 and 3 bits: 3 + 0 + 7 thresholds, 4 + 1 + 8 values, one byte."""


def numbers(*values: float, dtype: Any = F32) -> NDArray[Any]:
    return np.array(values, dtype)


RISING = numbers(-1, 0, 0, 5, 6, 6, 7, 7, 8, 9)
"""Falls from one output to the next in `ACROSS`."""
ACROSS = numbers(7, 8, 9, -4, -3, -2, -1, 0, 1, 2)
BOOK = np.linspace(-2, 2, 13).astype(F32)
HALVES = BOOK.astype(np.float16).view(I16)
SOUND: dict[Op, tuple[dict[str, Operand], dict[str, Any]]] = {
    Op.QUANTIZE_CODEBOOK: (
        {"x": Tensor(("n", 3), F32), "thresholds": RISING, "widths": WIDTHS, "codes": image(3)},
        {},
    ),
    Op.QCODEBOOK: (
        {"x": image(3), "thresholds": RISING.astype(I32), "widths": WIDTHS, "codes": image(3)},
        {},
    ),
    Op.QUANTIZE_LOGIT: (
        {"x": Tensor(("n", 2, 3), F32), "thresholds": RISING[:7], "codes": image(2, 3)},
        {},
    ),
    Op.PACK_WIDTHS: ({"codes": image(3), "widths": WIDTHS, "payload": image(1)}, {}),
    Op.UNPACK_WIDTHS: ({"payload": image(1), "widths": WIDTHS, "codes": image(3)}, {}),
    Op.DEQUANTIZE_CODEBOOK: (
        {"codes": image(3), "book": BOOK, "widths": WIDTHS, "y": Tensor(("n", 3), F32)},
        {},
    ),
}
EVEN = {"codes": image(2), "widths": numbers(0x23, dtype=U8)}
"""Two outputs of 2 and 3 bits."""

ACCEPTED: dict[str, tuple[Op, dict[str, Any]]] = {
    **{op.name: (op, {}) for op in SOUND},
    "thresholds fall between outputs": (Op.QUANTIZE_CODEBOOK, {"thresholds": ACROSS}),
    "integers fall between outputs": (Op.QCODEBOOK, {"thresholds": ACROSS.astype(I32)}),
    "integers of i16": (Op.QCODEBOOK, {"x": Tensor(("n", 3), I16)}),
    "halves": (Op.DEQUANTIZE_CODEBOOK, {"book": HALVES}),
    "logits of one bit": (Op.QUANTIZE_LOGIT, {"thresholds": numbers(-0.0)}),
    "logits of eight bits": (Op.QUANTIZE_LOGIT, {"thresholds": np.linspace(-5, 5, 255, dtype=F32)}),
    "an even number": (Op.PACK_WIDTHS, EVEN),
    "eight bits": (Op.PACK_WIDTHS, {"widths": numbers(0x88, 0, dtype=U8), "payload": image(2)}),
    "a book that falls": (Op.DEQUANTIZE_CODEBOOK, {"book": BOOK[::-1]}),
}

SHAPE, RANGE, FLOAT, CONSTANT = "BAD_SHAPE", "FIELD_RANGE", "FIELD_FLOAT", "BAD_OPERANDS"
WIDE = {"x": Tensor(("n", "k"), F32), "codes": image("k")}
DEEP = {"x": Tensor(("n", 3, 1), F32), "codes": image(3, 1)}
TAIL, NINE, LATE_NINE = (np.array(w, U8) for w in ([0x20, 0x31], [0x90, 0], [0x09, 0]))


def at(values: NDArray[Any], place: int, value: float) -> NDArray[Any]:
    copy = values.copy()
    copy[place] = value
    return copy


ROWS: dict[str, tuple[Op, dict[str, Any], str]] = {
    "quantize shape": (Op.QUANTIZE_CODEBOOK, {"x": Tensor(("n", 4), F32)}, SHAPE),
    "quantize of rank 3": (Op.QUANTIZE_CODEBOOK, DEEP, SHAPE),
    "quantize users": (Op.QUANTIZE_CODEBOOK, WIDE, SHAPE),
    "widths of another number": (Op.QUANTIZE_CODEBOOK, {"widths": WIDTHS[:1]}, SHAPE),
    "widths of rank 2": (Op.QUANTIZE_CODEBOOK, {"widths": WIDTHS[None]}, SHAPE),
    "widths not constant": (Op.QUANTIZE_CODEBOOK, {"widths": Tensor((2,))}, CONSTANT),
    "widths of i8": (Op.PACK_WIDTHS, {"widths": WIDTHS.astype(I8)}, "BAD_DTYPE"),
    "nine bits": (Op.QUANTIZE_CODEBOOK, {"widths": NINE}, RANGE),
    "nine bits in the low half": (Op.PACK_WIDTHS, {"widths": LATE_NINE}, RANGE),
    "bits behind the last output": (Op.PACK_WIDTHS, {"widths": TAIL}, RANGE),
    "too few thresholds": (Op.QUANTIZE_CODEBOOK, {"thresholds": RISING[:-1]}, SHAPE),
    "thresholds of rank 2": (Op.QUANTIZE_CODEBOOK, {"thresholds": RISING[:, None]}, SHAPE),
    "thresholds not constant": (
        Op.QUANTIZE_CODEBOOK,
        {"thresholds": Tensor((10,), F32)},
        CONSTANT,
    ),
    "a threshold is infinite": (
        Op.QUANTIZE_CODEBOOK,
        {"thresholds": at(RISING, 9, np.inf)},
        FLOAT,
    ),
    "a threshold is NaN": (Op.QUANTIZE_CODEBOOK, {"thresholds": at(RISING, 0, np.nan)}, FLOAT),
    "a threshold falls": (Op.QUANTIZE_CODEBOOK, {"thresholds": at(RISING, 2, -0.5)}, RANGE),
    "a later threshold falls": (Op.QUANTIZE_CODEBOOK, {"thresholds": at(RISING, 9, 1)}, RANGE),
    "integer shape": (Op.QCODEBOOK, {"x": image(4)}, SHAPE),
    "integer of float": (Op.QCODEBOOK, {"x": Tensor(("n", 3), F32)}, "BAD_DTYPE"),
    "integer nine bits": (Op.QCODEBOOK, {"widths": NINE}, RANGE),
    "too few integer thresholds": (Op.QCODEBOOK, {"thresholds": RISING[:-1].astype(I32)}, SHAPE),
    "an integer threshold falls": (
        Op.QCODEBOOK,
        {"thresholds": at(RISING, 6, 5).astype(I32)},
        RANGE,
    ),
    "pack shape": (Op.PACK_WIDTHS, {"payload": image(2)}, SHAPE),
    "pack to rank 3": (Op.PACK_WIDTHS, {"payload": image(1, 1)}, SHAPE),
    "pack batch": (Op.PACK_WIDTHS, {"payload": Tensor((1, 1))}, SHAPE),
    "pack no bits": (Op.PACK_WIDTHS, {"widths": numbers(0, 0, dtype=U8)}, SHAPE),
    "unpack shape": (Op.UNPACK_WIDTHS, {"payload": image(2)}, SHAPE),
    "unpack to another number": (Op.UNPACK_WIDTHS, {"codes": image(5)}, SHAPE),
    "unpack nine bits": (Op.UNPACK_WIDTHS, {"widths": NINE}, RANGE),
    "logit shape": (Op.QUANTIZE_LOGIT, {"x": Tensor(("n", 3, 2), F32)}, SHAPE),
    "logit thresholds of rank 2": (Op.QUANTIZE_LOGIT, {"thresholds": RISING[:7, None]}, SHAPE),
    "six logit thresholds": (Op.QUANTIZE_LOGIT, {"thresholds": RISING[:6]}, SHAPE),
    "511 logit thresholds": (Op.QUANTIZE_LOGIT, {"thresholds": np.arange(511, dtype=F32)}, SHAPE),
    "logit thresholds not constant": (
        Op.QUANTIZE_LOGIT,
        {"thresholds": Tensor((7,), F32)},
        CONSTANT,
    ),
    "logit of integers": (Op.QUANTIZE_LOGIT, {"x": image(2, 3)}, "BAD_DTYPE"),
    "a logit threshold is NaN": (
        Op.QUANTIZE_LOGIT,
        {"thresholds": at(RISING[:7], 6, np.nan)},
        FLOAT,
    ),
    "a logit threshold is infinite": (
        Op.QUANTIZE_LOGIT,
        {"thresholds": at(RISING[:7], 6, np.inf)},
        FLOAT,
    ),
    "a logit threshold falls": (Op.QUANTIZE_LOGIT, {"thresholds": at(RISING[:7], 6, 5)}, RANGE),
    "dequantize shape": (Op.DEQUANTIZE_CODEBOOK, {"y": Tensor(("n", 4), F32)}, SHAPE),
    "dequantize nine bits": (Op.DEQUANTIZE_CODEBOOK, {"widths": NINE}, RANGE),
    "too few values": (Op.DEQUANTIZE_CODEBOOK, {"book": BOOK[:-1]}, SHAPE),
    "too few halves": (Op.DEQUANTIZE_CODEBOOK, {"book": HALVES[:-1]}, SHAPE),
    "book of rank 2": (Op.DEQUANTIZE_CODEBOOK, {"book": BOOK[:, None]}, SHAPE),
    "book of integers": (Op.DEQUANTIZE_CODEBOOK, {"book": BOOK.astype(I32)}, "BAD_DTYPE"),
    "a value is infinite": (Op.DEQUANTIZE_CODEBOOK, {"book": at(BOOK, 12, -np.inf)}, FLOAT),
    "a value is NaN": (Op.DEQUANTIZE_CODEBOOK, {"book": at(BOOK, 4, np.nan)}, FLOAT),
    "a half is infinite": (Op.DEQUANTIZE_CODEBOOK, {"book": at(HALVES, 12, 0x7C00)}, FLOAT),
    "a half is NaN": (Op.DEQUANTIZE_CODEBOOK, {"book": at(HALVES, 0, -1)}, FLOAT),
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


LAYOUT = PayloadLayout(0x0202, 3, 0, (2, 0, 3))


def packing(*, inside: bool = False, unpacks: bool = False) -> bytes:
    """A part that copies and packs, or unpacks; `inside`: into the arena, with a copy behind."""
    hand = HandPlan()
    widths = hand.constant("widths", WIDTHS)
    x = hand.input("x", ("n", 1 if unpacks else 3), U8)
    copied = hand.arena("copied", ("n", 1 if unpacks else 3), U8)
    hand.step(Op.COPY, [x], [copied])
    if unpacks:
        source = copied if inside else x
        hand.step(Op.UNPACK_WIDTHS, [source, widths], [hand.output("codes", ("n", 3), U8)])
        return write_bundle(hand.plan(payload=LAYOUT))
    made = hand.output("payload", ("n", 1), U8)
    packed = hand.arena("packed", ("n", 1), U8) if inside else made
    hand.step(Op.PACK_WIDTHS, [copied, widths], [packed])
    if inside:
        hand.step(Op.COPY, [packed], [made])
    return write_bundle(hand.plan(payload=LAYOUT))


def test_a_payload_of_widths() -> None:
    for data in (packing(), packing(unpacks=True)):
        layout = Part(data).payload
        assert layout is not None
        assert (layout.layout_id, layout.count, layout.bits, layout.nbytes) == (0x0202, 3, 0, 1)


@pytest.mark.parametrize(
    "data",
    [
        packing(inside=True),
        packing(inside=True, unpacks=True),
        edited(packing(), lambda data: put_section(data, "payload", 0, "count", 2)),
        edited(packing(unpacks=True), lambda data: put_section(data, "payload", 0, "count", 4)),
        edited(packing(), lambda data: put_section(data, "payload", 0, "nbytes", 2)),
        edited(packing(unpacks=True), lambda data: put_section(data, "payload", 0, "nbytes", 0)),
    ],
)
def test_a_payload_that_no_step_makes(data: bytes) -> None:
    with pytest.raises(FormatError, match="BAD_PAYLOAD"):
        Part(data)


def test_widths_without_a_step_that_packs() -> None:
    hand = HandPlan()
    x, y = hand.input("x", ("n", 1), U8), hand.output("y", ("n", 1), U8)
    hand.step(Op.COPY, [x], [y])
    with pytest.raises(FormatError, match="BAD_PAYLOAD"):
        Part(write_bundle(hand.plan(payload=LAYOUT)))
