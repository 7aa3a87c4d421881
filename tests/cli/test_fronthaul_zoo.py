"""Zoo entries of fronthaul quantizers: published by `train`, exported without torch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from csideploy.fronthaul.codebooks import load_codebooks
from csideploy.package import open_package

from .conftest import Run

SIZES = ("--bits", "9", "--users", "2", "--set", "rus=3", "--set", "antennas=2",
         "--set", "streams=1")  # fmt: skip
NAME = "neural-mq-rayleigh-b9-m3-a2-n2-l1"


@pytest.fixture(scope="module")
def zoo(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch", reason="networks are trained with torch")
    folder = tmp_path_factory.mktemp("zoo")
    done = run("train", "neural-mq", "--channel", "rayleigh", *SIZES, "--set", "steps=2",
               "--set", "iterations=10", "--seed", 5, "--out", folder / "run",
               "--publish", folder / "zoo", "--json")  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["entry"] == str(folder / "zoo" / NAME)
    return folder / "zoo"


def test_a_card_says_how_to_train_again(zoo: Path) -> None:
    card = json.loads((zoo / NAME / "card.json").read_text())
    assert card["kind"] == "fronthaul"
    for words in ("train neural-mq", "--channel rayleigh", "--bits 9", "--seed 5", "steps=2"):
        assert words in card["command"]
    assert 0 < card["metrics"]["sum_se"] < card["metrics"]["linear_sum_se"]
    assert card["data"] == {
        "channel": "rayleigh",
        "generator": "csideploy.fronthaul.channels.draw",
        "seed": 5,
    }
    assert card["training"]["steps"] == 2
    assert load_codebooks(zoo / NAME).about["metrics"] == card["metrics"]


def test_an_export_from_the_zoo_needs_no_torch(zoo: Path, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from csideploy.cli import app\n"
        "sys.modules['torch'] = sys.modules['safetensors'] = None\n"
        f"r = CliRunner().invoke(app, ['export', '--model', 'neural-mq', *{list(SIZES)},"
        f" '--set', 'block=5', '--out', {str(tmp_path / 'P')!r}])\n"
        "print(r.output); sys.exit(r.exit_code)\n"
    )
    environment = {**os.environ, "CSIDEPLOY_ZOO": str(zoo)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    manifest = open_package(tmp_path / "P").manifest
    assert (manifest["provenance"]["source"], manifest["provenance"]["entry"]) == ("zoo", NAME)
    assert manifest["metrics"]["sum_se"] > 0


def test_names_of_entries(
    zoo: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(zoo))
    for arguments in ((NAME,), (NAME, "--users", 3)):
        out = tmp_path / str(len(arguments))
        done = run("export", "--model", *arguments, "--set", "block=5", "--out", out)
        assert done.exit_code == 0, done.stderr
        assert NAME in done.stderr
    for arguments, words in (
        (("neural-mq",), f"there is {NAME}"),
        (("neural-vq",), f"there is {NAME}"),
        ((NAME, "--channel", "umi"), "is of rayleigh"),
        ((NAME, "--bits", "8"), "bits 8"),
        (("neural-mq-moon",), "neural-mq-moon"),
    ):
        done = run("export", "--model", *arguments, "--out", tmp_path / "P")
        assert done.exit_code == 2
        (line,) = done.stderr.splitlines()
        assert words in line
    listed = json.loads(run("systems", "--json").stdout)
    assert [entry["entry"] for entry in listed["fronthaul_zoo"]] == [NAME]
    assert listed["zoo"] == []
    assert NAME in run("systems").stdout
    weights = zoo / NAME / "weights.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[:-1] + b"\x01")
    done = run("export", "--model", NAME, "--out", tmp_path / "P")
    weights.write_bytes(data)
    assert done.exit_code == 2
    assert "sha256 differs" in done.stderr
