"""One row for each rule of the verifier; checksums are repaired, so that the rule itself acts."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_surgery import (
    directory,
    edited,
    put,
    put_section,
    repair,
    section_row,
    section_start,
)
from hand_plan import HandPlan, micro_bundle, micro_plan

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Activation, DType, Op
from csideploy.runtime import Part

GOOD = micro_bundle()
PLAN = micro_plan()
TENSOR = {t.name: i for i, t in enumerate(PLAN.tensors)}
STEP = {s.op: i for i, s in enumerate(PLAN.steps)}
Edit = Callable[[bytearray], None]


def header(name: str, value: int) -> Edit:
    return lambda data: put(data, bf.HEADER, 0, name, value)


def row(section: str, name: str, value: int) -> Edit:
    def edit(data: bytearray) -> None:
        at = bf.HEADER.size + section_row(data, section) * bf.SECTION.size
        put(data, bf.SECTION, at, name, value)

    return edit


def tensor(which: str, name: str, value: int, item: int = 0) -> Edit:
    return lambda data: put_section(data, "tensors", TENSOR[which], name, value, item)


def record(section: str, name: str, value: int, index: int = 0) -> Edit:
    return lambda data: put_section(data, section, index, name, value)


def operand(op: Op, place: int, value: int) -> Edit:
    """Replaces an operand of the first step of an operation; outputs follow the inputs."""

    def edit(data: bytearray) -> None:
        at = section_start(data, "steps") + STEP[op] * bf.STEP.size
        first = bf.STEP.unpack(data, at)["operand_first"]
        put_section(data, "operands", first + place, "tensor", value)

    return edit


def param(op: Op, place: int, value: int) -> Edit:
    def edit(data: bytearray) -> None:
        at = section_start(data, "steps") + STEP[op] * bf.STEP.size
        first = bf.STEP.unpack(data, at)["param_first"]
        put_section(data, "params", first + place, "value", value)

    return edit


def byte(section: str, at: int, value: int) -> Edit:
    def edit(data: bytearray) -> None:
        data[section_start(data, section) + at] = value

    return edit


def two_bytes(first: int, second: int) -> Edit:
    """The first two of the second name, which is longer than that."""

    def edit(data: bytearray) -> None:
        byte("names", 2, first)(data)
        byte("names", 3, second)(data)

    return edit


def scale_is_infinite(data: bytearray) -> None:
    place = PLAN.tensors[TENSOR["bfc.scale"]].place
    at = section_start(data, "weights") + place
    data[at : at + 4] = np.array([np.inf], "<f4").tobytes()


def shape_wraps(data: bytearray) -> None:
    for i in range(4):
        tensor("x", "dims", 65536, i)(data)
    tensor("x", "nbytes", 0)(data)


def pad_is_dirty(data: bytearray) -> None:
    rows = directory(data)
    end = next(r["offset"] + r["length"] for r in rows if r["length"] % 16)
    data[end] = 1


def last_string_is_open(data: bytearray) -> None:
    info = directory(data)[section_row(data, "names")]
    data[info["offset"] + info["length"] - 1] = ord("x")


N, K = bf.DIM_N, bf.DIM_K
ROWS: dict[str, tuple[Edit, str, str]] = {
    # the file as a whole
    "magic": (header("magic", 1), "BAD_MAGIC", "header"),
    "header size": (header("header_size", 96), "FIELD_RANGE", "header_size"),
    "no section": (header("section_count", 0), "FIELD_RANGE", "section_count"),
    "many sections": (header("section_count", 65), "FIELD_RANGE", "section_count"),
    "longer than said": (header("total_size", len(GOOD) - 16), "BAD_SIZE", "total_size"),
    "shorter than said": (header("total_size", len(GOOD) + 16), "TRUNCATED", "total_size"),
    "size near 2^64": (header("total_size", 2**64 - 1), "TRUNCATED", "total_size"),
    "header flags": (header("flags", 1), "FIELD_RESERVED", "flags"),
    "header reserved": (header("reserved", 1), "FIELD_RESERVED", "reserved"),
    "arena not a power of two": (header("arena_align", 48), "FIELD_RANGE", "arena_align"),
    "arena align 0": (header("arena_align", 0), "FIELD_RANGE", "arena_align"),
    "arena too small": (header("arena_bytes", 1), "BAD_PLACE", "tensor"),
    "arena too large": (
        header("arena_bytes", PLAN.arena_bytes + 16),
        "FIELD_RANGE",
        "arena_bytes",
    ),
    "n_max 0": (header("n_max", 0), "FIELD_RANGE", "n_max"),
    "n_max beyond the arena": (header("n_max", 3), "BAD_PLACE", "tensor"),
    "n_max overflows": (header("n_max", bf.DIM_MAX), "BAD_NBYTES", "tensor"),
    "k_max 0": (header("k_max", 0), "FIELD_RANGE", "k_max"),
    "part is no name": (header("part", 1), "FIELD_NAME", "part"),
    "side beyond names": (header("side", 2**31), "FIELD_NAME", "side"),
    # directory
    "vectors without data": (row("vector_data", "id", 99), "BAD_VECTORS", "vector 0"),
    "section flags": (row("names", "flags", 2), "FIELD_RANGE", "flags"),
    "required not flagged": (row("names", "flags", 0), "FIELD_RANGE", "flags"),
    "duplicate id": (row("steps", "id", 2), "SECTION_ORDER", "section 2"),
    "ids descend": (row("payload", "id", 1000), "SECTION_ORDER", "section 8"),
    "gap": (
        lambda data: row("steps", "offset", section_start(data, "steps") + 16)(data),
        "SECTION_ORDER",
        "section 2",
    ),
    "overlap": (
        lambda data: row("steps", "offset", section_start(data, "tensors"))(data),
        "SECTION_ORDER",
        "section 2",
    ),
    "length near 2^64": (row("names", "length", 2**64 - 8), "TRUNCATED", "length"),
    "length is no record": (row("tensors", "length", 57), "SECTION_LENGTH", "length"),
    "count differs": (row("tensors", "count", 1), "SECTION_LENGTH", "length"),
    "two payloads": (row("payload", "count", 2), "FIELD_RANGE", "count"),
    "padding": (pad_is_dirty, "BAD_PADDING", "section"),
    "missing section": (row("weights", "id", 12), "BAD_SECTION", "id"),
    # strings
    "open string": (last_string_is_open, "BAD_STRINGS", "end"),
    "control character": (byte("names", 0, 0x1B), "BAD_STRINGS", "byte"),
    "delete character": (byte("names", 0, 0x7F), "BAD_STRINGS", "byte"),
    "C1 control character": (two_bytes(0xC2, 0x9B), "BAD_STRINGS", "byte"),
    "first C1 control character": (two_bytes(0xC2, 0x80), "BAD_STRINGS", "byte"),
    # tensors
    "tensor name": (tensor("x", "name", 1), "FIELD_NAME", "tensor 0, name"),
    "dtype": (tensor("x", "dtype", max(DType) + 1), "FIELD_ENUM", "dtype"),
    "storage": (tensor("x", "storage", 0), "FIELD_ENUM", "storage"),
    "rank 0": (tensor("x", "rank", 0), "FIELD_RANGE", "rank"),
    "rank 7": (tensor("x", "rank", 7), "FIELD_RANGE", "rank"),
    "tensor reserved": (tensor("x", "reserved", 1), "FIELD_RESERVED", "reserved"),
    "tensor reserved2": (tensor("x", "reserved2", 1), "FIELD_RESERVED", "reserved2"),
    "zero dimension": (tensor("x", "dims", 0, 1), "BAD_DIMS", "dims"),
    "n is not first": (tensor("x", "dims", N, 1), "BAD_DIMS", "dims"),
    "k twice": (
        lambda data: (tensor("x", "dims", K, 1)(data), tensor("x", "dims", K, 2)(data), None)[2],
        "BAD_DIMS",
        "dims",
    ),
    "unknown symbol": (tensor("x", "dims", K + 1, 0), "BAD_DIMS", "dims"),
    "symbol 0": (tensor("x", "dims", 0x80000000, 0), "BAD_DIMS", "dims"),
    "dimension beyond rank": (tensor("x", "dims", 1, 5), "BAD_DIMS", "dims"),
    "shape wraps to 0 in 64 bits": (shape_wraps, "BAD_NBYTES", "tensor 0"),
    "bytes differ": (tensor("x", "nbytes", 92), "BAD_NBYTES", "nbytes"),
    "shape overflows": (tensor("x", "dims", bf.DIM_MAX, 1), "BAD_NBYTES", "nbytes"),
    "arena place unaligned": (tensor("conv", "place", 4), "BAD_PLACE", "place"),
    "arena place beyond": (tensor("conv", "place", PLAN.arena_bytes), "BAD_PLACE", "place"),
    "arena place near 2^64": (tensor("conv", "place", 2**64 - 16), "BAD_PLACE", "place"),
    "weights place": (tensor("conv.weight", "place", 2**40), "BAD_PLACE", "place"),
    "weights unaligned": (tensor("conv.bias", "place", 84), "BAD_PLACE", "place"),
    "input place": (tensor("x", "place", 1), "BAD_PLACE", "place"),
    "output place": (tensor("y", "place", 3), "BAD_PLACE", "place"),
    "weights with n": (tensor("bfc.scale", "dims", N), "BAD_PLACE", "place"),
    "weights with k": (tensor("bfc.scale", "dims", K), "BAD_PLACE", "place"),
    "producer beyond": (tensor("conv", "producer", 99), "FIELD_INDEX", "producer"),
    "producer of an input": (tensor("x", "producer", 0), "BAD_PRODUCER", "tensor 0"),
    "no producer": (tensor("again", "producer", bf.NONE), "BAD_PRODUCER", "producer"),
    "a view's wrong producer": (tensor("flat", "producer", 0), "BAD_PRODUCER", "producer"),
    # interface
    "direction": (record("interface", "direction", 3), "FIELD_ENUM", "direction"),
    "no input": (record("interface", "direction", 2), "BAD_PLACE", "tensor 0"),
    "input last": (record("interface", "direction", 1, 3), "BAD_INTERFACE", "interface 3"),
    "interface index": (record("interface", "tensor", 99), "FIELD_INDEX", "tensor"),
    "not an input": (record("interface", "tensor", 1), "BAD_INTERFACE", "interface 0"),
    "outputs swapped": (
        record("interface", "tensor", TENSOR["payload"], 1),
        "BAD_INTERFACE",
        "interface 1",
    ),
    # steps
    "operation": (record("steps", "op", max(Op) + 1), "FIELD_ENUM", "op"),
    "operation 0": (record("steps", "op", 0), "FIELD_ENUM", "op"),
    "step name": (record("steps", "name", 1), "FIELD_NAME", "step 0, name"),
    "input count": (record("steps", "input_count", 4), "BAD_OPERANDS", "counts"),
    "input count 0": (record("steps", "input_count", 0), "FIELD_RANGE", "input_count"),
    "output count": (record("steps", "output_count", 2), "BAD_OPERANDS", "counts"),
    "param count": (record("steps", "param_count", 12), "BAD_OPERANDS", "counts"),
    "operand gap": (record("steps", "operand_first", 7, 1), "BAD_OPERANDS", "operand_first"),
    "param gap": (record("steps", "param_first", 12, 1), "BAD_OPERANDS", "param_first"),
    "absent but needed": (operand(Op.ADD, 0, bf.NONE), "BAD_OPERANDS", "absent"),
    "input beyond": (operand(Op.ADD, 0, 99), "FIELD_INDEX", "inputs"),
    "output absent": (operand(Op.ADD, 3, bf.NONE), "FIELD_INDEX", "outputs"),
    "output beyond": (operand(Op.ADD, 3, 99), "FIELD_INDEX", "outputs"),
    "output is an input": (operand(Op.ADD, 3, TENSOR["x"]), "BAD_OPERANDS", "outputs"),
    "output is a weight": (operand(Op.ADD, 3, TENSOR["conv.bias"]), "BAD_OPERANDS", "outputs"),
    "output of another": (operand(Op.ADD, 3, TENSOR["conv"]), "BAD_PRODUCER", "producer"),
    "weight not constant": (operand(Op.LINEAR, 1, TENSOR["x"]), "BAD_OPERANDS", "constant"),
    "read before written": (operand(Op.CONV2D, 0, TENSOR["both"]), "BAD_ORDER", "step 0"),
    "cycle": (operand(Op.CONCAT, 0, TENSOR["both"]), "BAD_ORDER", "step 2"),
    "dtype of a role": (operand(Op.QUANTIZE_UNIFORM, 0, TENSOR["codes"]), "BAD_", "step"),
    "mixed dtypes": (operand(Op.COPY, 0, TENSOR["again"]), "BAD_DTYPE", "step 10"),
    "activation code": (param(Op.LINEAR, 0, 6), "BAD_PARAM", "params"),
    "alpha is NaN": (param(Op.ADD, 1, 0x7FC00000), "BAD_PARAM", "params"),
    "alpha is infinite": (param(Op.ADD, 1, 0xFF800000), "BAD_PARAM", "params"),
    "groups 0": (param(Op.CONV2D, 0, 0), "BAD_PARAM", "params"),
    "stride 0": (param(Op.CONV2D, 1, 0), "BAD_PARAM", "params"),
    "dilation 0": (param(Op.CONV2D, 3, 0), "BAD_PARAM", "params"),
    "bits 0": (param(Op.PACK_BITS, 0, 0), "BAD_PARAM", "params"),
    "bits 9": (param(Op.QUANTIZE_UNIFORM, 0, 9), "BAD_PARAM", "params"),
    "groups do not divide": (param(Op.CONV2D, 0, 3), "BAD_SHAPE", "step 0"),
    "stride changes the size": (param(Op.CONV2D, 1, 2), "BAD_SHAPE", "step 0"),
    "window beyond the image": (param(Op.CONV2D, 3, 65535), "BAD_SHAPE", "step 0"),
    "pad changes the size": (param(Op.CONV2D, 8, 9), "BAD_SHAPE", "step 0"),
    "slope without PReLU": (param(Op.CONV2D, 9, 1), "BAD_SHAPE", "step 0"),
    "PReLU without slope": (param(Op.ADD, 0, 3), "BAD_SHAPE", "step 1"),
    "bits change the payload": (param(Op.PACK_BITS, 0, 4), "BAD_SHAPE", "step"),
    "bits change the codes": (param(Op.UNPACK_BITS, 0, 4), "BAD_SHAPE", "step"),
    "scale is infinite": (scale_is_infinite, "FIELD_FLOAT", "step 5"),
    # payload, metadata, vectors
    "payload bits": (record("payload", "bits", 9), "FIELD_RANGE", "bits"),
    "payload count": (record("payload", "count", 0), "FIELD_RANGE", "count"),
    "payload bytes": (record("payload", "nbytes", 3), "BAD_PAYLOAD", "payload"),
    "payload fits nothing": (record("payload", "count", 64), "BAD_PAYLOAD", "payload"),
    "first metadata name": (record("metadata", "key", 1, 0), "FIELD_NAME", "metadata 0, key"),
    "metadata name": (record("metadata", "value", 1, 1), "FIELD_NAME", "metadata 1, value"),
    "vector tensor": (record("vectors", "tensor", 99), "FIELD_INDEX", "vector 0"),
    "vector of an arena tensor": (record("vectors", "tensor", 1), "BAD_VECTORS", "vector 0"),
    "vector samples": (record("vectors", "samples", 3), "BAD_VECTORS", "length"),
    "vector offset": (record("vectors", "offset", 8), "BAD_VECTORS", "offset"),
    "vector beyond": (record("vectors", "offset", 2**63), "BAD_VECTORS", "offset"),
}


def refusal(data: bytes) -> str:
    with pytest.raises(FormatError) as error:
        Part(data)
    text = str(error.value)
    assert text.startswith("bundle: ")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", ROWS)
def test_rule(name: str) -> None:
    edit, status, where = ROWS[name]
    text = refusal(edited(GOOD, edit))
    assert status in text
    assert where in text


@pytest.mark.parametrize("pair", [(0xC2, 0xB5), (0xC2, 0x20), (0x9B, 0x9B), (0xC3, 0xA9)])
def test_other_letters_are_names(pair: tuple[int, int]) -> None:
    """A micro sign, e with an accent; and what is no UTF-8, which the verifier leaves to people."""
    Part(edited(GOOD, two_bytes(*pair)))


Shape = tuple[Any, ...]


def one_step(op: Op, shapes: list[Shape | None], out: Shape, **params: Any) -> bytes:
    """A bundle of one step; a shape without n is a constant's; u8 where the operation says so."""
    hand = HandPlan()
    operands: list[int | None] = []
    u8 = {(Op.BINARY_LINEAR, 1), (Op.PACK_BITS, 0), (Op.UNPACK_BITS, 0), (Op.DEQUANTIZE_UNIFORM, 0)}
    for i, shape in enumerate(shapes):
        dtype = np.uint8 if (op, i) in u8 else np.float32
        if shape is None:
            operands.append(None)
        elif shape[0] == "n":
            operands.append(hand.input(f"x{i}", shape, dtype))
        else:
            operands.append(hand.constant(f"c{i}", np.ones(shape, dtype)))
    gives_u8 = op in (Op.QUANTIZE_UNIFORM, Op.PACK_BITS, Op.UNPACK_BITS)
    hand.step(op, operands, [hand.output("y", out, np.uint8 if gives_u8 else np.float32)], **params)
    return write_bundle(hand.plan())


