"""The training loop: stages, steps, checkpoints, progress.

Everything random is a function of (seed, stage, epoch), so the state of a run is the link, the
optimizer and its place in the recipe; a resumed run repeats the arithmetic of one never stopped.
"""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from csideploy import registry, systems
from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.registry import Feature, SystemSpec
from csideploy.systems.link import Link
from csideploy.training import checkpoint, closed_form, codebooks, components, identity, integers
from csideploy.training.budget import Budget, Cost, epochs_within, measure_cost
from csideploy.training.data import TrainingData, order
from csideploy.training.devices import Place
from csideploy.training.evaluate import validation_nmse_db
from csideploy.training.progress import Progress
from csideploy.training.recipes import Recipe, Stage
from csideploy.training.stepper import Stepper

CLOSED_FORM_SAMPLES = 20_000
_CALIBRATION_SAMPLES = 1000


@dataclass(frozen=True)
class Options:
    """What a run trains; a resumed run must have the same."""

    spec: SystemSpec
    cr: int
    bits: int | None
    binarize: str
    recipe: Recipe
    seed: int
    feature: Feature = field(default_factory=Feature)
    weights: Path | None = None
    """Of the float link that a stage with start "weights" begins from."""

    def describe(self) -> dict[str, Any]:
        """Plain values for checkpoints and metadata."""
        return {
            "system": self.spec.name,
            "cr": self.cr,
            "bits": self.bits,
            "binarize": self.binarize,
            "recipe": self.recipe.describe(),
            "seed": self.seed,
            "feature": self.feature.describe(),
            "start_from": None if self.weights is None else checkpoint.digest(self.weights),
        }


@dataclass
class Position:
    """Where a run is: `step` steps of `stage` are done, after `seconds` of training."""

    stage: int = 0
    step: int = 0
    seconds: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)


