"""Writes `footprints.json`: every package of the zoo, and the pieces that other systems are of.

    python -m csideploy.planning.make_footprints --write

Everything is exported as `csideploy export` does it. For the pieces networks are built with random
weights; sums of pieces are compared with whole exports at corners of the grid before anything is
written. Needs the extra `train`; takes some minutes. Without `--write` it says what would change.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from csideploy import registry, zoo
from csideploy.cli_shell import progress, say
from csideploy.errors import CheckFailedError, CsideployError
from csideploy.export.bundle_read import read_whole
from csideploy.link_export import Wanted, export_link, make_package
from csideploy.link_source import Bits, LinkSource
from csideploy.outputs import file_aside
from csideploy.planning import footprints
from csideploy.planning.footprints import REFERENCE, Footprints, SideFootprint
from csideploy.planning.measure import PRECISIONS, SEED, wanted_package
from csideploy.registry import BITS, COMPRESSIONS, SystemSpec

PATH = Path(__file__).with_name(footprints.FILE)
FULLY_CONNECTED = ("LINEAR", "BINARY_LINEAR")
SMALLEST = "csinet"
"""One convolution at the UE."""
CORNERS = (
    ("bacrnet1x", 64, 1, "encoder"),
    ("acrnet20x", 8, 8, "both"),
    ("csinet", 32, 3, "none"),
    ("transnet", 64, 8, "none"),
    ("bcsinet-b3", 8, 7, "encoder"),
)
"""Systems, cr, bits and binarize at which sums of pieces are compared with whole exports."""


def exported(source: LinkSource) -> dict[str, dict[str, Any]]:
    """By side: the figures of a real package's report, and the lengths of its bundle's sections."""
    with TemporaryDirectory() as name:
        wanted = Wanted(
            source.system, None, Bits(), None, frozenset({"bundle"}), inline=False, seed=SEED
        )
        made = make_package(source, wanted, Path(name) / "P")
        return _read_package(Path(made["out"]))


def _read_package(folder: Path) -> dict[str, dict[str, Any]]:
    sides = json.loads((folder / "report.json").read_text(encoding="utf-8"))["sides"]
    for side, figures in sides.items():
        (bundle,) = folder.glob(f"{side}*.csib")
        sections = read_whole(bundle.read_bytes()).sections
        figures["sections"] = {section.name: section.length for section in sections}
    return dict(sides)


@cache
def network(system: str, side: str, cr: int, binarize: str) -> bytes:
    """The network of one side with random weights: the feature in [0, 1], without its quantizer."""
    import torch

    from csideploy import systems
    from csideploy.export.torch_onnx import export_part

    torch.manual_seed(0)
    link = systems.build(system, cr=cr, bits=4, binarize=binarize).eval()
    with torch.no_grad():
        for values in (*link.parameters(), *link.buffers()):
            # Slopes and scales that are all the same might be stored as one.
            if values.is_floating_point():
                values.copy_(0.5 + 0.1 * torch.rand_like(values))
    part = link.encoder if side == "ue" else link.decoder
    data: bytes = export_part(part, side, features=link.features).SerializeToString()
    return data


def source(system: str, cr: int, bits: int, binarize: str) -> LinkSource:
    """A whole link of such networks, as `csideploy train` would leave it."""
    import onnx

    from csideploy.export.functions import attach_functions
    from csideploy.export.interface import append_quantizer, prepend_dequantizer

    made = {}
    for side, put in (("ue", append_quantizer), ("bs", prepend_dequantizer)):
        own = "both" if footprints.is_binary(side, binarize) else "none"
        shared = footprints.convolutions_key(registry.get(system), side)
        data = network("acrnet1x" if shared == "acrnet" else system, side, cr, own)
        model = onnx.load_model_from_string(data)
        put(model, bits)
        attach_functions(model)
        made[side] = model.SerializeToString()
    return LinkSource(system, cr, bits, binarize, made["ue"], made["bs"], "indoor", {}, {})


class Tables:
    """The file as it grows; equal rows of layers are kept once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, ...], int] = {}
        self._columns: list[str] = []
        self.zoo: dict[str, Any] = {}
        self.convolutions: dict[str, dict[str, Any]] = {"ue": {}, "bs": {}}
        self.connected: dict[str, dict[str, Any]] = {"ue": {}, "bs": {}}

    def rows(self, layers: list[dict[str, Any]]) -> list[int]:
        """The numbers of these layers' rows."""
        found = []
        for layer in layers:
            self._columns = self._columns or list(layer)
            row = tuple(
                tuple(value) if isinstance(value, list) else value
                for value in (layer[column] for column in self._columns)
            )
            found.append(self._rows.setdefault(row, len(self._rows)))
        return found

    def take(self, other: dict[str, Any]) -> None:
        """All of a file that is of the zoo's weights of now, and its pieces."""

        def moved(piece: dict[str, Any]) -> dict[str, Any]:
            columns, rows = other["columns"], other["rows"]
            layers = [dict(zip(columns, rows[index], strict=True)) for index in piece["layers"]]
            return {**piece, "layers": self.rows(layers)}

        for entry in zoo.entries():
            stored = other["zoo"].get(entry.path.name)
            if stored is not None and stored["sha256"] == entry.card["sha256"]:
                packages = {
                    key: {side: moved(piece) for side, piece in package.items()}
                    for key, package in stored["packages"].items()
                }
                self.zoo[entry.path.name] = {**stored, "packages": packages}
        for name in ("convolutions", "connected"):
            for side, pieces in other[name].items():
                getattr(self, name)[side].update({key: moved(own) for key, own in pieces.items()})

    def text(self) -> str:
        """The file: one piece a line, so that a change can be read; rows in an order of their own.

        The same whichever way the tables were filled.
        """
        ordered = sorted(self._rows, key=json.dumps)
        number = {self._rows[row]: place for place, row in enumerate(ordered)}

        def numbered(table: Any) -> Any:
            if not isinstance(table, dict):
                return table
            return {
                key: [number[index] for index in value] if key == "layers" else numbered(value)
                for key, value in table.items()
            }

        blocks = [f'"columns": {json.dumps(self._columns)}']
        rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in ordered)
        blocks.append(f'"rows": [\n{rows}\n]')
        blocks += [
            f'"{name}": {_lines(numbered(table))}'
            for name, table in (
                ("zoo", self.zoo),
                ("convolutions", self.convolutions),
                ("connected", self.connected),
            )
        ]
        return "{\n" + ",\n".join(blocks) + "\n}\n"


