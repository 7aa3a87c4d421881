"""Published figures beside ours, and lines that are measured through bundles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from csideploy import registry, zoo
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.channels.generate import generate_file
from csideploy.metrics import nmse, to_db
from csideploy.onnx_oracle import Oracle
from csideploy.planning import measure
from csideploy.planning.measure import measured
from csideploy.planning.results import ResultLine, TestSet, read_results
from csideploy.planning.yardsticks import (
    YARDSTICKS,
    _training,
    best_line,
    comparable,
    markdown,
    rows,
)
from csideploy.training import train
from csideploy.training.publish import publish

LINE: dict[str, Any] = {
    "system": "bacrnet10x",
    "cr": 4,
    "bits": 2,
    "binarize": "encoder",
    "nmse_db": -13.0,
    "sgcs": 0.95,
    "test": {"scenario": "indoor", "samples": 20000, "seed": 2, "sha256": "a" * 64},
    "train": {
        "samples": 95000,
        "epochs": 3.0,
        "recipe": "zoo-wide",
        "seed": 0,
        "minutes": 6.4,
        "data_sha256": "b" * 64,
    },
    "command": "csideploy train bacrnet10x --out runs/a",
}
STICK = next(s for s in YARDSTICKS if (s.system, s.bits, s.cr) == ("bacrnet10x", 2, 4))


def line(**changes: object) -> ResultLine:
    return ResultLine.model_validate({**LINE, **changes})


def test_settings_are_ones_that_can_be_trained() -> None:
    settings = [(s.system, s.cr, s.bits, s.binarize) for s in YARDSTICKS]
    assert len(set(settings)) == len(settings) == 12
    for stick in YARDSTICKS:
        spec = registry.get(stick.system)
        asked = (stick.cr, stick.bits, stick.binarize)
        assert registry.check_options(spec, *asked) == asked
        assert -35 < stick.published < -10


def test_the_best_line_of_the_same_link_and_test_counts() -> None:
    lines = [
        line(),
        line(nmse_db=-13.4, precision="mixed"),
        line(nmse_db=-20.0, bits=4),
        line(nmse_db=-20.0, system="bacrnet1x"),
        line(nmse_db=-20.0, binarize="both"),
        line(nmse_db=-20.0, quantizer="codebook", payload_bits=1024),
    ]
    assert best_line(STICK, lines) is lines[1]
    assert best_line(STICK, lines[2:]) is None


def test_lines_of_one_test_and_of_the_weights_of_today_are_compared() -> None:
    entry = zoo.find("bacrnet1x")
    hashes = entry.card["sha256"]
    of_entry = {"system": "bacrnet1x", "bits": 4, "checkpoint": "bacrnet1x", "train": None}
    kept = [
        line(),
        line(**of_entry, weights=hashes),
        line(**of_entry),
        line(checkpoint="runs/a/weights.safetensors", weights={"ue.onnx": "c" * 64}),
    ]
    others = [
        line(activation="lrelu"),
        line(**of_entry, weights={**hashes, "ue.onnx": "c" * 64}),
        *(
            line(test={**LINE["test"], **changes})
            for changes in (
                {"samples": 19999}, {"seed": 3}, {"seed": None}, {"scenario": "umi"},
                {"sha256": "b" * 64},
            )
        ),
    ]  # fmt: skip
    entries = {entry.path.name: entry}
    assert comparable([*others, *kept], entries) == kept
    assert comparable([], entries) == []
    # Of as many lines, the newer test set.
    newer = line(test={**LINE["test"], "sha256": "b" * 64})
    assert comparable([kept[0], newer], entries) == [newer]


def test_training_of_lines() -> None:
    """That of a card counts what it started from; a path of weights says nothing."""
    path = line(checkpoint="runs/a/weights.safetensors", train=None)
    of_entry = {"system": "bacrnet1x", "bits": 4, "checkpoint": "bacrnet1x", "train": None}
    (first, second) = (
        row for row in rows([path, line(**of_entry)]) if row.get("checkpoint") is not None
    )
    card = zoo.find("bacrnet1x").card
    assert (first["epochs"], first["minutes"]) == (4.0, card["training"]["minutes"])
    assert (second["epochs"], second["minutes"]) == (None, None)
    codebook = zoo.find("acrnet1x", cr=8, quantizer="codebook")
    started = line(checkpoint=codebook.path.name, train=None)
    found = _training(started, {codebook.path.name: codebook})
    own, start = codebook.card["training"], codebook.card["start"]["training"]
    assert found["minutes"] == own["minutes"] + start["minutes"]
    stages = codebook.card["recipe"]["stages"] + codebook.card["start"]["recipe"]["stages"]
    assert found["epochs"] == sum(stage["epochs"] for stage in stages)


def test_table() -> None:
    other = {"nmse_db": -12.5, "sgcs": 0.9, "test": {**LINE["test"], "seed": None}}
    pca = {"system": "pca", "binarize": "none", "quantizer": "codebook", "payload_bits": 1024}
    train = {**LINE["train"], "device": "cuda"}
    table = rows(
        [
            line(reference=other, train=train),
            line(**pca, nmse_db=-13.4),
            line(**{**pca, "quantizer": "uniform", "payload_bits": None}, nmse_db=-13.1),
            line(**pca, nmse_db=-14.0, bits=3),
        ]
    )
    assert len(table) == len(YARDSTICKS)
    (row,) = (row for row in table if "nmse_db" in row)
    assert (row["reference_nmse_db"], row["epochs"], row["minutes"]) == (-12.5, 3.0, 6.4)
    text = markdown(table)
    assert text.count("not trained") == len(YARDSTICKS) - 1
    (printed,) = (part for part in text.splitlines() if "**" in part)
    expected = "| `bacrnet10x` | UE | 1/4 | 2 | 135 KiB | -15.68 (table V) | -13.40 | **"
    assert printed.startswith(expected)
    assert printed.endswith("| **-13.00** | -12.50 | fp32 | 3, 6 (cuda) |")
    two_bits = [row["pca_nmse_db"] for row in table if row["bits"] == 2]
    assert two_bits == [-13.4, -13.4]
    assert all(row["pca_nmse_db"] is None for row in table if row["bits"] != 2)


def test_the_readme_has_the_table_of_today() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    table = markdown(rows(read_results(zoo.folder() / "results.jsonl")))
    assert table in readme.read_text(encoding="utf-8"), "python -m csideploy.planning.yardsticks"


def test_command(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "csideploy.planning.yardsticks", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text(json.dumps(LINE))
    bad.write_text("{}")
    done = run("--results", str(good), "--json")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["rows"]) == len(YARDSTICKS)
    failed = run("--results", str(bad))
    assert failed.returncode != 0
    assert "line 1" in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.fixture(scope="module")
def csi_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("csi")
    paths = [folder / "a.npz", folder / "b.npz"]
    for seed, path in enumerate(paths, 20):
        generate_file(path, "indoor", 40, seed=seed)
    return paths


@pytest.fixture
def float_zoo(tmp_path: Path, csi_files: list[Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one link with float features, hardly trained."""
    options: dict[str, Any] = {"cr": 64, "recipe": "zoo-cpu", "epochs": 0.2, "bits": None}
    out = tmp_path / "run"
    run = train("bacrnet1x", data=csi_files[0], out=out, batch=16, quiet=True, **options)
    publish(run.weights, tmp_path / "zoo", test_data=csi_files[0], command="retrain it")
    monkeypatch.setenv(zoo.FOLDER_VARIABLE, str(tmp_path / "zoo"))
    return tmp_path / "zoo"


