"""Networks that paper 002 only compares with, and a training loop that takes them.

Activations (Table II): PReLU has one slope a channel, SPReLU one a layer, LReLU none that learns;
all start at 0.3. Depth (Fig. 6b): more decoder blocks one after the other, each of expansion k.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ablation_jobs import Activation, VariantJob
from ablation_start import CALIBRATION, Lowered, start
from torch import Tensor, nn

from csideploy import registry
from csideploy.systems.acrnet import SLOPE, ConvolutionBlock, decoder_block, encoder_block
from csideploy.systems.link import Link, initialise
from csideploy.training.checkpoint import CHECKPOINT
from csideploy.training.data import TrainingData
from csideploy.training.devices import Place
from csideploy.training.loop import Options, Run
from csideploy.training.progress import Progress
from csideploy.training.recipes import Recipe, Stage


def build_variant(job: VariantJob) -> Link:
    """The link with float features, its first weights drawn from torch's generator.

    Its output is lower than the paper's by the pedestal of `ablation_start`.

    The draws do not depend on the activation: with one seed, all three start from the same weights.
    """
    spec = registry.get(f"acrnet{job.k}x")
    encoder = nn.Sequential(ConvolutionBlock(2, 2, (5, 5)), encoder_block(), encoder_block())
    blocks = [decoder_block(job.k) for _ in range(job.blocks)]
    decoder = nn.Sequential(ConvolutionBlock(2, 2, (5, 5)), *blocks)
    link = Link(spec, job.cr, None, "none", encoder, decoder)
    link.decoder.output = Lowered()
    initialise(link)
    activate(link, job.activation)
    return link


def activate(link: Link, activation: Activation) -> None:
    """Put an activation where the link has its PReLUs."""
    if activation == "prelu":
        return
    for module in list(link.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.PReLU):
                other = nn.PReLU(1, init=SLOPE) if activation == "sprelu" else nn.LeakyReLU(SLOPE)
                setattr(module, name, other)


def recipe(epochs: float, batch: int) -> Recipe:
    """That of `zoo-cpu` for width 1, from `ablation_start`, which asks for smaller steps.

    Every step of a weight that sees the pedestal moves the whole image.
    """
    stage = Stage(
        "short",
        epochs,
        batch,
        (3e-4, 3e-6),
        encoder_fc=0.01,
        decoder_fc=0.1,
        warmup=0.05,
        frozen_norm=True,
        loss="nmse",
    )
    return Recipe("ablation", (stage,))


class VariantRun(Run):
    """The loop of `csideploy train` over a network that the registry does not have."""

    job: VariantJob
    code: tuple[Tensor, Tensor]

    def _build(self, stage: Stage) -> Link:
        torch.manual_seed(self.options.seed)
        link = build_variant(self.job)
        return link.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _begin(self, stage: Stage, before: Link | None) -> Link:
        link = self._build(stage)
        start(link, self.data.first(CALIBRATION), self.code)
        return link


def train_variant(
    job: VariantJob,
    data: TrainingData,
    code: tuple[Tensor, Tensor],
    out: Path,
    *,
    epochs: float,
    batch: int,
) -> tuple[Link, dict[str, Any]]:
    """Train in `out`, or go on there; the link and what made it.

    Args:
        job: which network, and the seed of weights and order.
        data: CSI, read once for all runs.
        code: the linear code of `ablation_start`, the same for all runs.
        out: folder of this run alone.
        epochs: passes over the training rows, the same for all that are compared.
        batch: samples a step.
    """
    spec = registry.get(f"acrnet{job.k}x")
    options = Options(spec, job.cr, None, "none", recipe(epochs, batch), job.seed)
    going_on = (out / CHECKPOINT).is_file()
    out.mkdir(parents=True, exist_ok=True)
    place = Place(torch.device("cpu"))
    run = VariantRun(options, data, place, out, checkpoint_seconds=60.0, validations=1)
    run.job, run.code = job, code
    if going_on:
        run.resume()
    with Progress(None, quiet=True) as progress:
        link = run.train(progress)
    return link, run.metadata(options.recipe.stages[-1])