class Run:
    """One training run in one folder."""

    def __init__(
        self,
        options: Options,
        data: TrainingData,
        place: Place,
        out: Path,
        *,
        checkpoint_seconds: float,
        validations: int,
    ) -> None:
        self.options = options
        self.data = data
        self.place = place
        self.out = out
        self.checkpoint_seconds = checkpoint_seconds
        self.validations = validations
        self.position = Position()
        self.link: Link | None = None
        self.budget: Budget | None = None
        self._saved: dict[str, Any] | None = None
        self._begun: Link | None = None

    def resume(self) -> None:
        """Take up the state in the run's folder.

        Raises:
            FormatError: not a checkpoint. InputError: of a run with other options or data.
        """
        path = self.out / checkpoint.CHECKPOINT
        state = checkpoint.read_checkpoint(path)
        kept = dict(state["options"])
        with suppress(TypeError):
            # What stages of that time did not know has its default.
            stages = [Stage(**one).describe() for one in kept["recipe"]["stages"]]
            kept["recipe"] = {**kept["recipe"], "stages": stages}
        now = {**self.options.describe(), "data": self.data.description["sha256"]}
        for key, value in now.items():
            if checkpoint.plain(kept.get(key)) != checkpoint.plain(value):
                raise InputError(
                    f"{path}: that run has another {key} than this one; "
                    "repeat its options, or name another --out"
                )
        self.position = Position(**state["position"])
        # Between two stages, the link is still that of the one that ended.
        stage = self.position.stage - (self.position.step == 0)
        self.link = self._build(self.options.recipe.stages[stage])
        if self.options.recipe.stages[stage].integers and self.position.step > 0:
            integers.put_empty(self.link)
        self.link.load_state_dict(state["link"])
        self._saved = None if state["optimizer"] is None else state
        self.budget = Budget.of(state)
        torch.set_rng_state(state["random"])

    def fit_budget(self, minutes: float, begun: float, progress: Progress) -> None:
        """Choose the recipe's epochs so that the last stage ends when the minutes do.

        The first stage begins here; its link is kept. Speeds are those of other links, which are
        thrown away, so that a run of that many epochs gives the same weights.

        Args:
            minutes: from `begun` to the end of the last stage.
            begun: `time.monotonic()` of when they began.
            progress: says what came out.

        Raises:
            InputError: the minutes do not suffice for what surrounds the steps.
        """
        recipe = self.options.recipe
        self._begun = self._begin(recipe.stages[0], None)
        random = torch.get_rng_state()
        costs = [self._cost(stage, 0.6 * minutes / len(recipe.stages)) for stage in recipe.stages]
        torch.set_rng_state(random)
        left = 60 * minutes - (time.monotonic() - begun)
        epochs = epochs_within(left, recipe, costs, self.data.training_rows)
        self.options = replace(self.options, recipe=recipe.scaled(epochs))
        self.budget = Budget(minutes, epochs)
        progress.say(f"{minutes:g} minutes: {epochs:g} epochs in all")

    def _cost(self, stage: Stage, seconds: float) -> Cost:
        """What a stage costs here, measured for at least some seconds."""
        link = self._build(stage)
        if stage.feature == "quantized":
            self._fit(stage, link)
        if stage.integers:
            integers.put_empty(link)
        return measure_cost(
            self.stepper(stage, link),
            self.data,
            lambda: self._fit(stage, link),
            seconds=min(max(seconds, 0.2), 10.0),
            validations=self.validations,
        )

    def train(self, progress: Progress) -> Link:
        """Run the stages that are left; returns the trained link, in evaluation mode."""
        stages = self.options.recipe.stages
        while self.position.stage < len(stages):
            stage = stages[self.position.stage]
            if self.position.step == 0:
                self.link, self._begun = self._begun or self._begin(stage, self.link), None
            assert self.link is not None
            self._run_stage(stage, self.link, progress)
            self._fit(stage, self.link)
            self.link.bypass = False
            for name, budget in _budgets(self.link):
                value = validation_nmse_db(self.link.at(budget), self.data.validation())
                self.position.validation[stage.name + name] = round(value, 3)
            integers.take_out(self.link)
            self.position.stage += 1
            self.position.step = 0
            if self.place.leads:
                # A stage's own network is a result too: a narrower system, trained.
                checkpoint.save_weights(
                    self.out / f"stage-{stage.name}.safetensors", self.link, self.metadata(stage)
                )
                self._save(None)
        assert self.link is not None
        return self.link.eval()

    def metadata(self, stage: Stage) -> dict[str, Any]:
        """What goes with the weights at the end of a stage."""
        described = self.options.describe()
        described["system"] = self._spec(stage).name
        # The recipe of these weights ends here: a later stage had no part in them.
        stages = described["recipe"]["stages"]
        described["recipe"]["stages"] = stages[: self.options.recipe.stages.index(stage) + 1]
        return {
            **described,
            **({"unit_steps": True} if stage.integers else {}),
            "data": self.data.description,
            "training": {
                "minutes": round(self.position.seconds / 60, 1),
                "device": str(self.place.device),
                "devices": self.place.world,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "validation_nmse_db": dict(self.position.validation),
                **({} if self.budget is None else {"budget": self.budget.describe()}),
            },
        }

    def _spec(self, stage: Stage) -> SystemSpec:
        spec = self.options.spec
        if stage.width in (0, spec.width):
            return spec
        prefix = "bacrnet" if spec.name.startswith("b") else "acrnet"
        return registry.get(f"{prefix}{stage.width}x")

    def _build(self, stage: Stage) -> Link:
        torch.manual_seed(self.options.seed + stage.width)
        options = self.options
        link = systems.build(
            self._spec(stage),
            cr=options.cr,
            bits=options.bits,
            binarize=options.binarize,
            feature=options.feature,
        )
        return link.to(self.place.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _begin(self, stage: Stage, before: Link | None) -> Link:
        link = self._build(stage)
        if stage.start == "closed-form":
            closed_form.start(link, self.data.first(CLOSED_FORM_SAMPLES), seed=self.options.seed)
        elif stage.start == "widen":
            assert before is not None
            identity.widen(before, link)
            width = 8 * before.spec.width
            identity.calibrate(link, self.data.first(_CALIBRATION_SAMPLES), skip=width)
        elif stage.start == "components":
            components.start(link, self.data.first(components.SAMPLES))
        elif stage.start == "weights":
            assert self.options.weights is not None
            # The stages of paper 001 begin from float links.
            bits = None if self.options.recipe.name.startswith("paper") else self.options.bits
            checkpoint.load_parts(link, self.options.weights, bits=bits)
        elif before is not None:
            link = before
        if stage.feature == "quantized":
            if link.feature.quantizer == "round":
                codebooks.fold_range(link, self.data)
            self._fit(stage, link)
        if stage.integers:
            first = self.data.first(_CALIBRATION_SAMPLES)
            integers.put(link, first, seed=self.options.seed)
        return link

    def _fit(self, stage: Stage, link: Link) -> None:
        codebooks.fit(link, self.data, allocated=stage.allocated, seed=self.options.seed)

    def _run_stage(self, stage: Stage, link: Link, progress: Progress) -> None:
        rows = self.data.training_rows
        steps = stage.steps(rows)
        per_epoch = max(1, rows // stage.batch)
        stepper = self.stepper(stage, link)
        if self._saved is not None:
            stepper.restore(self._saved)
            self._saved = None
        average = stepper.average
        validate_every = max(1, steps // self.validations)
        # A stage that goes around the quantizer has no use for codebooks before its end.
        refits = stage.refits if stage.feature == "quantized" else 0
        refit_every = max(1, round(per_epoch / refits)) if refits else 0
        clock = saved = time.monotonic()
        epoch, sequence = -1, torch.empty(0)
        progress.begin(stage.name, steps, self.position.step)
        while self.position.step < steps:
            step = self.position.step
            if step // per_epoch != epoch:
                epoch = step // per_epoch
                # Drawn on the host, so that every device sees the same order; moved once an epoch.
                sequence = order(
                    rows, seed=self.options.seed, stage=self.position.stage, epoch=epoch
                ).to(self.place.device)
            begin = step % per_epoch * stage.batch
            chosen = sequence[begin : begin + stage.batch][self.place.rank :: self.place.world]
            rate = stage.rate(step, steps)
            loss = stepper.step(step, rate, chosen)
            self.position.step += 1
            if refit_every and self.position.step % refit_every == 0 and self.position.step < steps:
                self._fit(stage, link)
            validates = self.position.step % validate_every == 0 and self.place.leads
            saves = self.place.leads and time.monotonic() - saved >= self.checkpoint_seconds
            if validates or saves or self.position.step == steps:
                stepper.wait()
            now = time.monotonic()
            self.position.seconds += now - clock
            clock = now
            progress.step(self.position.step, loss, rate)
            if validates:
                with nullcontext() if average is None else average.in_place():
                    value = validation_nmse_db(link.at(link.bits), self.data.validation())
                progress.validation(self.position.step, value)
            if saves:
                self._save(stepper)
                saved = time.monotonic()
            if validates or saves:
                # What stands between is no training.
                clock = time.monotonic()
        if average is not None:
            average.hand_over()

    def stepper(self, stage: Stage, link: Link) -> Stepper:
        """What makes the steps of a stage."""
        return Stepper(stage, link, self._distributed(stage, link), self.data, self.place)

    def _distributed(self, stage: Stage, link: Link) -> nn.Module:
        if self.place.world == 1:
            return link
        if link.quantizer is not None:
            # Parameters without a gradient would make the processes wait for one.
            link.quantizer.requires_grad_(stage.feature == "quantized")
        ids = [self.place.device.index] if self.place.device.type == "cuda" else None
        return DistributedDataParallel(link, device_ids=ids)

    def _save(self, stepper: Stepper | None) -> None:
        assert self.link is not None
        state = {
            "position": dict(self.position.__dict__),
            "options": checkpoint.plain(
                {**self.options.describe(), "data": self.data.description["sha256"]}
            ),
            "link": self.link.state_dict(),
            **({"optimizer": None} if stepper is None else stepper.state()),
            "budget": None if self.budget is None else self.budget.describe(),
            "random": torch.get_rng_state(),
        }
        checkpoint.save_checkpoint(self.out / checkpoint.CHECKPOINT, state)


def _budgets(link: Link) -> list[tuple[str, int | None]]:
    """What to measure a link at, each with the end of its name; the link's own B comes last."""
    if isinstance(link.quantizer, CodebookQuantizer) and len(link.quantizer.budgets) > 1:
        return [(f", {budget} bits", budget) for budget in link.quantizer.budgets]
    return [("", link.bits)]
