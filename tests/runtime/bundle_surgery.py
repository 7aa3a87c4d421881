"""Changes single fields of a bundle and repairs its checksums, so that the verifier must see it."""

import struct
import zlib
from collections.abc import Callable, Mapping

from csideploy.export import bundle_fields as bf

BY_NAME = {s.name: s for s in bf.SECTIONS}


def directory(data: bytes | bytearray) -> list[dict[str, int]]:
    count = bf.HEADER.unpack(data, 0)["section_count"]
    return [bf.SECTION.unpack(data, bf.HEADER.size + i * bf.SECTION.size) for i in range(count)]


def section_row(data: bytes | bytearray, name: str) -> int:
    return next(i for i, row in enumerate(directory(data)) if row["id"] == BY_NAME[name].id)


def section_start(data: bytes | bytearray, name: str) -> int:
    return directory(data)[section_row(data, name)]["offset"]


def put(data: bytearray, record: bf.Record, at: int, name: str, value: int, item: int = 0) -> None:
    field = next(f for f in record.fields if f.name == name)
    width = field.size // field.count
    where = at + record.offset(name) + item * width
    data[where : where + width] = value.to_bytes(width, "little")


def put_section(
    data: bytearray, section: str, index: int, name: str, value: int, item: int = 0
) -> None:
    record = BY_NAME[section].record
    put(data, record, section_start(data, section) + index * record.size, name, value, item)


def repair(data: bytearray) -> bytes:
    """All checksums made right again, as far as the directory lets find them."""
    header = bf.HEADER.unpack(data, 0)
    end = bf.HEADER.size + header["section_count"] * bf.SECTION.size
    if end > len(data):
        return bytes(data)
    for i, row in enumerate(directory(data)):
        if row["offset"] + row["length"] <= len(data):
            crc = zlib.crc32(data[row["offset"] : row["offset"] + row["length"]])
            put(data, bf.SECTION, bf.HEADER.size + i * bf.SECTION.size, "crc", crc)
    covered = bf.HEADER.offset("header_crc")
    crc = zlib.crc32(data[bf.HEADER.size : end], zlib.crc32(data[:covered]))
    data[covered : covered + 4] = struct.pack("<I", crc)
    return bytes(data)


def edited(data: bytes, edit: Callable[[bytearray], None]) -> bytes:
    out = bytearray(data)
    edit(out)
    return repair(out)


def rebuilt(
    data: bytes,
    change: Mapping[str, Callable[[bytes], bytes]] | None = None,
    *,
    drop: str = "",
    add: tuple[int, int, bytes] | None = None,
) -> bytes:
    """The bundle with other bytes in some sections, one section less, or one more at the end.

    `add` is (id, flags, bytes). Sound but for what the caller changed: places, counts, checksums.
    """
    change = change or {}
    names = {s.id: s for s in bf.SECTIONS}
    sections = []
    for row in directory(data):
        known = names[row["id"]]
        if known.name == drop:
            continue
        body = data[row["offset"] : row["offset"] + row["length"]]
        body = change.get(known.name, bytes)(body)
        sections.append((row["id"], row["flags"], body, len(body) // known.record.size))
    if add is not None:
        sections.append((*add, 0))
    at = bf.HEADER.size + bf.SECTION.size * len(sections)
    rows, bodies = b"", b""
    for id_, flags, body, count in sections:
        values = {"id": id_, "flags": flags, "offset": at, "length": len(body), "count": count}
        rows += bf.SECTION.pack({**values, "crc": 0})
        padded = body + bytes(-len(body) % bf.ALIGN)
        bodies += padded
        at += len(padded)
    out = bytearray(data[: bf.HEADER.size] + rows + bodies)
    put(out, bf.HEADER, 0, "section_count", len(sections))
    put(out, bf.HEADER, 0, "total_size", len(out))
    return repair(out)


def resized(data: bytes, size: int) -> bytes:
    """Cut or lengthened by zeros, with the new length in the header."""
    out = bytearray(data[:size] + bytes(max(0, size - len(data))))
    put(out, bf.HEADER, 0, "total_size", size)
    return repair(out)
