"""Encode, decode and validate, end to end, on an untrained link."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from csideploy.channels.files import read_csi
from csideploy.compare import FloatError
from csideploy.errors import PairingError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op, Plan
from csideploy.link_export import make_package
from csideploy.link_source import LinkSource
from csideploy.package import open_package

from .conftest import WANTED, Run


def by_onnxruntime(package: Path, csi: Path) -> tuple[np.ndarray, np.ndarray]:
    """Payload and unit-maximum CSI by the package's ONNX files, spelled out."""
    raw = np.load(csi)["H"].astype(np.float32)
    h = raw[:, 0] + 1j * raw[:, 1]
    scale = 2 * np.abs(h).max(axis=(1, 2))[:, None, None]
    x = np.stack([0.5 + h.real / scale, 0.5 + h.imag / scale], axis=1).astype(np.float32)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    ue, bs = (
        onnxruntime.InferenceSession(package / f"{side}.onnx", options) for side in ("ue", "bs")
    )
    payload = ue.run(["payload"], {"x": x})[0]
    y = bs.run(["h"], {"payload": payload})[0]
    return payload, 2 * (y[:, 0] - 0.5) + 2j * (y[:, 1] - 0.5)


def test_encode_and_decode(tmp_path: Path, package: Path, csi_file: Path, run: Run) -> None:
    payload_file, out = tmp_path / "p.bin", tmp_path / "h.npy"
    result = run("encode", package, csi_file, "--out", payload_file)
    assert result.exit_code == 0, result.output
    assert "raw values" in result.stderr
    data = payload_file.read_bytes()
    assert len(data) == 32 + 260 * 256
    payload, h = by_onnxruntime(package, csi_file)
    ours = np.frombuffer(data[32:], np.uint8).reshape(260, 256)
    # A value on a threshold may fall either way in a float path: 5 in a million do.
    assert (ours != payload).mean() < 1e-4

    result = run("decode", package, payload_file, "--out", out, "--reference", csi_file)
    assert result.exit_code == 0, result.output
    h_hat = np.load(out)
    assert h_hat.dtype == np.complex64
    same = (ours == payload).all(axis=1)
    assert same.mean() > 0.95
    # 1e-4 of the runtime's output in [0, 1], twice that of CSI in [-1, 1].
    np.testing.assert_allclose(h_hat[same], h[same], atol=2e-4)
    reference = read_csi(csi_file)
    unit = reference.h / reference.absmax[:, None, None]
    error = (np.abs(unit - h_hat) ** 2).sum((1, 2)) / (np.abs(unit) ** 2).sum((1, 2))
    assert f"NMSE {10 * np.log10(error.mean()):.2f} dB" in result.stdout
    assert "2048 bits" in result.stdout


def test_raw_payloads_and_scales(tmp_path: Path, package: Path, csi_file: Path, run: Run) -> None:
    outs = {name: tmp_path / name for name in ("p", "raw", "scaled", "h.npy", "hs.npy")}
    options: dict[str, list[object]] = {"p": [], "raw": ["--raw"], "scaled": ["--with-scale"]}
    for name, more in options.items():
        result = run("encode", package, csi_file, "--out", outs[name], *more, "--json")
        assert result.exit_code == 0, result.output
        bits = json.loads(result.stdout)["payload_bits"]
        assert bits == (2064 if name == "scaled" else 2048)
    assert outs["p"].read_bytes()[32:] == outs["raw"].read_bytes()
    assert outs["scaled"].stat().st_size == 32 + 260 * 258
    assert run("decode", package, outs["raw"], "--raw", "--out", outs["h.npy"]).exit_code == 0
    scaled = run("decode", package, outs["scaled"], "--with-scale", "--out", outs["hs.npy"])
    assert scaled.exit_code == 0, scaled.output
    absmax = read_csi(csi_file).absmax.astype(np.float16).astype(np.float32)
    expected = np.load(outs["h.npy"]) * absmax[:, None, None]
    np.testing.assert_array_equal(np.load(outs["hs.npy"]), expected)


