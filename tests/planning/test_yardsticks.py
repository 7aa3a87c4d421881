"""Published figures beside ours, and lines that are measured through bundles."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csideploy import registry, zoo
from csideploy.channels.conventions import from_input, to_input
from csideploy.channels.files import read_csi
from csideploy.channels.generate import generate_file
from csideploy.metrics import nmse, to_db
from csideploy.onnx_oracle import Oracle
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


@pytest.mark.parametrize("bits", [4, None])
def test_measured_through_bundles(tmp_path: Path, bits: int | None) -> None:
    """The bundles' figures are those of the entry's ONNX files, on both files of CSI."""
    entry = next(e for e in zoo.entries() if e.quantizer == "uniform" and e.card["bits"] == bits)
    paths = [tmp_path / "a.npz", tmp_path / "b.npz"]
    tests = []
    for seed, path in enumerate(paths, 20):
        generate_file(path, "indoor", 40, seed=seed)
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
