"""The link package: one folder with all that both ends of a link need.

    manifest.json      system, sizes, payload layout, pairing id, hashes, provenance, metrics
    ue.onnx  bs.onnx   fp32, the oracle
    ue.csib  bs.csib   the bundles
    vectors.npz        golden inputs, payloads and outputs, computed with ONNX Runtime
    report.json        footprint by layer and by side
    report.html        the same as a page; packages of older versions have none

With several bit budgets the encoder and the decoder stand there once, x -> feature and
feature -> h, and for each budget B there are two small parts more:

    ue-quantizer-B.onnx  .csib   feature -> codes, payload
    bs-quantizer-B.onnx  .csib   payload -> feature

The package of a precoder (`kind` "precoder") has the receiver at the UE, y -> codes, payload, and
at the BS payload -> V: a network, a table, or a native part, which has no ONNX file.

The package of a fronthaul quantizer (`kind` "fronthaul") has a native part at the DU and a decoder
an RU, `du.csib`, `ru-1.onnx`, `ru-1.csib`, `ru-2.onnx`, ...: no layouts, since a payload is not of
codes but of one bit stream an RU.

The package of a transceiver (`kind` "transceiver") has an encoder at the UE, a precoder at the BS,
and quantizers of every bit budget at both; `csideploy.transceiver.described` has the names.

With `--precision int8`, `auto` or `mixed` the bundles are `ue.int8.csib` and `bs.int8.csib`,
compiled from `ue.int8.onnx` and `bs.int8.onnx`, which stand beside the fp32 files, and the vectors
are computed by the NumPy specification of the integer operations (`mixed`: by ONNX Runtime).
Payloads mean the same to both, so that the pairing id is the same: an int8 UE may speak to an fp32
BS.

With `--profile` the manifest has an object `profile` besides (`csideploy.profiles.described`).

The two ends need not hold the same folder, so each file is checked on its own: a bundle against
the pairing id, and every file against the hash in the manifest.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from csideploy.chain import Chain
from csideploy.errors import FormatError, InputError, PairingError
from csideploy.outputs import reason
from csideploy.payload import MOST_BITS, Layout
from csideploy.runtime import Part

if TYPE_CHECKING:
    from csideploy.fronthaul.setup import Setup as FronthaulSetup
    from csideploy.transceiver.described import Described

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
SIDES = ("ue", "bs")


def pairing_id(identity: dict[str, Any], *networks: bytes) -> bytes:
    """The 16 bytes that both ends of a link share: equal only if payloads mean the same to both.

    Args:
        identity: system, cr, bits, binarize and layout id.
        networks: the bytes of the ONNX files of all parts: ue, bs, then the quantizers.
    """
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256()
    for block in (canonical, *networks):
        # Lengths keep two different splits of the same bytes apart.
        digest.update(len(block).to_bytes(8, "little"))
        digest.update(block)
    return digest.digest()[:16]


@dataclass(frozen=True)
class LinkPackage:
    """A package on disk; `open_package` makes it. Nothing but the manifest is read until asked."""

    path: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """System and sizes: `bacrnet10x, cr 4, 4 bits, binarize encoder`."""
        m = self.manifest
        if self.is_fronthaul:
            return f"{m['system']}, {self.fronthaul_setup()}, blocks of {m['block']}"
        if self.is_transceiver:
            own = self.transceiver()
            bits = ", ".join(map(str, own.bits))
            return f"{m['system']}, {own.setup}; {bits} bits a user, 1 to {own.max_users} users"
        if self.is_precoder:
            sizes = m["setup"]
            form = (m["table"] or {}).get("form")
            end = f"table {form}" if form else m["transmitter"]
            return (
                f"{m['system']}, M {sizes['antennas']}, N {sizes['streams']}, K {sizes['users']}, "
                f"{sizes['bits']} bits a user, P {m['snr_db']:g} dB, BS: {end}"
            )
        bits = f"{self.budgets} bits" if m["payload"] is not None else "float feature"
        return f"{m['system']}, cr {m['cr']}, {bits}, binarize {m['binarize']}"

    @property
    def is_precoder(self) -> bool:
        """Whether its sides are receiver and precoder of a downlink, not encoder and decoder."""
        return self.manifest.get("kind") == "precoder"

    @property
    def is_fronthaul(self) -> bool:
        """Whether its sides are a DU and its RUs."""
        return self.manifest.get("kind") == "fronthaul"

    @property
    def is_transceiver(self) -> bool:
        """Whether it serves any number of users with a number of bits of their own."""
        return self.manifest.get("kind") == "transceiver"

    def transceiver(self) -> Described:
        """Sizes, budgets and parts of a package of kind transceiver."""
        from csideploy.transceiver.described import describe

        return describe(self.manifest)

    def fronthaul_setup(self) -> FronthaulSetup:
        """The sizes of a package of kind fronthaul."""
        from csideploy.fronthaul.setup import Setup

        return Setup(**self.manifest["setup"])

    @property
    def pairing_id(self) -> bytes:
        """16 bytes."""
        return bytes.fromhex(self.manifest["pairing_id"])

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The payload layout of each bit budget, the smallest first; () for float features.

        () of fronthauls and transceivers too, whose payloads are not of equal codes.
        """
        if self.is_transceiver:
            return ()
        listed = self.manifest["payload"]
        figures = self.manifest.get("budgets") or ([] if listed is None else [listed])
        return tuple(read_layout(entry) for entry in figures)

    def bits_of(self, layout: Layout) -> int:
        """The bit budget that a layout is for, in bits a feature.

        Where one code stands for a vector of features, a code has more bits than that.
        """
        grouped = len(self.layouts) == 1 and not layout.widths
        return int(self.manifest["bits"]) if grouped else layout.bits

    @property
    def budgets(self) -> str:
        """Their bits, for messages: `2, 3, 4`."""
        return ", ".join(str(self.bits_of(layout)) for layout in self.layouts)

    def layout_of(self, bits: int | None) -> Layout:
        """The payload layout of a bit budget; None takes the only one, or the largest.

        Raises:
            InputError: the package has no such budget, or the link feeds back float features,
                which are no bits.
        """
        found = {self.bits_of(layout): layout for layout in self.layouts}
        if not found:
            raise InputError(
                f"{self.path} has float features and so no payload: export with --bits 1 to 8"
            )
        wanted = max(found) if bits is None else bits
        if wanted not in found:
            raise InputError(
                f"--bits {bits}: {self.path} has {self.budgets} bits a feature; "
                f"export another package with --bits {bits}"
            )
        return found[wanted]

    @property
    def is_integer(self) -> bool:
        """Whether the bundles compute in integers."""
        return any(name.endswith(".int8.csib") for name in self.manifest["files"])

    def stems(self, side: str, layout: Layout | None = None) -> tuple[str, ...]:
        """What runs at a side, in order: `("ue",)` or `("ue", "ue-quantizer-2")`.

        Args:
            side: "ue" or "bs"; of a fronthaul's package the name of a part, since RUs run apart.
            layout: of the bit budget; None leaves the quantizers out where they are parts.
        """
        if layout is None or "budgets" not in self.manifest:
            return (side,)
        quantizer = quantizer_stem(side, layout.bits)
        return (side, quantizer) if side == "ue" else (quantizer, side)

    def all_stems(self) -> tuple[str, ...]:
        """All parts of the package: of each side the encoder or decoder, then its quantizers."""
        if self.is_fronthaul:
            return fronthaul_stems(self.fronthaul_setup().rus)
        if self.is_transceiver:
            return self.transceiver().stems()
        stems = []
        for side in SIDES:
            stems.append(side)
            if "budgets" in self.manifest:
                stems += [quantizer_stem(side, layout.bits) for layout in self.layouts]
        return tuple(stems)

    def name_of(self, stem: str, kind: str) -> str:
        """The file that a part runs from: `ue.csib` or `ue.int8.csib`; kind: csib or onnx."""
        integer = f"{stem}.int8.{kind}"
        return integer if integer in self.manifest["files"] else f"{stem}.{kind}"

    def read(self, name: str) -> bytes:
        """The bytes of one of the package's files, checked against the manifest.

        Raises:
            InputError: the package has no such file.
            FormatError: the file is not the one that the manifest lists.
        """
        data = self._read_unchecked(name)
        listed = self.manifest["files"][name]["sha256"]
        if hashlib.sha256(data).hexdigest() != listed:
            raise FormatError(
                f"{self.path / name} is not the file that {MANIFEST} lists: its sha256 differs; "
                "export the package again"
            )
        return data

    def _read_unchecked(self, name: str) -> bytes:
        if name not in self.manifest["files"]:
            has = ", ".join(sorted(self.manifest["files"]))
            raise InputError(f"package {self.path} has no {name}; it has {has}")
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {self.path / name}: {reason(error)}") from error

    def open_side(self, side: str, layout: Layout | None = None) -> Chain:
        """Verify and open all that runs at a side, for one bit budget.

        Raises:
            FormatError: a bundle is damaged; PairingError: it belongs to another link.
        """
        return Chain([self.open_part(stem) for stem in self.stems(side, layout)])

    def open_part(self, stem: str) -> Part:
        """Verify and open one bundle.

        Args:
            stem: "ue", "bs", or a quantizer's; "du", "ru-1", ...

        Raises:
            FormatError: the bundle is damaged; PairingError: it belongs to another link.
        """
        name = self.name_of(stem, "csib")
        data = self._read_unchecked(name)
        try:
            part = Part(data)
        except FormatError as error:
            raise FormatError(f"{self.path / name}: {refusal(error)}") from error
        if part.pairing_id != self.pairing_id:
            raise PairingError(
                f"{self.path / name} belongs to another link: pairing id "
                f"{part.pairing_id.hex()}, {MANIFEST} says {self.pairing_id.hex()}"
            )
        self.read(name)
        if self.is_fronthaul or self.is_transceiver:
            self._check_interface(stem, part)
            return part
        own = part.payload
        carried = own and (own.layout_id, own.count, own.nbytes)
        listed = self._payload_of(stem)
        if carried != (listed and (listed.layout_id, listed.count, listed.nbytes)):
            says = listed.describe() if listed else "none"
            has = f"0x{own.layout_id:04x}, {own.nbytes} bytes a sample" if own else "none"
            raise PairingError(
                f"{self.path / name} has the payload layout {has}; {MANIFEST} says {says}: "
                "export the package again"
            )
        return part

    def _check_interface(self, stem: str, part: Part) -> None:
        """A part must have the inputs and outputs that the set-up says, and the right layout."""
        if self.is_fronthaul:
            from csideploy.fronthaul.parts import interface

            m = self.manifest
            side = "du" if stem == "du" else "ru"
            wanted = interface(m["system"], self.fronthaul_setup(), m["block"], stem)
            # An RU's layout says how its bits are unpacked, nothing that the manifest has.
            right = True
        else:
            described = self.transceiver()
            side, wanted = stem.split("-")[0], described.interface(stem)
            carried = part.payload
            has = carried and (carried.layout_id, carried.count, carried.nbytes)
            right = has == described.layout(stem)
            right &= stem != "bs" or part.k_max == described.max_users
        own = tuple(
            {t.name: (t.dtype, t.shape) for t in ends} for ends in (part.inputs, part.outputs)
        )
        if part.side != side or own != wanted or not right:
            raise PairingError(
                f"{self.path / self.name_of(stem, 'csib')} is no part of this package: "
                f"{part.side.upper()}, {_ends(own)}; {MANIFEST} says {side.upper()}, "
                f"{_ends(wanted)}" + ("" if right else "; its layout or its users differ too")
            )

    def _payload_of(self, stem: str) -> Layout | None:
        """The layout of the payload that a part makes or takes; None for one without."""
        if "budgets" not in self.manifest:
            return self.layouts[0] if self.layouts else None
        made = {quantizer_stem(side, own.bits): own for side in SIDES for own in self.layouts}
        return made.get(stem)

    def open_bundle(self, stem: str) -> bytes:
        """The bytes of one bundle, verified as by `open_part`."""
        self.open_part(stem)
        return self.read(self.name_of(stem, "csib"))


