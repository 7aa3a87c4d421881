"""The footprint: totals add up from the layers, and the 1-bit layer is stored in its bits."""

import json
from pathlib import Path

import pytest

from csideploy.report.footprint import ADDITIVE
from csideploy.report.units import binary, duration

from .conftest import Run


def test_totals_add_up_from_the_layers(package: Path, run: Run) -> None:
    result = run("report", package, "--json", "--rounds", 2)
    assert result.exit_code == 0, result.output
    sides = json.loads(result.stdout)["sides"]
    for side, data in sides.items():
        for key in ADDITIVE:
            assert data[key] == sum(layer[key] for layer in data["layers"]), key
        assert data["stored_bytes"] == data["binary_bytes"] + data["fp32_bytes"]
        parts = ("stored_bytes", "padding_bytes", "tables_bytes", "vectors_bytes")
        assert data["bundle_bytes"] == sum(data[key] for key in parts)
        assert data["bundle_bytes"] == (package / f"{side}.csib").stat().st_size
        assert data["memory_bytes"] == data["bundle_bytes"] + data["arena_bytes"]
        assert data["flops"] == 2 * data["macs"] + data["elementwise"]
    # Table of the papers: encoder 1,298,432 MACs, both parts of BACRNet-1x 4.645 M.
    assert sides["ue"]["macs"] == 1_298_432
    assert sides["ue"]["macs"] + sides["bs"]["macs"] == 4_644_864


def test_the_1_bit_layer_is_128_kib(package: Path, run: Run) -> None:
    result = run("report", package, "--format", "markdown", "--rounds", 2)
    assert result.exit_code == 0, result.output
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("| fc | 512 |")]
    assert "128 KiB" in row
    stored = json.loads((package / "report.json").read_text())["sides"]["ue"]["layers"]
    (layer,) = [entry for entry in stored if entry["op"] == "BINARY_LINEAR"]
    assert layer["binary_bytes"] == 2048 * 512 // 8


@pytest.mark.parametrize("columns", ["80", "120"])
def test_the_table_fits_the_terminal(
    columns: str, package: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = run("report", package, "--rounds", 2)
    assert result.exit_code == 0, result.output
    assert max(len(line) for line in result.stdout.splitlines()) <= int(columns)
    for words in ("128 KiB", "1,298,432", "total", "measured on this host"):
        assert words in result.stdout


def test_units() -> None:
    assert [binary(n) for n in (0, 1023, 1024, 131072, 6656, 4203776)] == [
        *("0 B", "1023 B", "1 KiB", "128 KiB", "6.5 KiB", "4,105.25 KiB")
    ]
    assert [duration(s) for s in (1.23e-5, 0.00123)] == ["12.3 us", "1.230 ms"]
