"""The link package: one folder with all that both ends of a link need.

    manifest.json      system, sizes, payload layout, pairing id, hashes, provenance, metrics
    ue.onnx  bs.onnx   fp32, the oracle
    ue.csib  bs.csib   the bundles
    vectors.npz        golden inputs, payloads and outputs, computed with ONNX Runtime
    report.json        footprint by layer and by side

With `--precision int8` or `auto` the bundles are `ue.int8.csib` and `bs.int8.csib`, compiled from
`ue.int8.onnx` and `bs.int8.onnx`, which stand beside the fp32 files, and the vectors are computed
by the NumPy specification of the integer operations. Payloads mean the same to both, so that the
pairing id is the same: an int8 UE may speak to an fp32 BS.

The two ends need not hold the same folder, so each file is checked on its own: a bundle against
the pairing id, and every file against the hash in the manifest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from csideploy.errors import FormatError, InputError, PairingError
from csideploy.outputs import reason
from csideploy.payload import Layout
from csideploy.runtime import Part

MANIFEST = "manifest.json"
MANIFEST_VERSION = 1
SIDES = ("ue", "bs")


def pairing_id(identity: dict[str, Any], ue_onnx: bytes, bs_onnx: bytes) -> bytes:
    """The 16 bytes that both ends of a link share: equal only if payloads mean the same to both.

    Args:
        identity: system, cr, bits, binarize and layout id.
        ue_onnx: the bytes of the UE part's ONNX file.
        bs_onnx: those of the BS part's.
    """
    canonical = json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()
    digest = hashlib.sha256()
    for block in (canonical, ue_onnx, bs_onnx):
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
        bits = f"{m['bits']} bits" if m["bits"] is not None else "float feature"
        return f"{m['system']}, cr {m['cr']}, {bits}, binarize {m['binarize']}"

    @property
    def pairing_id(self) -> bytes:
        """16 bytes."""
        return bytes.fromhex(self.manifest["pairing_id"])

    @property
    def layout(self) -> Layout:
        """The payload layout, without scale.

        Raises:
            InputError: the link feeds back float features, which are no bits.
        """
        payload = self.manifest["payload"]
        if payload is None:
            raise InputError(
                f"{self.path} has float features and so no payload: export with --bits 1 to 8"
            )
        return Layout(payload["count"], payload["bits"])

    @property
    def is_integer(self) -> bool:
        """Whether the bundles compute in integers."""
        return any(name.endswith(".int8.csib") for name in self.manifest["files"])

    def name_of(self, side: str, kind: str) -> str:
        """The file that runs at a side: `ue.csib` or `ue.int8.csib`; kind: csib or onnx."""
        integer = f"{side}.int8.{kind}"
        return integer if integer in self.manifest["files"] else f"{side}.{kind}"

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

    def open_part(self, side: str) -> Part:
        """Verify and open the bundle of one side.

        Raises:
            FormatError: the bundle is damaged; PairingError: it belongs to another link.
        """
        name = self.name_of(side, "csib")
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
        carried = part.payload and {"count": part.payload.count, "bits": part.payload.bits}
        listed = self.manifest["payload"]
        if carried != (listed and {key: listed[key] for key in ("count", "bits")}):
            raise PairingError(
                f"{self.path / name} has the payload layout {carried}, {MANIFEST} says {listed}: "
                "export the package again"
            )
        return part


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


_KEYS: dict[str, type | tuple[type, ...]] = {
    "version": int,
    "system": str,
    "cr": int,
    "bits": (int, type(None)),
    "binarize": str,
    "payload": (dict, type(None)),
    "pairing_id": str,
    "files": dict,
}


def _check_manifest(manifest: object, path: Path) -> None:
    if not isinstance(manifest, dict):
        raise FormatError(f"{path} holds no JSON object")
    if manifest.get("version") != MANIFEST_VERSION:
        raise FormatError(
            f"{path} has version {manifest.get('version')}; this csideploy reads {MANIFEST_VERSION}"
        )
    for key, kind in _KEYS.items():
        if not isinstance(manifest.get(key, ...), kind):
            raise FormatError(f"{path} has no valid {key!r}: export the package again")
    payload = manifest["payload"]
    if payload is not None and not _is_layout(payload):
        raise FormatError(f"{path} has no valid payload layout: export the package again")
    try:
        good = len(bytes.fromhex(manifest["pairing_id"])) == 16
    except ValueError:
        good = False
    if not good:
        raise FormatError(f"{path}: the pairing id is not 32 hexadecimal digits")
    for name, entry in manifest["files"].items():
        if not (isinstance(entry, dict) and isinstance(entry.get("sha256"), str)) or "/" in name:
            raise FormatError(f"{path} has no valid entry for file {name!r}")


def _is_layout(payload: dict[str, object]) -> bool:
    count, bits = payload.get("count"), payload.get("bits")
    if type(count) is not int or type(bits) is not int or count < 1 or not 1 <= bits <= 8:
        return False
    return payload == Layout(count, bits).figures()


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
