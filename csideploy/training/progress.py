"""What a training run says while it runs: a bar on standard error, and a TensorBoard log."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from torch import Tensor

_LOG_EVERY = 50


class Progress:
    """Bar, lines and log of the leading process; the other processes stay silent."""

    def __init__(self, log: Path | None, *, quiet: bool = False, alone: bool = False) -> None:
        """The log's folder; without one it is silent, unless it is alone."""
        silent = quiet or (log is None and not alone)
        self._console = Console(stderr=True, quiet=silent, highlight=False)
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._writer = None
        if log is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(log))
        self._stage = ""
        self._steps = 0
        self._note = ""
        self._task = self._bars.add_task("", note="", visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()
        if self._writer is not None:
            self._writer.close()

    def say(self, line: str) -> None:
        """A line on standard error."""
        self._console.print(line)

    def begin(self, stage: str, steps: int, done: int) -> None:
        """A stage begins, or goes on after `done` steps."""
        self._stage, self._steps = stage, steps
        self._bars.update(
            self._task, description=stage, total=steps, completed=done, visible=True, note=""
        )
        self.say(f"stage {stage}: {steps} steps" + (f", {done} of them done" if done else ""))

    def step(self, step: int, loss: Tensor, rate: float) -> None:
        """One step is done."""
        self._bars.update(self._task, completed=step, note=self._note)
        if self._writer is not None and step % _LOG_EVERY == 0:
            self._writer.add_scalar(f"{self._stage}/loss", float(loss), step)
            self._writer.add_scalar(f"{self._stage}/rate", rate, step)

    def validation(self, step: int, nmse_db: float) -> None:
        """A measurement on the validation rows."""
        self.measured(step, "validation_nmse_db", nmse_db, f"validation {nmse_db:.2f} dB")

    def measured(self, step: int, name: str, value: float, note: str) -> None:
        """Any measurement: its name in the log, its value, and what the bar and the line say."""
        self._note = note
        self.say(f"stage {self._stage}: step {step} of {self._steps}: {note}")
        if self._writer is not None:
            self._writer.add_scalar(f"{self._stage}/{name}", value, step)
