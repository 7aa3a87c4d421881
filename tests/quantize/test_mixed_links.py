"""`--precision mixed` from export to validate: the zoo's links, by what their packages compute."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from csideploy import metrics
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.generate import generate
from csideploy.export.bundle_read import read_bundle
from csideploy.export.plan import DType, Op, Plan
from csideploy.link_export import Wanted, export_link
from csideploy.link_source import Bits
from csideploy.package import LinkPackage, open_package
from csideploy.payload import unpack_codes
from csideploy.runtime import Part, instruction_sets
from csideploy.validate import validate

sys.path.insert(0, str(Path(__file__).parents[1]))

from command_line import invoke

SAMPLES = 200
"""Of the indoor scenario; no seed of the calibration's."""
UE = [Op.CONV2D] * 5 + [Op.QUANTIZE, Op.QBINARY_LINEAR, Op.QTHRESHOLD, Op.PACK_BITS]


def _package(model: str, precision: str, folder: Path) -> LinkPackage:
    emit = frozenset({"onnx", "bundle", "c"} if precision == "mixed" else {"onnx", "bundle"})
    wanted = Wanted(model, None, Bits(), None, emit, False, 7, precision=precision)
    export_link(wanted, out=folder / precision)
    return open_package(folder / precision)


@pytest.fixture(scope="module", params=["bacrnet10x", "bacrnet10x-both", "bacrnet1x"])
def packages(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[LinkPackage, LinkPackage]:
    """fp32 and mixed."""
    folder = tmp_path_factory.mktemp("mixed")
    fp32, mixed = (_package(request.param, kind, folder) for kind in ("fp32", "mixed"))
    return fp32, mixed


def _plan(package: LinkPackage, side: str) -> Plan:
    return read_bundle(package.read(package.name_of(side, "csib")))


def _parts(package: LinkPackage) -> tuple[Part, Part]:
    ue, bs = (Part(package.path / package.name_of(side, "csib")) for side in ("ue", "bs"))
    return ue, bs


def test_the_ue_is_floats_and_then_integers(packages: tuple[LinkPackage, LinkPackage]) -> None:
    assert [step.op for step in _plan(packages[1], "ue").steps] == UE


def test_the_bs_holds_its_work_in_integers(packages: tuple[LinkPackage, LinkPackage]) -> None:
    """Integers up to behind the FC layer, then blocks of integers."""
    plan = _plan(packages[1], "bs")
    ops = [step.op for step in plan.steps]
    assert ops[2] in (Op.QLINEAR, Op.QBINARY_LINEAR)
    assert ops[3] is Op.DEQUANTIZE
    assert Op.QUANTIZE not in ops
    blocks = [step for step in plan.steps if step.op is Op.CONV_BLOCK]
    assert len(blocks) == 2
    for step in blocks:
        weights = [plan.tensors[step.inputs[place] or 0].dtype for place in (1, 3, 4)]
        assert weights == [DType.I16, DType.I8, DType.I16]
    if ops[2] is Op.QLINEAR:
        # Half a link's bytes are this layer's.
        assert plan.weights.nbytes < 0.3 * _plan(packages[0], "bs").weights.nbytes


def test_the_choice_is_written_down(packages: tuple[LinkPackage, LinkPackage]) -> None:
    manifest = packages[1].manifest
    assert {part["precision"] for part in manifest["parts"]} == {"mixed"}
    assert manifest["pairing_id"] == packages[0].manifest["pairing_id"]
    about = manifest["quantization"]
    assert about["precision"] == "mixed"
    assert about["loss_db"] <= 0.08
    own = [row for row in about["layers"] if row["kind"] == "layer"]
    assert [row["layer"] for row in own] == [
        "encoder.fc",
        "decoder.fc",
        "decoder.convolutions.1.body.conv7x7",
        "decoder.convolutions.2.body.conv7x7",
    ]
    assert all(row["bits"] in (8, 16) for row in own)
    edges = [row["layer"] for row in about["layers"] if row["kind"] == "edge"]
    assert edges == [
        f"decoder.convolutions.{i}.{name}" for i in (1, 2) for name in ("body.conv1x9", "conv9x1")
    ]
    assert {row["bits"] for row in about["layers"] if row["kind"] == "edge"} == {16}


def test_codes_and_loss(packages: tuple[LinkPackage, LinkPackage]) -> None:
    """1 % of the codes and 0.1 dB are what the precision promises. Measured: 0.25 %, 0.07 dB."""
    x, _ = to_input(_csi())
    found = []
    for package in packages:
        ue, bs = _parts(package)
        payload = ue.run(x)[-1]
        found.append((unpack_codes(payload, 512, 4).astype(int), from_input(bs.run(payload)[0])))
    (exact, floats), (codes, integers) = found
    assert 0 < np.mean(codes != exact) <= 0.01
    assert np.abs(codes - exact).max() == 1
    loss = [float(metrics.to_db(metrics.nmse(from_input(x), h))) for h in (floats, integers)]
    assert loss[1] <= loss[0] + 0.1


def _csi() -> np.ndarray:
    made = generate("indoor", SAMPLES * 10, seed=606).H[::10].astype(np.float32)
    return np.asarray(made[:, 0] + 1j * made[:, 1])


def test_validate(packages: tuple[LinkPackage, LinkPackage], tmp_path: Path) -> None:
    np.savez(tmp_path / "h.npz", H=_csi()[:40])
    result = validate(packages[1].path, reference=tmp_path / "h.npz")
    assert result["passed"], [entry for entry in result["checks"] if not entry["holds"]]
    assert result["measured"]["ue_codes"] == 40 * 512


def test_every_instruction_set_gives_the_same_bits(
    packages: tuple[LinkPackage, LinkPackage],
) -> None:
    given, _ = to_input(_csi()[:2])
    for side in ("ue", "bs"):
        bundle = packages[1].path / packages[1].name_of(side, "csib")
        expected = Part(bundle, isa="reference").run(given)
        for isa in instruction_sets()[1:]:
            made = Part(bundle, isa=isa).run(given)
            assert [a.tobytes() for a in made] == [a.tobytes() for a in expected], isa
        given = expected[-1]


def test_it_is_c_too(packages: tuple[LinkPackage, LinkPackage]) -> None:
    folders = [entry for entry in packages[1].path.iterdir() if entry.is_dir()]
    assert len(folders) == 2
    assert all(list(folder.rglob("*.c")) for folder in folders)


def test_report_counts_the_bytes(packages: tuple[LinkPackage, LinkPackage]) -> None:
    sides = json.loads((packages[1].path / "report.json").read_text())["sides"]
    assert sides["ue"]["binary_bytes"] >= 512 * 2048 // 8
    weights = sides["bs"]["int8_bytes"] + sides["bs"]["binary_bytes"]
    assert weights >= 512 * 2048 // 8


@pytest.mark.parametrize(
    "model", [["kd-precoder-k2", "--snr", "10"], ["rvq-egat-raytraced-m16"], ["neural-mq-umi-b64"]]
)
def test_others_refuse_it(model: list[str], tmp_path: Path) -> None:
    result = invoke("export", "--model", *model, "--precision", "mixed", "--out", tmp_path / "P")
    assert result.exit_code == 2
    assert "mixed is for CSI feedback links" in result.output.replace("\n", " ")
    assert not (tmp_path / "P").exists()
