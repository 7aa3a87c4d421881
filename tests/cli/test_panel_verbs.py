"""`data generate`, `data info` and `evaluate` for a panel, and eType II beside links."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from csideploy.channels.files import read_csi
from csideploy.channels.panel_file import draw_panel
from csideploy.channels.umi_panel import Panel
from csideploy.evaluate_panel import evaluate_panel
from csideploy.subbands import subband_directions

from .conftest import Run


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    file = tmp_path_factory.mktemp("panel") / "panel.npz"
    result = run(
        "data", "generate", "--scenario", "umi-panel", "--samples", 300, "--seed", 9,
        "--out", file, "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["ports"] == 32
    return file


def test_info(run: Run, panel: Path) -> None:
    shown = run("data", "info", panel)
    assert "300 samples, 13 sub-bands, 4 receive antennas, 32 ports (panel 8x2" in shown.stdout
    assert json.loads(run("data", "info", panel, "--json").stdout)["samples"] == 300


def test_codebook_and_components_on_a_panel(run: Run, panel: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the chart's extra")
    out, chart = tmp_path / "f.json", tmp_path / "q.svg"
    result = run("evaluate", "etype2,pca-ports", "--channel", panel, "--out", out, "--chart", chart)
    assert result.exit_code == 0, result.stderr
    rows = json.loads(out.read_text())["rows"]
    by_system = {
        name: [row for row in rows if row["system"] == name] for name in ("etype2", "pca-ports")
    }
    bits = [62, 91, 111, 168, 225, 243, 279, 328]
    for own in by_system.values():
        assert [row["payload_bits"] for row in own] == bits
        assert {row["samples"] for row in own} == {60}
        for row in own:
            low, high = row["sgcs_interval"]
            assert low < row["sgcs"] < high
            assert row["nmse_db"] is None
            assert row["mean_bits"] <= row["payload_bits"]
            assert f"{row['sgcs']:.4f}" in result.stdout
    values = [row["sgcs"] for row in by_system["pca-ports"]]
    assert values == sorted(values)
    assert "etype2, PC 8" in result.stdout
    assert "<svg" in chart.read_text()
    again = run("evaluate", "etype2", "--channel", panel, "--samples", 40, "--json", "--seed", 3)
    assert (
        again.stdout
        == run(
            "evaluate", "etype2", "--channel", panel, "--samples", 40, "--json", "--seed", 3
        ).stdout
    )


def test_two_layers(run: Run, panel: Path) -> None:
    result = run(
        "evaluate", "etype2", "--channel", panel, "--samples", 30, "--set", "rank=2", "--json"
    )
    rows = json.loads(result.stdout)["rows"]
    assert [row["payload_bits"] for row in rows] == [113, 169, 207, 319, 431, 467, 539, 635]
    for row in rows:
        # Rounded to five digits each.
        assert np.mean(row["sgcs_layers"]) == pytest.approx(row["sgcs"], abs=1.1e-5)


def test_beside_links(run: Run, package: Path, csi_file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the chart's extra")
    chart, payload, decoded = tmp_path / "q.svg", tmp_path / "p.bin", tmp_path / "h.npy"
    common = ("--channel", csi_file, "--samples", 60, "--json")
    result = run("evaluate", f"{package},etype2", *common, "--chart", chart)
    assert result.exit_code == 0, result.stderr
    rows = json.loads(result.stdout)["rows"]
    codebook = [row for row in rows if row["system"] == "etype2"]
    # One axis of groups less than (8, 2): 2 bits less.
    assert [row["payload_bits"] for row in codebook] == [60, 89, 109, 166, 223, 241, 277, 326]
    for row in codebook:
        assert row["nmse_db"] is None
        assert row["ue_bundle_bytes"] is None
        low, high = row["sgcs_subband_interval"]
        assert low < row["sgcs_subband"] < high
    # Of the same bits the link's own figures are what they are without the codebook.
    (link,) = [row for row in rows if row["system"] == package.name]
    (alone,) = json.loads(run("evaluate", package, *common).stdout)["rows"]
    assert alone.items() <= link.items()
    assert "sgcs_subband" not in alone
    # The link's SGCS by sub-band from its decoded file.
    assert run("encode", package, csi_file, "--out", payload).exit_code == 0
    assert run("decode", package, payload, "--out", decoded).exit_code == 0
    v = subband_directions(read_csi(csi_file).h[:60])[:, 0]
    v_hat = subband_directions(np.load(decoded)[:60])[:, 0]
    cosine = np.abs(np.sum(v.conj() * v_hat, axis=2)) ** 2
    assert link["sgcs_subband"] == pytest.approx(cosine.mean(), abs=1e-5)
    shown = run("evaluate", f"{package},etype2", *common[:-1])
    assert "etype2, PC 7" in shown.stdout
    assert "Left out" not in shown.stdout


def test_short_lines_leave_combinations_out(run: Run, tmp_path: Path) -> None:
    """16 antennas are a panel of (8, 1): 7 and 8 are for 32 ports."""
    rng = np.random.default_rng(4)
    np.save(tmp_path / "csi.npy", rng.normal(size=(40, 16, 32, 2)).view(complex)[..., 0])
    command = ("evaluate", "etype2", "--channel", tmp_path / "csi.npy", "--samples", 40)
    found = json.loads(run(*command, "--json").stdout)
    assert [row["combination"] for row in found["rows"]] == [1, 2, 3, 4, 5, 6]
    assert [text.split(" is ")[0] for text in found["left_out"]] == [
        "paramCombination 7", "paramCombination 8",
    ]  # fmt: skip
    assert "Left out: paramCombination 7 is barred" in " ".join(run(*command).stdout.split())


def test_progress_never_goes_back_and_ends() -> None:
    told: list[tuple[int, int]] = []
    data = draw_panel(Panel(4, 2), 2, 700, seed=3)
    evaluate_panel(
        ["pca-ports", "etype2"], data=data, seed=1, progress=lambda *both: told.append(both)
    )
    # The directions, the fit, and 6 combinations of two systems.
    assert {total for _, total in told} == {100 * 14}
    done = [part for part, _ in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 1400)
    # 500 of 700 samples, before the first step is done.
    assert 0 < done[1] < 100


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pca-ports"], "--channel umi-panel"),
        (["etype2", "--bits", "4", "--samples", "40"], "leave --bits out"),
        (["bacrnet10x", "--channel", "{panel}"], "not measured on a panel's"),
        (["etype2", "--channel", "{panel}", "--snr", "3"], "--snr goes with other channels"),
        (["etype2", "--channel", "{panel}", "--set", "rank=5"], "rank=1 to rank=4"),
        (["etype2", "--channel", "{panel}", "--samples", "2", "--chart", "q.bmp"], ".svg"),
        (["pca-ports", "--channel", "{panel}", "--samples", "52"], "needs 53 samples"),
        (["pca-ports", "--channel", "{panel}", "--samples", "52"], "52 samples of {panel}"),
    ],
)
def test_bad_use_of_a_panel(run: Run, panel: Path, arguments: list[str], says: str) -> None:
    result = run("evaluate", *(item.format(panel=panel) for item in arguments))
    assert result.exit_code == 2
    assert says.format(panel=panel) in result.stderr
    assert result.stderr.count("\n") == 1


def test_few_samples_to_fit_on_are_said(run: Run, panel: Path) -> None:
    """53 are the first that give components enough for 328 bits."""
    command = ("evaluate", "pca-ports,etype2", "--channel", panel, "--samples", 53)
    found = json.loads(run(*command, "--json").stdout)
    assert found["fitted_samples"] == 42
    notes = {row["system"]: row["note"] for row in found["rows"]}
    assert notes == {"pca-ports": "fitted on 42", "etype2": None}
    shown = run(*command).stdout
    assert "pca-ports *" in shown
    assert "* pca-ports was fitted on 42 samples only" in " ".join(shown.split())
    alone = run("evaluate", "etype2", "--channel", panel, "--samples", 20, "--json")
    assert json.loads(alone.stdout)["notes"] == []


def test_a_combination_with_too_few_coefficients_is_left_out(
    run: Run, panel: Path, tmp_path: Path
) -> None:
    """With 4 sub-bands combination 1 has 2 coefficients in all, and 3 layers need one each."""
    whole = np.load(panel)
    for bands in (1, 4):
        np.savez(tmp_path / f"{bands}.npz", H=whole["H"][:20, :bands], n1=8, n2=2)
    command = ("evaluate", "etype2", "--channel", tmp_path / "4.npz", "--set", "rank=3")
    found = json.loads(run(*command, "--json").stdout)
    assert [row["combination"] for row in found["rows"]] == [2, 3, 4, 5, 6]
    assert "paramCombination 1 has 2 coefficients at 4 sub-bands" in found["left_out"][0]
    assert "paramCombination 8 is barred" in found["left_out"][2]
    assert "Left out: paramCombination 1 has" in " ".join(run(*command).stdout.split())
    one = run("evaluate", "etype2", "--channel", tmp_path / "1.npz")
    assert one.exit_code == 2
    assert f"{tmp_path / '1.npz'}, panel 8x2: eType II with 1 sub-bands" in one.stderr


def test_a_panel_is_no_csi(run: Run, panel: Path, package: Path, tmp_path: Path) -> None:
    for arguments in (
        ("encode", package, panel, "--out", tmp_path / "p.bin"),
        ("train", "bacrnet1x", "--data", panel, "--out", tmp_path / "run"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert "evaluate etype2,pca-ports" in result.stderr
    for option in ("--workers", "--antennas"):
        made = run(
            "data", "generate", "--scenario", "umi-panel", "--samples", 3, option, 16,
            "--out", tmp_path / "x.npz",
        )  # fmt: skip
        assert made.exit_code == 2
        assert option in made.stderr
    made = run(
        "data", "generate", "--scenario", "indoor", "--samples", 3, "--panel", "8x2",
        "--out", tmp_path / "x.npz",
    )  # fmt: skip
    assert "--panel" in made.stderr
