"""The promise for the zoo's default link, on samples that no choice has seen."""

from pathlib import Path

import pytest

from csideploy.export.bundle_read import read_bundle
from csideploy.link_export import Wanted, export_link
from csideploy.link_source import Bits
from csideploy.package import open_package
from csideploy.validate import validate


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["auto", "mixed"])
@pytest.mark.parametrize("model", ["bacrnet10x", "bacrnet1x", "bacrnet10x-both"])
def test_integers_cost_at_most_a_tenth_of_a_db(
    model: str, precision: str, reference_dir: Path, tmp_path: Path
) -> None:
    emit = frozenset({"onnx", "bundle"})
    wanted = Wanted(model, None, Bits(), None, emit, False, 7, precision=precision)
    export_link(wanted, out=tmp_path / "P")
    result = validate(tmp_path / "P", reference=reference_dir / "cost2100_indoor_reference.npz")
    measured = result["measured"]
    print(
        f"{model}: fp32 {measured['nmse_db_fp32']:.4f} dB, {precision} {measured['nmse_db']:.4f} dB"
    )
    assert result["passed"]
    assert result["samples"] == 3000
    assert measured["nmse_db"] <= measured["nmse_db_fp32"] + 0.1
    plan = read_bundle(open_package(tmp_path / "P").read("ue.int8.csib"))
    assert plan.arena_bytes <= 20 * 1024
