"""The verb on the zoo: what it chooses is exported by its own command, and fits."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csideploy.cli import app

LIMITS = ("--max-bits", "2048", "--ue-memory", "200kB", "--bs-memory", "600kB")


def test_the_choice_is_exported_by_its_command_and_meets_the_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = CliRunner().invoke
    planned = run(app, ["plan", *LIMITS, "--target", "cortex-a76", "--json"])
    assert planned.exit_code == 0, planned.output
    choice = json.loads(planned.stdout)["choice"]
    assert choice["ready"]
    monkeypatch.chdir(tmp_path)
    (command,) = choice["commands"]
    program, *arguments = shlex.split(command)
    assert program == "csideploy"
    exported = run(app, arguments)
    assert exported.exit_code == 0, exported.output
    folder = arguments[arguments.index("--out") + 1]
    options = ["--target", "cortex-a76", "--rounds", "1", "--json"]
    report = json.loads(run(app, ["report", folder, *options]).stdout)
    sides, figures = report["sides"], choice["figures"]
    assert sides["ue"]["memory_bytes"] == figures["ue_memory"] <= 200_000
    assert sides["bs"]["memory_bytes"] == figures["bs_memory"] <= 600_000
    assert sides["bs"]["macs"] == figures["bs_macs"]
    (modelled,) = (own for own in report["targets"] if own["target"] == "cortex-a76")
    for side, own in modelled["sides"].items():
        # One model and the same rows: the sums differ by the order of additions at most.
        assert own["latency_s"] == pytest.approx(figures[f"{side}_latency"], rel=1e-9)
    assert report["payload"]["bits_per_sample"] == figures["payload_bits"] <= 2048


def test_the_table_has_the_choice_and_its_command() -> None:
    result = CliRunner().invoke(app, ["plan", *LIMITS])
    assert result.exit_code == 0, result.output
    assert "Choice: " in result.stdout
    assert "    csideploy export --model " in result.stdout
    assert "Why its neighbours lost" in result.stdout
    # Nothing is compared across test sets.
    assert "figures of another test are left out" in result.stdout


def test_limits_are_about_what_is_executed_and_the_networks_own_is_shown() -> None:
    options = ["plan", "--all", "--system", "bacrnet10x", "--bs-macs", "30e6"]
    result = CliRunner().invoke(app, [*options, "--json"])
    assert result.exit_code == 0, result.output
    listed = json.loads(result.stdout)["front"]
    rows = {row["name"]: row for row in listed if row["ready"]}
    own = [rows[f"bacrnet10x-both {kind}"] for kind in ("fp32", "auto", "int8")]
    assert {row["figures"]["bs_network_macs"] for row in own} == {23_105_536}
    for row in own:
        # Weights of 16 bits run as two layers of 8.
        assert bool(row["broken"]) == (row["figures"]["bs_macs"] > 30e6)
    assert own[1]["broken"][0].startswith("BS MACs 42,213,376 MACs is")
    shown = CliRunner().invoke(app, options, env={"COLUMNS": "140"}).stdout
    executed, own = shown[shown.index("bacrnet10x-both auto") :].splitlines()[:2]
    assert "42.21" in executed
    assert "(23.11)" in own
    assert "in brackets the network's own" in shown


@pytest.mark.parametrize("target", [[], ["--target", "cortex-a76"]])
@pytest.mark.parametrize("columns", ["80", "112", "130"])
def test_figures_are_whole_and_the_choice_marked_in_any_terminal(
    columns: str, target: list[str]
) -> None:
    options = ["plan", *LIMITS, *target]
    shown = CliRunner().invoke(app, options, env={"COLUMNS": columns}).stdout
    table = shown[shown.index("Pareto front") : shown.index("were measured on")]
    table = table.split("\nMMAC: ")[0]
    assert max(len(row) for row in table.splitlines()) <= int(columns)
    assert "\u2026" not in table
    assert "chosen" in table


def test_impossible_limits_exit_with_1_and_their_name() -> None:
    result = CliRunner().invoke(app, ["plan", "--max-bits", "2048", "--bs-memory", "10kB"])
    assert result.exit_code == 1
    assert result.stderr.startswith("csideploy: error: nothing measured meets --bs-memory 10kB")


def test_planning_loads_neither_torch_nor_onnx() -> None:
    # What makes an answer take seconds is not loaded.
    code = (
        "import sys\nfrom csideploy.cli import app\n"
        f"try:\n    app(['plan', *{LIMITS!r}, '--ue-target', 'cortex-m55'])\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
