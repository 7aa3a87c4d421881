"""Joint training: several files of CSI as one."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from csideploy.channels.generate import generate_file
from csideploy.cli import app
from csideploy.errors import InputError
from csideploy.training import load_checkpoint, train
from csideploy.training.data import ENVIRONMENT_ROWS, TrainingData, read
from csideploy.training.evaluate import validation_nmse_db

TINY: dict[str, Any] = {"cr": 64, "epochs": 0.2, "batch": 16, "threads": 1, "quiet": True}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def files(csi_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """400 indoor samples, 1000 on a wider grid, 90 outdoor: no two sizes alike, one uneven."""
    folder = tmp_path_factory.mktemp("joint")
    generate_file(folder / "wide.npz", "indoor", 1000, seed=12, subcarriers=1024)
    generate_file(folder / "outdoor.npz", "outdoor", 90, seed=11)
    return [csi_file, folder / "wide.npz", folder / "outdoor.npz"]


@pytest.fixture(scope="module")
def joint(files: list[Path]) -> TrainingData:
    return read(files, CPU)


def found_at(part: TrainingData, whole: TrainingData) -> torch.Tensor:
    """Where each row of a file stands in the joint data; every one stands there once."""
    # A row's own key: its first values, which no two samples share.
    keys = {row.numpy().tobytes(): i for i, row in enumerate(whole.centred)}
    assert len(keys) == len(whole.centred)
    return torch.tensor([keys[row.numpy().tobytes()] for row in part.centred])


def test_every_file_keeps_its_own_validation_rows(files: list[Path], joint: TrainingData) -> None:
    parts = [read(file, CPU) for file in files]
    assert [part.validation_rows for part in parts] == [20, 40, 20]
    assert joint.validation_rows == 80
    assert joint.training_rows == 1410
    assert joint.centred.dtype == torch.float16
    for part in parts:
        places = found_at(part, joint)
        training, held = places.split([part.training_rows, part.validation_rows])
        assert training.max() < joint.training_rows <= held.min()
        # In order, and environments side by side.
        assert (training.diff() > 0).all()
        for block in training.split(ENVIRONMENT_ROWS):
            assert (block.diff() == 1).all()


def test_any_first_part_is_mixed(files: list[Path], joint: TrainingData) -> None:
    for file in files:
        part = read(file, CPU)
        training = found_at(part, joint)[: part.training_rows]
        for end in (400, 700, 1410):
            share = (training < end).sum().item() / end
            # Blocks of 20 rows: one more or less.
            assert abs(share - part.training_rows / joint.training_rows) <= 25 / end


def test_description(files: list[Path], joint: TrainingData) -> None:
    told = joint.description
    assert told["samples"] == 1490
    assert told["scenario"] == "mixed"
    assert told["seed"] is None
    assert told["files"] == [read(file, CPU).description for file in files]
    assert [one.get("subcarriers") for one in told["files"]] == [None, 1024, None]
    assert [one["seed"] for one in told["files"]] == [11, 12, 11]
    assert read(files[:2], CPU).description["scenario"] == "indoor"
    assert read(files[::-1], CPU).description["sha256"] != told["sha256"]
    json.dumps(told)


def test_one_file_is_what_it_was(csi_file: Path) -> None:
    alone, listed = read(csi_file, CPU), read([csi_file], CPU)
    assert torch.equal(alone.centred, listed.centred)
    assert alone.validation_rows == listed.validation_rows == 20
    assert alone.description == listed.description
    assert list(alone.description) == ["samples", "scenario", "seed", "sha256"]


def test_files_that_share_environments(files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="same samples"):
        read([files[0], files[0]], CPU)
    generate_file(tmp_path / "more.npz", "indoor", 440, seed=11)
    with pytest.raises(InputError, match="share environments"):
        read([files[0], tmp_path / "more.npz"], CPU)
    # On another grid they are cut at the same place if there are equally many.
    generate_file(tmp_path / "more-wide.npz", "indoor", 440, seed=11, subcarriers=512)
    with pytest.raises(InputError, match="another --seed"):
        read([files[0], tmp_path / "more-wide.npz"], CPU)
    assert len(read([tmp_path / "more.npz", tmp_path / "more-wide.npz"], CPU).centred) == 880
    np.savez(tmp_path / "small.npz", H=np.ones((50, 2, 16, 16)))
    with pytest.raises(InputError, match=r"small\.npz: matrices of \(16, 16\)"):
        read([files[0], tmp_path / "small.npz"], CPU)


def test_joint_run_resumes_and_reports_over_all(files: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "run"
    # Components are computed: no epochs, no batch.
    options = {"cr": 64, "threads": 1, "quiet": True, "recipe": "paper-001", "bits": 3, "out": out}
    result = train("pca", data=files, **options)
    link, metadata = load_checkpoint(out)
    assert len(metadata["data"]["files"]) == 3
    over_all = validation_nmse_db(link, read(files, CPU).validation())
    reported = metadata["training"]["validation_nmse_db"]["components"]
    assert reported == pytest.approx(over_all, abs=1e-3)
    expected = load_file(result.weights)
    again = train("pca", data=files, resume=True, **options)
    for name, tensor in load_file(again.weights).items():
        assert torch.equal(tensor, expected[name])
    for others in (files[:2], files[0], files[::-1]):
        with pytest.raises(InputError, match="another data"):
            train("pca", data=others, resume=True, **options)


@pytest.mark.parametrize("data", [None, []])
def test_no_data(data: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training data"):
        train("pca", data=data, out=tmp_path / "run", **TINY)


def test_command_takes_several_files(files: list[Path], tmp_path: Path) -> None:
    words = ["train", "pca", "--recipe", "paper-001", "--cr", "64", "--bits", "2", "--json"]
    for file in files[::2]:
        words += ["--data", str(file)]
    done = CliRunner().invoke(app, [*words, "--threads", "1", "--out", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["data"]["scenario"] == "mixed"
    assert [one["scenario"] for one in told["data"]["files"]] == ["indoor", "outdoor"]
