"""The cache in front of a part: csd_run's bits on every call, hits, evictions, wrong calls."""

from pathlib import Path

import numpy as np
import pytest
from c_build import SANITIZE, build, compiler, run, works
from every_operation import FILE, SEEDS
from hand_plan import HandPlan

from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op

CALLS = 4000


@pytest.fixture(scope="module")
def driver(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cc, folder = compiler("cc", "gcc", "clang"), tmp_path_factory.mktemp("cache")
    flags = ["-O1", "-g", *(SANITIZE if works(cc, SANITIZE, folder) else [])]
    return build(repository, cc, folder / "driver", *flags, main="cache_driver.c")


@pytest.fixture(scope="module")
def in_arena(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two outputs and an arena, a message of 5 bytes."""
    hand = HandPlan()
    x, codes = hand.input("x", ("n", 5), np.uint8), hand.arena("codes", ("n", 13), np.uint8)
    hand.step(Op.UNPACK_BITS, [x], [codes], bits=3)
    hand.step(Op.DEQUANTIZE_UNIFORM, [codes], [hand.output("y", ("n", 13))], bits=3)
    hand.step(Op.COPY, [codes], [hand.output("z", ("n", 13), np.uint8)])
    path = tmp_path_factory.mktemp("arena") / "part.csib"
    path.write_bytes(write_bundle(hand.plan()))
    return path


def counts(driver: Path, bundle: Path, entries: int, kinds: int) -> tuple[int, int, int]:
    status, size, hits, misses = run([driver, bundle, str(entries), str(kinds), str(CALLS)]).split()
    assert status == "OK"
    assert int(hits) + int(misses) == CALLS
    return int(size), int(hits), int(misses)


@pytest.mark.parametrize("kinds", [1, 40, 100_000])
@pytest.mark.parametrize("entries", [0, 2, 64, 1000])
def test_every_call_gives_the_bits_of_a_run(
    driver: Path, in_arena: Path, entries: int, kinds: int
) -> None:
    """The driver compares; here what was found, from one entry's pair up to all that there are."""
    size, hits, misses = counts(driver, in_arena, entries, kinds)
    pairs = 1
    while 2 * pairs < entries:
        pairs *= 2
    assert size == pairs * (1 + 2 * (5 + 13 * 4 + 13))
    if kinds == 1:
        assert misses == 1
    elif kinds < entries:
        assert hits > 0.8 * CALLS  # three of 40 in one pair are rare
    elif pairs == 1 and kinds == 40:
        # Two of 40: a hit in 20 calls.
        assert 100 < hits < 320
        assert misses > 3000
    elif kinds == 100_000:
        assert 0 < misses > 0.9 * CALLS


@pytest.mark.parametrize("name", ["table_precoder", "rzf_precoder"])
def test_precoders(driver: Path, name: str) -> None:
    """Without an arena."""
    _, hits, misses = counts(driver, SEEDS / f"{name}.csib", 4096, 500)
    assert misses < 600
    assert hits > 3000


def test_parts_that_no_cache_fits(driver: Path) -> None:
    """Several inputs; a number of users that varies."""
    assert run([driver, FILE, "64", "2", "2"]).split() == ["BAD_CALL", "0"]
    assert run([driver, SEEDS / "softmax.csib", "64", "1", "2"]).split()[0] == "OK"
    hand = HandPlan(k_max=3)
    x, y = hand.input("x", ("n", "k")), hand.output("y", ("n", "k"))
    hand.step(Op.COPY, [x], [y])
    path = driver.parent / "users.csib"
    path.write_bytes(write_bundle(hand.plan()))
    assert run([driver, path, "64", "2", "2"]).split() == ["BAD_CALL", "0"]


def test_wrong_calls(driver: Path, in_arena: Path) -> None:
    assert run([driver, in_arena]).splitlines() == [
        "0", "ARENA_SMALL", "ARENA_SMALL", "OK", "BAD_CALL", "BAD_CALL", "BAD_CALL",
        "NO_ARENA 0", "OK 1",
    ]  # fmt: skip
