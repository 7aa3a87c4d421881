"""A part that is ready to run: the Python face of the C runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.errors import FormatError, InputError
from csideploy.runtime import _core
from csideploy.runtime.isa import choose

Array = NDArray[Any]

_ARENA_AT = 24  # of arena_bytes in the header of a bundle


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: `dtype` is NumPy's name; `shape` has "n" for the batch."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class PayloadLayout:
    """What crosses the air for one sample: `count` codes of `bits` each in `nbytes` bytes.

    bits: 0 where each code has its own number.
    """

    layout_id: int
    count: int
    bits: int
    nbytes: int


@dataclass(frozen=True)
class StepTime:
    """Seconds of one step for the whole batch of a call, over several rounds."""

    name: str
    minimum: float
    median: float


class Part:
    """One verified part of a link.

    Safe to call from several threads; calls on one part run one after the other.

    Attributes:
        part, side: "encoder", "ue", ...
        arena_bytes: working memory, exact, for `n_max` samples and `k_max` users at once.
        prepared_bytes: what the instruction set has made of the constants, beside the bundle and
            the arena; 0 on a bare machine, and where it has made nothing.
        pairing_id: 16 bytes that both ends of a link share.
        inputs, outputs: names, types and shapes, in order.
        payload: the payload layout, or None for a part without one.
        steps: the names of the steps in the order in which they run.
        metadata: strings for people.
        isa: the instruction set that it runs on; all give the same bits.
    """

    def __init__(
        self, bundle: bytes | bytearray | memoryview | str | Path, *, isa: str | None = None
    ) -> None:
        """Verifies a bundle, given as its bytes or as the path of a file.

        Args:
            bundle: the bytes, or the path.
            isa: the instruction set to run on; None takes that of CSIDEPLOY_ISA, or the fastest.

        Raises:
            FormatError: the verifier refuses the bundle; says where and why.
            InputError: the file cannot be read, the instruction set is not available, or the
                arena is larger than this machine's memory.
        """
        source = "bundle"
        if isinstance(bundle, (str, Path)):
            source = str(bundle)
            try:
                data = Path(bundle).read_bytes()
            except OSError as error:
                raise InputError(f"{source}: cannot be read: {error.strerror}") from None
        else:
            data = bytes(bundle)
        try:
            self._core = _core.Part(data, choose(isa))
        except MemoryError:
            arena = int.from_bytes(data[_ARENA_AT : _ARENA_AT + 8], "little")
            raise InputError(
                f"{source}: its arena of {arena:,} bytes is more than this machine's memory"
            ) from None
        if self._core.refusal is not None:
            raise FormatError(f"{source}: {_explain(self._core.refusal, data)}")
        self._source = source
        self.isa: str = self._core.isa
        self.part: str = self._core.part
        self.side: str = self._core.side
        self.arena_bytes: int = self._core.arena_bytes
        self.prepared_bytes: int = self._core.prepared_bytes
        self.n_max: int = self._core.n_max
        self.k_max: int = self._core.k_max
        self.pairing_id: bytes = self._core.pairing_id
        self.inputs = [TensorInfo(*t) for t in self._core.inputs]
        self.outputs = [TensorInfo(*t) for t in self._core.outputs]
        self._input_dtypes = [np.dtype(t.dtype) for t in self.inputs]
        self._output_dtypes = [np.dtype(t.dtype) for t in self.outputs]
        layout = self._core.payload
        self.payload = None if layout is None else PayloadLayout(*layout)
        self.metadata: dict[str, str] = self._core.metadata
        self.steps: list[str] = [name for name, _, _ in self._core.steps]

    def run(self, *arrays: Array, out: Sequence[Array] | None = None) -> tuple[Array, ...]:
        """Runs any number of samples.

        Args:
            arrays: one for each input, with its dtype and shape; the batch is the first dimension.
            out: arrays for the outputs, C-contiguous; new ones are made without it.

        Returns:
            One array for each output.

        Raises:
            InputError: number, dtype or shape of an array is not what the part takes.
        """
        inputs, outputs, n, k = self._checked(arrays, out)
        if n > 0:
            self._core.run(inputs, outputs, n, k)
        return outputs

    def bind(
        self, *arrays: Array, out: Sequence[Array] | None = None
    ) -> Callable[[], tuple[Array, ...]]:
        """Checks arrays once, for many runs on the same ones.

        A call of the result checks nothing and costs some tens of nanoseconds more than the part:

            payload = np.zeros((1, 2, 1), np.uint8)
            precode = part.bind(payload)
            while True:
                payload[:] = ...    # written in place, what the next call reads
                (v,) = precode()    # the same array each time, written in place

        The callable holds the arrays and the part, which stays free for other calls; it may be
        called from several threads, as `run`. It keeps the GIL where the part takes less than
        50 us.
        Do not move an array's memory (`resize` with refcheck=False) while a callable has it.

        Args:
            arrays: one for each input, with its dtype and shape, C-contiguous and aligned.
            out: arrays for the outputs, as `run` takes them; new ones are made without it.

        Returns:
            A callable without arguments, which gives the output arrays.

        Raises:
            InputError: number, dtype, shape or layout of an array is not what the part takes.
        """
        inputs, outputs, n, k = self._checked(arrays, out)
        for info, array in zip(self.inputs, arrays, strict=True):
            if not (array.flags.c_contiguous and array.flags.aligned):
                raise InputError(
                    f"{self._source}: input {info.name}: must be C-contiguous and aligned"
                )
        return _core.bind(self._core, inputs, outputs, n, k)

    def trace(self, *arrays: Array) -> list[tuple[str, tuple[Array, ...]]]:
        """Runs one sample (n = 1) and gives (name, outputs) of each step, in order.

        Raises:
            InputError: as `run`, and when there is not exactly one sample.
        """
        inputs, sizes = self._inputs(arrays)
        if sizes["n"] != 1:
            raise InputError(f"{self._source}: trace takes one sample, got {sizes['n']}")
        raw = self._core.trace(inputs, self._outputs(sizes), sizes["k"])
        result = []
        for (name, _, tensors), outputs in zip(self._core.steps, raw, strict=True):
            shaped = [
                np.frombuffer(data, t[1]).reshape(_shape(TensorInfo(*t), sizes))
                for t, data in zip(tensors, outputs, strict=True)
            ]
            result.append((name, tuple(shaped)))
        return result

    def profile(self, *arrays: Array, rounds: int = 20) -> list[StepTime]:
        """Measures each step over several rounds; the arrays are those of `run`.

        Raises:
            InputError: as `run`, and for less than one round or no sample.
        """
        inputs, sizes = self._inputs(arrays)
        if rounds < 1 or sizes["n"] < 1:
            raise InputError(f"{self._source}: profile needs at least one round and one sample")
        outputs = self._outputs(sizes)
        times = [self._core.profile(inputs, outputs, sizes["n"], sizes["k"]) for _ in range(rounds)]
        return [
            StepTime(name, min(column), median(column))
            for name, column in zip(self.steps, zip(*times, strict=True), strict=True)
        ]

    def _checked(
        self, arrays: Sequence[Array], out: Sequence[Array] | None
    ) -> tuple[list[Array], tuple[Array, ...], int, int]:
        """What a run takes: inputs, outputs, samples, users."""
        inputs, sizes = self._inputs(arrays)
        outputs = self._outputs(sizes) if out is None else self._check_out(out, inputs, sizes)
        return inputs, tuple(outputs), sizes["n"], sizes["k"]

    def _inputs(self, arrays: Sequence[Array]) -> tuple[list[Array], dict[str, int]]:
        """The arrays made contiguous, and the values of n and k that their shapes give."""
        if len(arrays) != len(self.inputs):
            names = ", ".join(t.name for t in self.inputs)
            raise InputError(
                f"{self._source}: {len(arrays)} arrays given, the part takes "
                f"{len(self.inputs)} ({names})"
            )
        found: dict[str, int] = {}
        for info, dtype, array in zip(self.inputs, self._input_dtypes, arrays, strict=True):
            if not isinstance(array, np.ndarray) or array.dtype != dtype:
                what = getattr(array, "dtype", type(array).__name__)
                raise InputError(
                    f"{self._source}: input {info.name}: {what} given, the part takes {info.dtype}"
                )
            if not _fits(info.shape, array.shape, found):
                raise InputError(
                    f"{self._source}: input {info.name}: shape {array.shape} given, the part takes "
                    f"({', '.join(map(str, info.shape))})"
                )
        sizes = {"n": found.get("n", 1), "k": found.get("k", 1)}
        if not 1 <= sizes["k"] <= self.k_max:
            raise InputError(f"{self._source}: {sizes['k']} users, the part takes 1..{self.k_max}")
        return [a if a.flags.c_contiguous else np.ascontiguousarray(a) for a in arrays], sizes

    def _outputs(self, sizes: dict[str, int]) -> list[Array]:
        return [
            np.empty(_shape(info, sizes), dtype)
            for info, dtype in zip(self.outputs, self._output_dtypes, strict=True)
        ]

    def _check_out(
        self, out: Sequence[Array], inputs: list[Array], sizes: dict[str, int]
    ) -> list[Array]:
        if len(out) != len(self.outputs):
            raise InputError(
                f"{self._source}: out has {len(out)} arrays, the part has {len(self.outputs)}"
            )
        taken = list(inputs)
        for info, dtype, array in zip(self.outputs, self._output_dtypes, out, strict=True):
            shape = _shape(info, sizes)
            if array.dtype != dtype or array.shape != shape:
                raise InputError(
                    f"{self._source}: out {info.name}: {array.dtype} {array.shape} given, "
                    f"the part gives {info.dtype} {shape}"
                )
            if not (array.flags.c_contiguous and array.flags.writeable and array.flags.aligned):
                raise InputError(
                    f"{self._source}: out {info.name}: must be C-contiguous, aligned and writeable"
                )
            if any(np.may_share_memory(array, other) for other in taken):
                raise InputError(f"{self._source}: out {info.name}: shares memory with another")
            taken.append(array)
        return list(out)


def _shape(info: TensorInfo, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(sizes[d] if isinstance(d, str) else d for d in info.shape)


def _fits(expected: tuple[int | str, ...], shape: tuple[int, ...], found: dict[str, int]) -> bool:
    """Compares shapes; a symbol takes the first value that it meets and keeps it."""
    if len(expected) != len(shape):
        return False
    return all(
        (found.setdefault(want, have) if isinstance(want, str) else want) == have
        for want, have in zip(expected, shape, strict=True)
    )


def _explain(refusal: tuple[str, str, str, str, int], data: bytes) -> str:
    status, text, record, field, index = refusal
    if status == "BAD_VERSION":
        major, minor = _core.FORMAT_VERSION
        found = (int.from_bytes(data[4:6], "little"), int.from_bytes(data[6:8], "little"))
        return f"format version {found[0]}.{found[1]}, supported is {major}.0 to {major}.{minor}"
    where = record if record in ("header", "host") else f"{record} {index}"
    at = f"{where}, {field}" if field else where
    return f"refused at {at}: {text} [{status}]"