def test_decode_to_frequency(tmp_path: Path, package: Path, csi_file: Path, run: Run) -> None:
    run("encode", package, csi_file, "--out", tmp_path / "p")
    run("decode", package, tmp_path / "p", "--out", tmp_path / "a.npy")
    wanted = ("--domain", "frequency", "--out", tmp_path / "f.npy")
    assert run("decode", package, tmp_path / "p", *wanted).exit_code == 0
    f, h = np.load(tmp_path / "f.npy"), np.load(tmp_path / "a.npy")
    assert f.shape == (260, 257, 32)
    back = np.fft.ifft(f, axis=1)[:, :32]
    back = np.fft.fftshift(np.fft.fft(back, axis=2, norm="ortho"), axes=2).swapaxes(1, 2)
    np.testing.assert_allclose(back, h, atol=1e-5)


def test_the_frequency_domain_is_read(
    tmp_path: Path, package: Path, csi_file: Path, run: Run
) -> None:
    from csideploy.channels.transform import to_frequency

    np.save(tmp_path / "f.npy", to_frequency(read_csi(csi_file).h))
    run("encode", package, csi_file, "--out", tmp_path / "a")
    result = run(
        "encode", package, tmp_path / "f.npy", "--domain", "frequency", "--out", tmp_path / "f"
    )
    assert result.exit_code == 0, result.output
    a, f = (np.frombuffer((tmp_path / n).read_bytes()[32:], np.uint8) for n in "af")
    # The transform there and back costs a few last bits of a float32, so codes rarely move.
    assert (a != f).mean() < 1e-3


def checks(package: Path, run: Run, *more: object) -> tuple[int, dict[str, dict[str, object]]]:
    result = run("validate", package, "--json", *more)
    return result.exit_code, {c["name"]: c for c in json.loads(result.stdout)["checks"]}


def test_validate_holds(package: Path, csi_file: Path, run: Run) -> None:
    for more in ((), ("--reference", csi_file)):
        code, found = checks(package, run, *more)
        assert code == 0
        assert len(found) == 5
        assert all(check["holds"] for check in found.values())


def rewritten(package: Path, tmp_path: Path, side: str, change: object) -> Path:
    """The package with one bundle whose plan was changed, and the manifest to match."""
    import hashlib

    folder = tmp_path / "changed"
    shutil.copytree(package, folder)
    plan = read_bundle((folder / f"{side}.csib").read_bytes())
    data = write_bundle(change(plan))  # type: ignore[operator]
    (folder / f"{side}.csib").write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][f"{side}.csib"]["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def nudge(op: Op, which: int) -> object:
    """Changes one weight of the step number `which` of an operation."""

    def change(plan: Plan) -> Plan:
        step = [s for s in plan.steps if s.op is op][which]
        assert step.inputs[1] is not None
        place = plan.tensors[step.inputs[1]].place
        weights = plan.weights.copy()
        if op is Op.BINARY_LINEAR:
            weights[place : place + 256] ^= 0xFF
        else:
            weights[place : place + 4].view("<f4")[:] += 1.0
        return Plan(**{**vars(plan), "weights": weights})

    return change


@pytest.mark.parametrize(
    ("side", "op", "which", "layer"),
    [
        ("ue", Op.CONV2D, 1, "encoder.convolutions.1.body.conv1x9"),
        ("ue", Op.BINARY_LINEAR, 0, "encoder.fc"),
        ("bs", Op.CONV_BLOCK, 0, "decoder.convolutions.1"),
        ("bs", Op.LINEAR, 0, "decoder.fc"),
    ],
)
def test_validate_names_the_first_diverging_layer(
    side: str, op: Op, which: int, layer: str, package: Path, tmp_path: Path, run: Run
) -> None:
    code, found = checks(rewritten(package, tmp_path, side, nudge(op, which)), run)
    assert code == 1
    named = [c["first_diverging_layer"] for c in found.values() if "first_diverging_layer" in c]
    assert len(named) == 1
    assert str(named[0]).startswith(f"{layer} (")


def test_the_pairing_id_is_of_both_files(source: LinkSource, package: Path, tmp_path: Path) -> None:
    graph = onnx.load_model_from_string(source.bs)
    scale = next(i for i in graph.graph.initializer if i.name.endswith("fc.bias"))
    scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * 1.01, scale.name))
    changed = LinkSource(**{**vars(source), "bs": graph.SerializeToString()})
    make_package(changed, WANTED, tmp_path / "other")
    one, other = open_package(package), open_package(tmp_path / "other")
    assert one.pairing_id != other.pairing_id
    assert one.open_part("ue").pairing_id == one.open_part("bs").pairing_id == one.pairing_id
    shutil.copy(package / "ue.csib", tmp_path / "other" / "ue.csib")
    with pytest.raises(PairingError, match="belongs to another link"):
        other.open_part("ue")


