"""The limits of one core, measured, and what a part asks of it.

A part's time is never below what its arithmetic takes at the peak rate of the instruction that its
operations are for, nor below what its constants take to come from where they lie. Both are counted
from the bundle: multiply-accumulates by step, 1-bit ones as look-ups of four inputs each, and the
bytes of all constants, which every call reads once; those of a codebook's search at 8 bits. Where
tables take the place of products, a kernel may be below this.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows.compiled import load
from csideploy.export.bundle_read import read_bundle
from csideploy.export.macs import costs
from csideploy.export.plan import DType, Op, Plan, Step

KINDS = (
    "float32 multiply and add",
    "float32 FMA",
    "int8 dot",
    "int16 dot",
    "look-ups of 32 bits",
    "look-ups of 16 bits",
    "look-ups of 8 bits",
)
LEVELS = {"L1": 1 << 14, "L2": 1 << 18, "L3": 1 << 23, "DRAM": 1 << 28}
"""A buffer's size for each."""
HOLDS = {"L1": 40e3, "L2": 900e3, "L3": 24e6}
"""Constants of so many bytes come from this level; larger ones from the next."""
PAIRS, DOT8, DOT16, LOOK32, LOOK16 = KINDS[0], KINDS[2], KINDS[3], KINDS[4], KINDS[5]
GROUP = 4
"""Inputs of a look-up."""


@dataclass(frozen=True)
class Machine:
    """Peaks of one core: multiply-accumulates or look-ups a second, bytes a second."""

    rates: dict[str, float]
    read: dict[str, float]
    vector_bits: int


@dataclass(frozen=True)
class Work:
    """What one call asks for, by kind of instruction; and bytes of constants and ends."""

    macs: float
    operations: dict[str, float]
    bytes: float


def measure(folder: Path, *, windows: int = 7, seconds: float = 0.01) -> Machine:
    """The best of several windows each.

    Raises:
        CsideployError: there is no C compiler.
    """
    library = load(Path(__file__).with_name("roofline.c"), folder, ["-ffp-contract=off"])
    library.roofline_rate.restype = library.roofline_read.restype = ctypes.c_double
    library.roofline_rate.argtypes = [ctypes.c_int, ctypes.c_double]
    library.roofline_read.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double]
    buffer = np.ones(max(LEVELS.values()) + 64, np.uint8)
    start = buffer.ctypes.data + -buffer.ctypes.data % 64
    rates = {
        kind: max(library.roofline_rate(i, seconds) for _ in range(windows))
        for i, kind in enumerate(KINDS)
    }
    read = {
        level: max(library.roofline_read(start, size, seconds) for _ in range(windows))
        for level, size in LEVELS.items()
    }
    bits = int(library.roofline_bits())
    return Machine({kind: rate for kind, rate in rates.items() if rate > 0}, read, bits)


def work_of(bundle: bytes, samples: int = 1) -> Work:
    """Counted from the plan, for so many samples a call."""
    plan = read_bundle(bundle)
    operations: dict[str, float] = {}
    macs = stored = 0.0
    for step, cost in zip(plan.steps, costs(plan), strict=True):
        macs += cost.macs * samples
        # The scan of a codebook reads a copy in int8.
        stored += cost.stored_bytes / (4 if step.op is Op.RESIDUAL_QUANTIZE else 1)
        for kind, count in _kinds(plan, step, cost.macs).items():
            operations[kind] = operations.get(kind, 0.0) + count * samples
    ends = sum(plan.tensors[i].nbytes for i in (*plan.inputs, *plan.outputs))
    return Work(macs, operations, stored + ends * samples)


def _kinds(plan: Plan, step: Step, macs: int) -> dict[str, float]:
    """The instructions that a step's arithmetic is for."""
    if not macs:
        return {}
    if step.op is Op.BINARY_LINEAR:
        return {LOOK32: macs / GROUP}
    if step.op is Op.QBINARY_LINEAR:
        return {LOOK16: macs / GROUP}
    if step.op in (Op.RESIDUAL_QUANTIZE, Op.BITS_NETWORK):  # a scan; both layers
        return {DOT8: macs}
    if step.op in (Op.QCONV2D, Op.QLINEAR):
        wide = plan.tensors[step.inputs[0] or 0].dtype is DType.I16
        return {DOT16 if wide else DOT8: macs}
    if step.op is Op.CONV_BLOCK:
        places = [place for place in step.inputs[:5] if place is not None]
        x, middle = plan.tensors[places[0]], plan.tensors[places[3]]
        if middle.dtype is DType.I8:
            inner = middle.nbytes * int(x.shape[2]) * int(x.shape[3])
            within = DOT16 if step.params["code_bits"] == 16 else DOT8
            around = DOT16 if plan.tensors[places[1]].dtype is DType.I16 else PAIRS
            found = dict.fromkeys((within, around), 0.0)
            found[within] += inner
            found[around] += macs - inner
            return found
    return {PAIRS: macs}


def limit(machine: Machine, work: Work, *, cold: bool = False) -> dict[str, Any]:
    """The least seconds of a call, and what binds.

    Returns:
        `seconds` (None: the machine's peak is not known), `binds`, `macs`, `bytes`.
    """
    found: dict[str, Any] = {"macs": work.macs, "bytes": work.bytes, "seconds": None, "binds": None}
    if any(kind not in machine.rates for kind in work.operations):
        return found
    parts = {kind: count / machine.rates[kind] for kind, count in work.operations.items()}
    level = "DRAM" if cold else next((n for n, size in HOLDS.items() if work.bytes <= size), "DRAM")
    moved = work.bytes / machine.read[level]
    counted = sum(parts.values())
    if moved > counted or not parts:
        found["binds"] = f"{level} bandwidth"
    else:
        found["binds"] = max(parts, key=lambda kind: parts[kind])
    return found | {"seconds": max(moved, counted)}