PRELU = {"activation": Activation.PRELU}
SHAPES: dict[str, tuple[Op, list[Shape | None], Shape, dict[str, Any]]] = {
    "conv of rank 3": (Op.CONV2D, [("n", 2, 5), (2, 2, 1, 1)], ("n", 2, 5, 1), {}),
    "conv input of rank 5": (Op.CONV2D, [("n", 2, 5, 5, 7), (2, 2, 1, 1)], ("n", 2, 5, 5), {}),
    "conv weight of rank 5": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 1, 1, 7)], ("n", 2, 5, 5), {}),
    "conv output of rank 5": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 1, 1)], ("n", 2, 5, 5, 7), {}),
    "conv batch": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 1, 1)], (1, 2, 5, 5), {}),
    "conv rows of users": (Op.CONV2D, [("n", 2, "k", 5), (2, 2, 1, 1)], ("n", 2, "k", 5), {}),
    "conv columns of users": (Op.CONV2D, [("n", 2, 5, "k"), (2, 2, 1, 1)], ("n", 2, 5, "k"), {}),
    "groups and inputs": (
        Op.CONV2D,
        [("n", 3, 5, 5), (2, 1, 1, 1)],
        ("n", 2, 5, 5),
        {"groups": 2},
    ),
    "groups and outputs": (
        Op.CONV2D,
        [("n", 4, 5, 5), (3, 2, 1, 1)],
        ("n", 3, 5, 5),
        {"groups": 2},
    ),
    "conv channels": (Op.CONV2D, [("n", 2, 5, 5), (2, 3, 1, 1)], ("n", 2, 5, 5), {}),
    "conv outputs": (Op.CONV2D, [("n", 2, 5, 5), (3, 2, 1, 1)], ("n", 2, 5, 5), {}),
    "conv height": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 3, 1)], ("n", 2, 5, 5), {}),
    "conv width": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 1, 3)], ("n", 2, 5, 5), {}),
    "conv users": (Op.CONV2D, [("n", "k", 5, 5), (2, 2, 1, 1)], ("n", 2, 5, 5), {}),
    "conv bias": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 1, 1), (1,)], ("n", 2, 5, 5), {}),
    "conv slope": (Op.CONV2D, [("n", 2, 5, 5), (2, 2, 1, 1), None, (3,)], ("n", 2, 5, 5), PRELU),
    "conv residual": (
        Op.CONV2D,
        [("n", 2, 5, 5), (2, 2, 1, 1), None, None, ("n", 2, 5, 4)],
        ("n", 2, 5, 5),
        {},
    ),
    "linear inputs": (Op.LINEAR, [("n", 4), (3, 5)], ("n", 3), {}),
    "linear outputs": (Op.LINEAR, [("n", 4), (3, 4)], ("n", 4), {}),
    "linear rows": (Op.LINEAR, [("n", 2, 4), (3, 4)], ("n", 3, 3), {}),
    "linear of rank 1": (Op.LINEAR, [("n",), (3, 4)], ("n",), {}),
    "linear constant of rank 1": (Op.LINEAR, [(4,), (3, 4)], (3,), {}),
    "linear weight of rank 3": (Op.LINEAR, [("n", 4), (3, 4, 2)], ("n", 3), {}),
    "linear bias": (Op.LINEAR, [("n", 4), (3, 4), (4,)], ("n", 3), {}),
    "linear slope": (Op.LINEAR, [("n", 4), (3, 4), None, (2,)], ("n", 3), PRELU),
    "binary row bytes": (Op.BINARY_LINEAR, [("n", 9), (3, 1), (1,)], ("n", 3), {}),
    "binary constant of rank 1": (Op.BINARY_LINEAR, [(9,), (3, 2), (1,)], (3,), {}),
    "binary weight of rank 3": (Op.BINARY_LINEAR, [("n", 9), (3, 2, 2), (1,)], ("n", 3), {}),
    "binary bias": (Op.BINARY_LINEAR, [("n", 9), (3, 2), (1,), (2,)], ("n", 3), {}),
    "binary slope": (Op.BINARY_LINEAR, [("n", 9), (3, 2), (1,), None, (2,)], ("n", 3), PRELU),
    "binary rows": (Op.BINARY_LINEAR, [("n", 2, 9), (3, 2), (1,)], ("n", 3, 3), {}),
    "binary outputs": (Op.BINARY_LINEAR, [("n", 9), (3, 2), (1,)], ("n", 4), {}),
    "binary scale": (Op.BINARY_LINEAR, [("n", 9), (3, 2), (2,)], ("n", 3), {}),
    "binary users": (Op.BINARY_LINEAR, [("n", "k"), (3, 2), (1,)], ("n", 3), {}),
    "add": (Op.ADD, [("n", 4), ("n", 5)], ("n", 5), {}),
    "add of another": (Op.ADD, [("n", 5), ("n", 4)], ("n", 5), {}),
    "add of other batch": (Op.ADD, [("n", 4), ("n", 4)], (1, 4), {}),
    "add slope": (Op.ADD, [("n", 4, 2), ("n", 4, 2), (2,)], ("n", 4, 2), PRELU),
    "activation": (Op.ACTIVATION, [("n", 4)], ("n", 2, 2), {}),
    "activation slope": (Op.ACTIVATION, [("n",), (2,)], ("n",), PRELU),
    "activation slope of users": (Op.ACTIVATION, [("n", "k"), (2,)], ("n", "k"), PRELU),
    "activation slope of rank 2": (Op.ACTIVATION, [("n", 4), (4, 1)], ("n", 4), PRELU),
    "concat sum": (Op.CONCAT, [("n", 2), ("n", 3)], ("n", 4), {}),
    "concat of ranks 2 and 3": (Op.CONCAT, [("n", 2), ("n", 3, 1)], ("n", 5), {}),
    "concat to rank 3": (Op.CONCAT, [("n", 2), ("n", 3)], ("n", 5, 7), {}),
    "concat batch": (Op.CONCAT, [("n", 2), ("n", 3)], (1, 5), {}),
    "concat output rest": (Op.CONCAT, [("n", 2, 2), ("n", 3, 2)], ("n", 5, 3), {}),
    "concat rest": (Op.CONCAT, [("n", 2, 2), ("n", 3, 3)], ("n", 5, 2), {}),
    "concat of rank 1": (Op.CONCAT, [("n",), ("n",)], ("n",), {}),
    "concat users": (Op.CONCAT, [("n", "k"), ("n", 3)], ("n", 5), {}),
    "concat of users": (Op.CONCAT, [("n", 3), ("n", "k")], ("n", 5), {}),
    "concat axis": (Op.CONCAT, [("n", 2), ("n", 3)], ("n", 5), {"axis": 2}),
    "concat batches": (Op.CONCAT, [("n", 2), ("n", 2)], ("n", 2), {"axis": 0}),
    "quantize": (Op.QUANTIZE_UNIFORM, [("n", 4)], ("n", 5), {"bits": 4}),
    "pack": (Op.PACK_BITS, [("n", 5)], ("n", 2), {"bits": 4}),
    "pack of rank 3": (Op.PACK_BITS, [("n", 5, 1)], ("n", 3, 1), {"bits": 4}),
    "pack to rank 3": (Op.PACK_BITS, [("n", 5)], ("n", 3, 1), {"bits": 4}),
    "pack batch": (Op.PACK_BITS, [("n", 5)], (1, 3), {"bits": 4}),
    "pack users": (Op.PACK_BITS, [("n", "k")], ("n", 3), {"bits": 4}),
    "unpack batch": (Op.UNPACK_BITS, [("n", 3)], (1, 5), {"bits": 4}),
    "unpack": (Op.UNPACK_BITS, [("n", 2)], ("n", 5), {"bits": 4}),
    "dequantize": (Op.DEQUANTIZE_UNIFORM, [("n", 4)], ("n", 5), {"bits": 4}),
    "copy": (Op.COPY, [("n", 4)], ("n", 5), {}),
    "copy of users": (Op.COPY, [("n", "k", 4)], ("n", 4), {}),
    "copy of other batch": (Op.COPY, [("n", 4)], (4,), {}),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    op, shapes, out, params = SHAPES[name]
    assert "BAD_SHAPE" in refusal(one_step(op, shapes, out, **params))