_Ends = tuple[dict[str, tuple[str, tuple[int | str, ...]]], ...]


def _ends(ends: _Ends) -> str:
    """`effective float32 n x 3 x 6 x 2 -> payload uint8 n x 9`."""
    sides = (
        ", ".join(
            f"{name} {dtype} {' x '.join(map(str, shape))}" for name, (dtype, shape) in e.items()
        )
        for e in ends
    )
    return " -> ".join(sides)


def fronthaul_stems(rus: int) -> tuple[str, ...]:
    """The parts of a fronthaul's package."""
    return ("du", *(f"ru-{m + 1}" for m in range(rus)))


def quantizer_stem(side: str, budget: int) -> str:
    """The file name, without its end, of the quantizer of a bit budget: `ue-quantizer-2`."""
    return f"{side}-quantizer-{budget}"


def refusal(error: FormatError) -> str:
    """What the verifier said of a bundle given as bytes, which have no name of their own."""
    return str(error).removeprefix("bundle: ")


def open_package(path: Path) -> LinkPackage:
    """Read a package's manifest.

    Raises:
        InputError: no such folder, or a folder or file that is no package.
        FormatError: the manifest is damaged, or of another version.
    """
    manifest_path = path / MANIFEST
    if not path.exists():
        raise InputError(
            f"no package at {path}: `csideploy export --model NAME --out {path}` makes one"
        )
    if not manifest_path.is_file():
        what = "a file" if path.is_file() else f"a folder without {MANIFEST}"
        raise InputError(f"{path} is no link package but {what}: give the folder that export made")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {manifest_path}: {reason(error)}") from error
    except ValueError as error:
        raise FormatError(f"{manifest_path} is not JSON: {error}") from error
    _check_manifest(manifest, manifest_path)
    return LinkPackage(path, manifest)