def _lines(table: dict[str, dict[str, Any]]) -> str:
    blocks = []
    for name, own in table.items():
        inner = ",\n".join(
            f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}"
            for key, value in own.items()
        )
        blocks.append(f"{json.dumps(name)}: {{\n{inner}\n}}")
    return "{\n" + ",\n".join(blocks) + "\n}"


def tabled_systems() -> list[SystemSpec]:
    """Systems with a fully connected layer of uniform quantization; BACRNet's are ACRNet's."""
    return [
        spec
        for name, spec in registry.SYSTEMS.items()
        if spec.default_quantizer == "uniform" and not name.startswith("bacrnet")
    ]


def add_zoo(tables: Tables) -> Iterator[None]:
    """Packages of the zoo; yields after each export."""
    for entry in zoo.entries():
        packages = dict(tables.zoo.get(entry.path.name, {}).get("packages", {}))
        for bits in entry.budgets:
            for precision in PRECISIONS if bits is not None else ():
                if footprints.package_key(bits, precision) in packages:
                    continue
                packages[footprints.package_key(bits, precision)] = {
                    side: {
                        "bundle_bytes": figures["bundle_bytes"],
                        "arena_bytes": figures["arena_bytes"],
                        "layers": tables.rows(figures["layers"]),
                    }
                    for side, figures in zoo_package(entry, bits, precision).items()
                }
                yield
        if packages:
            tables.zoo[entry.path.name] = {"sha256": entry.card["sha256"], "packages": packages}
    tables.zoo = dict(sorted(tables.zoo.items()))


def add_pieces(tables: Tables) -> Iterator[None]:
    """What all other systems are of; yields after each export."""
    for spec in tabled_systems():
        for side, figures in exported(source(spec.name, *REFERENCE)).items():
            layers = split(side, figures["layers"])[0]
            piece = _piece(side, figures, spec.name, *REFERENCE)
            piece |= {"arena_bytes": figures["arena_bytes"], "layers": tables.rows(layers)}
            tables.convolutions[side].setdefault(footprints.convolutions_key(spec, side), piece)
        yield
    for cr in COMPRESSIONS:
        for binarize in ("none", "both"):
            for bits in BITS:
                for side, figures in exported(source(SMALLEST, cr, bits, binarize)).items():
                    whole = _piece(side, figures, SMALLEST, cr, bits, binarize)
                    piece = _without(whole, tables.convolutions[side][SMALLEST])
                    # Of this encoder it is what the fully connected layer needs.
                    piece["arena_bytes"] = figures["arena_bytes"] if side == "ue" else 0
                    piece["layers"] = tables.rows(split(side, figures["layers"])[1])
                    key = footprints.connected_key(side, cr, bits, binarize)
                    tables.connected[side][key] = piece
                yield


