"""Zoo entries with codebooks: written, found by name and by options, exported, refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from csideploy import registry, zoo
from csideploy.errors import FormatError, InputError
from csideploy.link_source import Bits, LinkSource, from_zoo, parse_bits
from csideploy.package import open_package
from csideploy.quantizers.scalar import Codebook
from csideploy.quantizers.scalar.files import read_codebooks, write_codebooks

from .conftest import Run

NAME = "csinet-cr8-codebook"


def card(**changes: object) -> dict[str, object]:
    figures = {b: {"nmse_db": -5.0 - b, "sgcs": 0.9, "samples": 4000} for b in (2, 3, 4)}
    return {
        **{"system": "csinet", "cr": 8, "bits": 4, "binarize": "none"},
        "data": {"scenario": "indoor", "samples": 100_000, "seed": 1},
        "metrics": figures[4],
        "metrics_per_budget": {str(b): own for b, own in figures.items()},
        "command": "csideploy train csinet --quantizer codebook",
        **changes,
    }


@pytest.fixture
def entry(codebook_source: LinkSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo with one entry; the environment points to it."""
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(tmp_path / "zoo"))
    return zoo.write_entry(
        tmp_path / "zoo",
        card(),
        ue=codebook_source.ue,
        bs=codebook_source.bs,
        codebooks=codebook_source.codebooks,
    )


def test_an_entry_goes_there_and_back(entry: Path, codebook_source: LinkSource) -> None:
    assert entry.name == NAME
    assert sorted(path.name for path in entry.iterdir()) == [
        *("bs.onnx", "card.json", "codebooks.npz", "ue.onnx")
    ]
    written = json.loads((entry / "card.json").read_text())
    assert (written["quantizer"], written["budgets"]) == ("codebook", [2, 3, 4])
    assert written["payload_bits"] == {
        str(b): int(book.widths.sum()) for b, book in codebook_source.codebooks.items()
    }
    for name in ("ue.onnx", "bs.onnx", "codebooks.npz"):
        digest = hashlib.sha256((entry / name).read_bytes()).hexdigest()
        assert written["sha256"][name] == digest
    found = from_zoo(NAME, cr=None, bits=Bits(), binarize=None)
    assert (found.ue, found.bs, found.bits) == (codebook_source.ue, codebook_source.bs, 4)
    assert found.quantizer == "codebook"
    for budget, book in codebook_source.codebooks.items():
        np.testing.assert_array_equal(found.codebooks[budget].widths, book.widths)
        np.testing.assert_array_equal(found.codebooks[budget].values, book.values)


@pytest.mark.parametrize(
    ("arguments", "budgets"),
    [
        (("--model", NAME), [4]),
        (("--model", NAME, "--bits", "2"), [2]),
        (("--model", NAME, "--bits", "2,3,4"), [2, 3, 4]),
        (("--model", "csinet", "--cr", "8", "--quantizer", "codebook"), [4]),
        (("--model", "csinet", "--cr", "8", "--quantizer", "codebook", "--bits", "3,2"), [2, 3]),
        (("--model", "csinet", "--cr", "8", "--bits", "2,4"), [2, 4]),
    ],
)
def test_export_finds_it(
    arguments: tuple[str, ...], budgets: list[int], entry: Path, tmp_path: Path, run: Run
) -> None:
    out = tmp_path / "P"
    result = run("export", *arguments, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert [layout["bits"] for layout in shown["budgets"]] == budgets
    assert shown["quantizer"] == "codebook"
    package = open_package(out)
    assert [layout.bits for layout in package.layouts] == budgets
    assert package.manifest["metrics"]["nmse_db"] == -9.0


def test_a_system_whose_default_is_codebooks(
    codebook_source: LinkSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSIDEPLOY_ZOO", str(tmp_path))
    files = {"ue": codebook_source.ue, "bs": codebook_source.bs}
    books = codebook_source.codebooks
    coded = zoo.write_entry(tmp_path, card(system="pca"), **files, codebooks=books)
    floats = zoo.write_entry(tmp_path, card(system="pca", bits=None), **files)
    assert (coded.name, floats.name) == ("pca-cr8", "pca-cr8-bfloat")
    assert zoo.find("pca", 8).path == coded
    assert zoo.find("pca", 8, (2, 3)).path == coded
    assert zoo.find("pca", 8, float_features=True).path == floats


def test_export_says_the_budgets(entry: Path, tmp_path: Path, run: Run) -> None:
    result = run("export", "--model", NAME, "--bits", "2,4", "--out", tmp_path / "P")
    assert result.exit_code == 0, result.output
    assert "csinet, cr 8, 2, 4-bit features" in result.stderr
    (row,) = [line for line in result.stderr.splitlines() if "ue-quantizer-2.onnx " in line]
    assert row.endswith("bytes")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", NAME, "--bits", "5"), "has bits 2, 3, 4, not 5"),
        (("--model", NAME, "--bits", "2,5"), "has bits 2, 3, 4, not 2, 5"),
        (("--model", NAME, "--bits", "float"), "has bits 2, 3, 4, not float"),
        (("--model", NAME, "--bits", "2,2"), "a budget stands there twice"),
        (("--model", NAME, "--bits", "2,"), "a number from 1 to 8"),
        (("--model", NAME, "--quantizer", "uniform"), "has quantizer codebook, not uniform"),
        (("--model", NAME, "--quantizer", "none"), "'uniform', 'codebook', 'vector', 'round'"),
        (("--model", "csinet", "--cr", "8"), "no trained weights 'csinet-cr8' in"),
        (("--model", "csinet", "--cr", "8", "--bits", "2,5"), "with budgets 2, 5"),
        (("--model", "csinet", "--bits", "2,3"), f"there is {NAME}"),
    ],
)
def test_what_is_not_there(
    arguments: tuple[str, ...], words: str, entry: Path, tmp_path: Path, run: Run
) -> None:
    result = run("export", *arguments, "--out", tmp_path / "P")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line
    assert not (tmp_path / "P").exists()


