"""The bytes of a bundle (.csib) -> its plan, for people and tools: inspect, report, diff.

The runtime has its own reader in C, whose verifier decides whether a bundle may run. This reader
checks the frame (header, directory, checksums) and that what it decodes can be decoded.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError
from csideploy.export import bundle_fields as bf
from csideploy.export.plan import OPS, Dim, DType, Op, PayloadLayout, Plan, Step, Storage, Tensor
from csideploy.export.widths import step_widths


@dataclass(frozen=True)
class SectionInfo:
    """One row of the directory; `name` is "unknown" for a section of a later version."""

    name: str
    id: int
    required: bool
    offset: int
    length: int
    count: int
    crc: int


@dataclass(frozen=True)
class Bundle:
    """A decoded bundle: the plan, the header's fields, the directory, and the golden vectors."""

    plan: Plan
    header: dict[str, int]
    sections: tuple[SectionInfo, ...]
    vectors: dict[str, NDArray[np.generic]]


def read_bundle(data: bytes) -> Plan:
    """Decodes the plan of a bundle.

    Raises:
        FormatError: as `read_whole`.
    """
    return read_whole(data).plan


def read_whole(data: bytes) -> Bundle:
    """Decodes a bundle with its header, directory and golden vectors.

    Raises:
        FormatError: not a bundle, another version, truncated, damaged, or not decodable.
    """
    header, sections = read_frame(data)
    try:
        return _decode(data, header, sections)
    except (struct.error, IndexError, KeyError, ValueError, OverflowError) as error:
        raise FormatError(f"bundle: a record that cannot be decoded: {error}") from None


def read_frame(data: bytes) -> tuple[dict[str, int], tuple[SectionInfo, ...]]:
    """Header and directory, checked with all checksums.

    Raises:
        FormatError: as `read_whole`.
    """
    if len(data) < bf.HEADER.size:
        raise FormatError(f"bundle: {len(data)} bytes, the header alone has {bf.HEADER.size}")
    header = bf.HEADER.unpack(data, 0)
    if header["magic"] != bf.MAGIC:
        raise FormatError("bundle: it does not start with the letters CSIB")
    found, known = (header["major"], header["minor"]), (bf.MAJOR, bf.MINOR)
    if found[0] != known[0] or found[1] > known[1]:
        raise FormatError(
            f"bundle: format version {found[0]}.{found[1]}, "
            f"supported is {known[0]}.0 to {known[0]}.{known[1]}"
        )
    if header["total_size"] != len(data) or header["header_size"] != bf.HEADER.size:
        raise FormatError(f"bundle: {len(data)} bytes, its header says {header['total_size']}")
    end = bf.HEADER.size + header["section_count"] * bf.SECTION.size
    covered = data[: bf.HEADER.offset("header_crc")]
    if end > len(data) or header["header_crc"] != zlib.crc32(
        data[bf.HEADER.size : end], zlib.crc32(covered)
    ):
        raise FormatError("bundle: header or directory damaged: checksum differs")
    rows = [bf.SECTION.unpack(data, at) for at in range(bf.HEADER.size, end, bf.SECTION.size)]
    return header, tuple(_section(data, row) for row in rows)


def _section(data: bytes, row: dict[str, int]) -> SectionInfo:
    known = {s.id: s for s in bf.SECTIONS}.get(row["id"])
    name = known.name if known else "unknown"
    start, end = row["offset"], row["offset"] + row["length"]
    if end > len(data):
        raise FormatError(f"bundle: section {row['id']} ({name}) reaches beyond the file")
    if zlib.crc32(data[start:end]) != row["crc"]:
        raise FormatError(f"bundle: section {row['id']} ({name}) damaged: checksum differs")
    required = bool(row["flags"] & bf.SECTION_REQUIRED)
    if known is None and required:
        raise FormatError(f"bundle: required section {row['id']} is unknown to this version")
    if known is not None and row["length"] != row["count"] * known.record.size:
        raise FormatError(f"bundle: section {row['id']} ({name}) is not a whole number of records")
    return SectionInfo(name, row["id"], required, start, row["length"], row["count"], row["crc"])


class _Decoder:
    """Sections by name, their records, and the strings."""

    def __init__(self, data: bytes, sections: tuple[SectionInfo, ...]) -> None:
        self._data = data
        self._rows = {s.name: s for s in sections}

    def raw(self, name: str) -> bytes:
        row = self._rows.get(name)
        return b"" if row is None else self._data[row.offset : row.offset + row.length]

    def records(self, name: str, record: bf.Record) -> list[dict[str, int]]:
        raw = self.raw(name)
        return [record.unpack(raw, at) for at in range(0, len(raw), record.size)]

    def words(self, name: str) -> list[int]:
        raw = self.raw(name)
        return list(struct.unpack(f"<{len(raw) // 4}I", raw))

    def string(self, offset: int) -> str:
        raw = self.raw("names")
        return raw[offset : raw.index(b"\0", offset)].decode("utf-8", "replace")


