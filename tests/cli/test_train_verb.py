"""train, then export from its weights: the verbs fit together."""

import json
from pathlib import Path

import numpy as np

from csideploy.channels.generate import generate

from .conftest import Run


def test_train_export_validate(tmp_path: Path, run: Run) -> None:
    data, folder, package = tmp_path / "d.npz", tmp_path / "run", tmp_path / "P"
    np.savez(data, H=generate("indoor", 80, seed=2).H)
    options = ("--cr", 64, "--bits", 3, "--epochs", 0.02, "--batch", 20, "--threads", 1)
    result = run("train", "bacrnet1x", "--data", data, "--out", folder, *options, "--json")
    assert result.exit_code == 0, result.output
    weights = Path(json.loads(result.stdout)["weights"])
    assert weights.is_file()

    wrong = run("export", "--checkpoint", weights, "--cr", 4, "--out", package)
    assert wrong.exit_code == 2
    assert "these weights have cr 64" in wrong.stderr
    wrong = run("export", "--checkpoint", weights, "--model", "csinet", "--out", package)
    assert wrong.exit_code == 2
    assert "holds bacrnet1x" in wrong.stderr

    result = run("export", "--checkpoint", weights, "--out", package, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["payload"]["bits_per_sample"] == 32 * 3
    assert run("validate", package).exit_code == 0
    p, h = tmp_path / "p", tmp_path / "h.npy"
    assert run("encode", package, data, "--out", p, "--bits", 3).exit_code == 0
    assert p.stat().st_size == 32 + 80 * 12
    assert run("decode", package, p, "--out", h, "--reference", data).exit_code == 0


def test_float_features_are_no_payload(tmp_path: Path, run: Run) -> None:
    data, folder, package = tmp_path / "d.npz", tmp_path / "run", tmp_path / "F"
    np.savez(data, H=generate("indoor", 80, seed=2).H)
    options = ("--cr", 64, "--bits", "float", "--epochs", 0.02, "--batch", 20, "--threads", 1)
    result = run("train", "csinet", "--data", data, "--out", folder, *options)
    assert result.exit_code == 0, result.output
    assert run("export", "--checkpoint", folder, "--out", package).exit_code == 0
    assert run("validate", package).exit_code == 0
    assert run("report", package, "--rounds", 1).exit_code == 0
    refused = run("encode", package, data, "--out", tmp_path / "p")
    assert refused.exit_code == 2
    assert "float features" in refused.stderr
