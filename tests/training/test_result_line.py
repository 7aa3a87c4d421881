"""Lines of a result file that training writes, and the command in them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from csideploy import systems
from csideploy.errors import InputError
from csideploy.planning.results import read_results
from csideploy.registry import Feature
from csideploy.training import train
from csideploy.training.data import describe
from csideploy.training.result_line import command_of, lines_of

TINY: dict[str, Any] = {
    **{"cr": 64, "epochs": 0.1, "batch": 32, "threads": 1, "device": "cpu", "quiet": True}
}


def test_a_run_leaves_a_line(csi_file: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    made = train(
        "acrnet1x",
        data=csi_file,
        out=tmp_path / "run",
        bits=None,
        recipe="zoo-cpu",
        seed=4,
        test_data=csi_file,
        reference=csi_file,
        results=results,
        **TINY,
    )
    (line,) = read_results(results)
    about = describe(csi_file)
    assert (line.system, line.cr, line.bits, line.binarize) == ("acrnet1x", 64, None, "none")
    assert line.nmse_db == made.metadata["metrics"]["nmse_db"]
    assert line.sgcs == made.metadata["metrics"]["sgcs"]
    assert (line.test.samples, line.test.seed, line.test.sha256) == (400, 11, about["sha256"])
    assert line.train is not None
    assert (line.train.samples, line.train.epochs, line.train.seed) == (380, 0.1, 4)
    assert (line.train.device, line.train.data_sha256) == ("cpu", about["sha256"])
    assert line.reference is not None
    # The same file under another name.
    assert (line.reference.nmse_db, line.reference.test) == (line.nmse_db, line.test)
    assert made.metadata["reference"]["metrics"] == made.metadata["metrics"]
    generate, words = (shlex.split(part) for part in line.command.split(" && "))
    assert generate == shlex.split(
        f"csideploy data generate --scenario indoor --samples 400 --seed 11 --out {csi_file.name}"
    )
    assert words == shlex.split(
        f"csideploy train acrnet1x --data {csi_file.name} --cr 64 --bits float --binarize none "
        "--recipe zoo-cpu --epochs 0.1 --batch 32 --seed 4 --device cpu --threads 1 --out runs/run"
    )
    # What is no result file is found out before the training.
    results.write_text("{}")
    with pytest.raises(InputError, match="line 1"):
        train(
            "acrnet1x",
            data=csi_file,
            out=tmp_path / "other",
            test_data=csi_file,
            results=results,
            **TINY,
        )
    assert not (tmp_path / "other").exists()


def test_a_line_for_every_budget() -> None:
    link = systems.build("acrnet1x", cr=64, bits=3, feature=Feature("codebook", 1, (2, 3)))
    link.quantizer.widths(2).fill_(1)  # type: ignore[operator,union-attr]
    link.quantizer.widths(3).fill_(4)  # type: ignore[operator,union-attr]
    test = {"scenario": "unknown", "samples": 9, "seed": None, "sha256": "a" * 64}
    metadata: dict[str, Any] = {
        **{"system": "acrnet1x", "cr": 64, "bits": 3, "binarize": "none", "seed": 0},
        "feature": link.feature.describe(),
        "recipe": {"name": "paper-001", "stages": [{"epochs": 1.5}, {"epochs": 0.5}]},
        "training": {"minutes": 1.0, "device": "cuda:0", "threads": 8},
        "metrics_per_budget": {
            "2": {"nmse_db": -3.0, "sgcs": 0.5, "rho": 0.6},
            "3": {"nmse_db": -4.0, "sgcs": 0.7, "rho": 0.8},
        },
        "test_data": test,
        "data": {"scenario": "mixed", "seed": None, "sha256": "b" * 64, "files": [test, test]},
    }
    metadata["command"] = command_of(
        metadata, [Path("x/a.npz"), Path("y/b c.npz")], Path("runs/z"), {"length": None}
    )
    assert metadata["command"] == (
        "csideploy train acrnet1x --data a.npz --data 'b c.npz' --cr 64 --bits 2,3 "
        "--binarize none --seed 0 --device cuda --out runs/z"
    )
    two, three = lines_of(link, metadata, 8)
    assert (two.bits, two.nmse_db, two.payload_bits) == (2, -3.0, 32)
    assert (three.bits, three.nmse_db, three.payload_bits) == (3, -4.0, 128)
    assert three.train is not None
    assert (three.train.epochs, three.train.device, three.train.samples) == (2.0, "cuda", 8)
