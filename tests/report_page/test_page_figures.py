"""The figures on a page are those of the JSON, with and without latency."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page_reader import disagreements, keyed, parse
from typer.testing import Result

Run = Callable[..., Result]
Pages = dict[str, tuple[str, dict[str, Any]]]
KINDS = ("fp32", "int8", "codebook", "precoder", "fronthaul", "transceiver")


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_are_those_of_the_json(kind: str, pages: Pages) -> None:
    text, result = pages[kind]
    root = parse(text)
    assert disagreements(root, result) == []
    shown = {key for key, _ in keyed(root)}
    same = result.get("same", {})
    sides = (
        ["ue", "bs"]
        if kind == "transceiver"
        else [s for s in result["sides"] if same.get(s, s) == s]
    )
    wanted = set()
    for side in sides:
        data = result["sides"][side]
        plain = {key for key, value in data.items() if type(value) is int}
        # Padding and tables are what the bundle has beside its constants.
        wanted |= {f"sides.{side}.{key}" for key in plain - {"stored_bytes"}}
        wanted |= {f"sides.{side}.run_latency_s.{which}" for which in ("min", "median")}
        for number, _ in enumerate(data["layers"]):
            layer = f"sides.{side}.layers.{number}"
            wanted |= {f"{layer}.macs", f"{layer}.flops", f"{layer}.latency_s.median"}
    for number, target in enumerate(result["targets"]):
        for side, own in target["sides"].items():
            wanted |= {f"targets.{number}.sides.{side}.{key}" for key in ("latency_s", "share")}
            if side in sides:
                wanted |= {
                    f"targets.{number}.sides.{side}.layers.{i}.latency_s"
                    for i, _ in enumerate(own["layers"])
                }
    wanted |= {f"timing.sides.{side}.seconds" for side in result["timing"]["sides"]}
    for number, _ in enumerate(result["verdict"]["checks"]):
        wanted |= {f"verdict.checks.{number}.{key}" for key in ("value", "limit")}
    assert not wanted - shown
    assert len(wanted) > 100


def test_a_wrong_figure_would_be_found(pages: Pages) -> None:
    """The comparison above is worth something: another figure in the JSON does not agree."""
    text, result = pages["int8"]
    changed = json.loads(json.dumps(result))
    changed["sides"]["ue"]["macs"] += 1
    changed["sides"]["bs"]["layers"][3]["latency_s"]["median"] *= 1.5
    # As a tile and in a table; of the other, once a layer.
    found = disagreements(parse(text), changed)
    assert {entry.split(":")[0] for entry in found} == {
        *("sides.ue.macs", "sides.bs.layers.3.latency_s.median")
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_of_the_package(kind: str, packages: dict[str, Path]) -> None:
    """Written by export: the figures of report.json, and a word on where latency comes from."""
    folder = packages[kind]
    text = (folder / "report.html").read_text()
    root = parse(text)
    stored = json.loads((folder / "report.json").read_text())
    manifest = json.loads((folder / "manifest.json").read_text())
    if kind in ("fp32", "int8", "codebook", "precoder"):
        stored["budgets"] = manifest.get("budgets") or [manifest["payload"]]
    assert disagreements(root, stored) == []
    assert len(keyed(root)) > 60
    assert "csideploy report PACKAGE --format html" in root.text
    assert not root.all("svg", id="latency-ue")
    # No path of the machine, and nothing that was measured on it.
    assert str(folder) not in text
    assert "here" not in {node.text for node in root.all("th")}
    assert set(manifest["files"]) >= {"report.html", "report.json"}


def test_a_package_is_the_same_wherever_it_is_made(
    run: Run, packages: dict[str, Path], options: dict[str, tuple[object, ...]], tmp_path: Path
) -> None:
    done = run("export", "--model", *options["codebook"], "--out", tmp_path / "elsewhere")
    assert done.exit_code == 0, done.stderr
    for name in ("report.html", "manifest.json"):
        assert (tmp_path / "elsewhere" / name).read_bytes() == (
            packages["codebook"] / name
        ).read_bytes()


def test_an_older_package_has_no_page(run: Run, packages: dict[str, Path], tmp_path: Path) -> None:
    old = Path(shutil.copytree(packages["fp32"], tmp_path / "P"))
    (old / "report.html").unlink()
    manifest = json.loads((old / "manifest.json").read_text())
    del manifest["files"]["report.html"]
    (old / "manifest.json").write_text(json.dumps(manifest))
    assert run("validate", old, "--samples", 40).exit_code == 0
    done = run("report", old, "--format", "html", "--rounds", 1)
    assert done.exit_code == 0, done.stderr
    assert parse(done.stdout).all("svg", id="memory-ue")
