"""The kernels of Arm's instruction sets, under an emulator: the same bits as the reference."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from c_build import compiler, run
from convolution_bundles import convolutions
from every_operation import FILE
from linear_bundles import binary_layers, integer_layers, largest_sums

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


def of_bundles(bundles: Iterator[bytes], folder: Path) -> list[Path]:
    files = []
    for i, bundle in enumerate(bundles):
        files.append(folder / f"{i}.csib")
        files[-1].write_bytes(bundle)
    return files


@CPUS
@pytest.mark.parametrize(
    ("make", "least", "samples"),
    [
        (convolutions, 20, 2),
        (binary_layers, 8, 3),
        (integer_layers, 90, 3),
        (lambda _: largest_sums(), 20, 2),
    ],
)
def test_layers(
    arm_driver: Path,
    tmp_path: Path,
    make: Callable[[np.random.Generator], Iterator[bytes]],
    least: int,
    samples: int,
    cpu: str,
    isas: list[str],
) -> None:
    files = of_bundles(make(np.random.default_rng(5)), tmp_path)
    assert len(files) >= least
    same_bits(arm_driver, cpu, isas, files, samples)
