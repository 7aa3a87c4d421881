"""Calls on bound buffers: the bits of a run, who holds what, threads, refusals, the C interface."""

import gc
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from c_build import SANITIZE, build, compiler, run, works
from every_operation import FILE
from hand_plan import HandPlan, micro_bundle
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part

Array = NDArray[Any]
GOOD = micro_bundle()


def samples(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 2, 3, 4)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_a_bound_call_is_a_run(count: int) -> None:
    """n_max is 2: more samples go by chunks, none by nothing."""
    part, x = Part(GOOD), samples(count)
    call = part.bind(x)
    for seed in (1, 2, 3):
        x[:] = samples(count, seed)
        got = call()
        for have, want in zip(got, Part(GOOD).run(x), strict=True):
            assert np.array_equal(have, want)
        assert all(a is b for a, b in zip(call(), got, strict=True))


def test_given_outputs_are_written_and_returned() -> None:
    part, x = Part(GOOD), samples(2)
    want = part.run(x)
    out = [np.empty_like(y) for y in want]
    got = part.bind(x, out=out)()
    assert all(a is b for a, b in zip(got, out, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(out, want, strict=True))


def test_holds_the_arrays_and_the_part() -> None:
    x = samples(2)
    want = Part(GOOD).run(x)
    part = Part(GOOD)
    call = part.bind(x)
    alive = weakref.ref(x)
    del part, x
    gc.collect()
    assert alive() is not None
    assert all(np.array_equal(a, b) for a, b in zip(call(), want, strict=True))
    del call
    gc.collect()
    assert alive() is None


def test_the_part_stays_free_for_others() -> None:
    """Other calls, other bound calls and another arena in between."""
    part, x, y = Part(GOOD), samples(1, 1), samples(2, 2)
    first, second = part.bind(x), part.bind(y)
    want_x, want_y = Part(GOOD).run(x), Part(GOOD).run(y)
    for _ in range(3):
        assert np.array_equal(first()[2], want_x[2])
        assert np.array_equal(second()[2], want_y[2])
        assert np.array_equal(part.run(x)[2], want_x[2])
        part._core.fill_arena(0xFF)
        assert part._core.set_arena(part.arena_bytes + 64)


def test_from_several_threads() -> None:
    part = Part(GOOD)
    calls, wants = [], []
    for seed in range(4):
        x = samples(1 + seed % 2, seed)
        calls.append(part.bind(x))
        wants.append(Part(GOOD).run(x)[2])
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(500):
            if not np.array_equal(calls[i]()[2], wants[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_long_run_lets_other_threads_compute() -> None:
    """100,000 samples in one call: Python counts meanwhile, as it cannot without the GIL."""
    part = Part(GOOD)
    call = part.bind(samples(100_000))
    done, counted = threading.Event(), 0

    def work() -> None:
        for _ in range(3):
            call()
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not done.is_set():
        counted += 1
    thread.join()
    assert counted > 1000


def test_every_operation_bound() -> None:
    whole = read_whole(FILE.read_bytes())
    part = Part(FILE)
    inputs = [np.ascontiguousarray(whole.vectors[info.name]) for info in part.inputs]
    outputs = part.bind(*inputs)()
    for info, output in zip(part.outputs, outputs, strict=True):
        assert np.array_equal(output, part.run(*inputs)[part.outputs.index(info)])


def test_refuses_before_anything_runs() -> None:
    part, x = Part(GOOD), samples(2)
    out = part.run(x)
    with pytest.raises(InputError, match="0 arrays given, the part takes 1"):
        part.bind()
    with pytest.raises(InputError, match="float64 given"):
        part.bind(x.astype(np.float64))
    with pytest.raises(InputError, match="shape"):
        part.bind(x[:, :, :2])
    with pytest.raises(InputError, match="input x: must be C-contiguous and aligned"):
        part.bind(np.asfortranarray(x))
    raw = np.zeros(x.nbytes + 1, np.uint8)
    with pytest.raises(InputError, match="input x: must be C-contiguous and aligned"):
        part.bind(raw[1:].view(np.float32).reshape(x.shape))
    with pytest.raises(InputError, match="shares memory"):
        part.bind(x, out=(*out[:2], x.reshape(-1)[: out[2].size].reshape(out[2].shape)))
    with pytest.raises(InputError, match="out has 2 arrays"):
        part.bind(x, out=out[:2])


def test_takes_no_argument() -> None:
    call: Any = Part(GOOD).bind(samples(1))
    with pytest.raises(TypeError):
        call(1)


def test_an_input_may_be_read_only() -> None:
    x = samples(2)
    x.flags.writeable = False
    assert np.array_equal(Part(GOOD).bind(x)()[2], Part(GOOD).run(x)[2])


@pytest.fixture(scope="module")
def driver(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cc, folder = compiler("cc", "gcc", "clang"), tmp_path_factory.mktemp("bind")
    flags = ["-O1", "-g", *(SANITIZE if works(cc, SANITIZE, folder) else [])]
    return build(repository, cc, folder / "driver", *flags, main="bind_driver.c")


def test_in_c(driver: Path, tmp_path: Path) -> None:
    """The driver compares with csd_run, over new inputs, and asks for what is refused."""
    hand = HandPlan()
    x, codes = hand.input("x", ("n", 5), np.uint8), hand.arena("codes", ("n", 13), np.uint8)
    hand.step(Op.UNPACK_BITS, [x], [codes], bits=3)
    hand.step(Op.DEQUANTIZE_UNIFORM, [codes], [hand.output("y", ("n", 13))], bits=3)
    path = tmp_path / "part.csib"
    path.write_bytes(write_bundle(hand.plan()))
    for bundle in (path, FILE):
        assert run([driver, bundle]).split() == ["OK", "BAD_CALL", "BAD_CALL", "ARENA_SMALL",
                                                 "ARENA_SMALL", "ARENA_MISALIGNED"]  # fmt: skip
