"""A training run that keeps its best weights and goes on where it stopped.

Of runs that draw what they train on: a step is a function of (seed, step), so that a resumed run is
bit for bit the one that was never stopped.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from csideploy.errors import InputError
from csideploy.training import checkpoint
from csideploy.training.progress import Progress


@dataclass
class Position:
    """Where a run is, and the best that it has seen on the validation set."""

    step: int = 0
    seconds: float = 0.0
    validation: list[tuple[int, float]] = field(default_factory=list)
    best_step: int = 0


class Learner(Protocol):
    """What is trained: networks, their optimizers, and a step."""

    def step(self, step: int) -> Tensor:
        """One update; returns the loss, shape ()."""

    def state(self) -> dict[str, Any]:
        """All that a resumed run needs."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""


class KeptRun(ABC):
    """One training run in one folder.

    Args:
        learner: what it trains.
        out: the folder of its checkpoint.
        steps: in all.
        validations: measurements in all.
        checkpoint_seconds: time between checkpoints.

    Attributes:
        every: steps between two measurements.
        best: the weights of the best measurement, {} before one.
    """

    def __init__(
        self,
        learner: Learner,
        out: Path,
        *,
        steps: int,
        validations: int,
        checkpoint_seconds: float,
    ) -> None:
        self._kept, self.out, self._steps = learner, out, steps
        self.every = max(1, steps // validations)
        self.checkpoint_seconds = checkpoint_seconds
        self.position = Position()
        self.best: dict[str, Any] = {}

    @abstractmethod
    def described(self) -> dict[str, Any]:
        """What a resumed run must share with the one that stopped, plain values."""

    @abstractmethod
    def rate_at(self, step: int) -> float:
        """Learning rate of a step, for the log."""

    @abstractmethod
    def validate(self, progress: Progress) -> None:
        """Measure, and take the weights into `best` if they are."""

    def resume(self) -> None:
        """Take up the state in the run's folder.

        Raises:
            FormatError: not a checkpoint. InputError: of a run with other options.
        """
        path = self.out / checkpoint.CHECKPOINT
        state = checkpoint.read_checkpoint(path)
        for key, value in self.described().items():
            if state["options"].get(key) != value:
                raise InputError(
                    f"{path}: that run has another {key} than this one; "
                    "repeat its options, or name another --out"
                )
        self.position = Position(**state["position"])
        self._kept.restore(state["learner"])
        self.best = state["best"]

    def go_on(self, method: str, progress: Progress) -> None:
        """The steps that are left, with measurements and checkpoints."""
        steps, position = self._steps, self.position
        progress.begin(method, steps, position.step)
        clock = saved = time.monotonic()
        while position.step < steps:
            step = position.step
            loss = self._kept.step(step)
            position.step += 1
            progress.step(position.step, loss, self.rate_at(step))
            if position.step % self.every == 0 or position.step == steps:
                self.validate(progress)
            now = time.monotonic()
            position.seconds += now - clock
            clock = now
            if now - saved >= self.checkpoint_seconds or position.step == steps:
                self._save()
                clock = saved = time.monotonic()

    def _save(self) -> None:
        state = {
            "position": dict(self.position.__dict__),
            "options": self.described(),
            "learner": self._kept.state(),
            "best": self.best,
        }
        checkpoint.save_checkpoint(self.out / checkpoint.CHECKPOINT, state)
