"""The report on targets and against limits: figures that add up, verdict, exit codes."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from csideploy.report.page_latency import bars_of, limit_of
from csideploy.report.page_latency import outcome as bar_outcome
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
    assert (fits["holds"], latency["holds"]) == (False, True)
    # What is in the memory named is more than that has.
    assert fits["name"].startswith("BS weights")
    assert fits["name"].endswith(" in SRAM")
    assert fits["value"] > fits["limit"] == 4_194_304


def test_room_alone_is_shown_and_not_judged(package: Path, run: Run, tmp_path: Path) -> None:
    # The BS's part has no room on any of these, whichever comes first.
    for names in (("cortex-m4", "cortex-m55"), ("sapphire-rapids", "cortex-m55")):
        code, result = report(run, package, *(x for name in names for x in ("--target", name)))
        assert (code, result["verdict"]["checks"]) == (0, [])
        assert not result["targets"][2]["sides"]["bs"]["fits"]
    path = limits(tmp_path, 'target = "cortex-m55"\n[ue]\nmemory = "1GB"\n')
    code, _ = report(run, package, "--budget", path)
    assert code == 0


def test_the_chart_judges_as_the_verdict_does(package: Path, run: Run, tmp_path: Path) -> None:
    text = """
        [ue]
        latency = "1us"
        [bs]
        target = "cortex-m55"
        latency = "60s"
    """
    page = tmp_path / "page.html"
    path = limits(tmp_path, text)
    done = run("report", package, "--json", "--rounds", 2, "--budget", path, "--format", "html",
               "--out", page)  # fmt: skip
    assert done.exit_code == 1, done.output
    result = json.loads(done.stdout)
    allowed = {side: own["allowed_s"] for side, own in result["timing"]["sides"].items()}
    assert allowed == {"ue": 1e-6, "bs": 60.0}
    for side, words in (("ue", ["FAIL", "FAIL"]), ("bs", ["PASS", "DOES NOT FIT"])):
        outcomes = [bar_outcome(bar, limit_of(side, result)) for bar in bars_of(side, result)]
        assert [outcome.split("% ")[-1].split("x ")[-1] for outcome in outcomes] == words
        assert words[1] in page.read_text()


def test_the_command_line_goes_before_the_file(package: Path, run: Run, tmp_path: Path) -> None:
    path = limits(tmp_path, "[ue]\nshare = 1.0\nsymbols = 14\n")
    _, result = report(run, package, "--budget", path, "--budget-share", 0.25)
    ue, bs = (result["timing"]["sides"][side] for side in ("ue", "bs"))
    assert (ue["share"], bs["share"]) == (0.25, 0.25)
    assert ue["seconds"] == pytest.approx(0.5e-3)
    assert ue["allowed_s"] == pytest.approx(0.125e-3)
    assert [check["limit"] for check in result["verdict"]["checks"]] == [0.25, 0.25]


def test_a_host_in_a_budget_is_the_measured_one(
    package: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = limits(tmp_path, '[ue]\ntarget = "host"\nlatency = "60s"\n')
    code, result = report(run, package, "--target", "cortex-m4", "--budget", path)
    (check,) = result["verdict"]["checks"]
    assert (code, check["target"], check["holds"]) == (0, "host", True)


def test_code_and_names_of_devices(package: Path, run: Run, tmp_path: Path) -> None:
    path = limits(tmp_path, '[ue]\ncode = "1MB"\n')
    code, result = report(run, package, "--budget", path)
    assert (code, len(result["verdict"]["checks"])) == (0, 1)
    same = tmp_path / "cortex-m4.toml"
    same.write_bytes((files("csideploy.targets") / "cortex-m4.toml").read_bytes())
    for options, words in (
        (("--target", "cortex-m4", "--budget", path), "ue.code: is judged on cortex-m4"),
        (("--target", "cortex-m4", "--target", same), "cortex-m4 is called cortex-m4 too"),
        (("--quality", path), "--quality"),
    ):
        refused = run("report", package, *options)
        assert refused.exit_code == 2
        (line,) = refused.stderr.splitlines()
        assert words in line


def test_more_targets_than_columns(package: Path, run: Run) -> None:
    names = ("cortex-m4", "cortex-m55", "cortex-a53", "cortex-a55", "cortex-a76")
    options = (x for name in names for x in ("--target", name))
    shown = run("report", package, "--rounds", 1, "--format", "markdown", *options).stdout
    assert "the first 4 of 5 targets; --format json has cortex-a76 too" in shown


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