_Types = dict[str, type | tuple[type, ...]]
_KEYS: _Types = {
    "version": int,
    "system": str,
    "bits": (int, type(None)),
    "payload": (dict, type(None)),
    "pairing_id": str,
    "files": dict,
}
_KEYS_BY_KIND: dict[str, _Types] = {
    "feedback": {"cr": int, "binarize": str},
    "precoder": {
        "setup": dict,
        "snr_db": (int, float),
        "transmitter": str,
        "table": (dict, type(None)),
    },
    "fronthaul": {
        "setup": dict,
        "bits": list,
        "payload": type(None),
        "block": int,
        "iterations": int,
        "alpha": (int, float),
        "eta": (int, float),
        "gamma_rounds": int,
    },
    "transceiver": {
        "setup": dict,
        "bits": list,
        "payload": type(None),
        "budgets": list,
        "max_users": int,
    },
}
"""A manifest without `kind` is of CSI feedback."""


def _check_manifest(manifest: object, path: Path) -> None:
    if not isinstance(manifest, dict):
        raise FormatError(f"{path} holds no JSON object")
    if manifest.get("version") != MANIFEST_VERSION:
        raise FormatError(
            f"{path} has version {manifest.get('version')}; this csideploy reads {MANIFEST_VERSION}"
        )
    kind = manifest.get("kind", "feedback")
    if not isinstance(kind, str) or kind not in _KEYS_BY_KIND:
        raise FormatError(f"{path} is of kind {kind!r}; {', '.join(_KEYS_BY_KIND)} are known")
    for key, types in {**_KEYS, **_KEYS_BY_KIND[kind]}.items():
        if not isinstance(manifest.get(key, ...), types):
            raise FormatError(f"{path} has no valid {key!r}: export the package again")
    if kind == "fronthaul":
        _check_fronthaul(manifest, path)
    elif kind == "transceiver":
        from csideploy.transceiver.described import check_manifest

        check_manifest(manifest, path)
    else:
        _check_layouts(manifest, path)
    if kind == "precoder":
        _check_setup(manifest["setup"], path)
    try:
        good = len(bytes.fromhex(manifest["pairing_id"])) == 16
    except ValueError:
        good = False
    if not good:
        raise FormatError(f"{path}: the pairing id is not 32 hexadecimal digits")
    for name, entry in manifest["files"].items():
        if not (isinstance(entry, dict) and isinstance(entry.get("sha256"), str)) or "/" in name:
            raise FormatError(f"{path} has no valid entry for file {name!r}")
    if "profile" in manifest:
        from csideploy.profiles.described import check_manifest as check_profile

        check_profile(manifest, path)


