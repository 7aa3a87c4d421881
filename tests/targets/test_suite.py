"""The cross-target suite notices what it is there for: a hash, a missing tool, a wrong bit."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from jobs import Job
from machines import MACHINES, build, run
from suite import EVERY, Row, differing, on_this_machine

from csideploy.c_folder import write_files
from csideploy.cross.tool_chain import ToolChain, demand_tools
from csideploy.errors import CsideployError, MissingDependencyError
from csideploy.export.emit_c import emit_c


def test_rows_that_disagree_are_named() -> None:
    good = [Row("a", 1, "few", "all", True), Row("bare", 1, "few", "", True)]
    assert differing(good) == []
    bad = [
        Row("few", 1, "other", "all", True),
        Row("all", 1, "few", "other", True),
        Row("every", 1, "few", "all", False),
        Row("failed", 1, error="gcc ended with 1"),
    ]
    assert differing(good + bad) == ["few", "all", "every", "failed"]


def test_missing_tools_are_named_with_their_packages() -> None:
    chain = ToolChain("no-such-gcc", "gcc-no-such", (), ("no-such-qemu",), "qemu-no-such")
    expected = r"no-such-gcc, no-such-qemu; apt-get install .* gcc-no-such qemu-no-such$"
    with pytest.raises(MissingDependencyError, match=expected):
        demand_tools((chain,))


def test_few_samples_are_the_first_of_all() -> None:
    job = Job("j", Path("bs.csib"), np.zeros((4, 3), np.uint8))
    assert job.few == 2
    assert job.first(bytes(range(20))) == bytes(range(10))
    row = on_this_machine("reference", [], lambda: None)
    assert row.every_operation


def test_bare_machine_runs_and_reports_a_wrong_bit(tmp_path: Path) -> None:
    """Golden vectors of every operation on the emulated board; then one with a bit turned over."""
    (machine,) = [m for m in MACHINES if m.chain.board == "mps2_an386"]
    for tool in machine.chain.tools():
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")
    folder = tmp_path / "c"
    write_files(folder, emit_c(EVERY.read_bytes(), title="every"))
    defines = ("-DCSD_QUIET", "-DCSD_TOLERANCE=0.0f")
    build(machine, folder, tmp_path / "good", folder / "main.c", *defines)
    run(machine, tmp_path / "good")
    source = folder / "vectors.c"
    text = source.read_text()
    at = text.index("0x", text.index(" output_0[")) + 3
    source.write_text(text[:at] + f"{int(text[at], 16) ^ 1:x}" + text[at + 1 :])
    build(machine, folder, tmp_path / "bad", folder / "main.c", *defines)
    with pytest.raises(CsideployError, match="ended with 1"):
        run(machine, tmp_path / "bad")
