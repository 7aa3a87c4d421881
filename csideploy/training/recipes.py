"""Training recipes: stages, learning rates, budgets.

A recipe is a list of stages that run one after the other on the same link; every budget is a
number of samples, so that a run is the same however fast the machine is.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from csideploy.errors import InputError
from csideploy.registry import Quantizer, SystemSpec

Start = Literal["scratch", "closed-form", "widen", "components", "weights"]

_LATER = ("optimizer", "clip", "average", "precision", "integers")


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        name: of the stage; its weights are kept under this name.
        epochs: passes over the training samples; may be a fraction.
        batch: samples a step, over all devices together.
        rates: highest and lowest learning rate of the convolutions and of all that is not named
            apart.
        encoder: factor of these rates for the encoder's convolutions.
        encoder_fc, decoder_fc: factors of these rates for the two fully connected layers. Latent
            weights of a 1-bit layer turn into noise at the rate that convolutions need.
        warmup: share of the steps in which the rate rises linearly from 0.
        start: "scratch" keeps the weights that the link was built with, "closed-form" is
            `training.closed_form`, "widen" continues the previous stage's link at this width,
            "components" is `training.components`, "weights" takes both parts from a trained float
            link.
        width: of the decoder; 0 is the system's own.
        frozen_norm: batch norms keep their statistics and act as affine maps.
        loss: "mse" on x in [0, 1] as in the papers, "nmse", which weights each sample by 1 over
            its energy, as the metric does, or "log", the logarithm of the batch's error (paper 001,
            eq. 8); see `training.objective`.
        feature: "quantized" or "float": a float stage goes around the quantizer.
        beta, adaptive: weight of the quantization loss, times each value's distance from its
            neighbours if `adaptive` (eq. 7).
        allocated: share the bits out among the outputs; else each gets B.
        refits: fits of the codebooks an epoch; one more stands at each end of a stage.
        decay: of the rate after the warm-up: "cosine" (paper 002), "exponential" (paper 001).
        optimizer: "adam" (papers 001 and 002) or "adamw", see `training.objective`.
        clip: largest norm of the gradient over all weights together; 0: as it comes.
        average: decay of the moving average of the weights that the stage ends in; 0: the weights
            of the last step. See `training.average`.
        precision: of products on CUDA; on the CPU all is float32. "bf16" runs the whole link in
            bfloat16, "mixed" only the wide layers of the decoder's blocks, "fp32" nothing.
        integers: round the decoder as `--precision mixed` will (`training.integers`).
    """

    name: str
    epochs: float
    batch: int
    rates: tuple[float, float]
    encoder: float = 1.0
    encoder_fc: float = 1.0
    decoder_fc: float = 1.0
    warmup: float = 0.0
    start: Start = "scratch"
    width: int = 0
    frozen_norm: bool = False
    loss: Literal["mse", "nmse", "log"] = "mse"
    feature: Literal["quantized", "float"] = "quantized"
    beta: float = 0.0
    adaptive: bool = True
    allocated: bool = True
    refits: float = 0.0
    decay: Literal["cosine", "exponential"] = "cosine"
    optimizer: Literal["adam", "adamw"] = "adam"
    clip: float = 0.0
    average: float = 0.0
    precision: Literal["bf16", "mixed", "fp32"] = "bf16"
    integers: bool = False

    def describe(self) -> dict[str, Any]:
        """Plain values; what came later than the first cards is left out where it does nothing."""
        whole = asdict(self)
        unset = {one.name: one.default for one in fields(self) if one.name in _LATER}
        return {name: value for name, value in whole.items() if unset.get(name, ...) != value}

    def steps(self, samples: int) -> int:
        """Optimizer steps for that many training samples."""
        return max(1, round(self.epochs * samples / self.batch))

    def rate(self, step: int, steps: int) -> float:
        """Learning rate of a step: linear warm-up, then cosine (paper 002, eq. 14).

        gamma = gamma_min + (gamma_max - gamma_min) (1 + cos((t - T_w) / (T - T_w) pi)) / 2,
        evaluated at every step as CRNet's code does, where the paper prints it an epoch; or
        gamma_max (gamma_min / gamma_max)^((t - T_w) / (T - T_w)) (paper 001 names no constants).
        """
        highest, lowest = self.rates
        warm = round(self.warmup * steps)
        if step < warm:
            return highest * (step + 1) / warm
        turn = (step - warm) / max(1, steps - warm)
        if self.decay == "exponential":
            return float(highest * (lowest / highest) ** turn)
        return lowest + (highest - lowest) * (1 + math.cos(math.pi * turn)) / 2


