"""As many epochs as the minutes hold.

A learning rate that falls over a schedule is worth little if the run is cut short, so the schedule
has to fit the time there is. What a step of every stage costs is measured before the first one; the
epochs that follow from it are a plain number, and a run that is asked for that number (`--epochs`)
gives the same weights on any machine, however long it takes there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from csideploy.errors import InputError
from csideploy.training.data import TrainingData
from csideploy.training.evaluate import validation_nmse_db
from csideploy.training.recipes import Recipe
from csideploy.training.stepper import Stepper

_WARM_STEPS = 2
"""After the first, in which graphs are recorded and kernels are chosen."""


@dataclass(frozen=True)
class Budget:
    """What was asked for, and the epochs of all stages together that came out."""

    minutes: float
    epochs: float

    def describe(self) -> dict[str, float]:
        """For checkpoints and metadata: plain values."""
        return asdict(self)

    @staticmethod
    def of(state: dict[str, Any]) -> Budget | None:
        """That of a checkpoint; None: its run was not asked for minutes."""
        kept = state.get("budget")
        return None if kept is None else Budget(**kept)


@dataclass(frozen=True)
class Cost:
    """Seconds of a stage: around its steps, of a step, and of a fit of the codebooks."""

    around: float
    step: float
    fit: float


def measure_cost(
    stepper: Stepper,
    data: TrainingData,
    fit: Callable[[], None],
    *,
    seconds: float,
    validations: int,
) -> Cost:
    """Measure a stage on a link of its own, which is trained on the way.

    Args:
        stepper: of the stage.
        data: to train on.
        fit: fits the link's codebooks, if it has some.
        seconds: how long to make steps at least; a few are made in any case.
        validations: of the stage.
    """
    stage, rows = stepper.stage, data.training_rows
    chosen = torch.arange(min(stage.batch, rows)).to(stepper.place.device)
    count = 0

    def run(steps: int) -> float:
        nonlocal count
        begun = time.monotonic()
        for _ in range(steps):
            # A rate that is as good as none: what is timed must not diverge.
            stepper.step(count, 1e-12, chosen)
            count += 1
        stepper.wait()
        return time.monotonic() - begun

    first = run(1)
    run(_WARM_STEPS)
    steps, spent, size = 0, 0.0, 2
    while spent < seconds:
        spent += run(size)
        steps += size
        size *= 2
    begun = time.monotonic()
    validation_nmse_db(stepper.link, data.validation())
    validation = time.monotonic() - begun
    begun = time.monotonic()
    fit()
    stepper.wait()
    fitting = time.monotonic() - begun
    around = first + (validations + 1) * validation + 2 * fitting
    return Cost(around, spent / steps, fitting if stage.feature == "quantized" else 0.0)


def epochs_within(seconds: float, recipe: Recipe, costs: Sequence[Cost], rows: int) -> float:
    """Epochs of all stages together, four digits of them, that take so many seconds.

    Args:
        seconds: for the stages; what surrounds their steps comes off first.
        recipe: its stages keep their proportions.
        costs: of every stage.
        rows: training samples.

    Raises:
        InputError: nothing is left for steps.
    """
    around = sum(cost.around for cost in costs)
    stages = list(zip(recipe.stages, costs, strict=True))
    whole = sum(s.epochs * (cost.step * rows / s.batch + cost.fit * s.refits) for s, cost in stages)
    left = seconds - around
    if left <= 0:
        raise InputError(
            f"--minutes: they are too few; {-left / 60:.2g} more go into starts and measurements"
        )
    return float(f"{recipe.epochs * left / whole:.4g}")