def _check_setup(sizes: dict[str, Any], path: Path) -> None:
    from csideploy.downlink.setup import Setup

    try:
        Setup(**sizes)
    except (InputError, TypeError) as error:
        raise FormatError(f"{path} has no valid 'setup': {error}; export it again") from error


def _check_fronthaul(manifest: dict[str, Any], path: Path) -> None:
    """Set-up and block must be those of a quantizer, and every part must have its file."""
    from csideploy.fronthaul.codebooks import METHODS
    from csideploy.fronthaul.request import MOST_BLOCK
    from csideploy.fronthaul.setup import Setup

    if manifest["system"] not in METHODS:
        raise FormatError(f"{path} has no valid 'system': {', '.join(METHODS)} are known")
    if "budgets" in manifest:
        raise FormatError(f"{path}: a fronthaul has no 'budgets'; export the package again")
    try:
        setup = Setup(**manifest["setup"])
    except (InputError, TypeError) as error:
        raise FormatError(f"{path} has no valid 'setup': {error}; export it again") from error
    if manifest["bits"] != list(setup.bits):
        raise FormatError(f"{path}: 'bits' are {manifest['bits']}, in 'setup' {list(setup.bits)}")
    block = manifest["block"]
    if type(block) is not int or not 1 <= block <= MOST_BLOCK:
        raise FormatError(f"{path}: block {block}; 1 to {MOST_BLOCK} channel uses are right")
    if type(manifest["iterations"]) is not int or manifest["iterations"] < 0:
        raise FormatError(f"{path}: iterations {manifest['iterations']}; a number from 0 is right")
    if not 0 <= manifest["alpha"] <= 1 or not 0 < manifest["eta"] < 1e6:
        raise FormatError(f"{path}: 'alpha' from 0 to 1 and 'eta' above 0 are right")
    if not 1 <= manifest["gamma_rounds"] <= 100:
        raise FormatError(f"{path}: gamma_rounds {manifest['gamma_rounds']}; 1 to 100 are right")
    files = manifest["files"]
    for stem in fronthaul_stems(setup.rus):
        # With --emit onnx alone there are no bundles.
        kinds = ("csib", "int8.csib") if stem == "du" else ("csib", "int8.csib", "onnx")
        native = stem == "du" and not any(name.endswith(".csib") for name in files)
        if not native and not any(f"{stem}.{end}" in files for end in kinds):
            raise FormatError(f"{path} lists no file of {stem}: export the package again")