def test_measured_through_bundles(csi_files: list[Path]) -> None:
    """The bundles' figures are those of the entry's ONNX files, on both files of CSI."""
    check_measured(zoo.find("bacrnet1x"), 4, csi_files)


def test_float_features_measured_through_bundles(csi_files: list[Path], float_zoo: Path) -> None:
    (entry,) = zoo.entries()
    assert entry.path.parent == float_zoo
    line = check_measured(entry, None, csi_files)
    csi = read_csi(csi_files[0])
    mixed = measured(entry, None, "mixed", [(csi, line.test)])
    # 8 bits in places; a link of so few numbers and steps has an error of its own of -1 dB.
    assert mixed.nmse_db == pytest.approx(line.nmse_db, abs=0.05)
    assert mixed.nmse_db != line.nmse_db


def check_measured(entry: zoo.ZooEntry, bits: int | None, paths: list[Path]) -> ResultLine:
    tests = []
    for seed, path in enumerate(paths, 20):
        about = {"scenario": "indoor", "samples": 40, "seed": seed, "sha256": f"{seed}" * 32}
        tests.append((read_csi(path), TestSet.model_validate(about)))
    found = measured(entry, bits, "fp32", tests)
    assert found.reference is not None
    assert (found.test.seed, found.reference.test.seed) == (20, 21)
    assert (found.payload_bits is None) == (bits is None)
    ue, bs = (Oracle((entry.path / name).read_bytes(), name=name) for name in zoo.FILES)
    for (csi, _), made in zip(tests, (found, found.reference), strict=True):
        x, absmax = to_input(csi.h)
        sent = ue.run(x)["feature" if bits is None else "payload"]
        h = from_input(bs.run(sent)["h"]) * absmax[:, None, None]
        # Rounded to three places; a code on a threshold may differ.
        assert made.nmse_db == pytest.approx(to_db(nmse(csi.h, h)), abs=2e-3)
        assert np.isfinite(made.sgcs)
    return found


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--precision", "fp32,int4"], "--precision fp32,int4: some of"),
        (["--out", "no/folder/results.jsonl"], "cannot write no/folder"),
        (["--out", "old.jsonl"], "old.jsonl, line 1"),
        (["no-entry"], "no zoo entry 'no-entry'"),
    ],
)
def test_measure_refuses_before_it_measures(
    tmp_path: Path,
    csi_files: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    says: str,
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(measure, "measured", never)
    monkeypatch.chdir(tmp_path)
    Path("old.jsonl").write_text("{}")
    app = typer.Typer()
    app.command()(measure.main)
    done = CliRunner().invoke(app, ["--test", str(csi_files[0]), "--out", "r.jsonl", *options])
    assert done.exit_code not in (0, None)
    assert isinstance(done.exception, SystemExit)
    assert says in done.output
    assert not Path("r.jsonl").exists()
