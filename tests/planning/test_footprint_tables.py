"""The stored footprints are those of real exports, and of the weights that the zoo has now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from csideploy import registry, zoo
from csideploy.link_export import export_link
from csideploy.planning.footprints import Footprints, Link, SideFootprint
from csideploy.planning.measure import PRECISIONS, wanted_package
from csideploy.planning.results import read_results

TABLES = Footprints.load()
STALE = "run `python -m csideploy.planning.make_footprints --zoo --write`"


def reported(folder: Path) -> Link:
    """What a package's own report.json says."""
    sides = json.loads((folder / "report.json").read_text())["sides"]
    return {
        side: SideFootprint(own["bundle_bytes"], own["arena_bytes"], tuple(own["layers"]))
        for side, own in sides.items()
    }


@pytest.mark.parametrize("entry", zoo.entries(), ids=lambda entry: entry.path.name)
def test_the_tables_have_all_packages_of_the_zoos_weights(entry: zoo.ZooEntry) -> None:
    for bits in entry.budgets:
        if bits is not None:
            for precision in PRECISIONS:
                assert TABLES.of_zoo(entry, bits, precision) is not None, STALE


@pytest.mark.parametrize(
    ("name", "bits", "precision"),
    [
        ("bacrnet1x", 4, "int8"),
        ("bacrnet1x-both", 4, "auto"),
        ("bacrnet10x-both", 4, "fp32"),
        ("acrnet1x-cr8-codebook", 2, "fp32"),
    ],
)
def test_a_zoo_package_is_as_large_as_its_export(
    name: str, bits: int, precision: str, tmp_path: Path
) -> None:
    (entry,) = (entry for entry in zoo.entries() if entry.path.name == name)
    export_link(wanted_package(entry, bits, precision), out=tmp_path / "P")
    # Rows of layers too: all that the latency model and the operations come from.
    assert TABLES.of_zoo(entry, bits, precision) == reported(tmp_path / "P"), STALE


def test_other_weights_have_no_footprint_there() -> None:
    entry = next(entry for entry in zoo.entries() if entry.path.name == "bacrnet1x")
    other = zoo.ZooEntry(entry.path, {**entry.card, "sha256": {"ue.onnx": "0" * 64}})
    assert TABLES.of_zoo(other, 4, "fp32") is None


@pytest.mark.parametrize(
    ("system", "cr", "bits", "binarize"),
    [("bacrnet3x", 16, 3, "encoder"), ("bcsinet-a2", 32, 6, "both")],
)
def test_pieces_add_up_to_an_export(
    system: str, cr: int, bits: int, binarize: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="weights of the test link come from torch")
    from csideploy import systems
    from csideploy.link_export import Wanted, make_package
    from csideploy.link_source import Bits, LinkSource
    from csideploy.training.exported import export_trained

    torch.manual_seed(11)
    link = systems.build(system, cr=cr, bits=bits, binarize=binarize).eval()
    with torch.no_grad():
        for name, values in link.named_parameters():
            if "fc" not in name:
                values.add_(0.1 * torch.randn_like(values))
    made = export_trained(link)
    source = LinkSource(system, cr, bits, binarize, made.ue, made.bs, "indoor", {}, {})
    wanted = Wanted(system, None, Bits(), None, frozenset({"bundle"}), inline=False, seed=1)
    make_package(source, wanted, tmp_path / "P")
    assert TABLES.of_system(registry.get(system), cr, bits, binarize) == reported(tmp_path / "P")


def test_macs_are_those_of_the_closed_formulas() -> None:
    for name in ("acrnet1x", "bacrnet10x", "bacrnet20x", "csinet", "crnet", "transnet"):
        spec = registry.get(name)
        for cr in registry.COMPRESSIONS:
            link = TABLES.of_system(spec, cr, 4, spec.default_binarize)
            assert link is not None
            expected = registry.macs(spec, cr)
            assert link["ue"].total("macs") == expected["encoder"]
            assert link["bs"].total("macs") == expected["decoder"]


def test_the_zoos_results_are_of_its_weights() -> None:
    hashes = {entry.path.name: entry.card["sha256"] for entry in zoo.entries()}
    lines = read_results(zoo.folder() / "results.jsonl")
    assert lines
    for line in lines:
        if line.checkpoint in hashes:
            assert line.weights == hashes[line.checkpoint], f"{line.checkpoint}: measure it again"
