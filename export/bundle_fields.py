"""The one table of the bundle format (.csib).

Everything that knows a field's place or its legal values is made from this table: the C headers
and the verifier's tables (`bundle_codegen`), the Python writer and reader, and the format's page.
`python -m csideploy.export.bundle_fields --write` regenerates the committed copies; a test fails
when one is stale.

All numbers are little-endian. Records have a fixed width and are read in place.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from csideploy.export.operations import AXES, Op
from csideploy.export.plan import DType, Storage

MAGIC = int.from_bytes(b"CSIB", "little")
MAJOR = 1
MINOR = 7
ALIGN = 16
"""Alignment of sections, of weights and, at least, of the arena."""
NONE = 0xFFFFFFFF
"""Stands for an absent tensor or step; legal only where the table says so."""
DIM_N = 0x80000001
DIM_K = 0x80000002
DIM_MAX = 0x7FFFFFFF
MAX_RANK = AXES
MAX_INPUTS = 8
MAX_OUTPUTS = 2
MAX_PARAMS = 16
MAX_STEPS = 4096
"""The verifier looks for overwritten tensors in a time that grows with the square of the steps."""
MAX_TENSOR_BYTES = 0x7FFFFFFF
"""A tensor's bytes at n = n_max and k = k_max: indices fit a 32-bit host's ptrdiff_t."""
SECTION_REQUIRED = 1


class Kind(Enum):
    """What a field is, which decides how the verifier checks it."""

    EXACT = "equals the value"
    COUNT = "a number in the range"
    ENUM = "a code in the range"
    NAME = "the offset of a string in section `names`"
    TENSOR = "an index into section `tensors`"
    PRODUCER = "an index into section `steps`, or NONE"
    DIMS = "dimensions; those after the rank are 0"
    ZERO = "0, for later versions"
    RANGE = "checked against the ranges of the file, as the text says"
    FREE = "any value"


@dataclass(frozen=True)
class Field:
    """One field of a record.

    type: u8, u16, u32 or u64; count: elements of an array field; lo, hi: the legal range of
    EXACT, COUNT and ENUM.
    """

    name: str
    type: str
    kind: Kind
    text: str
    lo: int = 0
    hi: int = 0
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes of the whole field."""
        return int(self.type[1:]) // 8 * self.count


_STRUCT_CODE = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q"}


@dataclass(frozen=True)
class Record:
    """A fixed-width record: fields one after the other, without padding."""

    name: str
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        """Bytes of the record."""
        return sum(f.size for f in self.fields)

    @property
    def format(self) -> struct.Struct:
        """The record as Python's struct sees it; array fields give several values."""
        codes = "".join(f"{f.count}{_STRUCT_CODE[f.type]}" for f in self.fields)
        return struct.Struct("<" + codes)

    def offset(self, field: str) -> int:
        """Byte offset of a field in the record."""
        at = 0
        for f in self.fields:
            if f.name == field:
                return at
            at += f.size
        raise KeyError(field)

    def pack(self, values: dict[str, int | tuple[int, ...]]) -> bytes:
        """The record's bytes; `values` has every field, array fields as tuples."""
        flat: list[int] = []
        for f in self.fields:
            value = values[f.name]
            flat += value if isinstance(value, tuple) else (value,)
        return self.format.pack(*flat)

    def unpack(self, data: bytes | memoryview, at: int) -> dict[str, int]:
        """Scalar fields by name; element i of an array field as `name[i]`."""
        values = iter(self.format.unpack_from(data, at))
        out: dict[str, int] = {}
        for f in self.fields:
            for i in range(f.count):
                out[f.name if f.count == 1 else f"{f.name}[{i}]"] = next(values)
        return out


_U32 = 0xFFFFFFFF

HEADER = Record(
    "header",
    (
        Field("magic", "u32", Kind.EXACT, "the letters CSIB", MAGIC, MAGIC),
        Field("major", "u16", Kind.EXACT, "another major version is refused", MAJOR, MAJOR),
        Field("minor", "u16", Kind.COUNT, "a newer minor version is refused", 0, MINOR),
        Field("total_size", "u64", Kind.RANGE, "bytes of the whole file, a multiple of 16"),
        Field("header_size", "u32", Kind.EXACT, "bytes of this record", 80, 80),
        Field("section_count", "u32", Kind.COUNT, "records of the directory", 1, 64),
        Field("arena_bytes", "u64", Kind.RANGE, "exact need at n_max and k_max"),
        Field("arena_align", "u32", Kind.COUNT, "alignment of the arena: a power of two", 16, 4096),
        Field("n_max", "u32", Kind.COUNT, "samples that run at once", 1, DIM_MAX),
        Field("k_max", "u32", Kind.COUNT, "most users of a call", 1, DIM_MAX),
        Field("flags", "u32", Kind.ZERO, "none defined"),
        Field("part", "u32", Kind.NAME, "encoder, decoder, quantizer, ..."),
        Field("side", "u32", Kind.NAME, "ue, bs, ru or du"),
        Field("pairing_id", "u8", Kind.FREE, "both ends of a link must share it", count=16),
        Field("reserved", "u32", Kind.ZERO, "none defined"),
        Field(
            "header_crc",
            "u32",
            Kind.RANGE,
            "CRC32 of the 76 bytes before it, then of the directory",
        ),
    ),
)

