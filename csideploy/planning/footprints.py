"""Footprints without an export: `footprints.json`, which `make_footprints` writes.

Of the zoo every package is in the file as `csideploy report` counts it. Of all other systems at
fp32 a side is put together from two pieces, because nothing of it depends on the weights' values:

    encoder = convolutions of its family, then a fully connected layer, quantizer, packing
    decoder = unpacking, dequantizer, a fully connected layer, then convolutions of family and width

The first piece depends on the system alone, the second on compression, bits and whether its layer
has 1-bit weights. Layers follow one another, so that their rows do. Sections of the bundle are as
long as both pieces' together, each then padded to 16 bytes; its strings also hold its metadata. The
arena is the larger one: at the UE's fully connected layer image and feature stand side by side, a
decoder needs most in its convolutions. The generator compares sums with real exports before it
writes; so does a test.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from csideploy.registry import SystemSpec
from csideploy.zoo import ZooEntry

FILE = "footprints.json"
ALIGN = 16
"""Of a bundle's sections (`docs/bundle-format.md`)."""
PARTS = {"ue": "encoder", "bs": "decoder"}
REFERENCE = (64, 4, "none")
"""cr, bits and binarize at which convolutions were compiled: the smallest feature beside them."""


@dataclass(frozen=True)
class SideFootprint:
    """One side as `csideploy report` counts it; layers are rows of its table, without latency."""

    bundle_bytes: int
    arena_bytes: int
    layers: tuple[dict[str, Any], ...]

    @property
    def memory_bytes(self) -> int:
        """What is stored and the arena."""
        return self.bundle_bytes + self.arena_bytes

    def total(self, key: str) -> int:
        """The sum of a column over the layers."""
        return sum(layer[key] for layer in self.layers)


Link = dict[str, SideFootprint]
"""By side."""


class Footprints:
    """The tables of a file."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables

    @classmethod
    def load(cls) -> Footprints:
        """Those that come with csideploy."""
        text = (files("csideploy.planning") / FILE).read_text(encoding="utf-8")
        return cls(json.loads(text))

    def of_zoo(self, entry: ZooEntry, bits: int | None, precision: str) -> Link | None:
        """A package of a zoo entry; None if there is none of these very weights."""
        stored = self._tables["zoo"].get(entry.path.name)
        if stored is None or stored["sha256"] != entry.card["sha256"]:
            return None
        sides = stored["packages"].get(package_key(bits, precision))
        if sides is None:
            return None
        return {
            side: SideFootprint(data["bundle_bytes"], data["arena_bytes"], self._rows(data))
            for side, data in sides.items()
        }

    def of_system(self, spec: SystemSpec, cr: int, bits: int, binarize: str) -> Link | None:
        """Any weights of a system at fp32; None if the tables do not know the system."""
        made = {}
        for side in PARTS:
            convolutions = self._tables["convolutions"][side].get(convolutions_key(spec, side))
            if convolutions is None:
                return None
            connected = self._tables["connected"][side][connected_key(side, cr, bits, binarize)]
            layers = [self._rows(convolutions), self._rows(connected)]
            if side == "bs":
                layers.reverse()
            made[side] = SideFootprint(
                bundle_bytes(side, [convolutions, connected], (spec.name, cr, bits, binarize)),
                max(convolutions["arena_bytes"], connected["arena_bytes"]),
                (*layers[0], *layers[1]),
            )
        return made

    def _rows(self, data: dict[str, Any]) -> tuple[dict[str, Any], ...]:
        columns, rows = self._tables["columns"], self._tables["rows"]
        return tuple(dict(zip(columns, rows[index], strict=True)) for index in data["layers"])


def package_key(bits: int | None, precision: str) -> str:
    """Of a package of a zoo entry."""
    return f"{bits}/{precision}"


def convolutions_key(spec: SystemSpec, side: str) -> str:
    """What the convolutions of a side depend on: ACRNet's encoders are all the same."""
    if spec.family == "acrnet":
        return "acrnet" if side == "ue" else f"acrnet{spec.width}x"
    return spec.name


def connected_key(side: str, cr: int, bits: int, binarize: str) -> str:
    """What the rest of a side depends on."""
    return f"{cr}/{bits}/{'binary' if is_binary(side, binarize) else 'float'}"


def is_binary(side: str, binarize: str) -> bool:
    """Whether the fully connected layer of a side has 1-bit weights."""
    return binarize == "both" or (side == "ue" and binarize == "encoder")


def bundle_bytes(side: str, pieces: list[dict[str, Any]], about: tuple[str, int, int, str]) -> int:
    """Bytes of a bundle.

    Args:
        side: "ue" or "bs".
        pieces: each with the lengths of its `sections`, and `head_bytes`: of header and directory,
            which only the first one has.
        about: system, cr, bits and binarize.
    """
    total = 0
    for name in pieces[0]["sections"]:
        length = sum(piece["sections"][name] for piece in pieces)
        length += metadata_bytes(side, *about) if name == "names" else 0
        total += -(-length // ALIGN) * ALIGN
    return total + sum(int(piece["head_bytes"]) for piece in pieces)


def metadata_bytes(side: str, system: str, cr: int, bits: int, binarize: str) -> int:
    """What the values of a bundle's metadata add to its strings: each string stands there once.

    The part's own name is there anyway, and "encoder" is also a value of `binarize`.
    """
    values = {system, str(cr), str(bits), binarize, "fp32"} - {PARTS[side]}
    return sum(len(value.encode()) + 1 for value in values)
