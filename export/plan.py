"""The plan: the last form of a part before it becomes bytes.

A plan is a list of steps in the order in which they run, over a table of tensors whose places are
already fixed. The planner makes it, `memory_check` verifies it with code of its own, the bundle
writer turns it into bytes, and the C executor runs those bytes. Nothing here knows ONNX or torch.

Shapes carry the batch as the symbol "n" in the first dimension, and the number of users as "k" in
another; all sizes in bytes are for one sample of one user (n = k = 1) where they are symbolic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.operations import OPS, Activation, Op, OpSpec

__all__ = [
    "OPS",
    "Activation",
    "DType",
    "Dim",
    "Op",
    "OpSpec",
    "PayloadLayout",
    "Plan",
    "Step",
    "Storage",
    "Tensor",
]

Dim = int | str
"""A dimension: a positive integer, or "n" (batch) or "k" (users)."""


class DType(IntEnum):
    """Element types of tensors, with the codes that the bundle stores."""

    F32 = 1
    U8 = 2
    I8 = 3
    I16 = 4
    I32 = 5

    @property
    def size(self) -> int:
        """Bytes an element."""
        return self.numpy.itemsize

    @property
    def numpy(self) -> np.dtype[Any]:
        """The same type in NumPy, little-endian."""
        return np.dtype({1: "<f4", 2: "u1", 3: "i1", 4: "<i2", 5: "<i4"}[int(self)])


class Storage(IntEnum):
    """Where a tensor's bytes are."""

    INPUT = 1
    """The caller's buffer; `place` is the index of the part's input."""
    OUTPUT = 2
    """The caller's buffer; `place` is the index of the part's output."""
    ARENA = 3
    """The caller's arena; `place` is the offset in bytes for n = n_max."""
    WEIGHTS = 4
    """The bundle itself; `place` is the offset in bytes in the weights section."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of the plan; several may share bytes (a reshape is a second tensor)."""

    name: str
    dtype: DType
    shape: tuple[Dim, ...]
    storage: Storage
    place: int

    @property
    def nbytes(self) -> int:
        """Bytes of one sample (n = k = 1)."""
        count = 1
        for dim in self.shape:
            count *= 1 if isinstance(dim, str) else dim
        return count * self.dtype.size


@dataclass(frozen=True)
class Step:
    """One operation: tensor indices in the order of OPS[op], None for an absent optional input."""

    op: Op
    name: str
    inputs: tuple[int | None, ...]
    outputs: tuple[int, ...]
    params: dict[str, int | float] = field(default_factory=dict)


@dataclass(frozen=True)
class PayloadLayout:
    """What crosses the air for one sample: `count` codes of `bits` each, MSB first.

    bits: 0 where each code has its own number.
    widths: those numbers, one a code; () where all have `bits`.
    """

    layout_id: int
    count: int
    bits: int
    widths: tuple[int, ...] = ()

    @property
    def payload_bits(self) -> int:
        """Bits a sample, without the pad."""
        return sum(self.widths) if self.widths else self.count * self.bits

    @property
    def nbytes(self) -> int:
        """Bytes a sample, the zero pad at the end included."""
        return (self.payload_bits + 7) // 8


@dataclass(frozen=True)
class Plan:
    """One part, ready to be written.

    weights: the bytes of the weights section; tensors with Storage.WEIGHTS point into it,
        each 16-byte aligned.
    inputs, outputs: tensor indices of the part's interface, in order.
    arena_bytes: exact need at n = n_max, k = k_max.
    metadata: short strings for people (system, part, side, version); never read by the executor.
    """

    part: str
    side: str
    tensors: tuple[Tensor, ...]
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: NDArray[np.uint8]
    arena_bytes: int
    n_max: int = 1
    k_max: int = 1
    pairing_id: bytes = bytes(16)
    payload: PayloadLayout | None = None
    metadata: dict[str, str] = field(default_factory=dict)
