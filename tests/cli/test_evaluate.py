"""`evaluate`: the table's figures are those of encode and decode, and its errors are one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from csideploy import metrics
from tests.cli.conftest import Run

SAMPLES = 60


@pytest.fixture(scope="module")
def csi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 generated indoor samples, three environments."""
    from csideploy.channels.generate import generate_file

    path = tmp_path_factory.mktemp("csi") / "csi.npz"
    generate_file(path, "indoor", SAMPLES, seed=33)
    return path


def test_figures_are_those_of_the_link(run: Run, budgets: Path, csi: Path, tmp_path: Path) -> None:
    result = run("evaluate", budgets, "--channel", csi, "--samples", SAMPLES, "--json")
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    assert [row["bits"] for row in rows] == [2, 3, 4]
    payloads = [row["payload_bits"] for row in rows]
    assert payloads == sorted(payloads)
    for row in rows:
        payload, h = tmp_path / f"{row['bits']}.bin", tmp_path / f"{row['bits']}.npy"
        run("encode", budgets, csi, "--out", payload, "--bits", row["bits"])
        decoded = run("decode", budgets, payload, "--reference", csi, "--out", h, "--json")
        own = json.loads(decoded.stdout)
        # Rounded to three and five digits in the table.
        assert row["nmse_db"] == pytest.approx(own["nmse_db"], abs=5.1e-4)
        assert row["sgcs"] == pytest.approx(own["sgcs"], abs=5.1e-6)
        assert row["payload_bits"] == own["payload_bits"]
        low, high = row["nmse_db_interval"]
        assert low <= row["nmse_db"] <= high
        assert row["samples"] == SAMPLES
        assert row["ue_memory_bytes"] > row["ue_bundle_bytes"] > 1_000_000
        # Standard deviations over their mean, falling: their own mean is 1.
        assert row["spread"] == sorted(row["spread"], reverse=True)
        assert np.mean(row["spread"]) == pytest.approx(1, abs=1e-3)


def test_table_file_and_chart(
    run: Run, budgets: Path, package: Path, csi: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="the chart's extra")
    figures, chart = tmp_path / "f.json", tmp_path / "q.svg"
    result = run(
        "evaluate", f"{budgets},{package}", "--channel", csi, "--samples", 40, "--bits", "4",
        "--out", figures, "--chart", chart,
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    rows = json.loads(figures.read_text())["rows"]
    for row in rows:
        assert f"{row['payload_bits']:,}" in result.stdout
    assert [(row["system"], row["bits"]) for row in rows] == [(budgets.name, 4), (package.name, 4)]
    assert "<svg" in chart.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.json", "q.svg"]


def test_a_seed_decides(run: Run, package: Path) -> None:
    command = ("evaluate", package, "--samples", 40, "--json")
    first, second = (run(*command, "--seed", 5).stdout for _ in range(2))
    assert first == second
    assert run(*command, "--seed", 6).stdout != first


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "nonsense"),
        ([","], "with commas"),
        (["{package}", "--bits", "9"], "1 to 8"),
        (["{package}", "--bits", "2"], "has 4 bits"),
        (["{package}", "--channel", "absent.npz"], "no such file, and no scenario"),
        (["{package}", "--channel", "{short}"], "at least 40"),
        (["{package}", "--chart", "q.bmp"], ".svg, .png, .pdf"),
        (["{package}", "--users", "3"], "--users"),
        (["{package}", "--out", "/proc/f.json", "--samples", "40"], "/proc"),
    ],
)
def test_bad_use(run: Run, package: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    short = tmp_path / "short.npy"
    np.save(short, np.random.default_rng(1).normal(size=(30, 2, 32, 32)).astype(np.float32))
    filled = [item.format(package=package, short=short) for item in arguments]
    result = run("evaluate", *filled)
    assert result.exit_code == 2
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_quality_of_each_sample() -> None:
    """The means of `by_sample` are the three metrics."""
    random = np.random.default_rng(8)
    h, noise = (random.normal(size=(7, 32, 32, 2)).view(np.complex128)[..., 0] for _ in range(2))
    nmse, sgcs, rho = metrics.by_sample(h, h + 0.3 * noise).mean(axis=1)
    assert nmse == pytest.approx(metrics.nmse(h, h + 0.3 * noise), rel=1e-12)
    assert sgcs == pytest.approx(metrics.sgcs(h, h + 0.3 * noise), rel=1e-12)
    assert rho == pytest.approx(metrics.rho(h, h + 0.3 * noise), rel=1e-12)
