"""What a linker kept, from its map: sections of the program, and the pieces in each."""

from __future__ import annotations

import re
from dataclasses import dataclass
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
    size: int
    file: str


def read_map(text: str) -> list[Piece]:
    """The pieces of all sections that are loaded or take memory; of size 0 they are left out.

    Debugging and comment sections have no address, so the linker puts them at 0; nothing that is
    loaded stands there, since programs are linked at an address above.

    Args:
        text: of `-Wl,-Map`, as GNU ld writes it.
    """
    listing = text.split("Linker script and memory map", 1)[-1]
    # A name that is too long for its column is followed by a line with the numbers.
    listing = re.sub(r"\n( ?[.\w*]\S*)\n\s+(0x)", r"\n\1 \2", listing)
    pieces = []
    section, loaded = "", False
    for line in map(str.rstrip, listing.splitlines()):
        found = _SECTION.match(line)
        if found:
            section, loaded = found[1], int(found[2], 16) > 0
            continue
        found = _PIECE.match(line)
        if found and loaded and int(found[2], 16) > 0 and int(found[3], 16) > 0:
            fill = found[1] == "*fill*"
            name, file = (FILL, FILL) if fill else (found[1], found[4] or "")
            pieces.append(Piece(section, name, int(found[3], 16), file))
    return pieces


def object_name(file: str) -> str:
    """`verify.o`, also of `/usr/lib/libc.a(lib_a-memcpy.o)`, which gives `libc.a`."""
    return Path(file.split("(", 1)[0]).name
