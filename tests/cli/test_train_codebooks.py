"""train, export, encode, decode of a system with codebooks: principal components, two budgets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.generate import generate

from .conftest import Run


def test_components_from_training_to_payload(tmp_path: Path, run: Run) -> None:
    import torch

    from csideploy.quantizers.learned import CodebookQuantizer
    from csideploy.training import load_checkpoint

    data, folder, package = tmp_path / "d.npz", tmp_path / "run", tmp_path / "P"
    h = generate("indoor", 300, seed=2).H
    np.savez(data, H=h)
    options = ("--data", data, "--cr", 64, "--threads", 1, "--device", "cpu")
    result = run("train", "pca", "--bits", "2,3", "--out", folder, *options, "--json")
    assert result.exit_code == 0, result.output
    about = json.loads(result.stdout)
    assert about["recipe"]["name"] == "paper-001"
    assert about["bits"] == 3
    assert about["feature"] == {"quantizer": "codebook", "length": 1, "budgets": [2, 3]}

    result = run("export", "--checkpoint", folder, "--bits", "2,3", "--out", package, "--json")
    assert result.exit_code == 0, result.output
    assert [own["bits"] for own in json.loads(result.stdout)["budgets"]] == [2, 3]
    link, _ = load_checkpoint(folder)
    x, _ = to_input(h.astype(np.float32)[:, 0] + 1j * h.astype(np.float32)[:, 1])
    assert isinstance(link.quantizer, CodebookQuantizer)
    for budget in (2, 3):
        payload, out = tmp_path / f"p{budget}", tmp_path / "h.npy"
        result = run("encode", package, data, "--out", payload, "--bits", budget)
        assert result.exit_code == 0, result.output
        assert payload.stat().st_size == 32 + 300 * budget * 32 // 8
        result = run("decode", package, payload, "--out", out)
        assert result.exit_code == 0, result.output
        with torch.no_grad():
            expected = from_input(link.at(budget)(torch.from_numpy(x)).numpy())
        difference = np.abs(np.load(out) - expected).reshape(300, -1).max(1)
        # Where no output is within 1e-5 of a threshold: the same codes, so the same CSI.
        assert (difference < 2e-4).mean() > 0.97
    for options in (("--bits", "3,2,3"), ("--bits", "0"), ("--method", "lloyds")):
        refused = run("train", "pca", "--data", data, "--out", tmp_path / "other", *options)
        assert refused.exit_code == 2
        assert not (tmp_path / "other").exists()
    refused = run("train", "csinet", "--data", data, "--out", tmp_path / "other",
                  "--recipe", "paper-002", "--method", "lloyd")  # fmt: skip
    assert refused.exit_code == 2
    assert "--method goes with --recipe paper-001" in refused.stderr
