"""The kernels of Arm's instruction sets, under an emulator: the same bits as the reference."""

from pathlib import Path

import numpy as np
import pytest
from c_build import compiler, run
from convolution_bundles import convolutions
from every_operation import FILE

SEEDS = sorted((FILE.parent / "seeds").glob("*.csib"))
CPUS = pytest.mark.parametrize(
    ("cpu", "isas"), [("cortex-a53", ["neon"]), ("cortex-a76", ["neon", "dotprod"])]
)


def same_bits(driver: Path, cpu: str, isas: list[str], files: list[Path], samples: int) -> None:
    said = run([compiler("qemu-aarch64"), "-cpu", cpu, driver, str(samples), *files])
    assert said.splitlines() == [f"{isa} same" for isa in isas] * len(files)


@CPUS
def test_every_operation(arm_driver: Path, cpu: str, isas: list[str]) -> None:
    same_bits(arm_driver, cpu, isas, [FILE, *SEEDS], samples=5)


@CPUS
def test_convolutions(arm_driver: Path, tmp_path: Path, cpu: str, isas: list[str]) -> None:
    files = []
    for i, bundle in enumerate(convolutions(np.random.default_rng(5))):
        files.append(tmp_path / f"{i}.csib")
        files[-1].write_bytes(bundle)
    assert len(files) > 20
    same_bits(arm_driver, cpu, isas, files, samples=2)
