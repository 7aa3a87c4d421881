"""A link that feeds back float features: no payload, but everything else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from csideploy.link_export import make_package
from csideploy.link_source import LinkSource

from .conftest import WANTED, Run


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_float_link(
    precision: str, codebook_source: LinkSource, csi_file: Path, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "P"
    floats = dataclasses.replace(codebook_source, bits=None, quantizer="uniform", codebooks={})
    calibration = None if precision == "fp32" else csi_file
    wanted = dataclasses.replace(WANTED, precision=precision, calibration=calibration)
    result = make_package(floats, wanted, folder)
    assert (result["payload"], result["budgets"], result["quantizer"]) == (None, [], None)
    done = run("validate", folder, "--reference", csi_file, "--samples", 40, "--json")
    assert done.exit_code == 0, done.output
    names = [check["name"] for check in json.loads(done.stdout)["checks"]]
    assert sum(name.startswith("UE feature") for name in names) == 1
    assert not any("payload" in name for name in names)
    shown = run("report", folder, "--rounds", 1)
    assert shown.exit_code == 0, shown.output
    assert "Payload" not in shown.stdout
    refused = run("encode", folder, csi_file, "--out", tmp_path / "p.bin")
    assert refused.exit_code == 2
    assert "has float features and so no payload" in refused.stderr
