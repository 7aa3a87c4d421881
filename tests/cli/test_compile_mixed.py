"""`compile --precision mixed`: a decoder of the zoo alone, from its ONNX file to a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.export.bundle_read import read_bundle
from csideploy.export.plan import DType, Op
from csideploy.onnx_oracle import Oracle
from csideploy.runtime import Part

from .conftest import Run

ZOO = Path(__file__).parents[2] / "zoo" / "bacrnet1x"


@pytest.fixture
def payloads(csi_file: Path, tmp_path: Path) -> Path:
    x, _ = to_input(read_csi(csi_file).h[:40])
    made = Oracle((ZOO / "ue.onnx").read_bytes(), name="ue").run(x)["payload"]
    np.save(tmp_path / "payloads.npy", made)
    return tmp_path / "payloads.npy"


def test_a_decoder_alone(payloads: Path, tmp_path: Path, run: Run) -> None:
    arguments = ("compile", ZOO / "bs.onnx", "--precision", "mixed", "--side", "bs")
    arguments += ("--calibration", payloads, "--out", tmp_path / "bs.csib", "--json")
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["onnx"] == str(tmp_path / "bs.int8.onnx")
    about = report["quantization"]
    assert about["loss_db"] <= 0.08
    assert {row["kind"] for row in about["layers"]} == {"layer", "edge"}
    plan = read_bundle((tmp_path / "bs.csib").read_bytes())
    blocks = [step for step in plan.steps if step.op is Op.CONV_BLOCK]
    assert len(blocks) == 2
    for step in blocks:
        weights = [plan.tensors[step.inputs[place] or 0].dtype for place in (1, 3, 4)]
        assert weights == [DType.I16, DType.I8, DType.I16]
    sent = np.load(payloads)
    h = Part(tmp_path / "bs.csib").run(sent)[0]
    exact = Oracle((ZOO / "bs.onnx").read_bytes(), name="bs").run(sent)["h"]
    # A loss of 0.08 dB beside an error of -20 dB is noise at -37 dB; 1 dB is left for other data.
    assert 0 < np.mean((h - exact) ** 2) < 10**-3.6 * exact.var()


def test_the_file_compiles_by_itself(payloads: Path, tmp_path: Path, run: Run) -> None:
    """To the same integers; and ONNX Runtime stays within the bound of `validate`."""
    out = ("--out", tmp_path / "bs.csib")
    given = ("--precision", "mixed", "--side", "bs", "--calibration", payloads)
    assert run("compile", ZOO / "bs.onnx", *given, *out).exit_code == 0
    again = run("compile", tmp_path / "bs.int8.onnx", "--side", "bs", "--out", tmp_path / "q.csib")
    assert again.exit_code == 0, again.output
    sent = np.load(payloads)[:4]
    made = [Part(tmp_path / name).run(sent)[0] for name in ("bs.csib", "q.csib")]
    np.testing.assert_array_equal(*made)
    checked = run("validate", tmp_path / "bs.csib", "--onnx", tmp_path / "bs.int8.onnx", "--json")
    assert checked.exit_code == 0, checked.output


def test_nothing_heavy_is_refused(tmp_path: Path, run: Run) -> None:
    """One small convolution: no layer that `mixed` takes."""
    weight = onnx.numpy_helper.from_array(np.ones((2, 2, 3, 3), np.float32), "w")
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 2, 4, 4])
        for name in ("x", "y")
    ]
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = onnx.helper.make_graph([node], "small", ends[:1], ends[1:], [weight])
    imports = [onnx.helper.make_opsetid("", 21)]
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=imports, ir_version=10), tmp_path / "m.onnx"
    )
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((20, 2, 4, 4), np.float32))
    given = ("--precision", "mixed", "--calibration", tmp_path / "x.npy")
    result = run("compile", tmp_path / "m.onnx", *given)
    assert result.exit_code == 2
    assert "no layer of the network is worth integers alone" in " ".join(result.output.split())
    assert not (tmp_path / "m.csib").exists()
