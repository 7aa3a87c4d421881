"""The Python readers under damage: FormatError or a result, never another exception."""

import random

import pytest
from bundle_surgery import directory, repair
from every_operation import FILE

from csideploy.errors import FormatError
from csideploy.export.bundle_read import read_bundle, read_whole
from csideploy.runtime import Part

GOOD = FILE.read_bytes()


def flipped(seed: int) -> bytes:
    """One or two bits, somewhere in the structure; checksums made right again."""
    dice = random.Random(seed)
    values = [r for r in directory(GOOD) if r["id"] in (7, 11)]
    data = bytearray(GOOD)
    for _ in range(dice.choice([1, 1, 2])):
        at = dice.randrange(len(data))
        while any(r["offset"] <= at < r["offset"] + r["length"] for r in values):
            at = dice.randrange(len(data))
        data[at] ^= 1 << dice.randrange(8)
    return repair(data)


def test_flipped_bits() -> None:
    accepted = 0
    for seed in range(2000):
        data = flipped(seed)
        try:
            part = Part(data)
        except FormatError:
            continue
        accepted += 1
        assert len(part.steps) == len(read_bundle(data).steps)
        # A flip may name the same tensor twice, which is one entry of the reader's dictionary.
        assert 0 < len(read_whole(data).vectors) <= len(read_whole(GOOD).vectors)
    assert accepted > 100


@pytest.mark.parametrize("length", [0, 1, 15, 16, 79, 80, 100, 112, 1000])
def test_short_files(length: int) -> None:
    for read in (Part, read_bundle, read_whole):
        with pytest.raises(FormatError):
            read(GOOD[:length])
