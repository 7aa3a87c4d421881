"""The kernels of Arm's instruction sets, under an emulator: the same bits as the reference."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from block_bundles import blocks_of_integers
from c_build import compiler, run
from convolution_bundles import convolutions
from every_operation import FILE
from hand_plan import HandPlan
from linear_bundles import binary_layers, integer_layers, largest_sums

from csideploy.export.bundle_write import write_bundle
from csideploy.export.operations import Binary, Op

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
        (blocks_of_integers, 10, 2),
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


def tier(book: Any, factor: Any = 1.0, shift: Any = 0.0) -> bytes:
    """Rows are what the driver gives, times a factor and with a shift, by dimension."""
    words, width = book.shape
    hand = HandPlan(n_max=5)
    row = hand.input("feature", ("n", width))
    for function, name, value in ((Binary.MUL, "m", factor), (Binary.ADD, "a", shift)):
        by = hand.constant(name, np.broadcast_to(value, width).astype(np.float32))
        made = hand.arena(f"{name}.row", ("n", width))
        hand.step(Op.BINARY, [row, by], [made], function=function)
        row = made
    ends = [hand.output("codes", ("n", words.bit_length() - 1), np.uint8)]
    ends.append(hand.output("rest", ("n", width)))
    hand.step(Op.RESIDUAL_QUANTIZE, [row, hand.constant("book", book)], ends)
    return write_bundle(hand.plan())


def tiers(rng: np.random.Generator) -> Iterator[bytes]:
    """Large enough for the scan in bytes, of noise and of codewords that are equal; and such as are
    scanned in part, being small in a third of the dimensions: for rows like them, and with so many
    words that are equal in what is scanned, and near, that all is scanned again."""
    for words, width in ((256, 40), (1024, 7), (64, 130)):
        book = rng.normal(size=(words, width)).astype(np.float32)
        book[words // 2 :] = book[: words // 2] if width == 7 else book[words // 2 :]
        yield tier(book)
    small = (np.arange(128) // 16) % 3 == 1
    factor = np.where(small, 0.1, 1.0)
    book = (rng.normal(size=(512, 128)) * factor).astype(np.float32)
    yield tier(book, factor)
    for equal in (100, 300):
        book[:equal, ~small] = book[0, ~small]
        yield tier(book, np.where(small, 0.1, 1e-3), np.where(small, 0.0, book[0]))


@CPUS
def test_residual_scan(arm_driver: Path, tmp_path: Path, cpu: str, isas: list[str]) -> None:
    files = of_bundles(tiers(np.random.default_rng(6)), tmp_path)
    assert len(files) == 6
    same_bits(arm_driver, cpu, isas, files, samples=7)
