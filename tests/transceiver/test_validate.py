"""`validate` on a transceiver's package: what holds, and that a wrong part is found."""

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="the weights of these tests are a torch network's")

from small_transceiver import replaced, small_users, small_weights

from csideploy.errors import FormatError
from csideploy.package import npz_bytes, open_package
from csideploy.transceiver.export import TransceiverWanted, make_transceiver
from csideploy.transceiver.users import save_users
from csideploy.transceiver.vectors import golden_vectors
from csideploy.validate import validate


def failed(folder: Path) -> list[str]:
    """Names of the checks that do not hold."""
    return [c["name"] for c in validate(folder, samples=4)["checks"] if not c["holds"]]


def test_a_package_passes_for_every_number_of_users(package_folder: Path) -> None:
    result = validate(package_folder, samples=5, seed=3)
    assert result["passed"], result["checks"]
    assert result["samples"] == 5 * 4
    assert set(result["measured"]["sum_rates"]) == {"1", "2", "3", "4"}
    # Three budgets, three checks each; feature, precoders, power, permutation; four golden.
    assert len(result["checks"]) == 3 * 3 + 4 + 4


def test_regions_and_users_of_a_file(regions_folder: Path, tmp_path: Path) -> None:
    save_users(tmp_path / "users.npz", small_users())
    result = validate(regions_folder, reference=tmp_path / "users.npz", samples=4)
    assert result["passed"], result["checks"]
    assert "users.npz" in result["inputs"]
    assert set(result["measured"]["bits_differ"]) == {"b4-r0", "b4-r1", "b8-r0", "b8-r1"}


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_integers_pass(tmp_path: Path, precision: str) -> None:
    save_users(tmp_path / "users.npz", small_users())
    wanted = TransceiverWanted(
        bits=(8,), max_users=3, precision=precision, calibration=tmp_path / "users.npz"
    )
    make_transceiver(small_weights(), wanted, tmp_path / "P")
    result = validate(tmp_path / "P", samples=4)
    assert result["passed"], result["checks"]
    names = " ".join(entry["name"] for entry in result["checks"])
    assert "UE integer steps equal" in names
    assert "BS integer steps equal" in names


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ue.onnx", "UE feature"),
        ("bs.onnx", "BS precoders of every number of users"),
        ("ue-quantizer-b8.onnx", "UE payload bits equal"),
        ("bs-quantizer-b8.onnx", "BS reads the feature"),
    ],
)
def test_another_network_is_found(
    package_folder: Path, tmp_path: Path, name: str, wrong: str
) -> None:
    shutil.copytree(package_folder, tmp_path / "P")
    other = TransceiverWanted(bits=(3, 8, 11), max_users=4)
    make_transceiver(small_weights(seed=4), other, tmp_path / "Q")
    replaced(tmp_path / "P", name, (tmp_path / "Q" / name).read_bytes())
    assert any(wrong in one for one in failed(tmp_path / "P"))


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("feature", "golden vectors: UE feature"),
        ("payload-b8", "golden vectors: UE payloads"),
        ("read-b3", "golden vectors: BS features"),
        ("W-2", "golden vectors: BS precoders"),
    ],
)
def test_other_vectors_are_found(
    package_folder: Path, tmp_path: Path, key: str, wrong: str
) -> None:
    shutil.copytree(package_folder, tmp_path / "P")
    golden = golden_vectors(open_package(package_folder))
    bent = golden[key] ^ 16 if key.startswith("payload") else golden[key] * np.float32(1.01)
    replaced(tmp_path / "P", "vectors.npz", npz_bytes({**golden, key: bent}))
    assert wrong in failed(tmp_path / "P")


def test_vectors_of_other_sizes_are_refused(package_folder: Path, tmp_path: Path) -> None:
    golden = golden_vectors(open_package(package_folder))
    for number, (key, array) in enumerate(
        (("y", golden["y"][:, :2]), ("pilots", golden["pilots"].T), ("W-1", None))
    ):
        folder = tmp_path / str(number)
        shutil.copytree(package_folder, folder)
        bent = {name: values for name, values in golden.items() if name != key}
        replaced(folder, "vectors.npz", npz_bytes(bent if array is None else {**bent, key: array}))
        with pytest.raises(FormatError, match=key):
            validate(folder, samples=1)


def test_a_package_without_onnx_cannot_be_judged(tmp_path: Path) -> None:
    wanted = TransceiverWanted(bits=(4,), max_users=2, emit=frozenset({"bundle"}))
    make_transceiver(small_weights(), wanted, tmp_path / "P")
    with pytest.raises(FormatError, match=r"has no ue\.onnx to judge by"):
        validate(tmp_path / "P")