def _check_layouts(manifest: dict[str, Any], path: Path) -> None:
    """The payload's figures must be those of a layout, and those of the budgets, if there are."""
    payload, budgets = manifest["payload"], manifest.get("budgets")
    if budgets is not None and not (isinstance(budgets, list) and len(budgets) > 1):
        raise FormatError(f"{path} has no valid 'budgets': export the package again")
    if payload is not None and type(manifest["bits"]) is not int:
        raise FormatError(f"{path} has a payload but no 'bits': export the package again")
    try:
        layouts = [read_layout(entry) for entry in budgets or []]
        if payload is not None:
            read_layout(payload)
    except InputError as error:
        raise FormatError(
            f"{path} has no valid payload layout: {error}; export the package again"
        ) from error
    if budgets is None:
        return
    bits = [layout.bits for layout in layouts]
    if bits != sorted(set(bits)) or payload != budgets[-1]:
        raise FormatError(
            f"{path} has no valid 'budgets': in ascending order they are, the last one 'payload'; "
            "export the package again"
        )


def read_layout(figures: object) -> Layout:
    """The layout whose `figures` stand in a manifest.

    Raises:
        InputError: they are not those of a layout.
    """
    if not isinstance(figures, dict):
        raise InputError("its figures are no JSON object")
    count, bits, widths = figures.get("count"), figures.get("bits"), figures.get("widths")
    if type(count) is not int or type(bits) is not int or count < 1 or not 1 <= bits <= MOST_BITS:
        raise InputError("count is a number from 1, bits one from 1 to 8")
    layout = Layout.uniform(count, bits)
    if widths is not None:
        if not isinstance(widths, list) or not all(type(width) is int for width in widths):
            raise InputError("widths are a list of numbers")
        layout = Layout.codebook(widths, bits)
    for key, value in layout.figures().items():
        if figures.get(key) != value:
            raise InputError(f"{key} is {figures.get(key)}, and {value} by the rest")
    return layout


def npz_bytes(arrays: dict[str, NDArray[Any]]) -> bytes:
    """Arrays as the bytes of an `.npz` file: a package's vectors."""
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **arrays)
    return stream.getvalue()


def write_package(folder: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> None:
    """Fill an empty folder (`outputs.folder_aside` gives one): the files, then the manifest.

    Args:
        folder: where to write.
        manifest: all keys but `version` and `files`.
        files: name -> bytes.
    """
    entries = {}
    for name, data in files.items():
        (folder / name).write_bytes(data)
        entries[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    whole = {"version": MANIFEST_VERSION, **manifest, "files": entries}
    (folder / MANIFEST).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
