"""CSI samples by scenario: the same seed gives the same samples, whatever the number of workers."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from csideploy.channels.blocks import Samples, block_rows, check_subcarriers, generate_blocks
from csideploy.channels.parts import PartFolder, describe_run
from csideploy.channels.synthesis import ANTENNAS, SUBCARRIERS, TAPS
from csideploy.errors import CsideployError, InputError
from csideploy.progress import Advance

_PART_SAMPLES = 1000


def generate(
    scenario: str,
    samples: int,
    *,
    seed: int,
    subcarriers: int = SUBCARRIERS,
    workers: int = 1,
    progress: Advance | None = None,
) -> Samples:
    """Draws CSI samples in memory.

    Args:
        scenario: `indoor`, `outdoor` (COST2100) or `rayleigh` (independent unit-variance entries).
        samples: how many; fewer samples of the same seed are the first rows of more.
        seed: not negative.
        subcarriers: 64 to 4096 frequency points, 20 MHz / 256 apart, centred on the scenario's
            band; 257 is the field's grid. More make a wider band and shorter taps, of which 32 are
            kept. The same seed gives the same environments and UEs at any number.
        workers: processes. More than one are started afresh, so that a script that asks for them
            needs the usual `if __name__ == "__main__"`.
        progress: called after each part.

    Raises:
        InputError: unknown scenario, or a number out of range.
    """
    check_subcarriers(scenario, subcarriers)
    parts = _split(scenario, samples, seed=seed, workers=workers)
    result = Samples(
        H=np.empty((samples, 2, ANTENNAS, TAPS), dtype=np.float16),
        sample_absmax=np.empty(samples, dtype=np.float32),
        ue_xy=np.empty((samples, 2), dtype=np.float32),
        bs_xy=np.zeros(2, dtype=np.float32),
    )
    done = 0
    with closing(_run(scenario, parts, seed, subcarriers, workers)) as made:
        for part in made:
            at = slice(done, min(done + len(part.H), samples))
            for name in ("H", "sample_absmax", "ue_xy"):
                getattr(result, name)[at] = getattr(part, name)[: at.stop - done]
            done = at.stop
            if progress is not None:
                progress(done, samples)
    return result


def generate_file(
    path: str | Path,
    scenario: str,
    samples: int,
    *,
    seed: int,
    subcarriers: int = SUBCARRIERS,
    workers: int = 1,
    progress: Advance | None = None,
) -> None:
    """Writes an `.npz` of CSI samples; stopped in any way and called again, it goes on.

    Finished parts wait in a hidden folder beside the file, and the file appears when it is whole.
    Calling again when the file is there, made by the same call, does nothing.

    The file's arrays are those of `Samples`, `seed`, and `parameters` (JSON: scenario, sizes).

    Args, besides those of `generate`:
        path: ends in `.npz`.

    Raises:
        InputError: as `generate`; or the name does not end in `.npz`.
        OutputError: the folder cannot be written, the disk is full, or another file is there.
    """
    path = Path(path)
    if path.suffix.lower() != ".npz":
        raise InputError(f"cannot write {path}: CSI is written as .npz; end the name so")
    check_subcarriers(scenario, subcarriers)
    ranges = _split(scenario, samples, seed=seed, workers=workers)
    settings = describe_run(scenario, samples, seed, subcarriers=subcarriers)
    folder = PartFolder(path, settings, count=len(ranges))
    if folder.is_finished():
        if progress is not None:
            progress(samples, samples)
        return
    folder.open()
    missing = folder.missing()
    done = min(samples, (len(ranges) - len(missing)) * _PART_SAMPLES)
    if progress is not None:
        progress(done, samples)
    made = _run(scenario, [ranges[number] for number in missing], seed, subcarriers, workers)
    with closing(made):
        for number, part in zip(missing, made, strict=True):
            folder.store(number, part)
            done = min(samples, done + len(part.H))
            if progress is not None:
                progress(done, samples)
    folder.join(samples)


def _split(scenario: str, samples: int, *, seed: int, workers: int) -> list[tuple[int, int]]:
    """Ranges of blocks, one a part: no part depends on the number of workers or of samples."""
    rows = block_rows(scenario)
    for name, value, least in (("samples", samples, 1), ("seed", seed, 0), ("workers", workers, 1)):
        if value < least:
            raise InputError(f"{name} is {value}; it must be at least {least}")
    step = _PART_SAMPLES // rows
    blocks = -(-samples // rows)
    return [(first, min(first + step, blocks)) for first in range(0, blocks, step)]


def _run(
    scenario: str, parts: list[tuple[int, int]], seed: int, subcarriers: int, workers: int
) -> Generator[Samples, None, None]:
    """The parts in their order; closing it early stops the workers."""
    tasks = [(scenario, first, last, seed, subcarriers) for first, last in parts]
    if workers == 1 or len(tasks) < 2:
        yield from map(_make, tasks)
        return
    executor = ProcessPoolExecutor(
        max_workers=min(workers, len(tasks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
    )
    try:
        with _single_threaded_children():
            made = executor.map(_make, tasks)
        yield from made
    except BrokenProcessPool as error:
        raise CsideployError(
            "a worker process died (out of memory?): take fewer --workers"
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _make(task: tuple[str, int, int, int, int]) -> Samples:
    scenario, first, last, seed, subcarriers = task
    return generate_blocks(scenario, first, last, seed=seed, subcarriers=subcarriers)


def _start_worker() -> None:
    # Ctrl-C reaches every process of the terminal; the parent alone answers, with one line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot stop its workers, which would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    # Workers are the parallelism: threads of their linear algebra would only fight for the cores.
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
