"""Weights files against the safetensors package, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csideploy.errors import FormatError, InputError
from csideploy.fronthaul.codebooks import Codebooks, load_codebooks, save_codebooks
from csideploy.fronthaul.setup import Setup
from csideploy.tensor_file import from_bytes, to_bytes

ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b": np.array([1.5], np.float32),
    "none": np.zeros((0, 4), np.float32),
}


def test_the_package_reads_what_we_write_and_the_other_way_round() -> None:
    theirs = pytest.importorskip("safetensors.numpy")
    for name, array in theirs.load(to_bytes(ARRAYS, {"k": "v"})).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    arrays, metadata = from_bytes(theirs.save(ARRAYS, {"k": "v"}))
    assert metadata == {"k": "v"}
    assert {name: a.shape for name, a in arrays.items()} == {n: a.shape for n, a in ARRAYS.items()}
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, ARRAYS[name])


def with_header(**changes: Any) -> bytes:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}
    head = json.dumps({"a": entry}).encode()
    return len(head).to_bytes(8, "little") + head + bytes(8)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"short",
        (1 << 40).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (2).to_bytes(8, "little") + b"{]",
        with_header(dtype="F64"),
        with_header(shape=[3]),
        with_header(shape=[-2]),
        with_header(shape=["2"]),
        with_header(shape=2),
        with_header(data_offsets=[0, 16], shape=[4]),
        with_header(data_offsets=[8, 0]),
        with_header(data_offsets=[0]),
        with_header(data_offsets=[0.0, 8.0]),
    ],
)
def test_broken_files(data: bytes) -> None:
    with pytest.raises(FormatError):
        from_bytes(data)


def test_codebooks_survive_their_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    setup = Setup((2, 1), (2, 3), users=2, receive_antennas=2, streams=1)
    tables = tuple(
        (rng.standard_normal((1 << b, n)) + 1j * rng.standard_normal((1 << b, n))).astype("c8")
        for n, b in zip(setup.antennas, setup.bits, strict=True)
    )
    made = Codebooks("pmq", setup, tables=tables, iterations=3, alpha=0.25, about={"seed": 4})
    path = tmp_path / "weights.safetensors"
    save_codebooks(path, made)
    again = load_codebooks(tmp_path)
    assert (again.setup, again.method, again.iterations, again.alpha) == (setup, "pmq", 3, 0.25)
    assert again.about["seed"] == 4
    for ours, theirs in zip(again.tables, tables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    data = path.read_bytes()
    for broken in (data[:-1], data.replace(b"0.table", b"9.table"), data[:40]):
        path.write_bytes(broken)
        with pytest.raises(FormatError, match="weights"):
            load_codebooks(path)
    with pytest.raises(InputError):
        load_codebooks(tmp_path / "none")
