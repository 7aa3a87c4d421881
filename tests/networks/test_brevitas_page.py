"""docs/brevitas.md: its blocks run as they stand, and its messages are those that come."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

pytest.importorskip("torch")
pytest.importorskip("brevitas")
pytest.importorskip("onnxoptimizer")

from csideploy.errors import UnsupportedError
from csideploy.export.bundle_read import read_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import Op

BLOCK = re.compile(r"^```(python|sh)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def page(repository: Path) -> str:
    return (repository / "docs" / "brevitas.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def done(page: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder in which all blocks ran, one after the other, and what they printed."""
    folder = tmp_path_factory.mktemp("page")
    here = str(Path(sys.executable).parent)
    paths = os.pathsep.join([here, os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": paths, "COLUMNS": "200"}
    said = ""
    for language, name, text in BLOCK.findall(page):
        if language == "python":
            (folder / name.strip()).write_text(text, encoding="utf-8")
            command = [sys.executable, name.strip()]
        else:
            command = ["bash", "-e", "-c", text]
        ran = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert ran.returncode == 0, f"{name or text}: {ran.stderr[-2000:]}"
        said += ran.stdout
    return folder, said


def test_every_block_runs(done: tuple[Path, str], page: str) -> None:
    folder, said = done
    assert {"encoder.py", "train.py", "compare.py"} <= {path.name for path in folder.iterdir()}
    assert len(BLOCK.findall(page)) == page.count("\n```python") + page.count("\n```sh")
    # Two lines a network, of features and of codes.
    assert len(re.findall(r"^(?:int8|binary): .* differ", said, re.MULTILINE)) == 4


@pytest.mark.parametrize(("name", "fc"), [("int8", Op.QLINEAR), ("binary", Op.QBINARY_LINEAR)])
def test_the_encoder_is_integers_from_end_to_end(done: tuple[Path, str], name: str, fc: Op) -> None:
    plan = read_bundle((done[0] / f"{name}-payload.csib").read_bytes())
    assert [step.op for step in plan.steps] == [
        Op.QUANTIZE, Op.QCONV2D, Op.QACTIVATION, Op.QCONV2D, fc, Op.QTHRESHOLD, Op.PACK_BITS,
    ]  # fmt: skip
    assert plan.payload is not None
    assert plan.payload.payload_bits == 2048
    weights = plan.tensors[plan.steps[4].inputs[1] or 0]
    assert weights.nbytes == 2048 * 512 // (8 if name == "binary" else 1)


def test_payloads_are_of_the_trained_network(done: tuple[Path, str]) -> None:
    """The two networks differ, and codes take many values: nothing constant was compared."""
    codes = {name: np.load(done[0] / f"{name}-payload.npz")["codes"] for name in ("int8", "binary")}
    assert (codes["int8"] != codes["binary"]).mean() > 0.05
    assert all(len(np.unique(one)) >= 4 for one in codes.values())


def changed(folder: Path, what: str) -> onnx.ModelProto:
    """The 1-bit file with one thing in it that is refused."""
    model = onnx.load(folder / "binary.onnx")
    nodes = [node for node in model.graph.node if node.op_type == "Quant"]
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    activation = next(node for node in nodes if node.input[0] == "x")
    if what == "rounding":
        mode = next(a for a in activation.attribute if a.name == "rounding_mode")
        mode.s = b"round_to_zero"
    elif what == "scale":
        model.graph.node.insert(0, helper.make_node("ReduceMax", ["x"], ["largest"], keepdims=0))
        activation.input[1] = "largest"
    else:
        made = {out: node for node in model.graph.node for out in node.output}
        name = nodes[1].input[1]
        nan = np.full(2, np.nan, np.float32).reshape(2, 1, 1, 1)
        if name in weights:
            weights[name].CopyFrom(numpy_helper.from_array(nan, name))
        else:
            made[name].attribute[0].t.CopyFrom(numpy_helper.from_array(nan, name))
    return model


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("nan", "scales must be finite and positive"),
        ("rounding", "rounding DOWN of an activation; ROUND, HALF_EVEN, CEIL, FLOOR are supported"),
        ("scale", "its scale must be a constant"),
    ],
)
def test_messages_of_the_page(done: tuple[Path, str], page: str, what: str, message: str) -> None:
    assert message in page
    with pytest.raises(UnsupportedError) as caught:
        compile_model(changed(done[0], what), part="encoder", side="ue")
    assert re.search(r"^node '.*' \(.*::Quant\): ", str(caught.value))
    assert message in str(caught.value)


def test_quantizing_what_is_quantized_is_refused(done: tuple[Path, str], page: str) -> None:
    from typer.testing import CliRunner

    from csideploy.cli import app

    folder = done[0]
    arguments = ["compile", str(folder / "binary.onnx"), "--precision", "int8", "--calibration",
                 str(folder / "csi.npz"), "--json"]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    message = "the network is quantized already (QuantizeLinear or QONNX)"
    assert message in page
    assert message in json.loads(result.stdout)["error"]
