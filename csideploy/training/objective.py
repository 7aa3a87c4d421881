"""What a training step minimises.

    loss = reconstruction + penalty

Reconstruction, over the samples of a batch, E = ||x_hat - x||^2 of a sample:

    mse   mean E, as in most of the field; beside a penalty, over the batch's mean energy, so that
          beta does not depend on the scale of x (eq. 4)
    nmse  mean of E over the sample's energy, the metric itself
    log   log mean E (eq. 8), whose gradient does not fade as E falls

The penalty is the quantizer's own (`CodebookQuantizer.penalty`): quantization loss in units of the
mean spread of the outputs, weighted by beta or by beta' (eq. 7). Codebooks have their own loss, the
quantization loss, and their own step (`CodebookQuantizer.follow`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.systems.link import Link
from csideploy.training.recipes import Stage

CODEBOOK_RATE = 0.05
"""Of `follow`, at the stage's highest learning rate; it falls with that one."""

VECTOR_RATE = 0.003
"""Adam's rate for shared vectors at the stage's highest rate, in mean spreads of the outputs."""


def prepare(link: Link, stage: Stage, step: int) -> None:
    """Set the quantizer for one step: its weights, and the budget whose turn it is."""
    quantizer = link.quantizer
    link.bypass = stage.feature == "float"
    if isinstance(quantizer, CodebookQuantizer):
        quantizer.beta, quantizer.adaptive = stage.beta, stage.adaptive
        quantizer.active = quantizer.budgets[step % len(quantizer.budgets)]
    elif isinstance(quantizer, VectorQuantizer):
        quantizer.beta = stage.beta


def loss_of(link: Link, stage: Stage, out: Tensor, x: Tensor) -> Tensor:
    """The loss of a batch: `out` and `x` (n, 2, angle, delay)."""
    error = (out - x).square()
    quantized = not link.bypass and isinstance(link.quantizer, CodebookQuantizer | VectorQuantizer)
    if stage.loss == "nmse":
        loss = (error.sum((1, 2, 3)) / (x - 0.5).square().sum((1, 2, 3))).mean()
    elif stage.loss == "log":
        loss = torch.log(error.sum((1, 2, 3)).mean())
    else:
        loss = error.mean()
        if quantized and stage.beta:
            loss = loss / (x - 0.5).square().mean()
    if quantized:
        quantizer = link.quantizer
        assert isinstance(quantizer, CodebookQuantizer | VectorQuantizer)
        assert quantizer.penalty is not None
        loss = loss + quantizer.penalty
        if isinstance(quantizer, VectorQuantizer):
            assert quantizer.error is not None
            loss = loss + quantizer.error
    return loss


def follow(link: Link, stage: Stage, rate: float) -> None:
    """After the optimizer's step at this rate: move the codebook that was active."""
    if isinstance(link.quantizer, CodebookQuantizer) and not link.bypass:
        link.quantizer.follow(CODEBOOK_RATE * rate / stage.rates[0])


DECAY = 0.01
"""Weight decay of "adamw", of matrices and kernels in float. 1-bit layers have none: their scale is
the mean magnitude of the latent weights, and a decay would shrink what the layer passes on."""


def optimizer(stage: Stage, link: Link) -> torch.optim.Adam:
    """The stage's, with own rates for the encoder, the FC layers and the codebook.

    Every group has its `factor` of the stage's rate beside it.
    """
    encoder = list(link.encoder.fc.parameters())
    convolutions = list(link.encoder.convolutions.parameters())
    decoder = list(link.decoder.fc.parameters())
    books: list[nn.Parameter] = [] if link.quantizer is None else list(link.quantizer.parameters())
    named = {id(parameter) for parameter in encoder + convolutions + decoder + books}
    others = [parameter for parameter in link.parameters() if id(parameter) not in named]
    groups: list[dict[str, Any]] = [
        {"params": others, "factor": 1.0},
        {"params": convolutions, "factor": stage.encoder},
        {"params": encoder, "factor": stage.encoder_fc},
        {"params": decoder, "factor": stage.decoder_fc},
    ]
    if isinstance(link.quantizer, VectorQuantizer):
        spread = float(link.quantizer.spread)
        groups.append({"params": books, "factor": VECTOR_RATE * spread / stage.rates[0]})
    if stage.optimizer == "adam":
        return torch.optim.Adam(groups, lr=stage.rates[0], betas=(0.9, 0.999), fused=True)
    return torch.optim.AdamW(
        _with_decay(groups, link), lr=stage.rates[0], betas=(0.9, 0.999), fused=True
    )


def _with_decay(groups: list[dict[str, Any]], link: Link) -> list[dict[str, Any]]:
    """Every group in two: what decays, and what does not."""
    kept = {
        id(module.get_parameter("weight"))
        for module in link.modules()
        if type(module).__name__ == "BinaryLinear"
    }
    if link.quantizer is not None:
        kept |= {id(parameter) for parameter in link.quantizer.parameters()}
    made = []
    for group in groups:
        decays = [p for p in group["params"] if p.dim() > 1 and id(p) not in kept]
        chosen = {id(p) for p in decays}
        others = [p for p in group["params"] if id(p) not in chosen]
        made.append({**group, "params": decays, "weight_decay": DECAY})
        made.append({**group, "params": others, "weight_decay": 0.0})
    return made
