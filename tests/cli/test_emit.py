"""`--emit c` of export and of compile: a folder beside the bundle, whole or not at all."""

import json
from pathlib import Path

import pytest

from cli.conftest import Run
from csideploy.link_export import Wanted, make_package
from csideploy.link_source import Bits, LinkSource


@pytest.fixture
def model(package: Path, tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes((package / "ue.onnx").read_bytes())
    return path


def test_export_writes_the_c_of_both_sides(source: LinkSource, tmp_path: Path) -> None:
    wanted = Wanted("bacrnet1x", None, Bits(), None, frozenset({"c"}), False, 7)
    result = make_package(source, wanted, tmp_path / "P")
    assert result["c"] == ["bs-c", "ue-c"]
    for side in ("ue", "bs"):
        folder = tmp_path / "P" / f"{side}-c"
        assert {"main.c", "model.c", "README.md"} <= {path.name for path in folder.iterdir()}
        assert (folder / "kernels/reference/conv2d.c").is_file()
    assert not (tmp_path / "P" / "ue.csib").exists()


def test_compile_writes_the_c_and_replaces_its_own(run: Run, model: Path) -> None:
    for _ in range(2):
        done = run("compile", str(model), "--emit", "bundle,c", "--json")
        assert done.exit_code == 0, done.stderr
        folder = Path(json.loads(done.stdout)["c"])
    assert folder == model.with_name("net-c")
    assert (folder / "README.md").read_text().startswith("# network of the UE, as C99")


def test_compile_replaces_no_other_folder(run: Run, model: Path) -> None:
    keep = model.with_name("net-c") / "thesis.tex"
    keep.parent.mkdir()
    keep.touch()
    done = run("compile", str(model), "--emit", "c")
    assert done.exit_code == 2
    assert "net-c is not empty and has no model.c" in done.stderr
    assert keep.exists()


def test_golden_vectors_are_asked_for(run: Run, model: Path) -> None:
    done = run("compile", str(model), "--emit", "c", "--vectors", "0")
    assert done.exit_code == 2
    assert "no golden vectors" in done.stderr
    done = run("compile", str(model), "--emit", "exe")
    assert done.exit_code == 2
    assert "--emit exe: a comma list of bundle and c" in done.stderr
