"""Calibration writes a valid file of this host, from a few layers and rounds."""

import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csideploy.cli import app
from csideploy.export.bundle_write import write_bundle
from csideploy.export.compile import compile_model
from csideploy.export.plan import DType, Op
from csideploy.targets import synthetic
from csideploy.targets.calibrate import cache_sizes, calibrate, clock_hz, stream_sizes
from csideploy.targets.check import check, median_error
from csideploy.targets.files import parse
from csideploy.targets.kinds import ELEMENTS, MULTIPLYING
from csideploy.targets.write import as_toml


def test_a_few_layers_make_a_valid_file() -> None:
    few = [*synthetic.elements()[:6], *synthetic.convolutions()[:4], *synthetic.linears()[:2]]
    seen: list[int] = []
    # Of a real last cache the stream takes seconds to compile.
    caches = [("L1", 32 << 10), ("memory", 1 << 20)]
    tables = calibrate(
        rounds=2, layers=few, caches=caches, progress=lambda done, _: seen.append(done)
    )
    target = parse(as_toml(tables, "a test").encode(), "host", "host.toml")
    assert seen == [0, 1, 2]
    assert target.calibration is not None
    assert target.calibration["rounds"] == 2
    assert target.utilisation is not None
    # No share of a measured kind is above its peak, which is the best rate of any layer.
    assert 0 < target.utilisation.fp32.conv <= 1
    assert 0 < target.utilisation.int8.conv <= 1
    # What had no layer says so, and keeps the estimate.
    assert "fp32.grouped_conv" in target.utilisation.source
    assert target.utilisation.fp32.grouped_conv == 0.1
    assert "fp32.grouped_conv" in target.utilisation.estimated
    assert "fp32.conv" not in target.utilisation.estimated
    assert [memory.name for memory in target.memories] == ["L1", "memory"]

    bundle = write_bundle(compile_model(few[6].model, part="layer", side="ue"))
    (row,) = check({"conv": bundle}, target, rounds=1)
    assert row.predicted_s > 0
    assert math.isclose(row.error, row.predicted_s / row.measured_s - 1)
    assert median_error([row]) == abs(row.error)
    assert row.figures()["unseen"] == []


def test_synthetic_layers_cover_the_kinds() -> None:
    from csideploy.targets.steps import kind_of

    found, blocks = set(), set()
    for made in synthetic.all_layers():
        plan = compile_model(made.model, part="layer", side="ue")
        for step in plan.steps:
            integer = "int8 " if step.op.name.startswith("Q") else ""
            found.add(integer + kind_of(step, plan))
            if step.op is Op.CONV_BLOCK and step.inputs[3] is not None:
                blocks.add(plan.tensors[step.inputs[3]].dtype)
    convolutions = {"conv", "narrow_conv", "grouped_conv"}
    assert convolutions | {f"int8 {kind}" for kind in convolutions} <= found
    assert blocks == {DType.F32, DType.I8}
    assert {"linear", "int8 linear", "binary_linear", "int8 binary_linear", "matmul"} <= found
    # Searches and solves of native parts are the only ones without a layer.
    assert set(MULTIPLYING) - found == {"search"}
    assert set(ELEMENTS) <= found | {kind.removeprefix("int8 ") for kind in found}


def test_where_the_system_names_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "model name : a core\n")
    value, source, confidence = clock_hz()
    assert (value, confidence) == (1e9, "M")
    assert source.startswith("assumed")


def test_what_cannot_be_written_is_said_first(tmp_path: Path) -> None:
    for out in (tmp_path / "none" / "host.toml", tmp_path):
        result = CliRunner().invoke(app, ["bench", "--calibrate", "--out", str(out)])
        assert result.exit_code == 2
        (line,) = result.stderr.splitlines()
        assert "folder" in line


def test_this_cores_caches_grow() -> None:
    names, sizes = zip(*cache_sizes(), strict=True)
    assert names[0] == "L1"
    assert names[-1] == "memory"
    assert list(sizes) == sorted(sizes)


def test_streams_lie_beyond_the_cache_before() -> None:
    caches = [("L1", 48 << 10), ("L2", 1 << 20), ("L3", 32 << 20), ("memory", 64 << 30)]
    sizes = stream_sizes(caches)
    for place in range(1, 4):
        assert sizes[place] > caches[place - 1][1]
    for place in range(3):
        assert sizes[place] <= caches[place][1]
