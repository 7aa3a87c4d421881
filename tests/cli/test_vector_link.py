"""A link whose outputs are quantized in pairs with one shared codebook: its payload is uniform."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from csideploy import zoo
from csideploy.channels.conventions import to_input
from csideploy.channels.files import read_csi
from csideploy.errors import InputError
from csideploy.export.functions import attach_functions
from csideploy.export.vector_interface import (
    append_vector_quantizer,
    prepend_vector_dequantizer,
)
from csideploy.link_export import make_package
from csideploy.link_source import Bits, LinkSource, from_zoo
from csideploy.onnx_oracle import Oracle
from csideploy.package import open_package

from .conftest import WANTED, Run

LENGTH, BITS = 2, 3


@pytest.fixture(scope="module")
def vector_source(codebook_source: LinkSource) -> LinkSource:
    """The test link with 64 pairs of its own features as the book."""
    made = np.random.default_rng(2).random((64, 2, 32, 32), dtype=np.float32)
    feature = Oracle(codebook_source.ue, name="ue").run(made)["feature"]
    book = feature.reshape(-1, LENGTH)[:: feature.size // LENGTH // 64][: 1 << (LENGTH * BITS)]
    ue, bs = (onnx.load_model_from_string(d) for d in (codebook_source.ue, codebook_source.bs))
    append_vector_quantizer(ue, np.ascontiguousarray(book))
    prepend_vector_dequantizer(bs, np.ascontiguousarray(book))
    for model in (ue, bs):
        attach_functions(model)
    return dataclasses.replace(
        codebook_source,
        ue=ue.SerializeToString(),
        bs=bs.SerializeToString(),
        bits=BITS,
        quantizer="vector",
        codebooks={},
    )


@pytest.fixture(scope="module")
def package(vector_source: LinkSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vector") / "P"
    make_package(vector_source, WANTED, folder)
    return folder


def test_the_payload_is_uniform(package: Path) -> None:
    link = open_package(package)
    (layout,) = link.layouts
    assert (layout.layout_id, layout.count, layout.bits) == (0x0106, 128, 6)
    assert layout.nbytes == 256 * BITS // 8
    assert link.manifest["quantizer"] == "vector"
    assert link.name == "csinet, cr 8, 3 bits, binarize none"


def test_encode_decode_validate(package: Path, csi_file: Path, tmp_path: Path, run: Run) -> None:
    payload = tmp_path / "p.bin"
    result = run("encode", package, csi_file, "--bits", BITS, "--out", payload, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["bits"] == BITS
    x, _ = to_input(read_csi(csi_file).h)
    theirs = Oracle((package / "ue.onnx").read_bytes(), name="ue").run(x)["payload"]
    ours = np.frombuffer(payload.read_bytes()[32:], np.uint8).reshape(theirs.shape)
    assert (ours != theirs).mean() < 1e-3
    done = run("decode", package, payload, "--out", tmp_path / "h.npy")
    assert done.exit_code == 0, done.output
    done = run("encode", package, csi_file, "--bits", 6, "--out", payload)
    assert "has 3 bits a feature" in done.stderr
    result = run("validate", package, "--reference", csi_file, "--json")
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)["measured"]
    assert figures["ue_codes"] == 260 * 128
    assert figures["ue_codes_differ"] == figures["ue_codes_differ_in_band"]
    assert run("report", package, "--rounds", 1).exit_code == 0


def test_the_zoo_takes_it(
    vector_source: LinkSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(tmp_path))
    card = {
        **{"system": "csinet", "cr": 8, "bits": BITS, "binarize": "none", "quantizer": "vector"},
        **{"data": {}, "metrics": {}, "command": "csideploy train csinet"},
    }
    entry = zoo.write_entry(tmp_path, card, ue=vector_source.ue, bs=vector_source.bs)
    assert entry.name == "csinet-cr8-b3-vector"
    for name, more in ((entry.name, {}), ("csinet", {"quantizer": "vector"})):
        bits = Bits((BITS,), given=True)
        found = from_zoo(name, cr=8, bits=bits, binarize=None, **more)
        assert (found.quantizer, found.bits, found.ue) == ("vector", BITS, vector_source.ue)


def test_it_has_no_integers(vector_source: LinkSource, tmp_path: Path) -> None:
    wanted = dataclasses.replace(WANTED, precision="auto")
    with pytest.raises(InputError, match="--precision auto: distances"):
        make_package(vector_source, wanted, tmp_path / "P")
    assert not (tmp_path / "P").exists()
