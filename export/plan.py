"""The plan: the last form of a part before it becomes bytes.

A plan is a list of steps in the order in which they run, over a table of tensors whose places are
already fixed. The planner makes it, `memory_check` verifies it with code of its own, the bundle
writer turns it into bytes, and the C executor runs those bytes. Nothing here knows ONNX or torch.

Shapes carry the batch as the symbol "n" in the first dimension; all sizes in bytes are for one
sample (n = 1) where the batch is symbolic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

Dim = int | str
"""A dimension: a positive integer, or "n" (batch) or "k" (users)."""


class DType(IntEnum):
    """Element types of tensors, with the codes that the bundle stores."""

    F32 = 1
    U8 = 2

    @property
    def size(self) -> int:
        """Bytes an element."""
        return {DType.F32: 4, DType.U8: 1}[self]


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


class Activation(IntEnum):
    """Activation fused into a step. PRELU reads the step's `slope` input, LEAKY its `alpha`."""

    NONE = 0
    RELU = 1
    LEAKY = 2
    PRELU = 3
    SIGMOID = 4
    TANH = 5


class Op(IntEnum):
    """Operations of the executor; OPS says what each takes."""

    CONV2D = 1
    LINEAR = 2
    BINARY_LINEAR = 3
    ADD = 4
    ACTIVATION = 5
    CONCAT = 6
    QUANTIZE_UNIFORM = 7
    PACK_BITS = 8
    UNPACK_BITS = 9
    DEQUANTIZE_UNIFORM = 10
    COPY = 11


@dataclass(frozen=True)
class OpSpec:
    """What a step of one operation carries.

    inputs: roles in order; a role that ends in "?" may be absent (index None in a step).
    outputs: roles in order.
    params: name -> "u32" or "f32", in the order in which the bundle stores them.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    params: dict[str, str]


_ACT = {"activation": "u32", "alpha": "f32"}
OPS: dict[Op, OpSpec] = {
    # x (n, C, H, W), weight (O, C/groups, kh, kw), bias (O,), slope (O,), residual like y.
    # y = act(conv(x) + bias + residual).
    Op.CONV2D: OpSpec(
        ("x", "weight", "bias?", "slope?", "residual?"),
        ("y",),
        {
            "groups": "u32",
            "stride_h": "u32",
            "stride_w": "u32",
            "dilation_h": "u32",
            "dilation_w": "u32",
            "pad_top": "u32",
            "pad_left": "u32",
            "pad_bottom": "u32",
            "pad_right": "u32",
            **_ACT,
        },
    ),
    # x (n, K), weight (M, K), bias (M,), slope (M,): y (n, M) = act(x W^T + bias).
    Op.LINEAR: OpSpec(("x", "weight", "bias?", "slope?"), ("y",), dict(_ACT)),
    # x (n, K), weight u8 (M, ceil(K/8)) with bit 1 = +1 and the first input in the MSB,
    # scale (1,) or (M,): y (n, M) = act(scale * (x . signs) + bias).
    Op.BINARY_LINEAR: OpSpec(("x", "weight", "scale", "bias?", "slope?"), ("y",), dict(_ACT)),
    # a and b of one shape; slope over axis 1.
    Op.ADD: OpSpec(("a", "b", "slope?"), ("y",), dict(_ACT)),
    Op.ACTIVATION: OpSpec(("x", "slope?"), ("y",), dict(_ACT)),
    # a and b joined along axis 1; more inputs are chained.
    Op.CONCAT: OpSpec(("a", "b"), ("y",), {}),
    # code = min(floor(x 2^B), 2^B - 1), and 0 for x below 0 or NaN: u8 (n, M). 1 <= B <= 8.
    Op.QUANTIZE_UNIFORM: OpSpec(("x",), ("codes",), {"bits": "u32"}),
    # codes u8 (n, M) -> payload u8 (n, ceil(M B / 8)), MSB first, zero pad at the end.
    Op.PACK_BITS: OpSpec(("codes",), ("payload",), {"bits": "u32"}),
    Op.UNPACK_BITS: OpSpec(("payload",), ("codes",), {"bits": "u32"}),
    # value = (code + 0.5) / 2^B; only the low B bits of a code are read.
    Op.DEQUANTIZE_UNIFORM: OpSpec(("codes",), ("y",), {"bits": "u32"}),
    Op.COPY: OpSpec(("x",), ("y",), {}),
}


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
    """What crosses the air for one sample: `count` codes of `bits` each, MSB first."""

    layout_id: int
    count: int
    bits: int

    @property
    def nbytes(self) -> int:
        """Bytes a sample, the zero pad at the end included."""
        return (self.count * self.bits + 7) // 8


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
