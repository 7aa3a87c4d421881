"""The table of widths: how many bits each code of a payload has, 4 bits an output.

uint8 (ceil(M / 2),), the first output in the high bits of its byte, 0 behind the last: the same
bytes in ONNX and in a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from csideploy.export.plan import OPS, Step, Tensor

MOST_BITS = 8


def pack_widths(widths: NDArray[np.integer] | Sequence[int]) -> NDArray[np.uint8]:
    """B_m, 0 to 8, (M,) -> the table (ceil(M / 2),)."""
    even = np.zeros(-(-len(widths) // 2) * 2, np.uint8)
    even[: len(widths)] = widths
    return np.asarray(even[0::2] << 4 | even[1::2], np.uint8)


def unpack_widths(table: NDArray[np.uint8], outputs: int) -> NDArray[np.uint8]:
    """The table -> B_m, uint8 (outputs,)."""
    pairs = np.stack([table >> 4, table & 15], axis=1).astype(np.uint8)
    return pairs.reshape(-1)[:outputs]


def message_bytes(widths: NDArray[np.integer] | Sequence[int]) -> int:
    """Bytes of a sample's payload, ceil(sum B_m / 8)."""
    return (int(np.sum(widths, dtype=np.int64)) + 7) // 8


def fault(table: NDArray[np.generic], outputs: int) -> str:
    """What is wrong with a table for so many outputs; "" if nothing is."""
    wanted = (-(-outputs // 2),)
    if table.dtype != np.uint8 or table.shape != wanted:
        return f"widths {table.dtype} {table.shape}; uint8 {wanted} fit {outputs} outputs"
    nibbles = unpack_widths(table.astype(np.uint8), 2 * len(table))
    if nibbles.max() > MOST_BITS:
        return f"{nibbles.max()} bits a code; 0 to {MOST_BITS} are possible"
    if nibbles[outputs:].any():
        return "widths behind the last output are not 0"
    if not nibbles.any():
        return "no output has any bits: nothing crosses the air"
    return ""


def step_widths(
    step: Step, tensors: Sequence[Tensor], weights: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    """B_m of a step of a plan, uint8 (M,); None for an operation without widths.

    Args:
        step: of the plan.
        tensors: the plan's.
        weights: the bytes of its weights section.

    Raises:
        ValueError: an operand is absent, in a plan that no verifier has seen.
    """
    roles = OPS[step.op].inputs
    if "widths" not in roles:
        return None
    named = dict(zip((*roles, *OPS[step.op].outputs), (*step.inputs, *step.outputs), strict=True))
    place, codes = named["widths"], named["codes"]
    if place is None or codes is None:
        raise ValueError(f"step '{step.name}': its widths or its codes are absent")
    table = tensors[place]
    found = weights[table.place : table.place + table.nbytes].view(np.uint8)
    return unpack_widths(found, int(tensors[codes].shape[1]))
