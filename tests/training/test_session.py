"""`train` from outside: errors, what a finished run leaves, several processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from csideploy.errors import CsideployError, FormatError, InputError, OutputError
from csideploy.training import load_checkpoint, train
from csideploy.training.session import _portable

TINY: dict[str, Any] = {"cr": 64, "epochs": 0.2, "batch": 16, "threads": 1, "quiet": True}


def test_a_finished_run(csi_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = train("crnet", data=csi_file, out=out, test_data=csi_file, bits=2, seed=3, **TINY)
    assert result.weights == out / "weights.safetensors"
    link, metadata = load_checkpoint(out)
    assert not link.training
    assert (link.spec.name, link.cr, link.bits, link.binarize) == ("crnet", 64, 2, "none")
    assert metadata["seed"] == 3
    assert metadata["recipe"]["name"] == "paper-002"
    assert metadata["data"]["samples"] == 400
    assert metadata["data"]["sha256"] == metadata["test_data"]["sha256"]
    # The measured figure is the one of the weights in the file, through the readers' path.
    from csideploy.training.evaluate import measure

    assert measure(link, csi_file) == metadata["metrics"]
    assert list((out / "log").glob("events*"))


@pytest.mark.parametrize(
    ("changes", "error", "says"),
    [
        ({"system": "csinets"}, InputError, "csinet"),
        ({"data": None}, InputError, "csideploy data generate"),
        ({"data": Path("absent.npz")}, InputError, "absent.npz: no such file"),
        ({"test_data": Path("absent.npz")}, InputError, "--test-data"),
        ({"recipe": "mine"}, InputError, "zoo-cpu"),
        ({"device": "tpu"}, InputError, "cpu or cuda"),
        ({"threads": 0}, InputError, "--threads"),
        (
            {"system": "pca", "epochs": None, "minutes": 1.0},
            InputError,
            "leave --minutes out",
        ),
        ({"resume": True}, InputError, "no run in"),
        ({"out": Path(__file__).parent}, OutputError, "--resume"),
        ({"out": Path("/proc/run")}, OutputError, "cannot make the folder"),
    ],
)
def test_bad_use(
    csi_file: Path, tmp_path: Path, changes: dict[str, Any], error: type[Exception], says: str
) -> None:
    given = {"system": "csinet", "data": csi_file, "out": tmp_path / "run", **TINY, **changes}
    with pytest.raises(error, match=says) as caught:
        train(given.pop("system"), **given)
    assert isinstance(caught.value, CsideployError)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_start_in_a_command_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    entry, run = tmp_path / "entry", tmp_path / "run"
    for folder, file in ((entry, "card.json"), (run, "weights.safetensors")):
        folder.mkdir()
        (folder / file).write_bytes(b"")
    assert _portable(None) is None
    assert _portable(Path("a/b")) == Path("a/b")
    assert _portable(entry) == Path("zoo/entry")
    assert _portable(run) == Path("runs/run")
    assert _portable(run / "stage-1x.safetensors") == Path("runs/run/stage-1x.safetensors")


def test_bad_weights(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no weights"):
        load_checkpoint(tmp_path)
    file = tmp_path / "weights.safetensors"
    file.write_bytes(b"not safetensors at all")
    with pytest.raises(FormatError, match="safetensors"):
        load_checkpoint(tmp_path)
    save_file({"a": torch.ones(2)}, file)
    with pytest.raises(FormatError, match="metadata"):
        load_checkpoint(file)
    described = {"system": "csinet", "cr": 4, "bits": 4, "binarize": "none", "data": {}}
    save_file({"a": torch.ones(2)}, file, metadata={"csideploy": json.dumps(described)})
    with pytest.raises(FormatError, match="do not fit"):
        load_checkpoint(file)


PROGRAM = """
import sys
from pathlib import Path
from csideploy.training import train
train("bacrnet1x", data=Path(sys.argv[1]), out=Path(sys.argv[2]), recipe="zoo-cpu", device="cpu",
      cr=64, epochs=0.3, batch=16, threads=1, quiet=True)
"""


def test_two_processes_train_what_one_does(csi_file: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, str(program), str(csi_file), str(tmp_path / "two")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    one = {**TINY, "recipe": "zoo-cpu", "epochs": 0.3, "device": "cpu"}
    train("bacrnet1x", data=csi_file, out=tmp_path / "one", **one)
    expected = load_file(tmp_path / "one" / "weights.safetensors")
    found = load_file(tmp_path / "two" / "weights.safetensors")
    # Sums over a batch are taken in another order, and Adam divides by their small magnitudes:
    # a weight may differ by some of a step, of which there were 7 of at most 1e-3.
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=5e-4, msg=name)
    _, metadata = load_checkpoint(tmp_path / "two")
    assert metadata["training"]["devices"] == 2
