"""Training a precoder from start to end: validation, checkpoints, resume, the weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from csideploy.downlink import Setup
from csideploy.errors import InputError
from csideploy.systems.kd_precoder import KdPrecoder, Options
from csideploy.training import checkpoint
from csideploy.training.devices import Place, open_place
from csideploy.training.distillation import Learner, Recipe, constant_bits, sum_rates
from csideploy.training.draws import Batch, validation
from csideploy.training.kept_run import KeptRun
from csideploy.training.precoder_weights import SYSTEM, load_precoder, save_precoder
from csideploy.training.progress import Progress
from csideploy.training.session import Result, prepare_folder


class Run(KeptRun):
    """One training run in one folder."""

    def __init__(
        self,
        setup: Setup,
        options: Options,
        recipe: Recipe,
        seed: int,
        place: Place,
        out: Path,
        *,
        checkpoint_seconds: float,
        validations: int,
        validation_samples: int,
    ) -> None:
        self.setup, self.options, self.recipe, self.seed = setup, options, recipe, seed
        self.place = place
        self.fixed: Batch = validation(setup, recipe.powers, validation_samples, place.device)
        self.learner = Learner(setup, options, recipe, seed, place.device)
        super().__init__(
            self.learner,
            out,
            steps=recipe.iterations,
            validations=validations,
            checkpoint_seconds=checkpoint_seconds,
        )

    def described(self) -> dict[str, Any]:
        """What a resumed run must share with the one that stopped."""
        described: dict[str, Any] = checkpoint.plain(
            {
                "system": SYSTEM,
                "setup": self.setup.describe(),
                "options": self.options.describe(),
                "recipe": self.recipe.describe(),
                "seed": self.seed,
                "validation every": self.every,
                "validation samples": len(self.fixed.h),
            }
        )
        return described

    def train(self, progress: Progress) -> KdPrecoder:
        """The iterations that are left; returns the precoder of the best validation."""
        self.go_on(self.recipe.method, progress)
        precoder = self.learner.precoder
        precoder.load_state_dict(self.best)
        return precoder.eval()

    def rate_at(self, step: int) -> float:
        """Learning rate of a step."""
        return self.recipe.rate_at(step)

    def validate(self, progress: Progress) -> None:
        """Mean sum rate on the fixed channels."""
        position, precoder = self.position, self.learner.precoder
        rate = float(sum_rates(precoder, self.fixed).mean())
        still = constant_bits(precoder, self.fixed)
        before = max((value for _, value in position.validation), default=-1.0)
        position.validation.append((position.step, rate))
        if rate > before:
            position.best_step = position.step
            self.best = {k: v.detach().cpu().clone() for k, v in precoder.state_dict().items()}
        note = f"validation {rate:.3f} bit/s/Hz"
        if still:
            note += f", {still} constant bits"
        progress.measured(position.step, "validation_sum_rate", rate, note)

    def metadata(self) -> dict[str, Any]:
        """What goes with the weights."""
        position = self.position
        kept = dict(position.validation)[position.best_step]
        device = self.place.device
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
        return {
            "recipe": checkpoint.plain(self.recipe.describe()),
            "seed": self.seed,
            "training": {
                "iterations": position.step,
                "best_iteration": position.best_step,
                "validation_sum_rate": round(kept, 4),
                "validation_samples": len(self.fixed.h),
                "minutes": round(position.seconds / 60, 1),
                "device": name,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            },
        }


def train_precoder(
    setup: Setup,
    options: Options,
    recipe: Recipe,
    *,
    out: Path,
    seed: int = 0,
    device: str | None = None,
    threads: int | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 60.0,
    validations: int = 50,
    validation_samples: int = 10_000,
    quiet: bool = False,
) -> Result:
    """Train a precoder; see `csideploy.training.train_precoder`."""
    if validations < 1 or validation_samples < 1:
        raise InputError("validations and their samples: at least 1")
    if threads is not None:
        if threads < 1:
            raise InputError(f"--threads {threads}: must be at least 1")
        torch.set_num_threads(threads)
    with open_place(device) as place:
        if place.world > 1:
            raise InputError(f"{SYSTEM} trains on one device: start it without torchrun")
        going_on = prepare_folder(out, resume=resume)
        run = Run(
            setup,
            options,
            recipe,
            seed,
            place,
            out,
            checkpoint_seconds=checkpoint_seconds,
            validations=validations,
            validation_samples=validation_samples,
        )
        if going_on:
            run.resume()
        with Progress(out / "log", quiet=quiet) as progress:
            precoder = run.train(progress)
        save_precoder(out / checkpoint.WEIGHTS, precoder, run.metadata())
        _, metadata = load_precoder(out)
    return Result(out / checkpoint.WEIGHTS, metadata)
