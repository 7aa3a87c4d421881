"""RUs of the fronthaul's operations: their constant, the search's scratch, what a search costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from csideploy.export.operations import Search
from csideploy.export.plan import OPS, Op, Step, Tensor

_TILE = 32
"""Channel uses that the kernel takes side by side."""


@dataclass(frozen=True)
class Ru:
    """One RU: antennas N_m and bits a channel use B_m."""

    antennas: int
    bits: int

    @property
    def words(self) -> int:
        """Codewords, 2^B_m."""
        return 1 << self.bits


def search_scratch(streams: int, bits: Sequence[int]) -> int:
    """Floats in the arena that TABLE_SEARCH works in: twice the number of its doubles.

    Args:
        streams: L.
        bits: B_m of each RU.
    """
    parts, rus = 2 * streams, len(bits)
    tile = _TILE * ((rus + 3) * parts + rus)
    return 2 * ((parts + 1) * sum(1 << b for b in bits) + tile)


def payload_bytes(uses: int, bits: Sequence[int]) -> int:
    """Bytes of a block of R = `uses` channel uses, each RU's padded to whole ones."""
    return sum(-(-uses * b // 8) for b in bits)


def step_rus(step: Step, tensors: Sequence[Tensor], weights: NDArray[np.uint8]) -> list[Ru] | None:
    """The RUs of a step of a plan; None for an operation without them.

    Args:
        step: of the plan.
        tensors: the plan's.
        weights: the bytes of its weights section.

    Raises:
        ValueError: the operand is absent, in a plan that no verifier has seen.
    """
    roles = OPS[step.op].inputs
    if "rus" not in roles:
        return None
    place = step.inputs[roles.index("rus")]
    if place is None:
        raise ValueError(f"step '{step.name}': its RUs are absent")
    stored = tensors[place]
    found = weights[stored.place : stored.place + stored.nbytes].view("<i4").reshape(-1, 2)
    return [Ru(antennas, bits) for antennas, bits in found.tolist()]


def search_macs(
    rus: Sequence[Ru], streams: int, uses: int, function: Search, visits: Sequence[int]
) -> int:
    """Real multiply-accumulates of TABLE_SEARCH for one block.

    C_m X_m[b] once a block, 4 L N_m of a codeword, and their squares, 2 L; then 2 L of each cost.

    Args:
        rus: those of the step.
        streams: L.
        uses: R.
        function: EXHAUSTIVE: all combinations of the last RU's codewords, and a square for each
            combination of the others'.
        visits: SEQUENTIAL: how often each RU chooses.
    """
    parts = 2 * streams
    once = sum(ru.words * parts * (2 * ru.antennas + 1) for ru in rus)
    if function is Search.EXHAUSTIVE:
        outer = math.prod(ru.words for ru in rus[:-1])
        return once + uses * outer * (rus[-1].words + 1) * parts
    chosen = sum(ru.words * count for ru, count in zip(rus, visits, strict=True))
    return once + uses * chosen * parts


def step_macs(step: Step, roles: dict[str, Tensor], rus: Sequence[Ru]) -> int:
    """Of a search or a choice of the nearest, for one block.

    Which RUs choose at the same time is data, where the classes are an input: counted is the most
    that T iterations can take, all RUs in one class.
    """
    if step.op is Op.TABLE_NEAREST:
        return int(roles["precoded"].shape[1]) * sum(2 * ru.words * ru.antennas for ru in rus)
    iterations, count = int(step.params["iterations"]), len(rus)
    visits = [iterations] * count
    if "classes" not in roles:
        visits = [len(range(m, iterations, count)) for m in range(count)]
    uses, streams = (int(size) for size in roles["targets"].shape[1:3])
    return search_macs(rus, streams, uses, Search(int(step.params["function"])), visits)
