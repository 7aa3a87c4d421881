"""A run killed with SIGKILL and resumed ends in the weights of one never stopped, bit for bit."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from csideploy.errors import FormatError, InputError, OutputError
from csideploy.training import checkpoint, load_checkpoint, train

OPTIONS: dict[str, Any] = {
    "cr": 64,
    "recipe": "zoo-cpu",
    "epochs": 1.0,
    "batch": 8,
    "seed": 5,
    "threads": 1,
    "device": "cpu",
    "quiet": True,
}
PROGRAM = """
import sys
from pathlib import Path
from csideploy.training import train
data, out = map(Path, sys.argv[1:3])
train("bacrnet2x", data=data, out=out, checkpoint_seconds=float(sys.argv[3]), **{options})
"""


def run_until(data: Path, out: Path, stage: int, step: int, *, every: float) -> None:
    """Start a run in a process of its own and kill it when its checkpoint is that far."""
    program = PROGRAM.replace("{options}", repr(OPTIONS))
    process = subprocess.Popen([sys.executable, "-c", program, str(data), str(out), str(every)])
    state = out / checkpoint.CHECKPOINT
    deadline = time.monotonic() + 240
    try:
        while time.monotonic() < deadline and process.poll() is None:
            if state.is_file():
                position = torch.load(state, weights_only=True)["position"]
                if (position["stage"], position["step"]) >= (stage, step):
                    break
            time.sleep(0.005)
    finally:
        process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "the run must not have ended by itself"


def test_killed_run_goes_on_exactly(csi_file: Path, tmp_path: Path) -> None:
    whole = train("bacrnet2x", data=csi_file, out=tmp_path / "whole", **OPTIONS)
    expected = load_file(whole.weights)
    # Killed within an epoch; and with the checkpoint between two stages.
    for stage, step, every in ((0, 5, 0.0), (1, 0, 1e9)):
        out = tmp_path / f"killed-{stage}"
        run_until(csi_file, out, stage, step, every=every)
        assert not (out / checkpoint.WEIGHTS).exists()
        resumed = train("bacrnet2x", data=csi_file, out=out, resume=True, **OPTIONS)
        found = load_file(resumed.weights)
        assert expected.keys() == found.keys()
        for name, tensor in expected.items():
            assert torch.equal(tensor, found[name]), name
        for key in ("seed", "recipe", "data"):
            assert whole.metadata[key] == resumed.metadata[key]

    # Resuming a finished run changes nothing, and with other options it is refused.
    again = train("bacrnet2x", data=csi_file, out=out, resume=True, **OPTIONS)
    assert torch.equal(load_file(again.weights)["decoder.fc.weight"], found["decoder.fc.weight"])
    with pytest.raises(InputError, match="another seed"):
        train("bacrnet2x", data=csi_file, out=out, resume=True, **{**OPTIONS, "seed": 6})
    with pytest.raises(OutputError, match="--resume"):
        train("bacrnet2x", data=csi_file, out=out, **OPTIONS)

    # A stage's weights are the narrower system's, as its own recipe trains them.
    link, metadata = load_checkpoint(out / "stage-1x.safetensors")
    assert metadata["system"] == "bacrnet1x"
    assert link.spec.width == 1
    (out / checkpoint.CHECKPOINT).write_bytes(b"no checkpoint")
    with pytest.raises(FormatError, match="not a training checkpoint"):
        train("bacrnet2x", data=csi_file, out=out, resume=True, **OPTIONS)
