"""Result files: what a line must say, and that a wrong one is named by file, line and key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from csideploy.errors import InputError
from csideploy.planning.results import ResultLine, append, as_line, read_results

LINE: dict[str, Any] = {
    "system": "bacrnet1x",
    "cr": 4,
    "bits": 4,
    "binarize": "encoder",
    "nmse_db": -12.3,
    "sgcs": 0.95,
    "test": {"scenario": "indoor", "samples": 20000, "seed": 2, "sha256": "a" * 64},
    "train": {
        "samples": 95000,
        "epochs": 1.0,
        "recipe": "zoo-cpu",
        "seed": 0,
        "minutes": 1.5,
        "data_sha256": "b" * 64,
    },
    "checkpoint": None,
    "command": "csideploy data generate --out i.npz && csideploy train bacrnet1x --out 'runs/a b'",
}


def test_a_line_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(LINE) + "\n\n" + json.dumps({**LINE, "precision": "auto"}) + "\n")
    first, second = read_results(path)
    assert (first.quantizer, first.precision, first.rho) == ("uniform", "fp32", None)
    assert second.precision == "auto"
    assert first.run_folder() == "runs/a b"
    path.write_text(json.dumps({**LINE, "payload_bits": 2048}))
    assert read_results(path)[0].payload_bits == 2048


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"speed": 3}, "unknown key 'speed'"),
        ({"test": {**LINE["test"], "name": "x"}}, "unknown key 'test.name'"),
        ({"test": {**LINE["test"], "sha256": "abc"}}, "test.sha256"),
        ({"nmse_db": None}, "nmse_db"),
        ({"nmse_db": "NaN"}, "nmse_db"),
        ({"sgcs": 1.2}, "sgcs"),
        ({"system": "bacrnet"}, "unknown system 'bacrnet'"),
        ({"cr": 5}, "compression 1/5"),
        ({"bits": 9}, "9 bits"),
        ({"binarize": "some"}, "binarize"),
        ({"quantizer": "codebook"}, "payload_bits"),
        ({"payload_bits": 1024}, "payload_bits 1024: 4 bits a feature at cr 4 are 2048"),
        ({"quantizer": "round", "payload_bits": 2049}, "are 2048"),
        ({"bits": None, "payload_bits": 2048}, "float features have no payload"),
        ({"train": None}, "train must say"),
        ({"command": "csideploy train bacrnet1x"}, "--out DIR"),
        ({"command": "csideploy train 'x --out"}, "line 2"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("\n" + json.dumps({**LINE, **change}) + "\n")
    with pytest.raises(InputError) as caught:
        read_results(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 2: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize("missing", ["system", "test", "nmse_db", "command"])
def test_a_missing_key_is_named(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({key: value for key, value in LINE.items() if key != missing}))
    with pytest.raises(InputError, match=f"no key '{missing}'"):
        read_results(path)


def test_what_is_no_result_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\xfe{")
    (tmp_path / "b").write_text("system,cr\n")
    with pytest.raises(InputError, match="one JSON object a line"):
        read_results(tmp_path / "a")
    with pytest.raises(InputError, match="line 1: no JSON object"):
        read_results(tmp_path / "b")
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "c")


def test_a_line_is_written_as_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [
        ResultLine.model_validate(LINE),
        ResultLine.model_validate({**LINE, "bits": None, "rho": 0.97, "precision": "int8"}),
    ]
    path.write_text("".join(as_line(own) + "\n" for own in lines))
    assert read_results(path) == lines


def test_measuring_again_replaces_the_line_of_the_same_package(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    first = ResultLine.model_validate({**LINE, "checkpoint": "bacrnet1x", "train": None})
    other = first.model_copy(update={"precision": "auto"})
    again = first.model_copy(update={"nmse_db": -12.5, "weights": {"ue.onnx": "f" * 64}})
    for own in (first, other, again):
        append(path, own)
    assert read_results(path) == [other, again]