SECTION = Record(
    "section",
    (
        Field("id", "u32", Kind.COUNT, "strictly ascending", 1, _U32),
        Field("flags", "u32", Kind.COUNT, "bit 0: required", 0, 1),
        Field("offset", "u64", Kind.RANGE, "the end of the last section, rounded up to 16"),
        Field("length", "u64", Kind.RANGE, "count x width of a record"),
        Field("count", "u32", Kind.RANGE, "records; 0 for unknown sections is not demanded"),
        Field("crc", "u32", Kind.RANGE, "CRC32 of the section's bytes, without padding"),
    ),
)

TENSOR = Record(
    "tensor",
    (
        Field("name", "u32", Kind.NAME, "for people"),
        Field("dtype", "u8", Kind.ENUM, "1 f32, 2 u8, 3 i8, 4 i16, 5 i32", min(DType), max(DType)),
        Field(
            "storage",
            "u8",
            Kind.ENUM,
            "1 input, 2 output, 3 arena, 4 weights",
            min(Storage),
            max(Storage),
        ),
        Field("rank", "u8", Kind.COUNT, "dimensions in use", 1, MAX_RANK),
        Field("reserved", "u8", Kind.ZERO, "none defined"),
        Field(
            "place",
            "u64",
            Kind.RANGE,
            "index of the input or output; byte offset in arena or weights, a multiple of 16",
        ),
        Field("nbytes", "u64", Kind.RANGE, "product of dimensions x element, for n = k = 1"),
        Field("dims", "u32", Kind.DIMS, "0x80000001 is n (first only), 0x80000002 is k", count=6),
        Field(
            "producer",
            "u32",
            Kind.PRODUCER,
            "the step that writes these bytes; NONE for inputs and weights",
        ),
        Field("reserved2", "u32", Kind.ZERO, "none defined"),
    ),
)

STEP = Record(
    "step",
    (
        Field("op", "u32", Kind.ENUM, "operation", min(Op), max(Op)),
        Field("name", "u32", Kind.NAME, "for people"),
        Field("operand_first", "u32", Kind.RANGE, "where its operands start: no gap, no overlap"),
        Field("input_count", "u16", Kind.COUNT, "as the operation has", 1, MAX_INPUTS),
        Field("output_count", "u16", Kind.COUNT, "as the operation has", 1, MAX_OUTPUTS),
        Field("param_first", "u32", Kind.RANGE, "where its parameters start: no gap, no overlap"),
        Field("param_count", "u32", Kind.COUNT, "as the operation has", 0, MAX_PARAMS),
    ),
)

OPERAND = Record(
    "operand",
    (Field("tensor", "u32", Kind.RANGE, "a tensor; NONE for an absent optional input"),),
)
PARAM = Record("param", (Field("value", "u32", Kind.RANGE, "u32, or the bits of a float"),))
BYTE = Record("byte", (Field("value", "u8", Kind.FREE, "any"),))

INTERFACE = Record(
    "interface",
    (
        Field("direction", "u32", Kind.ENUM, "1 input, 2 output; inputs come first", 1, 2),
        Field("tensor", "u32", Kind.TENSOR, "of storage input or output, place in order"),
    ),
)

PAYLOAD = Record(
    "payload",
    (
        Field("layout_id", "u32", Kind.COUNT, "which of the bit budgets", 0, 0xFFFF),
        Field("count", "u32", Kind.COUNT, "codes of a sample", 1, DIM_MAX),
        Field("bits", "u32", Kind.COUNT, "bits of a code; 0: one number a code, `widths`", 0, 8),
        Field("nbytes", "u32", Kind.RANGE, "ceil(bits of all codes / 8)"),
    ),
)

METADATA = Record(
    "metadata",
    (
        Field("key", "u32", Kind.NAME, "for people; never read by the executor"),
        Field("value", "u32", Kind.NAME, "for people"),
    ),
)

VECTOR = Record(
    "vector",
    (
        Field("tensor", "u32", Kind.TENSOR, "of the interface"),
        Field("samples", "u32", Kind.COUNT, "samples, each with k = k_max", 1, DIM_MAX),
        Field("offset", "u64", Kind.RANGE, "in section `vector_data`, a multiple of 16"),
        Field("length", "u64", Kind.RANGE, "bytes of so many samples at k = k_max"),
    ),
)


@dataclass(frozen=True)
class Section:
    """One section: its id, whether a bundle must have it, and what its records are."""

    name: str
    id: int
    required: bool
    record: Record
    text: str
    most: int = DIM_MAX


SECTIONS = (
    Section("names", 1, True, BYTE, "strings, each closed by a zero byte; no control characters"),
    Section("tensors", 2, True, TENSOR, "the tensor table"),
    Section("steps", 3, True, STEP, "the operations in the order in which they run", MAX_STEPS),
    Section("operands", 4, True, OPERAND, "the steps' inputs, then outputs"),
    Section("params", 5, True, PARAM, "the steps' parameters"),
    Section("interface", 6, True, INTERFACE, "inputs and outputs of the part"),
    Section("weights", 7, True, BYTE, "constants, used in place"),
    Section("payload", 8, False, PAYLOAD, "what crosses the air for one sample", 1),
    Section("metadata", 9, False, METADATA, "strings for people"),
    Section("vectors", 10, False, VECTOR, "golden vectors; may be stripped"),
    Section("vector_data", 11, False, BYTE, "the bytes of the golden vectors"),
)
RECORDS = (
    HEADER,
    SECTION,
    TENSOR,
    STEP,
    INTERFACE,
    PAYLOAD,
    METADATA,
    VECTOR,
)


if __name__ == "__main__":
    from csideploy.export.bundle_codegen import main

    raise SystemExit(main())
