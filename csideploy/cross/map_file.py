"""What a linker kept, from its map: sections of the program, and the pieces in each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

FILL = "padding"

# ".text  0x00008000  0x1a4", ".data.rel.ro 0x0041f0 0x20"; a long name stands on a line of its own.
_SECTION = re.compile(r"^(\.?\w\S*)\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)(?: load address .*)?$")
# " .text.csd_open  0x00008000  0x1a4 verify.o", " *fill*  0x000081a4  0x2"
_PIECE = re.compile(r"^ (\*fill\*|\S+)\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)(?: (\S.*))?$")


@dataclass(frozen=True)
class Piece:
    """What one object, or the alignment between two, has in a section of the program."""

    section: str
    name: str
    address: int
    size: int
    file: str


def read_map(text: str) -> list[Piece]:
    """The pieces of all sections that are loaded or take memory; their sizes are the section's.

    Debugging and comment sections have no address, so the linker puts them at 0; nothing that is
    loaded stands there, since programs are linked at an address above.

    Args:
        text: of `-Wl,-Map`, as GNU ld writes it.
    """
    listing = text.split("Linker script and memory map", 1)[-1]
    # A name that is too long for its column is followed by a line with the numbers.
    listing = re.sub(r"\n( ?[.\w*]\S*)\n\s+(0x)", r"\n\1 \2", listing)
    sections: list[tuple[str, int, int]] = []
    inside: list[list[Piece]] = []
    for line in map(str.rstrip, listing.splitlines()):
        found = _SECTION.match(line)
        if found:
            sections.append((found[1], int(found[2], 16), int(found[3], 16)))
            inside.append([])
            continue
        found = _PIECE.match(line)
        if found and sections and int(found[3], 16) > 0:
            address, size = int(found[2], 16), int(found[3], 16)
            inside[-1].append(Piece(sections[-1][0], found[1], address, size, found[4] or ""))
    return [
        piece
        for (name, start, size), pieces in zip(sections, inside, strict=True)
        if start > 0
        for piece in _tiled(name, start, start + size, pieces)
    ]


def _tiled(section: str, start: int, end: int, pieces: list[Piece]) -> Iterator[Piece]:
    """The pieces without their overlaps, and what is between them.

    They overlap where strings and constants of several objects were merged: each object's row then
    has its own size, and those that follow begin where the merged one lies.
    """
    at = start
    listed = sorted(
        (p for p in pieces if p.name != "*fill*" and start <= p.address < end),
        key=lambda piece: (piece.address, -piece.size),
    )
    for piece in listed:
        if piece.address > at:
            yield Piece(section, FILL, at, piece.address - at, FILL)
            at = piece.address
        left = min(piece.address + piece.size, end) - at
        if left > 0:
            yield replace(piece, address=at, size=left)
            at += left
    if at < end:
        yield Piece(section, FILL, at, end - at, FILL)


def object_name(file: str) -> str:
    """`verify.o`, also of `/usr/lib/libc.a(lib_a-memcpy.o)`, which gives `libc.a`."""
    return Path(file.split("(", 1)[0]).name
