"""What an instruction set makes of a part's constants: asked for, checked, handed to kernels."""

from pathlib import Path

from c_build import SANITIZE, build, compiler, run
from every_operation import FILE


def test_each_step_gets_what_its_preparer_made(repository: Path, tmp_path: Path) -> None:
    program = build(
        repository,
        compiler("clang", "gcc"),
        tmp_path / "prepare",
        "-g",
        "-O1",
        *SANITIZE,
        main="prepare_driver.c",
    )
    lines = run([program, FILE]).splitlines()
    assert len(lines) == 15
    assert [line for line in lines if not line.endswith(" ok")] == []