def test_inlined_onnx_computes_the_same_and_pairs(
    source: LinkSource, package: Path, csi_file: Path, tmp_path: Path
) -> None:
    inlined = tmp_path / "inlined"
    make_package(source, type(WANTED)(**{**vars(WANTED), "inline": True}), inlined)
    assert open_package(inlined).pairing_id == open_package(package).pairing_id
    assert not onnx.load(inlined / "ue.onnx").functions
    np.testing.assert_array_equal(
        by_onnxruntime(inlined, csi_file)[0], by_onnxruntime(package, csi_file)[0]
    )


def test_packages_are_the_same_every_time(
    source: LinkSource, package: Path, tmp_path: Path
) -> None:
    make_package(source, WANTED, tmp_path / "again")
    for name in ("ue.csib", "bs.csib", "ue.onnx", "bs.onnx", "report.json", "report.html"):
        assert (tmp_path / "again" / name).read_bytes() == (package / name).read_bytes()
    with np.load(tmp_path / "again" / "vectors.npz") as a, np.load(package / "vectors.npz") as b:
        for key in ("x", "codes", "payload", "h"):
            np.testing.assert_array_equal(a[key], b[key])


def test_one_bundle_alone(tmp_path: Path, package: Path, run: Run) -> None:
    bundle, outputs = tmp_path / "ue.csib", tmp_path / "o.npz"
    compiled = run("compile", package / "ue.onnx", "--out", bundle, "--vectors", 2)
    assert compiled.exit_code == 0, compiled.output
    result = run("validate", bundle, "--onnx", package / "ue.onnx", "--json")
    assert result.exit_code == 0, result.output
    assert len(json.loads(result.stdout)["checks"]) == 4
    with np.load(package / "vectors.npz") as vectors:
        np.save(tmp_path / "x.npy", vectors["x"])
        result = run("run", bundle, tmp_path / "x.npy", "--out", outputs)
        assert result.exit_code == 0, result.output
        with np.load(outputs) as made:
            assert (made["codes"] != vectors["codes"]).mean() < 1e-3
            assert made["payload"].shape == (20, 256)


def test_weights_in_another_file(tmp_path: Path, package: Path, run: Run) -> None:
    model, bundle = tmp_path / "bs.onnx", tmp_path / "bs.csib"
    network = onnx.load(package / "bs.onnx")
    onnx.save_model(network, model, save_as_external_data=True, location="bs.weights")
    result = run("compile", model, "--out", bundle, "--side", "bs")
    assert result.exit_code == 0, result.output
    result = run("validate", bundle, "--onnx", model, "--samples", 2)
    assert result.exit_code == 0, result.output
    (tmp_path / "bs.weights").unlink()
    assert "bs.weights" in run("compile", model, "--out", bundle).stderr


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_never_agree(value: float) -> None:
    judge = FloatError()
    judge.add(5, np.ones((2, 3)), np.array([[1.0, 1, 1], [1, value, 1]]))
    assert not judge.holds
    assert judge.culprit == 6
    assert not np.isfinite(judge.error)
