"""Bad input: one clear line, exit 2, nothing half-written. One row each."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from csideploy.link_export import make_package
from csideploy.link_source import LinkSource

from .conftest import WANTED, Run


class Bench:
    """A folder to work in, with a package, CSI and a payload at hand."""

    def __init__(self, tmp: Path, package: Path, csi: Path, source: LinkSource, run: Run) -> None:
        self.tmp, self.package, self.csi, self.source, self.run = tmp, package, csi, source, run
        self.out = tmp / "out"
        self.out.mkdir()

    def encode(self, csi: object, *more: object) -> list[object]:
        return ["encode", self.package, csi, "--out", self.out / "p.bin", *more]

    def decode(self, payload: object, *more: object) -> list[object]:
        return ["decode", self.package, payload, "--out", self.out / "h.npy", *more]

    def export(self, *more: object) -> list[object]:
        return ["export", "--out", self.out / "new", *more]

    def save(self, name: str, array: np.ndarray, key: str = "H") -> Path:
        path = self.tmp / name
        if path.suffix == ".npz":
            np.savez(path, **{key: array})  # type: ignore[arg-type]
        else:
            np.save(path, array)
        return path

    def text(self, name: str, content: str | bytes) -> Path:
        path = self.tmp / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def payload(self) -> bytes:
        path = self.tmp / "good.bin"
        assert self.run("encode", self.package, self.csi, "--out", path).exit_code == 0
        return path.read_bytes()

    def copy(self) -> Path:
        folder = self.tmp / "copy"
        shutil.copytree(self.package, folder)
        return folder

    def other_link(self) -> Path:
        """The same system with other weights: another pairing id."""
        graph = onnx.load_model_from_string(self.source.bs)
        graph.doc_string = "another file"
        folder = self.tmp / "other"
        changed = {**vars(self.source), "bs": graph.SerializeToString()}
        make_package(LinkSource(**changed), WANTED, folder)
        return folder

    def flipped(self, name: str, at: int) -> Path:
        folder = self.copy()
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(data)
        return folder

    def manifest(self, **changes: object) -> Path:
        folder = self.copy()
        manifest = json.loads((folder / "manifest.json").read_text()) | changes
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    def vectors(self, **changes: np.ndarray) -> Path:
        """A package with other golden vectors, and the manifest to match."""
        folder = self.copy()
        with np.load(folder / "vectors.npz") as archive:
            arrays = {**archive, **changes}
        np.savez(folder / "vectors.npz", **arrays)  # type: ignore[arg-type]
        manifest = json.loads((folder / "manifest.json").read_text())
        digest = hashlib.sha256((folder / "vectors.npz").read_bytes()).hexdigest()
        manifest["files"]["vectors.npz"]["sha256"] = digest
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    def onnx_with(self, op: str) -> Path:
        x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", 8]) for n in "xy")
        graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name="odd")], "g", [x], [y])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
        model.ir_version = 10
        path = self.tmp / "odd.onnx"
        onnx.save(model, path)
        return path


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def with_nan() -> np.ndarray:
    h = noise(4, 2, 32, 32)
    h[2, 0, 3, 4] = np.nan
    return h


def with_zero_sample() -> np.ndarray:
    h = noise(4, 2, 32, 32)
    h[1] = 0
    return h


def swapped(b: Bench) -> Path:
    folder = b.copy()
    shutil.copy(b.other_link() / "bs.csib", folder / "bs.csib")
    return folder


Row = tuple[Callable[[Bench], list[object]], str]

ROWS: dict[str, Row] = {
    "csi missing": (lambda b: b.encode(b.tmp / "none.npz"), "none.npz"),
    "csi is text": (lambda b: b.encode(b.text("csi.npz", "hello")), "csi.npz"),
    "csi suffix": (lambda b: b.encode(b.text("csi.txt", "1 2 3")), "csi.txt"),
    "csi key": (lambda b: b.encode(b.save("k.npz", noise(4, 2, 32, 32), "G")), "H"),
    "csi planes": (lambda b: b.encode(b.save("s.npz", noise(4, 3, 32, 32))), "(4, 3, 32, 32)"),
    "csi size": (lambda b: b.encode(b.save("s.npy", noise(4, 2, 16, 32))), "takes 32 x 32"),
    "csi domain": (
        lambda b: b.encode(b.save("f.npy", noise(4, 257, 32) + 1j)),
        "--domain frequency",
    ),
    "csi NaN": (lambda b: b.encode(b.save("nan.npy", with_nan())), "NaN"),
    "csi zero": (lambda b: b.encode(b.save("z.npy", with_zero_sample())), "zero"),
    "csi is a folder": (lambda b: b.encode(b.package), "P"),
    "encode bits": (lambda b: b.encode(b.csi, "--bits", 3), "4 bits a feature"),
    "no package": (lambda b: ["encode", b.tmp / "none", b.csi, "--out", b.out / "p"], "no package"),
    "package is a file": (lambda b: ["report", b.csi], "no link package"),
    "package empty": (lambda b: ["report", b.tmp], "without manifest.json"),
    "manifest text": (
        lambda b: ["report", b.text("manifest.json", "{").parent],
        "manifest.json is not JSON",
    ),
    "manifest version": (lambda b: ["report", b.manifest(version=9)], "version 9"),
    "manifest pairing": (lambda b: ["report", b.manifest(pairing_id="xy")], "pairing id"),
    "manifest payload": (
        lambda b: ["report", b.manifest(payload={"count": 512, "bits": 3})],
        "payload layout",
    ),
    "manifest bits": (
        lambda b: [
            *("encode", b.manifest(payload={"count": 512, "bits": 4.0}), b.csi),
            *("--out", b.out / "p"),
        ],
        "payload layout",
    ),
    "manifest without bits": (lambda b: ["report", b.manifest(bits=None)], "payload but no 'bits'"),
    "manifest files": (lambda b: ["report", b.manifest(files={})], "has no ue.csib"),
    "payload missing": (lambda b: b.decode(b.tmp / "none.bin"), "none.bin"),
    "payload empty": (lambda b: b.decode(b.text("p.bin", b"")), "no payload file"),
    "payload is CSI": (lambda b: b.decode(b.csi), "no payload file"),
    "payload truncated": (lambda b: b.decode(b.text("p.bin", b.payload()[:-1])), "truncated"),
    "payload longer": (lambda b: b.decode(b.text("p.bin", b.payload() + b"x")), "behind its last"),
    "payload header": (
        lambda b: b.decode(b.text("p.bin", b"CSIP\1\0\5" + b.payload()[7:])),
        "damaged header",
    ),
    "payload raw": (lambda b: b.decode(b.text("p.bin", bytes(300)), "--raw"), "no whole number"),
    "payload of another link": (
        lambda b: ["decode", b.other_link(), b.text("p.bin", b.payload()), "--out", b.out / "h"],
        "another link",
    ),
    "no scale": (
        lambda b: b.decode(b.text("p.bin", b.payload()), "--with-scale"),
        "carries no scale",
    ),
    "reference count": (
        lambda b: b.decode(
            b.text("p.bin", b.payload()), "--reference", b.save("r.npy", noise(4, 2, 32, 32))
        ),
        "4 samples, the payload 260",
    ),
    "bundle of another link": (
        lambda b: ["decode", swapped(b), b.text("p.bin", b.payload()), "--out", b.out / "h.npy"],
        "belongs to another link",
    ),
    "bundle flipped weight": (
        lambda b: ["encode", b.flipped("ue.csib", 90_000), b.csi, "--out", b.out / "p.bin"],
        "ue.csib",
    ),
    "bundle flipped header": (
        lambda b: ["encode", b.flipped("ue.csib", 30), b.csi, "--out", b.out / "p.bin"],
        "ue.csib",
    ),
    "onnx flipped": (lambda b: ["validate", b.flipped("ue.onnx", 5_000)], "sha256 differs"),
    "vectors flipped": (lambda b: ["validate", b.flipped("vectors.npz", 500)], "sha256 differs"),
    "vectors of another size": (
        lambda b: ["validate", b.vectors(codes=np.ones((20, 511), np.uint8))],
        "codes is uint8 (20, 511), the link has uint8 (20, 512)",
    ),
    "vectors of another type": (
        lambda b: ["validate", b.vectors(payload=noise(20, 256))],
        "payload is float32",
    ),
    "validate size": (
        lambda b: ["validate", b.package, "--reference", b.save("s.npy", noise(4, 2, 16, 32))],
        "the encoder takes 32 x 32",
    ),
    "bundle truncated": (
        lambda b: ["inspect", b.text("t.csib", (b.package / "ue.csib").read_bytes()[:5000])],
        "t.csib",
    ),
    "no bundle": (lambda b: ["inspect", b.csi], "refused"),
    "bundle without vectors": (lambda b: ["validate", b.package / "ue.csib"], "no golden vectors"),
    "run shape": (
        lambda b: [
            "run",
            b.package / "ue.csib",
            b.save("x.npy", noise(4, 2, 32)),
            "--out",
            b.out / "o",
        ],
        "n x 2 x 32 x 32",
    ),
    "run dtype": (
        lambda b: [
            "run",
            b.package / "bs.csib",
            b.save("x.npy", noise(4, 256)),
            "--out",
            b.out / "o",
        ],
        "float32, the part takes uint8",
    ),
    "run NaN": (
        lambda b: ["run", b.package / "ue.csib", b.save("x.npy", with_nan()), "--out", b.out / "o"],
        "NaN",
    ),
    "run beyond float32": (
        lambda b: [
            "run",
            b.package / "ue.csib",
            b.save("x.npy", noise(2, 2, 32, 32).astype(float) * 1e300),
            "--out",
            b.out / "o",
        ],
        "beyond float32",
    ),
    "run a cut archive": (
        lambda b: [
            "run",
            b.package / "ue.csib",
            b.text("x.npz", (b.package / "vectors.npz").read_bytes()[:5000]),
            "--out",
            b.out / "o",
        ],
        "no .npy or .npz file",
    ),
    "compile text": (
        lambda b: ["compile", b.text("m.onnx", "hello"), "--out", b.out / "m"],
        "no ONNX network",
    ),
    "compile operator": (
        lambda b: ["compile", b.onnx_with("Det"), "--out", b.out / "m"],
        "Det",
    ),
    "compile side": (
        lambda b: ["compile", b.onnx_with("Relu"), "--side", "moon", "--out", b.out / "m"],
        "ue, bs, ru, du",
    ),
    "export folder taken": (
        lambda b: ["export", "--model", "bacrnet10x", "--out", b.package],
        "--force",
    ),
    "force on a folder that is no package": (
        lambda b: ["export", "--model", "bacrnet10x", "--force", "--out", b.csi.parent],
        "has no manifest.json",
    ),
    "validate with another ONNX": (
        lambda b: ["validate", b.package / "ue.csib", "--onnx", b.package / "bs.onnx"],
        "does not take float32",
    ),
    "export folder is a file": (
        lambda b: ["export", "--model", "bacrnet10x", "--out", b.csi],
        "a file of that name",
    ),
    "export nothing": (lambda b: b.export(), "--model"),
    "export int7": (
        lambda b: b.export("--model", "bacrnet10x", "--precision", "int7"),
        "'fp32', 'int8', 'auto', 'mixed'",
    ),
    "export emit": (
        lambda b: b.export("--model", "bacrnet10x", "--emit", "exe"),
        "onnx, bundle and c",
    ),
    "export budgets": (lambda b: b.export("--model", "bacrnet10x", "--bits", "2,3"), "several"),
    "export bits": (lambda b: b.export("--model", "bacrnet10x", "--bits", "9"), "1 to 8"),
    "export table": (lambda b: b.export("--model", "bacrnet10x", "--table", "auto"), "--table"),
    "export users": (lambda b: b.export("--model", "bacrnet10x", "--max-users", 4), "--max-users"),
    "export profile": (
        lambda b: b.export("--model", "bacrnet10x", "--profile", "r20-case0"),
        "--profile",
    ),
    "export calibration": (
        lambda b: b.export("--model", "bacrnet10x", "--calibration", b.csi),
        "add --precision int8, auto or mixed",
    ),
    "export calibration of another size": (
        lambda b: b.export(
            *("--model", "bacrnet1x", "--precision", "int8"),
            *("--calibration", b.save("small.npy", noise(20, 2, 16, 16))),
        ),
        "CSI of 16 x 16 (angle x delay), the network takes 32 x 32",
    ),
    "export calibration of few samples": (
        lambda b: b.export(
            *("--model", "bacrnet1x", "--precision", "int8"),
            *("--calibration", b.save("few.npy", noise(15, 2, 32, 32))),
        ),
        "15 samples; at least 16",
    ),
    "compile calibration with fp32": (
        lambda b: ["compile", b.package / "ue.onnx", "--calibration", b.csi],
        "add --precision int8, auto or mixed",
    ),
    "compile int8 without calibration": (
        lambda b: ["compile", b.package / "ue.onnx", "--precision", "int8", "--out", b.out / "m"],
        "--precision int8 needs --calibration",
    ),
    "compile int8 with other arrays": (
        lambda b: [
            *("compile", b.package / "bs.onnx", "--precision", "auto", "--out", b.out / "m"),
            *("--calibration", b.save("x.npy", noise(20, 256))),
        ],
        "the network takes uint8 (n, 256)",
    ),
    "report target": (lambda b: ["report", b.package, "--target", "cortex-m7"], "cortex-m4"),
    "report budget": (lambda b: ["report", b.package, "--budget", "b.toml"], "budget b.toml"),
    "report quality": (
        lambda b: ["report", b.package, "--format", "html", "--quality", b.text("q.json", "{}")],
        "no list 'rows'",
    ),
    "systems cr": (lambda b: ["systems", "--cr", 5], "1/5"),
    "scenario": (
        lambda b: [
            *("data", "generate", "--scenario", "raytraced", "--samples", 4),
            *("--out", b.out / "c.npz"),
        ],
        "raytraced",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_bad_input(
    name: str, tmp_path: Path, package: Path, csi_file: Path, source: LinkSource, run: Run
) -> None:
    bench = Bench(tmp_path, package, csi_file, source, run)
    make, words = ROWS[name]
    result = run(*make(bench))
    assert result.exit_code == 2, result.output
    errors = [line for line in result.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert errors[0].startswith("csideploy: error: ")
    assert words in errors[0]
    assert "internal error" not in errors[0]
    assert result.stdout == ""
    assert not list(bench.out.iterdir())


def unwritable(tmp_path: Path) -> Path:
    """A folder that nobody, root included, may write to."""
    if os.geteuid() == 0:
        return Path("/proc")
    tmp_path.chmod(0o500)
    return tmp_path


def test_an_unwritable_folder(tmp_path: Path, package: Path, csi_file: Path, run: Run) -> None:
    folder = unwritable(tmp_path)
    for arguments in (
        ("encode", package, csi_file, "--out", folder / "p.bin"),
        ("compile", package / "ue.onnx", "--out", folder / "m.csib"),
        ("run", package / "bs.csib", package / "vectors.npz", "--out", folder / "h.npy"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2, result.output
        assert f"cannot write {folder}" in result.stderr.splitlines()[-1]
