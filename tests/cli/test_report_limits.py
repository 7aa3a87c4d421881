"""The report on targets and against limits: figures that add up, verdict, exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from csideploy.report.units import percent

from .conftest import Run

NEAR = 1e-9
"""Sums of the same numbers in another order."""


def report(run: Run, package: Path, *options: object) -> tuple[int, dict[str, Any]]:
    result = run("report", package, "--json", "--rounds", 2, *options)
    assert result.exit_code in (0, 1), result.output
    return result.exit_code, json.loads(result.stdout)


def limits(folder: Path, text: str) -> Path:
    path = folder / "limits.toml"
    path.write_text(text)
    return path


def test_targets_add_up(package: Path, run: Run) -> None:
    code, result = report(
        run, package, "--target", "cortex-m55", "--target", "rfsoc", "--numerology", 0
    )
    assert code == 0
    assert result["verdict"] == {"checks": [], "holds": True}
    here, m55, rfsoc = result["targets"]
    assert [entry["mark"] for entry in result["targets"]] == ["measured", "modelled", "modelled"]
    assert [entry["confidence"] for entry in result["targets"]] == ["P", "M", "M"]
    # 37 symbols at 15 kHz; a slot of 1 ms.
    allowed = {side: own["seconds"] for side, own in result["timing"]["sides"].items()}
    assert allowed == pytest.approx({"ue": 37e-3 / 14, "bs": 1e-3})
    for side, data in result["sides"].items():
        for layer in data["layers"]:
            assert layer["share"] == pytest.approx(layer["latency_s"]["median"] / allowed[side])
        assert data["share"] == pytest.approx(sum(layer["share"] for layer in data["layers"]))
    for entry in (here, m55, rfsoc):
        for side, own in entry["sides"].items():
            assert own["share"] == pytest.approx(own["latency_s"] / allowed[side], rel=NEAR)
            assert len(own["layers"]) == len(result["sides"][side]["layers"])
            assert (own["preprocessing_s"] is None) == (side == "bs")
    for side, own in m55["sides"].items():
        layers = sum(layer["latency_s"] for layer in own["layers"])
        total = layers + (own["preprocessing_s"] or 0)
        assert own["latency_s"] == pytest.approx(total, rel=NEAR), side
    before = result["preprocessing"]["measured_s"]["median"]
    run_s = result["sides"]["ue"]["run_latency_s"]["median"]
    assert here["sides"]["ue"]["latency_s"] == pytest.approx(run_s + before, rel=NEAR)
    # By hand: the 1-bit layer's 2048 x 512 additions, 2 a cycle at half of the peak, 400 MHz; its
    # scale and bias, 2 x 512 operations at a quarter of 2 a cycle; 500 cycles of a call.
    (fc,) = [layer for layer in m55["sides"]["ue"]["layers"] if layer["name"].endswith("fc")]
    (described,) = [
        layer for layer in result["sides"]["ue"]["layers"] if layer["name"] == fc["name"]
    ]
    cycles = 2048 * 512 + described["elementwise"] / 0.5 + 500
    assert fc["latency_s"] == pytest.approx(cycles / 400e6)
    assert "int8" in rfsoc["precision"]
    assert m55["sides"]["ue"]["fits"]
    assert not m55["sides"]["bs"]["fits"]


def test_limits_hold_and_do_not(package: Path, run: Run, tmp_path: Path) -> None:
    size = json.loads((package / "report.json").read_text())["sides"]["ue"]["memory_bytes"]
    text = f"""
        target = "sapphire-rapids"
        [ue]
        memory = {size}
        macs = 1298432
        latency = "1s"
        [payload]
        bits = 2048
    """
    code, result = report(run, package, "--budget", limits(tmp_path, text))
    assert (code, result["verdict"]["holds"]) == (0, True)
    names = [check["name"] for check in result["verdict"]["checks"]]
    assert names == ["payload", "UE memory", "UE MACs", "UE latency"]
    assert result["verdict"]["checks"][3]["target"] == "sapphire-rapids"

    tight = text.replace(str(size), str(size - 1)).replace("1298432", "1298431")
    tight = tight.replace('"1s"', '"1us"').replace("2048", "2047")
    tight += "[bs]\ndecodes_per_second = 1e9\nusers_per_slot = 64\n"
    path = limits(tmp_path, tight)
    code, result = report(run, package, "--budget", path)
    assert (code, result["verdict"]["holds"]) == (1, False)
    failed = {check["name"]: check for check in result["verdict"]["checks"]}
    assert len(failed) == 6
    assert not any(check["holds"] for check in failed.values())
    assert failed["UE memory"]["value"] == size
    assert failed["UE memory"]["limit"] == size - 1
    assert failed["UE memory"]["unit"] == "bytes"
    for layout in ("table", "markdown"):
        shown = run("report", package, "--rounds", 2, "--budget", path, "--format", layout)
        assert shown.exit_code == 1
        assert "Verdict: FAIL" in shown.stdout
        assert "over the budget: payload; UE memory; UE MACs" in shown.stderr.splitlines()[-1]


def test_share_of_the_time(package: Path, run: Run, tmp_path: Path) -> None:
    code, result = report(run, package, "--target", "cortex-m4", "--budget-share", 0.3)
    assert code == 1
    ue, bs = result["verdict"]["checks"]
    assert (ue["side"], ue["target"], ue["holds"]) == ("ue", "cortex-m4", False)
    # No target for a BS was named: what was measured here is judged.
    assert (bs["side"], bs["target"], bs["limit"]) == ("bs", "host", 0.3)
    mine = limits(tmp_path, '[ue]\nshare = 1.0\n[bs]\nmemory = "1GB"\n')
    _, result = report(run, package, "--budget", mine)
    names = [check["name"] for check in result["verdict"]["checks"]]
    assert names == ["UE share of its time", "BS memory"]


def test_where_it_does_not_fit_latency_is_no_latency(
    package: Path, run: Run, tmp_path: Path
) -> None:
    text = '[bs]\ntarget = "cortex-m55"\nlatency = "60s"\n'
    code, result = report(run, package, "--budget", limits(tmp_path, text))
    assert code == 1
    fits, latency = result["verdict"]["checks"]
    assert (fits["name"], fits["holds"], latency["holds"]) == ("BS fits", False, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--target", "cortex-m7"), "no target cortex-m7: did you mean cortex-m"),
        (("--numerology", 4), "--numerology 4"),
        (("--budget-share", 0), "--budget-share 0.0: above 0"),
        (("--budget", "none.toml"), "budget none.toml: no such file"),
    ],
)
def test_bad_options_are_refused(
    options: tuple[object, ...], words: str, package: Path, run: Run
) -> None:
    result = run("report", package, *options)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert words in line


def test_limits_of_a_side_that_is_not_there(package: Path, run: Run, tmp_path: Path) -> None:
    path = limits(tmp_path, "[ru]\nmacs = 3\n")
    result = run("report", package, "--rounds", 2, "--budget", path)
    assert result.exit_code == 2
    assert "budget: [ru]:" in result.stderr


def test_narrow_terminals(package: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    options = ("--target", "sapphire-rapids", "--target", "cortex-m55", "--budget-share", 0.001)
    result = run("report", package, "--rounds", 2, *options)
    assert result.exit_code == 1, result.output
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    for words in ("modelled [M]", "Z2'", "FAIL", "Confidence"):
        assert words in result.stdout


def test_shares_are_written_in_percent() -> None:
    assert [percent(share) for share in (0.0004, 0.283, 9.99, 12.4)] == [
        *("0.0 %", "28.3 %", "999.0 %", "12 x")
    ]


def test_targets_verb(run: Run) -> None:
    listed = json.loads(run("targets", "--json").stdout)["targets"]
    named = {entry["name"]: entry for entry in listed}
    assert named["cortex-a76"]["mac_per_cycle"]["int8"]["value"] == 32
    one = json.loads(run("targets", "cortex-a76", "--json").stdout)
    assert one == named["cortex-a76"]
    shown = run("targets", "cortex-a76").stdout
    assert "153.5 GOPS" in shown
    assert "[P]" in shown
    result = run("targets", "moon")
    assert result.exit_code == 2
    assert "no target moon" in result.stderr
