"""Export from a zoo: by name, without torch; and what `systems` says of it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from csideploy.link_source import LinkSource

from .conftest import Run


@pytest.fixture
def zoo(tmp_path: Path, source: LinkSource, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo with one entry, bacrnet1x, untrained; the environment points to it."""
    entry = tmp_path / "zoo" / "bacrnet1x"
    entry.mkdir(parents=True)
    files = {"ue.onnx": source.ue, "bs.onnx": source.bs}
    for name, data in files.items():
        (entry / name).write_bytes(data)
    card = {
        "system": "bacrnet1x",
        "cr": 4,
        "bits": 4,
        "binarize": "encoder",
        "data": {"scenario": "indoor", "samples": 100_000, "seed": 1},
        "metrics": {"nmse_db": -15.678, "sgcs": 0.98765, "samples": 4000},
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        "command": "csideploy train bacrnet1x",
    }
    (entry / "card.json").write_text(json.dumps(card))
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(entry.parent))
    return entry


def test_export_by_name_imports_no_torch(zoo: Path, tmp_path: Path) -> None:
    out = tmp_path / "P"
    arguments = ["--model", "bacrnet1x", "--out", str(out)]
    code = (
        f"import sys; sys.argv = {['csideploy', 'export', *arguments]!r}\n"
        "from csideploy.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "CSIDEPLOY_ZOO": str(zoo.parent)},
    )
    assert done.returncode == 0, done.stderr
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["metrics"]["nmse_db"] == -15.678
    assert manifest["payload"]["bits_per_sample"] == 2048
    assert sorted(manifest["files"]) == sorted(
        path.name for path in out.iterdir() if path.name != "manifest.json"
    )
    assert "bacrnet1x, cr 4, 4-bit features" in done.stderr


def test_the_default_folder_is_the_name(
    zoo: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", "--model", "bacrnet1x", "--emit", "onnx").exit_code == 0
    assert sorted(path.name for path in Path("bacrnet1x").iterdir()) == [
        *("bs.onnx", "manifest.json", "ue.onnx", "vectors.npz")
    ]
    again = run("export", "--model", "bacrnet1x")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert run("export", "--model", "bacrnet1x", "--force").exit_code == 0
    assert Path("bacrnet1x", "ue.csib").is_file()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "bacrnet1"), "bacrnet1x"),
        (("--model", "bacrnet10x"), "no trained weights"),
        (("--model", "bacrnet1x", "--cr", "8"), "no trained weights"),
        (("--model", "bacrnet1x", "--cr", "7"), "1/7"),
        (("--model", "bacrnet1x", "--bits", "2"), "no trained weights"),
        (("--model", "bacrnet1x", "--bits", "float"), "no trained weights"),
        (("--model", "bacrnet1x", "--binarize", "both"), "no trained weights"),
        (("--checkpoint", "none.safetensors"), "none.safetensors"),
    ],
)
def test_weights_that_are_not_there(
    arguments: tuple[str, ...], words: str, zoo: Path, tmp_path: Path, run: Run
) -> None:
    result = run("export", *arguments, "--out", tmp_path / "P")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "P").exists()


def test_a_zoo_file_that_is_not_its_cards(zoo: Path, tmp_path: Path, run: Run) -> None:
    (zoo / "ue.onnx").write_bytes((zoo / "ue.onnx").read_bytes()[:-1])
    result = run("export", "--model", "bacrnet1x", "--out", tmp_path / "P")
    assert result.exit_code == 2
    assert "sha256 differs" in result.stderr


def test_systems_shows_sizes_and_weights(
    zoo: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("systems")
    assert shown.exit_code == 0, shown.output
    assert max(len(line) for line in shown.stdout.splitlines()) <= 80
    for words in ("bacrnet10x", "csinet", "1.298 M", "0.034 M", "-15.68", "100,000 indoor"):
        assert words in shown.stdout
    listed = json.loads(run("systems", "--json").stdout)
    rows = {row["system"]: row for row in listed["systems"]}
    assert rows["bacrnet1x"]["zoo"] == ["bacrnet1x"]
    assert [part["parameters"] for part in rows["bacrnet10x"]["parts"]] == [33_554, 1_073_142]
    assert len(rows) > 40


def test_a_ratio_of_zero_is_refused_and_not_taken_for_the_default(
    zoo: Path, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("export", "--model", "bacrnet1x", "--cr", "0")
    assert done.exit_code == 2
    assert not Path("bacrnet1x").exists()
