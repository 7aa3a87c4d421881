"""The kernels of Arm's instruction sets, under an emulator: the same bits as the reference."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from c_build import compiler, run
from convolution_bundles import convolutions
from every_operation import FILE
from hand_plan import HandPlan
from linear_bundles import binary_layers, integer_layers, largest_sums

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op

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


@CPUS
def test_residual_scan(arm_driver: Path, tmp_path: Path, cpu: str, isas: list[str]) -> None:
    """Tiers large enough for the scan in bytes, of noise and of codewords that are equal."""
    rng = np.random.default_rng(6)
    files = []
    for words, width in ((256, 40), (1024, 7), (64, 130)):
        book = rng.normal(size=(words, width)).astype(np.float32)
        book[words // 2 :] = book[: words // 2] if width == 7 else book[words // 2 :]
        hand = HandPlan(n_max=5)
        made = [hand.output("codes", ("n", words.bit_length() - 1), np.uint8)]
        made.append(hand.output("rest", ("n", width)))
        ends = [hand.input("feature", ("n", width)), hand.constant("book", book)]
        hand.step(Op.RESIDUAL_QUANTIZE, ends, made)
        files.append(tmp_path / f"{words}.csib")
        files[-1].write_bytes(write_bundle(hand.plan()))
    same_bits(arm_driver, cpu, isas, files, samples=7)
