"""A batch over several threads: one part, each thread with an arena of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from time import perf_counter
from types import TracebackType

from csideploy.errors import InputError
from csideploy.runtime.part import Array, Part, TensorInfo

SHARE_SECONDS = 200e-6
"""The least that a thread is woken for: handing over and waiting take 20 to 50 us."""


class Team:
    """Runs a part's batches on the caller's thread and `threads` - 1 others.

    The copies of the part share its bundle and what was prepared of it; each has its own arena. A
    sample is never split: a batch of one, however long it takes, runs on one thread, and so does a
    batch that is too short to be worth waking others. Results are those of `Part.run`, whatever the
    number of threads. Safe to call from several threads.

        with Team(part, threads=8) as team:
            (x,) = team.run(payload)

    Attributes:
        part: the part.
        threads: how many at most.
        arena_bytes: working memory of all of them.
    """

    def __init__(self, part: Part, threads: int) -> None:
        """Makes the copies; the threads start when they are first needed.

        Raises:
            InputError: less than one thread, or no memory for the arenas.
        """
        if threads < 1:
            raise InputError(f"{threads} threads; at least one runs the part")
        self.part = part
        self.threads = threads
        self.arena_bytes = threads * part.arena_bytes
        try:
            self._cores = [part._core, *(part._core.fork() for _ in range(threads - 1))]
        except MemoryError:
            raise InputError(
                f"{threads} arenas of {part.arena_bytes:,} bytes are more than this machine has"
            ) from None
        # Outputs without the batch would be written by all threads.
        self._splits = all(info.shape[:1] == ("n",) for info in part.outputs)
        self._pool = ThreadPoolExecutor(max(1, threads - 1), "csideploy")
        self._seconds: dict[int, float] = {}  # of a sample, by the number of users

    def run(self, *arrays: Array, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
        """As `Part.run`: any number of samples; arrays are checked before any thread starts.

        Raises:
            InputError: as `Part.run`; RuntimeError: after `close`, for a batch that is shared out.
        """
        inputs, outputs, n, k = self.part._checked(arrays, out)
        if n == 0:
            return outputs
        begin = 0
        if k not in self._seconds or n == 1 or not self._splits:
            # The first chunk says whether the rest is worth sharing out.
            begin = min(n, self.part.n_max) if self._splits else n
            self._share(0, inputs, outputs, 0, begin, k)
        left = n - begin
        shares = min(self.threads, left, max(1, int(left * self._seconds[k] / SHARE_SECONDS)))
        if left == 0:
            return outputs
        ends = [begin + left * (i + 1) // shares for i in range(shares)]
        futures = [
            self._pool.submit(self._share, i, inputs, outputs, ends[i - 1], ends[i], k)
            for i in range(1, shares)
        ]
        try:
            self._share(0, inputs, outputs, begin, ends[0], k)
        finally:
            wait(futures)  # nobody writes into the caller's arrays any more
        for future in futures:
            future.result()
        return outputs

    def _share(
        self,
        number: int,
        inputs: Sequence[Array],
        outputs: Sequence[Array],
        begin: int,
        end: int,
        k: int,
    ) -> None:
        """Runs samples begin to end - 1 on copy `number`."""

        def cut(arrays: Sequence[Array], infos: Sequence[TensorInfo]) -> list[Array]:
            return [
                array[begin:end] if info.shape[:1] == ("n",) else array
                for array, info in zip(arrays, infos, strict=True)
            ]

        start = perf_counter()
        self._cores[number].run(
            cut(inputs, self.part.inputs), cut(outputs, self.part.outputs), end - begin, k
        )
        seconds = (perf_counter() - start) / (end - begin)
        self._seconds[k] = min(seconds, self._seconds.get(k, seconds))

    def close(self) -> None:
        """Ends the threads; runs under way are waited for."""
        self._pool.shutdown()

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
