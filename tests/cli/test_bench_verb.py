"""bench: both sides beside a peer, refusals, and calibration through the command line."""

import json
from pathlib import Path

import pytest

from csideploy.targets import calibrate, synthetic

from .conftest import Run


def test_both_sides_beside_a_peer(package: Path, budgets: Path, run: Run) -> None:
    for folder in (package, budgets):
        result = run("bench", folder, "--against", "onnxruntime", "--rounds", 2, "--json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["rounds"] == 2
        assert found["isa"]
        for side in ("ue", "bs"):
            seconds = found["sides"][side]["seconds"]
            assert set(seconds) == {"csideploy", "onnxruntime"}
            for own in seconds.values():
                assert 0 < own["min"] <= own["median"]
            ratio = seconds["onnxruntime"]["min"] / seconds["csideploy"]["min"]
            assert found["sides"][side]["speedup"]["onnxruntime"]["min"] == pytest.approx(ratio)
    alone = run("bench", package, "--rounds", 1)
    assert alone.exit_code == 0, alone.output
    assert "csideploy ran on" in alone.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("P", "--against", "tensorrt"), "--against tensorrt: one of onnxruntime, openvino"),
        ((), "bench needs a package, or --calibrate"),
        (("P", "--calibrate"), "--calibrate takes no package"),
        (("P", "--out", "F.toml"), "goes with --calibrate"),
    ],
)
def test_bad_use(options: tuple[str, ...], words: str, package: Path, run: Run) -> None:
    result = run("bench", *(package if option == "P" else option for option in options))
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line


def test_a_peer_that_is_not_there(package: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "openvino" else find(name)
    )
    result = run("bench", package, "--against", "openvino", "--rounds", 1)
    assert result.exit_code == 2
    assert "--against openvino: not installed here: pip install openvino" in result.stderr


def test_a_host_becomes_a_target(
    package: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    # A few layers and small caches stand for all: the whole pass takes ten seconds.
    few = [*synthetic.elements()[:2], *synthetic.convolutions()[:2]]
    monkeypatch.setattr(synthetic, "all_layers", lambda: few)
    sizes = [("L1", 32 << 10), ("memory", 1 << 20)]
    monkeypatch.setattr(calibrate, "cache_sizes", lambda: sizes)
    refused = run("bench", package, "--check", "--rounds", 1)
    assert refused.exit_code == 2
    assert "csideploy bench --calibrate" in refused.stderr
    result = run("bench", "--calibrate", "--rounds", 1, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["out"] == str(tmp_path / "config" / "csideploy" / "host.toml")
    shown = run("targets", "host")
    assert shown.exit_code == 0, shown.output
    assert "Calibrated: date" in shown.stdout
    checked = run("bench", package, "--check", "--rounds", 1, "--json")
    assert checked.exit_code == 0, checked.output
    for own in json.loads(checked.stdout)["model"]["sides"].values():
        assert own["error"] == pytest.approx(own["predicted_s"] / own["measured_s"] - 1)
    reported = run("report", package, "--target", "host", "--rounds", 1, "--json")
    targets = json.loads(reported.stdout)["targets"]
    assert [entry["target"] for entry in targets] == ["host", "host-model"]
    # The few had no 1-bit layer, so that its share is an estimate.
    assert targets[1]["confidence"] == "M"
    out = tmp_path / "mine.toml"
    assert run("bench", "--calibrate", "--rounds", 1, "--out", out).exit_code == 0
    assert run("targets", out).exit_code == 0
