"""The plan checker: replays the steps on a map of bytes. Shares no code with the planner.

Every byte of the arena and of the outputs carries the number of the tensor that was written there
last. A step must find, under each tensor that it reads, the mark of exactly that tensor; what a
misplaced tensor has overwritten carries another mark.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from csideploy.errors import CsideployError
from csideploy.export.plan import OPS, Op, Plan, Step, Storage, Tensor

_UNWRITTEN = -1
_ALIGNED = 16

# (operation, input) whose bytes the output may take over: the kernel has read element i, and all
# that it needs of the elements before and behind it, when it writes element i. Written down here
# once more, not taken from the planner's or the verifier's table.
_SAME_PLACE = {
    (Op.CONV2D, "residual?"),
    (Op.ADD, "a"),
    (Op.ADD, "b"),
    (Op.ACTIVATION, "x"),
    (Op.UNARY, "x"),
    (Op.BINARY, "a"),
    (Op.BINARY, "b"),
    (Op.INTEGER, "a"),
    (Op.INTEGER, "b"),
    (Op.WHERE, "a"),
    (Op.WHERE, "b"),
    (Op.SOFTMAX, "x"),  # largest and sum of a row before its first element is written
    (Op.LAYER_NORM, "x"),  # mean and variance before
    (Op.QADD, "a"),
    (Op.QADD, "b"),
    (Op.QACTIVATION, "x"),
    (Op.QTABLE, "x"),
    (Op.CUMSUM, "x"),
}


class PlanError(CsideployError):
    """The plan would compute something else: a defect of the compiler."""


def check_memory(plan: Plan, views: Mapping[int, int] | None = None) -> None:
    """Replay the plan.

    Args:
        plan: the finished plan.
        views: tensor index -> index of the tensor whose bytes it shows under another shape.

    Raises:
        PlanError: the first fault: a tensor outside its storage or misaligned, a read of bytes
            that hold another tensor, an illegal overlap of a step's output with its inputs, an
            output that is not complete at the end, an arena larger or smaller than needed.
    """
    try:
        _Replay(plan, dict(views or {})).run()
    except PlanError as error:
        raise PlanError(f"plan: {error} (a defect of the compiler, please report it)") from None


class _Replay:
    def __init__(self, plan: Plan, views: dict[int, int]) -> None:
        self.plan = plan
        self.views = views
        self.marks: dict[tuple[Storage, int], np.ndarray[tuple[int], np.dtype[np.int32]]] = {
            (Storage.ARENA, 0): np.full(plan.arena_bytes, _UNWRITTEN, np.int32)
        }
        for place, index in enumerate(plan.outputs):
            size = self.nbytes(plan.tensors[index])
            self.marks[Storage.OUTPUT, place] = np.full(size, _UNWRITTEN, np.int32)

    def nbytes(self, tensor: Tensor) -> int:
        symbols = {"n": self.plan.n_max, "k": self.plan.k_max}
        sizes = [symbols[d] if isinstance(d, str) else d for d in tensor.shape]
        return int(np.prod(sizes, dtype=np.int64)) * tensor.dtype.size

    def run(self) -> None:
        self.check_places()
        for step in self.plan.steps:
            for index in step.inputs:
                if index is not None:
                    self.check_read(step, index)
            for index in step.outputs:
                self.check_overlap(step, index)
            for index in step.outputs:
                self.write(step, index)
        for index in self.plan.outputs:
            self.check_marks("at the end", index)

    def check_places(self) -> None:
        end = 0
        for tensor in self.plan.tensors:
            size = self.nbytes(tensor)
            _demand(size > 0, f"tensor '{tensor.name}' is empty")
            if tensor.storage is Storage.ARENA:
                _demand(tensor.place % _ALIGNED == 0, f"tensor '{tensor.name}' is misaligned")
                end = max(end, tensor.place + size)
            elif tensor.storage is Storage.WEIGHTS:
                fixed = tensor.place + tensor.nbytes <= self.plan.weights.size
                _demand(tensor.place % _ALIGNED == 0, f"weight '{tensor.name}' is misaligned")
                _demand(tensor.place >= 0 and fixed, f"weight '{tensor.name}' is outside")
            else:
                ends = self.plan.inputs if tensor.storage is Storage.INPUT else self.plan.outputs
                _demand(0 <= tensor.place < len(ends), f"'{tensor.name}' is at no {tensor.storage}")
                whole = self.nbytes(self.plan.tensors[ends[tensor.place]])
                _demand(size == whole, f"'{tensor.name}' is not all of its {tensor.storage}")
        _demand(
            end == self.plan.arena_bytes,
            f"the arena has {self.plan.arena_bytes} bytes, the tensors end at {end}",
        )
        for place, index in enumerate(self.plan.inputs):
            tensor = self.plan.tensors[index]
            own = tensor.storage is Storage.INPUT and tensor.place == place
            _demand(own, f"input '{tensor.name}' is not at its place")
        for place, index in enumerate(self.plan.outputs):
            tensor = self.plan.tensors[index]
            own = tensor.storage is Storage.OUTPUT and tensor.place == place
            _demand(own, f"output '{tensor.name}' is not at its place")

    def region(self, index: int) -> tuple[tuple[Storage, int], int, int]:
        """Which memory, and from where to where in it."""
        tensor = self.plan.tensors[index]
        start = tensor.place if tensor.storage is Storage.ARENA else 0
        memory = 0 if tensor.storage is Storage.ARENA else tensor.place
        return (tensor.storage, memory), start, start + self.nbytes(tensor)

    def check_read(self, step: Step, index: int) -> None:
        if self.plan.tensors[index].storage not in (Storage.INPUT, Storage.WEIGHTS):
            self.check_marks(f"step '{step.name}'", index)

    def check_marks(self, where: str, index: int) -> None:
        name = self.plan.tensors[index].name
        memory, start, end = self.region(index)
        found = self.marks[memory][start:end]
        expected = self.views.get(index, index)
        wrong = np.flatnonzero(found != expected)
        if wrong.size:
            mark = int(found[wrong[0]])
            other = "nothing" if mark == _UNWRITTEN else f"'{self.plan.tensors[mark].name}'"
            raise PlanError(f"{where}: '{name}' is read where {other} was written last")

    def check_overlap(self, step: Step, index: int) -> None:
        name = self.plan.tensors[index].name
        memory, start, end = self.region(index)
        legal = (Storage.ARENA, Storage.OUTPUT)
        _demand(memory[0] in legal, f"step '{step.name}' writes '{name}', which is not writable")
        for role, other in zip(OPS[step.op].inputs, step.inputs, strict=True):
            if other is None:
                continue
            memory_in, start_in, end_in = self.region(other)
            if memory_in != memory or end_in <= start or end <= start_in:
                continue
            one, two = self.plan.tensors[index], self.plan.tensors[other]
            exact = (start_in, one.dtype, one.shape) == (start, two.dtype, two.shape)
            legal_here = exact and (step.op, role) in _SAME_PLACE
            _demand(legal_here, f"step '{step.name}' writes '{name}' over its input {role}")

    def write(self, step: Step, index: int) -> None:
        memory, start, end = self.region(index)
        _demand(index not in self.views, f"step '{step.name}' writes a view")
        self.marks[memory][start:end] = index


def _demand(holds: bool, fault: str) -> None:
    if not holds:
        raise PlanError(fault)