def _dim(code: int) -> Dim:
    return {bf.DIM_N: "n", bf.DIM_K: "k"}.get(code, code)


def _tensor(read: _Decoder, row: dict[str, int]) -> Tensor:
    shape = tuple(_dim(row[f"dims[{i}]"]) for i in range(row["rank"]))
    name = read.string(row["name"])
    return Tensor(name, DType(row["dtype"]), shape, Storage(row["storage"]), row["place"])


def _step(read: _Decoder, row: dict[str, int], operands: list[int], words: list[int]) -> Step:
    op = Op(row["op"])
    params: dict[str, int | float] = {}
    for i, (name, type_) in enumerate(OPS[op].params.items()):
        word = words[row["param_first"] + i]
        code = {"u32": "<I", "i32": "<i", "f32": "<f"}[type_]
        (params[name],) = struct.unpack(code, struct.pack("<I", word))
    first = row["operand_first"]
    middle = first + row["input_count"]
    inputs = tuple(None if t == bf.NONE else t for t in operands[first:middle])
    outputs = tuple(operands[middle : middle + row["output_count"]])
    return Step(op, read.string(row["name"]), inputs, outputs, params)


def _decode(data: bytes, header: dict[str, int], sections: tuple[SectionInfo, ...]) -> Bundle:
    read = _Decoder(data, sections)
    tensors = tuple(_tensor(read, row) for row in read.records("tensors", bf.TENSOR))
    operands, words = read.words("operands"), read.words("params")
    interface = read.records("interface", bf.INTERFACE)
    layouts = read.records("payload", bf.PAYLOAD)
    steps = tuple(_step(read, r, operands, words) for r in read.records("steps", bf.STEP))
    weights = np.frombuffer(read.raw("weights"), np.uint8)
    plan = Plan(
        part=read.string(header["part"]),
        side=read.string(header["side"]),
        tensors=tensors,
        steps=steps,
        inputs=tuple(r["tensor"] for r in interface if r["direction"] == 1),
        outputs=tuple(r["tensor"] for r in interface if r["direction"] == 2),
        weights=weights,
        arena_bytes=header["arena_bytes"],
        n_max=header["n_max"],
        k_max=header["k_max"],
        pairing_id=bytes(header[f"pairing_id[{i}]"] for i in range(16)),
        payload=_layout(layouts[0], steps, tensors, weights) if layouts else None,
        metadata={
            read.string(r["key"]): read.string(r["value"])
            for r in read.records("metadata", bf.METADATA)
        },
    )
    return Bundle(plan, header, sections, _vectors(read, plan))


def _layout(
    row: dict[str, int],
    steps: tuple[Step, ...],
    tensors: tuple[Tensor, ...],
    weights: NDArray[np.uint8],
) -> PayloadLayout:
    """Where codes differ in bits, their widths are a constant of the step that packs or unpacks.

    Of several such steps the one that the verifier takes: with the record's count and bytes, and a
    payload that is an input or an output of the part.
    """
    for step in steps:
        if row["bits"] or step.op not in (Op.PACK_WIDTHS, Op.UNPACK_WIDTHS):
            continue
        payload = step.outputs[0] if step.op is Op.PACK_WIDTHS else step.inputs[0]
        found = step_widths(step, tensors, weights)
        if found is None or payload is None or len(found) != row["count"]:
            continue
        own = PayloadLayout(row["layout_id"], row["count"], 0, tuple(found.tolist()))
        outside = tensors[payload].storage in (Storage.INPUT, Storage.OUTPUT)
        if outside and own.nbytes == row["nbytes"]:
            return own
    return PayloadLayout(row["layout_id"], row["count"], row["bits"])


def _vectors(read: _Decoder, plan: Plan) -> dict[str, NDArray[np.generic]]:
    raw = read.raw("vector_data")
    out: dict[str, NDArray[np.generic]] = {}
    for row in read.records("vectors", bf.VECTOR):
        tensor = plan.tensors[row["tensor"]]
        shape = [plan.k_max if isinstance(d, str) else d for d in tensor.shape[1:]]
        dtype = tensor.dtype.numpy
        flat = np.frombuffer(raw[row["offset"] : row["offset"] + row["length"]], dtype)
        out[tensor.name] = flat.reshape(row["samples"], *shape)
    return out
