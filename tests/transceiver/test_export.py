"""Packages of transceivers: what stands in them, what pairs, what a manifest must say."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

pytest.importorskip("torch", reason="the weights of these tests are a torch network's")

from small_transceiver import replaced, small_users, small_weights, torch_net

from csideploy.errors import FormatError, InputError, PairingError
from csideploy.export.bundle_read import read_bundle
from csideploy.package import open_package
from csideploy.quantizers.residual import encode, indices_to_bits
from csideploy.transceiver.export import (
    TransceiverWanted,
    check_calibration,
    make_transceiver,
    transceiver_pairing,
)
from csideploy.transceiver.parts import Parts
from csideploy.transceiver.running import complexes
from csideploy.transceiver.users import save_users
from csideploy.transceiver.vectors import golden_vectors

STEMS = (
    "ue", "ue-quantizer-b3", "ue-quantizer-b8", "ue-quantizer-b11",
    "bs-quantizer-b3", "bs-quantizer-b8", "bs-quantizer-b11", "bs",
)  # fmt: skip


def test_a_package_has_every_part_twice(package_folder: Path) -> None:
    package = open_package(package_folder)
    assert package.all_stems() == STEMS
    files = {f"{stem}.{end}" for stem in STEMS for end in ("onnx", "csib")}
    assert set(package.manifest["files"]) == files | {"vectors.npz", "report.html", "report.json"}
    assert package.name == ("rvq-egat, M 4, L 2, D 8, B 4+4; 3, 8, 11 bits a user, 1 to 4 users")
    for stem in STEMS:
        part = package.open_part(stem)
        assert part.k_max == (4 if stem == "bs" else 1)
    report = json.loads(package.read("report.json"))
    assert set(report["sides"]) == set(STEMS)


def test_the_manifest_says_budgets_and_layouts(package_folder: Path) -> None:
    manifest = open_package(package_folder).manifest
    budgets = manifest["budgets"]
    assert [b["bits"] for b in budgets] == manifest["bits"] == [3, 8, 11]
    # Below the trained 4 + 4: the first tier made smaller; above: a further tier.
    assert [b["tiers"] for b in budgets] == [[3], [4, 4], [4, 4, 3]]
    assert [b["layouts"] for b in budgets] == [[0x0403], [0x0408], [0x040B]]
    assert [b["bytes"] for b in budgets] == [1, 1, 2]
    assert manifest["provenance"]["command"] == "csideploy train rvq-egat"
    assert manifest["max_users"] == 4


def test_golden_vectors_are_those_of_torch(package_folder: Path) -> None:
    import torch

    golden, weights = golden_vectors(open_package(package_folder)), small_weights()
    net = torch_net(weights)
    y = torch.from_numpy(golden["y"].reshape(-1, 2, 2))
    with torch.no_grad():
        feature = net.extractor(y).numpy()
        w = net.graph(
            torch.from_numpy(golden["read-b11"]), torch.from_numpy(golden["snr_db"])
        ).numpy()
    # Float32 in another order of sums.
    assert np.allclose(golden["feature"].reshape(feature.shape), feature, atol=1e-5)
    assert np.allclose(golden["W-4"], w, atol=1e-5)
    assert {"W-1", "W-2", "W-4"} <= set(golden)
    indices = encode(golden["feature"].reshape(-1, 8), weights.codebooks())
    packed = np.packbits(indices_to_bits(indices, [4, 4]), axis=1)
    assert (golden["payload-b8"].reshape(-1, 1) == packed).all()
    assert np.abs(complexes(golden["W-1"])).min() > 0


def test_other_budgets_of_the_same_weights_pair(package_folder: Path, tmp_path: Path) -> None:
    weights = small_weights()
    more = TransceiverWanted(bits=(5, 8), max_users=2, method="codewords")
    made = make_transceiver(weights, more, tmp_path / "Q")
    own = open_package(package_folder)
    assert made["pairing_id"] == own.pairing_id.hex()
    other = {b["bits"]: b["codebooks"] for b in made["budgets"]}
    assert other[8] == own.manifest["budgets"][1]["codebooks"]
    # Fitted to other things, codebooks of untrained sizes differ, and their checksum says so.
    by_codewords = Parts(weights, (3,), method="codewords").described.budgets[0]
    assert f"{by_codewords.codebooks:08x}" != own.manifest["budgets"][0]["codebooks"]
    state = dict(weights.state)
    for name in ("pilot", "extractor.net.0.weight", "graph.end.1.bias", "tiers.books.1"):
        changed = dataclasses.replace(weights, state={**state, name: state[name] + 1e-3})
        assert transceiver_pairing(changed).hex() != made["pairing_id"]


def test_budgets_left_out_are_the_trained_ones(tmp_path: Path) -> None:
    made = make_transceiver(small_weights(), TransceiverWanted(max_users=1), tmp_path / "P")
    assert [b["bits"] for b in made["budgets"]] == [4, 8]
    with pytest.raises(Exception, match="not empty"):
        make_transceiver(small_weights(), TransceiverWanted(), tmp_path / "P")


def test_emit_and_inline(tmp_path: Path) -> None:
    wanted = TransceiverWanted(bits=(4,), max_users=2, emit=frozenset({"onnx", "c"}), inline=True)
    made = make_transceiver(small_weights(), wanted, tmp_path / "P")
    assert not [name for name in made["files"] if name.endswith(".csib")]
    assert made["c"] == ["bs-c", "bs-quantizer-b4-c", "ue-c", "ue-quantizer-b4-c"]
    assert (tmp_path / "P" / "bs-c" / "model.c").is_file()
    assert not onnx.load(tmp_path / "P" / "bs.onnx").functions
    with pytest.raises(InputError, match="has no ue"):
        open_package(tmp_path / "P").open_part("ue")


def test_integers_are_calibrated_on_users(tmp_path: Path) -> None:
    save_users(tmp_path / "users.npz", small_users())
    wanted = TransceiverWanted(
        bits=(8,), max_users=3, precision="int8", calibration=tmp_path / "users.npz"
    )
    made = make_transceiver(small_weights(), wanted, tmp_path / "P")
    assert set(made["quantization"]["parts"]) == {"ue", "bs"}
    package = open_package(tmp_path / "P")
    assert package.is_integer
    assert package.pairing_id == transceiver_pairing(small_weights())
    for stem, name in (("ue", "ue.int8.csib"), ("bs", "bs.int8.csib")):
        assert package.name_of(stem, "csib") == name
        assert package.open_part(stem)
        plan = read_bundle(package.read(name))
        assert any(step.op.name == "QLINEAR" for step in plan.steps)
        assert plan.metadata["precision"] == "int8"
    assert package.name_of("ue-quantizer-b8", "csib") == "ue-quantizer-b8.csib"


def test_calibration_and_integers_go_together() -> None:
    with pytest.raises(InputError, match="int8 needs --calibration F"):
        check_calibration("int8", None)
    with pytest.raises(InputError, match="add --precision int8"):
        check_calibration("fp32", Path("users.npz"))
    check_calibration("auto", Path("users.npz"))


def test_calibration_of_other_antennas_is_refused(tmp_path: Path) -> None:
    save_users(tmp_path / "users.npz", small_users(antennas=3))
    wanted = TransceiverWanted(precision="int8", calibration=tmp_path / "users.npz")
    with pytest.raises(InputError, match="3 antennas; 4 are needed"):
        make_transceiver(small_weights(), wanted, tmp_path / "P")


def _set(manifest: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for name in path:
        manifest = manifest[int(name)] if isinstance(manifest, list) else manifest[name]
    manifest[last] = value


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("system", "other", "rvq-egat is known"),
        ("setup", {"antennas": 4}, "all sizes are right"),
        ("setup.feature", 7, "a multiple of the 4 antennas"),
        ("setup.unknown", 1, "setup: "),
        ("max_users", 0, "max_users 0: 1 to 64"),
        ("max_users", "8", "no valid 'max_users'"),
        ("bits", [3, 8], "'bits'"),
        ("bits", 8, "no valid 'bits'"),
        ("budgets", [], "at least one"),
        ("budgets", ["x"], "no JSON object"),
        ("budgets.0.bits", 64, "a budget of 64 bits"),
        ("budgets.0.bits", 4, "a budget of 4 bits in tiers"),
        ("budgets.0.tiers", [17], "in tiers"),
        ("budgets.0.layouts", [0x0404], "layouts"),
        ("budgets.0.bytes", 2, "bytes 2, 1 is right"),
        ("budgets.0.codebooks", "zz", "no checksum"),
        ("payload", {}, "no valid 'payload'"),
        ("pairing_id", "00", "32 hexadecimal digits"),
    ],
)
def test_bad_manifests(
    package_folder: Path, tmp_path: Path, key: str, value: Any, line: str
) -> None:
    shutil.copytree(package_folder, tmp_path / "P")
    path = tmp_path / "P" / "manifest.json"
    manifest = json.loads(path.read_text())
    _set(manifest, key, value)
    path.write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match=line) as caught:
        open_package(tmp_path / "P")
    assert "\n" not in str(caught.value)


def test_a_part_without_a_file_is_missed(package_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(package_folder, tmp_path / "P")
    path = tmp_path / "P" / "manifest.json"
    manifest = json.loads(path.read_text())
    for end in ("onnx", "csib"):
        del manifest["files"][f"bs-quantizer-b8.{end}"]
    path.write_text(json.dumps(manifest))
    with pytest.raises(FormatError, match="no file of bs-quantizer-b8"):
        open_package(tmp_path / "P")


@pytest.mark.parametrize(
    ("stem", "other"),
    [
        ("ue-quantizer-b3", "ue-quantizer-b8"),
        ("bs-quantizer-b3", "bs-quantizer-b8"),
        ("ue", "bs"),
        ("bs", "ue"),
    ],
)
def test_parts_in_each_other_s_place(
    package_folder: Path, tmp_path: Path, stem: str, other: str
) -> None:
    shutil.copytree(package_folder, tmp_path / "P")
    replaced(tmp_path / "P", f"{stem}.csib", (package_folder / f"{other}.csib").read_bytes())
    with pytest.raises(PairingError, match="is no part of this package"):
        open_package(tmp_path / "P").open_part(stem)


def test_a_precoder_for_other_users_is_refused(package_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(package_folder, tmp_path / "P")
    make_transceiver(small_weights(), TransceiverWanted(bits=(8,), max_users=2), tmp_path / "Q")
    replaced(tmp_path / "P", "bs.csib", (tmp_path / "Q" / "bs.csib").read_bytes())
    with pytest.raises(PairingError, match="its users differ too"):
        open_package(tmp_path / "P").open_part("bs")
