"""--precision int8 and auto: packages and bundles of integers, from export to validate."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.export.bundle_read import read_bundle
from csideploy.export.integer.run import run_plan
from csideploy.export.plan import DType, Op
from csideploy.link_export import make_package
from csideploy.link_source import LinkSource
from csideploy.onnx_oracle import Oracle
from csideploy.package import open_package
from csideploy.runtime import Part, instruction_sets

from .conftest import WANTED, Run

FILES = [
    "bs.int8.csib", "bs.int8.onnx", "bs.onnx", "report.html", "report.json", "ue.int8.csib",
    "ue.int8.onnx", "ue.onnx", "vectors.npz",
]  # fmt: skip


@pytest.fixture(scope="module")
def int8(source: LinkSource, csi_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The test link at 8 bits everywhere, calibrated on a file. Tests that change it copy it."""
    folder = tmp_path_factory.mktemp("int8") / "P"
    wanted = dataclasses.replace(WANTED, precision="int8", calibration=csi_file)
    make_package(source, wanted, folder)
    return folder


@pytest.fixture(scope="module")
def auto(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """The zoo's smallest link by `export --precision auto`, generated channels for the scales."""
    folder = tmp_path_factory.mktemp("auto") / "P"
    result = run("export", "--model", "bacrnet1x", "--precision", "auto", "--out", folder)
    assert result.exit_code == 0, result.output
    assert "decoder.convolutions.2.activation" in result.stdout
    assert "All together, on the calibration data:" in result.stdout
    return folder


def test_files_and_manifest(int8: Path, package: Path) -> None:
    manifest = json.loads((int8 / "manifest.json").read_text())
    assert sorted(manifest["files"]) == FILES
    assert {part["precision"] for part in manifest["parts"]} == {"int8"}
    about = manifest["quantization"]
    assert about["precision"] == "int8"
    assert about["calibration"] == {"file": "indoor.npz"}
    assert {row["bits"] for row in about["layers"]} == {8, 16}
    # Payloads mean the same at both precisions.
    floats = json.loads((package / "manifest.json").read_text())
    assert manifest["pairing_id"] == floats["pairing_id"]
    assert {part["precision"] for part in floats["parts"]} == {"fp32"}
    assert "quantization" not in floats


def test_every_instruction_set_gives_the_same_bits(int8: Path, auto: Path, csi_file: Path) -> None:
    """8 and 16 bits, encoder and decoder; other machines: `make targets`."""
    for folder in (int8, auto):
        given, _ = to_input(read_csi(csi_file).h[:4])
        for side in ("ue", "bs"):
            bundle = folder / f"{side}.int8.csib"
            expected = Part(bundle, isa="reference").run(given)
            for isa in instruction_sets()[1:]:
                made = Part(bundle, isa=isa).run(given)
                assert [a.tobytes() for a in made] == [a.tobytes() for a in expected], isa
            given = expected[-1]  # the payload


def test_the_encoder_is_integer_from_input_to_payload(int8: Path, auto: Path) -> None:
    for folder in (int8, auto):
        plan = read_bundle((folder / "ue.int8.csib").read_bytes())
        floats = [step.op for step in plan.steps if step.op < Op.QUANTIZE]
        assert floats == [Op.PACK_BITS]
        assert plan.steps[0].op is Op.QUANTIZE
        made = {plan.tensors[step.outputs[0]].dtype for step in plan.steps}
        assert DType.F32 not in made
        assert plan.arena_bytes <= 20 * 1024


def test_weights_are_stored_in_bytes(int8: Path, package: Path) -> None:
    sizes = [
        sum((folder / name).stat().st_size for name in ("bs" + kind, "ue" + kind))
        for folder, kind in ((int8, ".int8.csib"), (package, ".csib"))
    ]
    assert sizes[0] < 0.3 * sizes[1]
    report = json.loads((int8 / "report.json").read_text())["sides"]["bs"]
    assert report["int8_bytes"] > 1_000_000
    assert report["fp32_bytes"] < 40_000
    assert report["macs"] == 3_346_432  # as the fp32 part has
    onnx.checker.check_model(onnx.load(int8 / "bs.int8.onnx"), full_check=True)


def test_eight_bits_equal_onnx_runtime_to_the_bit(int8: Path, csi_file: Path, run: Run) -> None:
    result = run("validate", int8, "--reference", csi_file, "--samples", 30, "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["passed"]
    assert report["measured"]["ue_codes"] == 30 * 512
    # Only the sixteen bits in front of the sigmoid are computed in float by ONNX Runtime.
    assert report["measured"]["ue_codes_differ"] <= 2
    # A sigmoid in float32 ends the decoder.
    assert report["measured"]["bs_max_error"] < 1e-6
    names = [check["name"] for check in report["checks"]]
    assert sum("NumPy specification" in name for name in names) == 2


def test_auto_is_close_to_fp32(auto: Path, run: Run, csi_file: Path, tmp_path: Path) -> None:
    result = run("validate", auto, "--reference", csi_file, "--samples", 100, "--json")
    assert result.exit_code == 0, result.output
    measured = json.loads(result.stdout)["measured"]
    assert measured["nmse_db"] < measured["nmse_db_fp32"] + 0.1
    assert abs(measured["nmse_db"] - measured["nmse_db_onnxruntime"]) < 0.01
    shown = run("validate", auto, "--samples", 5)
    assert "integers cost" in shown.stdout


def test_encode_decode(auto: Path, csi_file: Path, tmp_path: Path, run: Run) -> None:
    payload, out = tmp_path / "p.bin", tmp_path / "h.npy"
    assert run("encode", auto, csi_file, "--out", payload).exit_code == 0
    result = run("decode", auto, payload, "--out", out, "--reference", csi_file, "--json")
    assert result.exit_code == 0, result.output
    h = read_csi(csi_file).h
    x, _ = to_input(h)
    sent = run_plan(read_bundle((auto / "ue.int8.csib").read_bytes()), [x[:20]])["payload"]
    stored = np.frombuffer(payload.read_bytes()[32:], np.uint8).reshape(-1, 256)
    np.testing.assert_array_equal(stored[:20], sent)
    nmse = metrics.to_db(metrics.nmse(from_input(x), np.load(out)))
    assert json.loads(result.stdout)["nmse_db"] == pytest.approx(nmse, abs=1e-3)
    assert nmse < -17


def test_an_int8_ue_speaks_to_an_fp32_bs(
    int8: Path, package: Path, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    payload = tmp_path / "p.bin"
    assert run("encode", int8, csi_file, "--out", payload).exit_code == 0
    result = run("decode", package, payload, "--out", tmp_path / "h.npy")
    assert result.exit_code == 0, result.output


def test_report_and_inspect(int8: Path, run: Run) -> None:
    shown = run("report", int8, "--rounds", 1)
    assert shown.exit_code == 0
    assert "int8 weights" in shown.stdout
    looked = run("inspect", int8 / "ue.int8.csib")
    assert looked.exit_code == 0
    assert "qconv2d" in looked.stdout
    assert "int16" in looked.stdout or "i16" in looked.stdout


def test_a_changed_weight_fails_validation(int8: Path, tmp_path: Path, run: Run) -> None:
    # The ONNX file and the bundle no longer say the same; the manifest agrees with both.
    from csideploy.package import MANIFEST, write_package

    folder = tmp_path / "changed"
    folder.mkdir()
    link = open_package(int8)
    files = {name: link.read(name) for name in link.manifest["files"]}
    model = onnx.load_model_from_string(files["ue.int8.onnx"])
    tensor = next(t for t in model.graph.initializer if t.name.endswith(".weight.quantized"))
    codes = onnx.numpy_helper.to_array(tensor).copy()
    codes.reshape(-1)[::2] = -codes.reshape(-1)[::2]
    tensor.CopyFrom(onnx.numpy_helper.from_array(codes, tensor.name))
    files["ue.int8.onnx"] = model.SerializeToString()
    rest = {k: v for k, v in link.manifest.items() if k not in ("version", "files")}
    write_package(folder, rest, files)
    assert (folder / MANIFEST).is_file()
    result = run("validate", folder, "--samples", 5, "--json")
    assert result.exit_code == 1
    failed = [check["name"] for check in json.loads(result.stdout)["checks"] if not check["holds"]]
    assert len(failed) == 1
    assert failed[0].startswith("UE payload codes")


def test_compile(package: Path, csi_file: Path, tmp_path: Path, run: Run) -> None:
    source = tmp_path / "ue.onnx"
    shutil.copy(package / "ue.onnx", source)
    arguments = ("compile", source, "--precision", "int8", "--calibration", csi_file, "--json")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["out"] == str(tmp_path / "ue.int8.csib")
    assert report["onnx"] == str(tmp_path / "ue.int8.onnx")
    assert next(row["side"] for row in report["quantization"]["layers"]) == ""
    again = run(
        "validate", tmp_path / "ue.int8.csib", "--onnx", tmp_path / "ue.int8.onnx", "--json"
    )
    assert again.exit_code == 0, again.output
    # A QDQ file compiles by itself, to the same integers.
    plain = run("compile", tmp_path / "ue.int8.onnx", "--out", tmp_path / "q.csib", "--vectors", 0)
    assert plain.exit_code == 0, plain.output
    x, _ = to_input(read_csi(csi_file).h[:10])
    parts = [Part((tmp_path / name).read_bytes()) for name in ("ue.int8.csib", "q.csib")]
    (a, _), (b, _) = (part.run(x) for part in parts)
    np.testing.assert_array_equal(a, b)


def test_compile_auto_on_arrays(package: Path, csi_file: Path, tmp_path: Path, run: Run) -> None:
    """A decoder alone: payloads as calibration, its own noise as the measure."""
    x, _ = to_input(read_csi(csi_file).h[:40])
    payloads = Oracle((package / "ue.onnx").read_bytes(), name="ue").run(x)["payload"]
    np.save(tmp_path / "payloads.npy", payloads)
    result = run(
        *("compile", package / "bs.onnx", "--precision", "auto", "--side", "bs"),
        *("--calibration", tmp_path / "payloads.npy", "--out", tmp_path / "bs.csib", "--json"),
    )
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["onnx"] == str(tmp_path / "bs.int8.onnx")
    assert report["quantization"]["loss_db"] < 0.15
    assert all(row["cost_db"] is not None for row in report["quantization"]["layers"])
    h = Part((tmp_path / "bs.csib").read_bytes()).run(payloads)[0]
    exact = Oracle((package / "bs.onnx").read_bytes(), name="bs").run(payloads)["h"]
    # A loss of 0.15 dB beside an error of -20 dB is noise at -34 dB.
    assert np.mean((h - exact) ** 2) < 10**-3.4 * exact.var()


def test_compile_a_network_written_for_one_sample(tmp_path: Path, run: Run) -> None:
    helper = onnx.helper
    random = np.random.default_rng(4)
    constants = {
        "w": random.standard_normal((3, 2, 3, 3)),
        "v": random.standard_normal((4, 3 * 16)),
        "shape": np.array([1, 48], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["row"], name="reshape"),
        helper.make_node("Gemm", ["row", "v"], ["y"], name="gemm", transB=1),
    ]
    stored = [
        onnx.numpy_helper.from_array(a.astype(np.float32) if a.dtype == float else a, n)
        for n, a in constants.items()
    ]
    ends = [
        helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, s)
        for n, s in (("x", (1, 2, 4, 4)), ("y", (1, 4)))
    ]
    graph = helper.make_graph(nodes, "one", ends[:1], ends[1:], stored)
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", random.random((24, 2, 4, 4), dtype=np.float32))
    arguments = ("--precision", "auto", "--calibration", tmp_path / "x.npy", "--json")
    result = run("compile", tmp_path / "m.onnx", *arguments)
    assert result.exit_code == 0, result.output
    plan = read_bundle((tmp_path / "m.int8.csib").read_bytes())
    assert [step.op for step in plan.steps] == [
        Op.QUANTIZE, Op.QCONV2D, Op.QLINEAR, Op.DEQUANTIZE,
    ]  # fmt: skip
    assert run("validate", tmp_path / "m.int8.csib").exit_code == 0
