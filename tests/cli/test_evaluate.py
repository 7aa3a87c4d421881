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


@pytest.mark.parametrize(
    "system", ["bacrnet10x", "rank1-rzf", "neural-mq", "rvq-egat", "etype2 --channel umi-panel"]
)
@pytest.mark.parametrize("option", ["--out", "--chart"])
def test_a_file_that_cannot_be_written_is_said_first(
    run: Run, tmp_path: Path, system: str, option: str
) -> None:
    """Before anything is looked for: --bits 99 and --samples 2 would be refused as well."""
    pytest.importorskip("matplotlib", reason="the chart's extra")
    name = "f.json" if option == "--out" else "q.svg"
    for folder in (tmp_path / "absent", Path("/proc")):
        result = run("evaluate", *system.split(), "--bits", 99, option, folder / name)
        assert result.exit_code == 2
        assert f"cannot write {folder / name}" in result.stderr
        assert result.stderr.count("\n") == 1
    free = run("evaluate", "nonsense", option, tmp_path / name)
    assert "nonsense" in free.stderr
    assert not any(tmp_path.iterdir())


def test_training_samples_are_no_test(run: Run) -> None:
    """The zoo's entry was trained on indoor channels of seed 1."""
    command = ("evaluate", "bacrnet1x", "--samples", 40, "--json", "--seed")
    own, other = run(*command, 1), run(*command, 3)
    (warning,) = json.loads(own.stdout)["warnings"]
    assert "bacrnet1x" in warning
    assert "trained on indoor channels of seed 1" in warning
    assert own.stderr == f"warning: {warning}\n"
    assert json.loads(other.stdout)["warnings"] == []
    assert other.stderr == ""


def test_quality_of_each_sample() -> None:
    """The means of `by_sample` are the three metrics."""
    random = np.random.default_rng(8)
    h, noise = (random.normal(size=(7, 32, 32, 2)).view(np.complex128)[..., 0] for _ in range(2))
    nmse, sgcs, rho = metrics.by_sample(h, h + 0.3 * noise).mean(axis=1)
    assert nmse == pytest.approx(metrics.nmse(h, h + 0.3 * noise), rel=1e-12)
    assert sgcs == pytest.approx(metrics.sgcs(h, h + 0.3 * noise), rel=1e-12)
    assert rho == pytest.approx(metrics.rho(h, h + 0.3 * noise), rel=1e-12)
