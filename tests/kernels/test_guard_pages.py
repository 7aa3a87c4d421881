"""Fast kernels read and write their operands alone, whatever their alignment.

Every fast operation on every instruction set of the machine, and those of AArch64 under qemu: each
operand lies in memory of exactly its size, against a page that cannot be touched, on one side and
then on the other; results are the scalar kernel's (tests/runtime/guard_driver.c).
"""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from c_build import ARM_SETS, SANITIZE, X86_SETS, build_guarded, compiler, works
from guard_cases import CASES

from csideploy.export.plan import Op
from csideploy.runtime import instruction_sets

SOME = 24
"""Cases of an operation."""


def fast_operations(repository: Path) -> dict[str, str]:
    """Name in kernels/fast.h -> the source of its kernel."""
    listed = (repository / "kernels/fast.h").read_text()
    found = re.findall(r"^ +X\((\w+), (\w+)\)", listed, re.M)
    assert found
    return {name: (repository / f"kernels/vector/{file}.c").read_text() for name, file in found}


def write_cases(repository: Path, path: Path, some: int) -> Path:
    """`some` cases of every fast operation."""
    parts = []
    for name in fast_operations(repository):
        rng = np.random.default_rng(list(name.encode()))
        parts += [CASES[name](rng).bytes() for _ in range(some)]
    path.write_bytes(b"".join(parts))
    return path


def said(command: list[str | Path]) -> dict[tuple[str, str], tuple[int, int]]:
    """(instruction set, operation) -> cases, and those that the fast kernel took."""
    result = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    found = {}
    for line in result.stdout.splitlines():
        isa, op, cases, taken = line.split()
        found[isa, Op(int(op)).name] = int(cases), int(taken)
    return found


def check(
    repository: Path, found: dict[tuple[str, str], tuple[int, int]], sets: list[str], some: int
) -> None:
    """All were run, and on x86 a kernel that is more than a stub took some on one of the sets."""
    operations = fast_operations(repository)
    assert {isa for isa, _ in found} == set(sets)
    for name, source in operations.items():
        assert [found[isa, name][0] for isa in sets] == [some] * len(sets), name
        if "int CSD_FAST(" in source and sets != list(ARM_SETS):  # some have nothing there
            assert any(found[isa, name][1] for isa in sets), f"{name}: no case reaches the kernel"


def sets_here() -> list[str]:
    sets = [name for name in instruction_sets() if name in X86_SETS]
    if not sets:
        pytest.skip("no instruction set of x86-64 with fast kernels here")
    return sets


def test_nothing_outside_of_the_operands_is_touched(repository: Path, tmp_path: Path) -> None:
    sets = sets_here()
    flags = {name: X86_SETS[name] for name in sets}
    program = build_guarded(repository, compiler("gcc", "clang"), tmp_path, flags, "-O1")
    found = said([program, write_cases(repository, tmp_path / "cases", SOME)])
    check(repository, found, sets, SOME)


@pytest.mark.slow
def test_the_same_under_sanitizers(repository: Path, tmp_path: Path) -> None:
    """Stack and shifts too, which guard pages do not see."""
    cc = compiler("gcc", "clang")
    if not works(cc, SANITIZE, tmp_path):
        pytest.skip(f"{cc} has no sanitizers")
    sets = sets_here()
    flags = {name: X86_SETS[name] for name in sets}
    program = build_guarded(repository, cc, tmp_path, flags, "-O1", *SANITIZE)
    found = said([program, write_cases(repository, tmp_path / "cases", SOME)])
    check(repository, found, sets, SOME)


def test_aarch64_touches_nothing_outside_either(repository: Path, tmp_path: Path) -> None:
    cc, qemu = compiler("aarch64-linux-gnu-gcc"), compiler("qemu-aarch64")
    program = build_guarded(repository, cc, tmp_path, ARM_SETS, "-O1", "-static")
    some = 8  # qemu is slow
    cases = write_cases(repository, tmp_path / "cases", some)
    check(repository, said([qemu, "-cpu", "max", program, cases]), list(ARM_SETS), some)