def test_systems_shows_it(entry: Path, codebook_source: LinkSource, run: Run) -> None:
    shown = run("systems")
    assert shown.exit_code == 0, shown.output
    (row,) = [line for line in shown.stdout.splitlines() if NAME in line]
    assert f" {codebook_source.codebooks[4].bits} " in row
    assert "-9.00" in row


def test_entries_that_contradict_themselves(
    entry: Path, codebook_source: LinkSource, tmp_path: Path
) -> None:
    files = {"ue": codebook_source.ue, "bs": codebook_source.bs}
    books = codebook_source.codebooks
    for changes, words in (
        ({"bits": 5}, "bits 5, which is none of its budgets"),
        ({"metrics": ...}, "card without metrics"),
    ):
        bad = {key: value for key, value in card(**changes).items() if value is not ...}
        with pytest.raises(InputError, match=words):
            zoo.write_entry(tmp_path / "zoo", bad, **files, codebooks=books)
    with pytest.raises(InputError, match="budgets go with the quantizer"):
        zoo.write_entry(tmp_path / "zoo", card(quantizer="codebook"), **files)
    with pytest.raises(InputError, match="quantizer 'lattice'; uniform, codebook"):
        zoo.write_entry(tmp_path / "zoo", card(quantizer="lattice"), **files)
    (entry / "codebooks.npz").unlink()
    with pytest.raises(FormatError, match=r"without codebooks\.npz"):
        zoo.entries()


def test_codebooks_that_are_not_the_cards(entry: Path, tmp_path: Path, run: Run) -> None:
    path = entry / "codebooks.npz"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"x")
    result = run("export", "--model", NAME, "--out", tmp_path / "P")
    assert "codebooks.npz is not the file of its card" in result.stderr
    fewer = write_codebooks({3: read_codebooks(data, name="c")[3]})
    path.write_bytes(fewer)
    written = json.loads((entry / "card.json").read_text())
    written["sha256"]["codebooks.npz"] = hashlib.sha256(fewer).hexdigest()
    (entry / "card.json").write_text(json.dumps(written))
    result = run("export", "--model", NAME, "--out", tmp_path / "P")
    assert "has the budgets [3], not those of its card" in result.stderr


def npz(**arrays: np.ndarray) -> bytes:
    import io

    stream = io.BytesIO()
    np.savez(stream, **arrays)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no .npz file"),
        (b"hello", "no .npz file"),
        (npz(), "has no array"),
        (npz(widths_2=np.ones(3, np.uint8)), "has widths_2; widths_B and values_B"),
        (npz(widths_9=np.ones(3, np.uint8), values_9=np.ones(6, np.float32)), "widths_9"),
        (npz(widths_2=np.ones(3, np.uint8), values_2=np.ones(5, np.float32)), "fit the widths"),
        (npz(widths_2=np.ones(3), values_2=np.ones(6, np.float32)), "uint8"),
    ],
)
def test_files_that_are_no_codebooks(data: bytes, words: str) -> None:
    with pytest.raises(FormatError, match=words):
        read_codebooks(data, name="codebooks.npz")


def test_sources_that_contradict_themselves(codebook_source: LinkSource) -> None:
    small = Codebook(np.ones(3, np.uint8), np.arange(6, dtype=np.float32))
    for changes, words in (
        ({"codebooks": {}}, "codebooks go with"),
        ({"quantizer": "uniform"}, "codebooks go with"),
        ({"quantizer": "lattice"}, "quantizer 'lattice'"),
        ({"bits": 5}, "none of the budgets 2, 3, 4"),
    ):
        with pytest.raises(InputError, match=words):
            dataclasses.replace(codebook_source, **changes)
    from csideploy.link_parts import assemble

    with pytest.raises(InputError, match="has 3 outputs, the feature 256"):
        assemble(dataclasses.replace(codebook_source, codebooks={4: small}), (4,))
    wide = dataclasses.replace(codebook_source, bits=1, codebooks={1: codebook_source.codebooks[2]})
    with pytest.raises(InputError, match="codebook of 1 bits: 256 codes have 341 bits"):
        assemble(wide, (1,))
    with pytest.raises(InputError, match="these weights have bits 2, 3, 4"):
        codebook_source.budgets(Bits((2, 6), given=True))
    with pytest.raises(InputError, match="these weights have quantizer codebook"):
        codebook_source.demand(cr=None, bits=Bits(), binarize=None, quantizer="uniform")


def test_names_and_bits() -> None:
    spec = registry.get("bacrnet1x")
    assert registry.entry_name(spec, 8, 3, "none", "codebook") == "bacrnet1x-cr8-b3-none-codebook"
    assert registry.entry_name(spec, 4, 4, "encoder", "uniform") == "bacrnet1x"
    assert registry.entry_name(spec, 4, None, "encoder", "codebook") == "bacrnet1x-bfloat"
    pca = registry.get("pca")
    assert registry.entry_name(pca, 8, 4, "none", "codebook") == "pca-cr8"
    assert registry.entry_name(pca, 8, 4, "none", "uniform") == "pca-cr8-uniform"
    assert parse_bits("4,2, 3") == Bits((2, 3, 4), given=True)
    assert str(parse_bits("4,2")) == "2,4"
    assert parse_bits("float").is_float
    assert not parse_bits(None).is_float
