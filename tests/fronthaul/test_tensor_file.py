"""Weights files against the safetensors package, and broken ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from csideploy.errors import FormatError, InputError
from csideploy.fronthaul.codebooks import (
    Codebooks,
    codebooks_bytes,
    codebooks_from_bytes,
    load_codebooks,
    save_codebooks,
)
from csideploy.fronthaul.networks import Network
from csideploy.fronthaul.setup import Setup
from csideploy.tensor_file import from_bytes, half_matrices, to_bytes

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


def test_large_matrices_are_float16_in_the_file_and_float32_in_memory() -> None:
    rng = np.random.default_rng(2)
    shapes = {
        "0.0.weight": (33, 33),
        "0.1.weight": (31, 33),
        "norm.weight": (2048,),
        "0.0.bias": (2048,),
        "0.table": (512, 1, 2),
        "beyond.weight": (32, 32),
        "nan.weight": (32, 32),
    }
    made = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    made["beyond.weight"][0, 0] = 65_521  # rounds to infinity
    made["nan.weight"][0, 0] = np.nan
    data = to_bytes(half_matrices(made), {"k": "v"})
    theirs = pytest.importorskip("safetensors.numpy").load(data)
    halved = {name for name, array in theirs.items() if array.dtype == np.float16}
    assert halved == {"0.0.weight"}
    read, metadata = from_bytes(data)
    assert metadata == {"k": "v"}
    for name, array in read.items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, theirs[name].astype(np.float32))
        if name not in halved:
            np.testing.assert_array_equal(array, made[name])
    # Half a unit of the last of 11 bits; 2^-25 below the smallest normal number.
    error, most = read["0.0.weight"] - made["0.0.weight"], np.abs(made["0.0.weight"]) * 2**-11
    assert (np.abs(error) <= np.maximum(most, 2**-25)).all()
    # Rounded once: a second time nothing moves.
    assert to_bytes(half_matrices(read), metadata) == data


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
        with_header(dtype="BF16", shape=[4]),
        with_header(dtype="F16"),
        with_header(dtype=["F16"]),
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


def test_networks_survive_a_file_of_float16() -> None:
    rng = np.random.default_rng(3)
    setup = Setup((16, 16), (40, 40), users=2, receive_antennas=2, streams=1)
    networks = tuple(
        Network(
            tuple(rng.standard_normal(shape, np.float32) for shape in ((40, 40), (32, 40))),
            tuple(rng.standard_normal(size, np.float32) for size in (40, 32)),
        )
        for _ in setup.bits
    )
    made = Codebooks("neural-mq", setup, networks=networks, iterations=5, about={"seed": 4})
    whole, half = codebooks_bytes(made), codebooks_bytes(made, half=True)
    assert len(half) < 0.6 * len(whole)
    for data, kind in ((whole, np.float32), (half, np.float16)):
        again = codebooks_from_bytes(data)
        assert again.about["seed"] == 4
        for ours, theirs in zip(again.networks, networks, strict=True):
            for w, kept in zip(ours.weights, theirs.weights, strict=True):
                assert w.dtype == np.float32
                np.testing.assert_array_equal(w, kept.astype(kind))
            for b, kept in zip(ours.biases, theirs.biases, strict=True):
                np.testing.assert_array_equal(b, kept)
    with pytest.raises(FormatError):
        codebooks_from_bytes(half[:-1])