@dataclass(frozen=True)
class Recipe:
    """Stages in order, and the quantizer that they train through."""

    name: str
    stages: tuple[Stage, ...]
    quantizer: Quantizer = "uniform"

    @property
    def epochs(self) -> float:
        """Of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def scaled(self, epochs: float) -> Recipe:
        """With so many epochs in all; every stage shrinks or grows in proportion."""
        scale = epochs / self.epochs
        stages = tuple(replace(stage, epochs=stage.epochs * scale) for stage in self.stages)
        return replace(self, stages=stages)

    def describe(self) -> dict[str, Any]:
        """For cards and weights: plain values."""
        stages = tuple(stage.describe() for stage in self.stages)
        return {"name": self.name, "stages": stages, "quantizer": self.quantizer}


_GPU_BATCH = 1000

_GOING_ON = ("further", "int8")

RECIPES = ("paper-001", "paper-002", "zoo-cpu", "zoo-wide", "zoo-direct", "zoo-gpu", *_GOING_ON)


def recipe(
    name: str,
    spec: SystemSpec,
    *,
    binarize: str,
    epochs: float | None,
    batch: int | None,
    method: str | None = None,
    rate: float | None = None,
    from_weights: bool = False,
) -> Recipe:
    """A recipe by name.

    Args:
        name: "paper-002": Adam, batch 200, warm-up in 30 of 2500 epochs, cosine from 4e-3 to 5e-5.
            "zoo-cpu": closed form, then the decoder at width 1, then at the system's width.
            "zoo-wide": the same with more passes for the wide decoder than for the narrow one.
            "zoo-direct": closed form, then the system's width at once, at a high rate, clipped.
            "zoo-gpu": the same way in large batches, for an accelerator.
            "paper-001": a method of `training.methods`. "further" and "int8" go on from weights of
            the same link, the latter with integers in the decoder and the encoder as it is.
        spec: of the system that will be trained.
        binarize: its 1-bit layers.
        epochs: all epochs together; stages shrink or grow in proportion. None: the recipe's own.
        batch: samples a step; None: the recipe's own.
        method: of paper-001; None: "proposed".
        rate: highest learning rate of the last stage; None: the recipe's own.
        from_weights: start from a trained link: of paper-001 a float link, instead of training
            one first.

    Raises:
        InputError: unknown name or method, or a recipe that does not fit the system.
    """
    stages: tuple[Stage, ...]
    quantizer: Quantizer = "uniform"
    if name != "paper-001" and method is not None:
        raise InputError(f"--method goes with --recipe paper-001, not {name}")
    if from_weights != (name in _GOING_ON) and name != "paper-001":
        raise InputError(
            f"--recipe {name} needs --start-from: a zoo entry, weights or a run"
            if name in _GOING_ON
            else f"--start-from goes with --recipe paper-001, {' or '.join(_GOING_ON)}, not {name}"
        )
    if name == "paper-001":
        asked = (epochs, batch, rate) != (None, None, None) or from_weights
        if spec.family == "pca" and asked:
            raise InputError(
                f"{spec.name} is computed, not trained: leave --epochs, --batch, --rate and "
                "--start-from out"
            )
        from csideploy.training.methods import stages_of

        quantizer, stages = stages_of(
            method or "proposed", spec, binarize=binarize, from_weights=from_weights
        )
    elif name == "paper-002":
        stages = (Stage("paper", 2500, 200, (4e-3, 5e-5), warmup=30 / 2500),)
    elif name in _FROM_CLOSED_FORM or name in _GOING_ON:
        if spec.family != "acrnet":
            raise InputError(f"recipe {name} is for ACRNet and BACRNet, not {spec.name}")
        if name in _GOING_ON:
            stages = (_going_on(name, binarize),)
        else:
            stages = _FROM_CLOSED_FORM[name](spec, binarize)
    else:
        raise InputError(f"unknown recipe {name!r}: there are {', '.join(RECIPES)}")
    if epochs is not None and not 0 < epochs < math.inf:
        raise InputError(f"--epochs {epochs}: must be a number above 0")
    if batch is not None and batch < 1:
        raise InputError(f"--batch {batch}: must be at least 1")
    if rate is not None:
        if not 0 < rate < math.inf:
            raise InputError(f"--rate {rate}: must be a number above 0")
        last = stages[-1]
        lowest = last.rates[1] * rate / last.rates[0]
        stages = (*stages[:-1], replace(last, rates=(rate, lowest)))
    changed = tuple(replace(stage, batch=batch or stage.batch) for stage in stages)
    found = Recipe(name if method is None else f"{name} {method}", changed, quantizer)
    return found if epochs is None else found.scaled(epochs)


def _going_on(name: str, binarize: str) -> Stage:
    """Another schedule for a trained link: its last stage once more, from a lower rate."""
    last = Stage(
        name,
        1.0,
        batch=50,
        rates=(5e-4, 1e-5),
        encoder_fc=0.01,
        decoder_fc=0.01 if binarize == "both" else 0.1,
        warmup=0.05,
        start="weights",
        frozen_norm=True,
        loss="nmse",
    )
    if name == "further":
        return last
    # With the encoder as it is the payload stays what it was, and so does the UE's file.
    return replace(last, rates=(2e-4, 1e-5), encoder=0.0, encoder_fc=0.0, integers=True)


def _zoo_cpu(spec: SystemSpec, binarize: str) -> tuple[Stage, ...]:
    """Two cores, well under an hour: most passes go to the cheap, narrow decoder."""
    narrow_epochs, wide_epochs = (2.0, 0.8) if binarize == "both" else (4.0, 1.0)
    common = Stage(
        "1x",
        narrow_epochs,
        batch=50,
        rates=(1e-3, 1e-5),
        encoder_fc=0.01,
        decoder_fc=0.1,
        warmup=0.05,
        start="closed-form",
        width=1,
        frozen_norm=True,
        loss="nmse",
    )
    if spec.width == 1:
        return (common,)
    wide = replace(
        common,
        name=f"{spec.width}x",
        epochs=wide_epochs,
        rates=(7e-4, 1e-5),
        start="widen",
        width=0,
        # Each sign that flips in a 1-bit decoder is a blow to the convolutions behind it.
        decoder_fc=0.01 if binarize == "both" else common.decoder_fc,
    )
    return (common, wide)


def _zoo_wide(spec: SystemSpec, binarize: str) -> tuple[Stage, ...]:
    """`zoo-cpu` where a pass of the wide decoder costs about two of the narrow one.

    So it does since ACRNet's blocks run as one operation (`training.block_operation`).
    """
    narrow, *wider = _zoo_cpu(spec, binarize)
    return (replace(narrow, epochs=2.0), *(replace(stage, epochs=4.0) for stage in wider))


def _zoo_direct(spec: SystemSpec, binarize: str) -> tuple[Stage, ...]:
    """The system's own width from the first step on, at a high rate with the gradient clipped.

    Without clipping 5e-3 destroys a link, and 2e-3 is 0.3 dB worse than 3e-3 with it; the FC layers
    move as fast as in `zoo-cpu`. One epoch of `bacrnet10x` at 2 bits gives -14.6 dB, three of
    `zoo-wide` -14.0.
    """
    first = _zoo_cpu(spec, binarize)[0]
    return (
        replace(
            first,
            name=f"{spec.width}x",
            epochs=10.0,
            rates=(3e-3, 1e-5),
            encoder_fc=0.003,
            decoder_fc=0.003 if binarize == "both" else 0.03,
            width=0,
            clip=0.3,
            average=0.998,
            precision="mixed",
        ),
    )


def _zoo_gpu(spec: SystemSpec, binarize: str) -> tuple[Stage, ...]:
    """`zoo-cpu` for a device that is fast and wants much to do at once; see `--minutes`.

    Rates are those of `zoo-cpu` at batch 50, times sqrt(batch / 50): Adam's steps have a length of
    their own, so a batch of n times the samples, taken n times more rarely, must go sqrt(n) times
    as far for the same noise. The average of the weights takes the noise away that is left.
    """
    narrow, *wider = _zoo_cpu(spec, binarize)
    stages = [replace(narrow, epochs=100.0)]
    stages += [replace(stage, epochs=200.0) for stage in wider]
    grown = (_GPU_BATCH / narrow.batch) ** 0.5
    return tuple(
        replace(
            stage,
            batch=_GPU_BATCH,
            rates=(stage.rates[0] * grown, stage.rates[1] * grown),
            clip=1.0,
            average=0.999,
            precision="mixed",
        )
        for stage in stages
    )


_FROM_CLOSED_FORM = {
    "zoo-cpu": _zoo_cpu,
    "zoo-wide": _zoo_wide,
    "zoo-direct": _zoo_direct,
    "zoo-gpu": _zoo_gpu,
}