@pytest.mark.parametrize(
    ("op", "at", "accepted"),
    [
        (Op.ACTIVATION, 64, True),
        (Op.ACTIVATION, 80, False),
        (Op.ACTIVATION, 48, False),
        (Op.ACTIVATION, 96, True),
        (Op.ACTIVATION, 32, True),
        (Op.LINEAR, 64, False),
        (Op.LINEAR, 32, True),
        (Op.QUANTIZE_UNIFORM, 64, False),
    ],
)
def test_overlap(op: Op, at: int, accepted: bool) -> None:
    """An input of 32 bytes at 64; in place on exactly those, and for some operations only."""
    hand = HandPlan()
    a = hand.arena("a", ("n", 8), place=64)
    hand.step(Op.COPY, [hand.input("x", ("n", 8))], [a])
    dtype = np.uint8 if op is Op.QUANTIZE_UNIFORM else np.float32
    b = hand.arena("b", ("n", 8), dtype, place=at)
    weight = [hand.constant("w", np.eye(8, dtype=np.float32))] if op is Op.LINEAR else []
    hand.step(op, [a, *weight], [b], **({"bits": 4} if dtype is np.uint8 else {}))
    hand.step(Op.COPY, [b], [hand.output("y", ("n", 8), dtype)])
    data = write_bundle(hand.plan())
    if accepted:
        x = np.arange(1, 9, dtype=np.float32)[None]
        assert np.array_equal(Part(data).run(x)[0], x)
    else:
        assert "BAD_OVERLAP" in refusal(data)


