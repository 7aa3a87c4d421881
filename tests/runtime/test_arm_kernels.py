"""The kernels of Arm's instruction sets, under an emulator: the same bits as the reference."""

from pathlib import Path

import pytest
from c_build import compiler, run
from every_operation import FILE
from isa_build import AARCH64, build_isas

SEEDS = sorted((FILE.parent / "seeds").glob("*.csib"))


@pytest.fixture(scope="module")
def arm_driver(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cc = compiler("aarch64-linux-gnu-gcc")
    folder = tmp_path_factory.mktemp("arm")
    return build_isas(repository, cc, folder / "b", AARCH64, "-O2", "-static")


@pytest.mark.parametrize(("cpu", "isas"), [("cortex-a53", 1), ("cortex-a76", 2)])
def test_arm_gives_the_same_bits(arm_driver: Path, cpu: str, isas: int) -> None:
    files = [FILE, *SEEDS]
    said = run([compiler("qemu-aarch64"), "-cpu", cpu, arm_driver, "5", *files]).splitlines()
    assert said == ["neon same", "dotprod same"][:isas] * len(files)
