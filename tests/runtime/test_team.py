"""Batches over several threads: the bits of one thread, whatever their number; refusals."""

import threading
from typing import Any

import numpy as np
import pytest
from every_operation import FILE
from hand_plan import HandPlan, micro_bundle
from numpy.typing import NDArray

from csideploy.errors import InputError
from csideploy.export.bundle_read import read_whole
from csideploy.export.bundle_write import write_bundle
from csideploy.export.plan import Op
from csideploy.runtime import Part, Team, team

Array = NDArray[Any]
GOOD = micro_bundle()


def samples(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=(count, 2, 3, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def share_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The micro bundle takes microseconds, for which nobody would be woken."""
    monkeypatch.setattr(team, "SHARE_SECONDS", 1e-12)


def same(a: tuple[Array, ...], b: tuple[Array, ...]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 5, 7, 64])
def test_the_bits_of_one_thread(threads: int, count: int) -> None:
    """More threads than samples, samples that threads and n_max do not divide."""
    part, x = Part(GOOD), samples(count)
    want = Part(GOOD).run(x)
    with Team(part, threads) as many:
        assert many.arena_bytes == threads * part.arena_bytes
        for _ in range(3):  # the first run measures
            assert same(many.run(x), want)
        out = tuple(np.empty_like(y) for y in want)
        got = many.run(x, out=out)
        assert same(out, want)
        assert all(a is b for a, b in zip(got, out, strict=True))


def test_users_too() -> None:
    part, vectors = Part(FILE), read_whole(FILE.read_bytes()).vectors
    inputs = [np.ascontiguousarray(vectors[info.name]) for info in part.inputs]
    inputs = [np.concatenate([a] * 9) if i.shape[0] == "n" else a
              for a, i in zip(inputs, part.inputs, strict=True)]  # fmt: skip
    with Team(part, 3) as many:
        many.run(*inputs)
        assert same(many.run(*inputs), part.run(*inputs))


def test_really_runs_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with Team(Part(GOOD), 4) as many:
        many.run(samples(9))
        share, names = many._share, set()

        def record(*arguments: Any) -> None:
            names.add(threading.current_thread().name)
            share(*arguments)

        monkeypatch.setattr(many, "_share", record)
        many.run(samples(9))
    assert threading.current_thread().name in names
    assert any(name.startswith("csideploy") for name in names)


def test_a_short_batch_stays_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(team, "SHARE_SECONDS", 1e3)
    with Team(Part(GOOD), 4) as many:
        assert same(many.run(samples(9)), Part(GOOD).run(samples(9)))
        many.run(samples(9))
        assert not many._pool._threads


def test_outputs_without_the_batch_are_not_shared_out() -> None:
    hand = HandPlan()
    x = hand.input("x", (1, 6), np.uint8)
    hand.step(Op.COPY, [x], [hand.output("y", (1, 6), np.uint8)])
    x_values = np.arange(6, dtype=np.uint8)[None]
    with Team(Part(write_bundle(hand.plan())), 4) as many:
        for _ in range(2):
            assert np.array_equal(many.run(x_values)[0], x_values)
        assert not many._pool._threads


def test_two_callers_at_once() -> None:
    part, wrong = Part(GOOD), []
    with Team(part, 3) as many:

        def work(seed: int) -> None:
            x = samples(31, seed)
            want = Part(GOOD).run(x)
            for _ in range(60):
                if not same(many.run(x), want):
                    wrong.append(seed)

        threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not wrong


def test_refuses_before_any_thread_starts() -> None:
    with pytest.raises(InputError, match="0 threads; at least one"):
        Team(Part(GOOD), 0)
    with Team(Part(GOOD), 4) as many:
        with pytest.raises(InputError, match="float64 given"):
            many.run(samples(9).astype(np.float64))
        with pytest.raises(InputError, match="out has 0 arrays"):
            many.run(samples(9), out=())
        assert not many._pool._threads


def test_an_error_in_a_thread_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    with Team(Part(GOOD), 4) as many:
        many.run(samples(9))
        share = many._share

        def fail(number: int, *arguments: Any) -> None:
            if number == 2:
                raise MemoryError("of thread 2")
            share(number, *arguments)

        monkeypatch.setattr(many, "_share", fail)
        with pytest.raises(MemoryError, match="of thread 2"):
            many.run(samples(9))


def test_a_copy_outlives_the_part() -> None:
    part = Part(GOOD)
    copy = part._core.fork()
    want = part.run(samples(2))
    del part
    out = [np.empty_like(y) for y in want]
    copy.run([samples(2)], out, 2, 1)
    assert same(tuple(out), want)
