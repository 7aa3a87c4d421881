"""`report --build` through the command line: the table, the JSON, what a budget reads of it."""

import json
import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from csideploy.report import build_table

from .conftest import Run

GCC = shutil.which("gcc") is None
SUMS = ("text_bytes", "rodata_bytes", "bundle_bytes", "data_bytes", "other_bytes")


def built(package: Path, run: Run, *more: object) -> list[dict[str, object]]:
    result = run("report", package, "--build", "--rounds", 1, "--json", *more)
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.stdout)["builds"]
    return found


@pytest.mark.skipif(GCC, reason="not installed: gcc")
def test_without_a_target_this_machine_is_built_for(package: Path, run: Run) -> None:
    (host,) = built(package, run)
    assert (host["target"], host["compiler"], host["missing"]) == ("host", "gcc", None)
    sides = host["sides"]
    assert list(sides) == ["ue", "bs"]
    for side, own in sides.items():
        assert own["flash_bytes"] == sum(own[key] for key in SUMS)
        assert own["ram_bytes"] == own["data_bytes"] + own["bss_bytes"] + own["arena_bytes"]
        for key in ("objects", "groups"):
            assert sum(own[key].values()) == own["text_bytes"] + own["rodata_bytes"]
        assert all(own["groups"][name] > 0 for name in ("verifier", "runtime", "kernels in use"))
        # It holds no golden vectors: those of a package are in a file of their own.
        assert own["bundle_bytes"] == (package / f"{side}.csib").stat().st_size
        assert own["instructions"] is None
    assert "binary_linear.o" in sides["ue"]["objects"]
    assert "binary_linear.o" not in sides["bs"]["objects"]


def test_an_emulated_board_counts_what_runs_there(package: Path, run: Run) -> None:
    for tool in ("arm-none-eabi-gcc", "qemu-system-arm"):
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")
    limits = package.parent / "limits.toml"
    limits.write_text('[ue]\ncode = "1 KiB"\ntarget = "cortex-m55"\n')
    command = ("report", package, "--build", "--rounds", 1, "--target", "cortex-m55")
    result = run(*command, "--budget", limits, "--json")
    assert result.exit_code == 1, result.output
    found = json.loads(result.stdout)
    (device,) = found["builds"]
    ue, bs = device["sides"]["ue"], device["sides"]["bs"]
    # The target is a UE's. A MAC with a 1-bit weight takes a vector of them an instruction or
    # more; less than 0.2 or more than 20 would be a broken clock.
    assert ue["macs"] == 1_298_432
    assert 0.2 < ue["instructions_a_mac"] < 20
    assert ue["instructions_a_mac"] == ue["instructions"] / ue["macs"]
    assert ue["instructions_mark"] == "emulated"
    # A run verifies and computes with some calls in each other: hundreds of bytes, not none.
    assert 200 < ue["stack_bytes"] < 8192
    assert bs["instructions"] is bs["instructions_mark"] is None
    (check,) = [c for c in found["verdict"]["checks"] if "code" in c["name"]]
    assert check["value"] == ue["text_bytes"] + ue["rodata_bytes"]
    ((caption, heads, rows),) = build_table.tables(found)
    assert caption.startswith("Built for cortex-m55: arm-none-eabi-gcc -O2 -mcpu=cortex-m55")
    assert tuple(heads) == ("", "UE", "BS")
    (counted,) = [row for row in rows if row[0] == "instructions of a run, emulated"]
    assert counted[1:] == [f"{ue['instructions']:,}", ""]
    assert any("instructions, not cycles" in line for line in build_table.lines(found))


def test_a_missing_tool_chain_says_what_to_install(package: Path, run: Run) -> None:
    text = (files("csideploy.targets") / "cortex-m4.toml").read_text()
    own = package.parent / "mine.toml"
    own.write_text(text.replace("arm-none-eabi-gcc", "no-such-gcc"))
    (device,) = built(package, run, "--target", own)
    assert device["sides"] == {}
    expected = r"no-such-gcc.*; apt-get install .* gcc-arm-none-eabi libnewlib-arm-none-eabi"
    assert device["missing"] is not None
    result = run("report", package, "--build", "--rounds", 1, "--target", own)
    assert result.exit_code == 0, result.output
    assert re.search(expected, " ".join(result.stdout.split()))
    assert "Built for" not in result.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[device]", "[unknown]"), "unknown: no such key"),
        (('board = "mps2_an386"', 'board = "mine"'), "board 'mine': mps2_an386, mps3_an547"),
        (('compiler = "arm-none-eabi-gcc"', ""), "device.compiler: is missing"),
    ],
)
def test_a_wrong_tool_chain_is_refused(
    change: tuple[str, str], words: str, package: Path, run: Run
) -> None:
    text = (files("csideploy.targets") / "cortex-m4.toml").read_text()
    own = package.parent / "wrong.toml"
    own.write_text(text.replace(*change))
    result = run("report", package, "--build", "--target", own)
    assert result.exit_code == 2
    assert words in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_target_without_a_tool_chain_is_refused(package: Path, run: Run) -> None:
    result = run("report", package, "--build", "--target", "hexagon-hvx")
    assert result.exit_code == 2
    assert "hexagon-hvx names no tool chain: its file needs a section [device]" in result.stderr


@pytest.mark.skipif(GCC, reason="not installed: gcc")
def test_markdown_has_the_table(budgets: Path, run: Run) -> None:
    """Of a package with three bit budgets: all quantizers are weighed."""
    result = run("report", budgets, "--build", "--rounds", 1, "--format", "markdown")
    assert result.exit_code == 0, result.output
    assert "## Built for host: gcc -O3" in result.stdout
    row = next(r for r in result.stdout.splitlines() if r.startswith("| bundle (no golden"))
    stems = ("ue", "ue-quantizer-2", "ue-quantizer-3", "ue-quantizer-4")
    size = sum((budgets / f"{stem}.csib").stat().st_size for stem in stems)
    assert f"{size / 1024:,.2f}".rstrip("0").rstrip(".") + " KiB" in row
