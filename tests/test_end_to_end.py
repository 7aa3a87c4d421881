"""The first promise of the README, kept on the reference channels: CSI -> payload -> CSI.

Runs the installed command as a user would. The reference rows took no part in training,
calibration or model choice.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SAMPLES = 3000
PAYLOAD_BITS = 2048


def csideploy(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "csideploy", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("link") / "bacrnet10x"
    csideploy("export", "--model", "bacrnet10x", "--out", folder)
    return folder


def test_reference_csi_crosses_the_link(package: Path, reference_dir: Path, tmp_path: Path) -> None:
    reference = reference_dir / "cost2100_indoor_reference.npz"
    payload, decoded = tmp_path / "p.bin", tmp_path / "h.npy"
    csideploy("encode", package, reference, "--out", payload)
    assert payload.stat().st_size == 32 + SAMPLES * PAYLOAD_BITS // 8

    shown = json.loads(
        csideploy(
            "decode", package, payload, "--reference", reference, "--out", decoded, "--json"
        ).stdout
    )
    assert shown["nmse_db"] < -15.0

    # The printed figure again, from the files alone and in float64.
    with np.load(reference) as file:
        h = file["H"].astype(np.float64)
    h_hat = np.load(decoded)
    truth = h[:, 0] + 1j * h[:, 1]
    truth /= np.abs(truth).max(axis=(1, 2), keepdims=True)
    error = (np.abs(truth - h_hat) ** 2).sum(axis=(1, 2)) / (np.abs(truth) ** 2).sum(axis=(1, 2))
    # Printed figures come from float32 sums.
    assert abs(10 * np.log10(error.mean()) - shown["nmse_db"]) < 1e-3


def test_runtime_agrees_with_onnxruntime_on_reference_csi(
    package: Path, reference_dir: Path
) -> None:
    reference = reference_dir / "cost2100_indoor_reference.npz"
    shown = json.loads(csideploy("validate", package, "--reference", reference, "--json").stdout)
    assert shown["passed"] is True


def test_report_names_the_binary_fc_and_adds_up(package: Path) -> None:
    shown = json.loads(csideploy("report", package, "--json", "--rounds", "2").stdout)
    for side in shown["sides"].values():
        for key in ("stored_bytes", "parameters", "macs", "flops"):
            assert side[key] == sum(layer[key] for layer in side["layers"])
    (binary,) = [layer for layer in shown["sides"]["ue"]["layers"] if layer["binary_bytes"]]
    assert binary["binary_bytes"] == 2048 * 512 // 8
    assert "128 KiB" in csideploy("report", package, "--rounds", "2").stdout