@pytest.mark.parametrize("version", [(0, 0), (2, 0), (1, bf.MINOR + 1)])
def test_versions(version: tuple[int, int]) -> None:
    data = bytearray(GOOD)
    put(data, bf.HEADER, 0, "major", version[0])
    put(data, bf.HEADER, 0, "minor", version[1])
    text = refusal(repair(data))
    assert f"format version {version[0]}.{version[1]}, supported is 1.0 to 1.{bf.MINOR}" in text


def test_checksums() -> None:
    """Damage that no repair hides: in the header, in the directory, in every section."""
    places = [40, bf.HEADER.size + 8, *(r["offset"] for r in directory(GOOD) if r["length"])]
    for at in places:
        data = bytearray(GOOD)
        data[at] ^= 0x40
        refusal(bytes(data))
    data = bytearray(GOOD)
    data[section_start(data, "weights")] ^= 1
    assert "BAD_CRC" in refusal(bytes(data))


def test_truncation_at_every_byte() -> None:
    for length in range(len(GOOD)):
        refusal(GOOD[:length])
    assert "BAD_SIZE" in refusal(GOOD + bytes(16))


def test_every_status_of_the_file_has_a_row(repository: Path) -> None:
    """A rule that nothing here provokes is a rule that nobody has seen work."""
    text = (repository / "runtime/include/csideploy/status.h").read_text(encoding="utf-8")
    codes = re.findall(r"X\((\w+), 0x([234])", text)
    files = sorted(Path(__file__).parent.glob("test_bad_*.py"))
    # MISALIGNED needs a host buffer that Python cannot place: the C driver has it.
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    missing = [name for name, _ in codes if name not in tests and name not in {"BAD_VERSION"}]
    assert len(codes) > 25
    assert not missing