def zoo_package(entry: zoo.ZooEntry, bits: int | None, precision: str) -> dict[str, Any]:
    """The report's figures by side of one package of a zoo entry."""
    with TemporaryDirectory() as name:
        export_link(wanted_package(entry, bits, precision), out=Path(name) / "P")
        return _read_package(Path(name) / "P")


def split(
    side: str, layers: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of the convolutions, and of what is on the feature's side of them."""
    places = [i for i, layer in enumerate(layers) if layer["op"] in FULLY_CONNECTED]
    if side == "ue":
        return layers[: places[-1]], layers[places[-1] :]
    return layers[places[0] + 1 :], layers[: places[0] + 1]


def _piece(
    side: str, figures: dict[str, Any], system: str, cr: int, bits: int, binarize: str
) -> dict[str, Any]:
    """Lengths of a bundle's sections, its metadata's values apart."""
    sections = dict(figures["sections"])
    padded = sum(-(-n // footprints.ALIGN) * footprints.ALIGN for n in sections.values())
    sections["names"] -= footprints.metadata_bytes(side, system, cr, bits, binarize)
    return {"head_bytes": figures["bundle_bytes"] - padded, "sections": sections}


def _without(whole: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """What the rest of a bundle adds to a piece of it."""
    return {
        "head_bytes": whole["head_bytes"] - piece["head_bytes"],
        "sections": {
            name: length - piece["sections"][name] for name, length in whole["sections"].items()
        },
    }


def check(tables: Footprints, system: str, cr: int, bits: int, binarize: str) -> None:
    """Compare the sum of pieces with a whole export.

    Raises:
        CheckFailedError: they differ.
    """
    pieces = tables.of_system(registry.get(system), cr, bits, binarize)
    for side, figures in exported(source(system, cr, bits, binarize)).items():
        real = SideFootprint(
            figures["bundle_bytes"], figures["arena_bytes"], tuple(figures["layers"])
        )
        if pieces is None or real != pieces[side]:
            raise CheckFailedError(
                f"{system}, cr {cr}, {bits} bits, binarize {binarize}: the {side}'s pieces add up "
                f"to {pieces and replace(pieces[side], layers=())}, the export has "
                f"{replace(real, layers=())}"
            )


def main(
    write: Annotated[bool, typer.Option("--write", help="Replace the file.")] = False,
    zoo_only: Annotated[
        bool,
        typer.Option("--zoo", help="Add what is new or of new weights; the rest stays."),
    ] = False,
) -> None:
    """Make the tables, check them, write them."""
    tables = Tables()
    if zoo_only:
        tables.take(json.loads(PATH.read_text(encoding="utf-8")))
    known = sum(len(entry["packages"]) for entry in tables.zoo.values())
    budgets = sum(bits is not None for entry in zoo.entries() for bits in entry.budgets)
    total = budgets * len(PRECISIONS) - known
    work = [add_zoo(tables)]
    if not zoo_only:
        total += len(tabled_systems()) + 2 * len(COMPRESSIONS) * len(BITS)
        work.append(add_pieces(tables))
    try:
        with progress("export") as advance:
            for done, _ in enumerate(chain(*work), 1):
                advance(done, total)
        text = tables.text()
        for corner in () if zoo_only else CORNERS:
            check(Footprints(json.loads(text)), *corner)
    except CsideployError as error:
        typer.echo(f"csideploy: error: {error}", err=True)
        raise typer.Exit(error.exit_code) from error
    if PATH.exists() and PATH.read_text(encoding="utf-8") == text:
        say(f"{PATH}: as it was")
    elif write:
        with file_aside(PATH) as file:
            file.write(text.encode())
        say(f"{PATH}: {len(text):,} bytes")
    else:
        say(f"{PATH} would change: add --write")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
