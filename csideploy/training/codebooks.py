"""Fitting a link's codebooks to what its encoder makes: the second half of each turn (paper 001).

Given the encoder, the distortions of every output at 0 to 8 bits are tabulated once, the bits are
shared out, and the codebooks are those of the table. The paper fits them where the allocation
changed; here they are fitted every time, since the encoder has moved under all of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.scalar import allocate, distortions, fit_codebook, uniform_widths
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.systems.link import Link
from csideploy.training.data import TrainingData

SAMPLES = 40_000
"""Training rows behind a codebook; the paper takes 2000, few for 2^5 values and more."""

_BATCH = 1000
LOADING = {1: 1.0, 2: 1.9, 3: 2.6, 4: 3.3, 5: 4.0, 6: 4.7, 7: 5.4, 8: 6.0}
"""Half the range of "Round" in standard deviations of an output, by bits: about the best uniform
quantizer for a density between Gauss's and Laplace's."""


@torch.no_grad()
def features(link: Link, data: TrainingData) -> Tensor:
    """The encoder's outputs (n, M) for the first training rows, float32 on the CPU."""
    link.eval()
    rows = torch.arange(min(SAMPLES, data.training_rows))
    made = [link.encoder(data.batch(part)).cpu() for part in torch.split(rows, _BATCH)]
    return torch.cat(made)


def fit(link: Link, data: TrainingData, *, allocated: bool, seed: int) -> None:
    """Fit the quantizer of a link to its encoder.

    Codebook values are those of float16, as the BS stores them; vectors stay in float32.

    Args:
        link: with a codebook or a vector quantizer; others are left alone.
        data: whose training rows are taken.
        allocated: share the bits out; else every output gets B.
        seed: of the vectors' start.

    Raises:
        InputError: the outputs do not vary, or are not finite.
    """
    quantizer = link.quantizer
    if not isinstance(quantizer, CodebookQuantizer | VectorQuantizer):
        return
    z = features(link, data)
    spread = float(z.std(0).mean())
    if not 0 < spread < float("inf"):
        raise InputError(
            f"the encoder's outputs have a mean spread of {spread}: the training has diverged; "
            "take a lower --rate"
        )
    quantizer.spread.fill_(spread)
    if isinstance(quantizer, VectorQuantizer):
        device = quantizer.vectors.device
        quantizer.fit(z.to(device), seed=seed)
        return
    values = z.numpy()
    if not allocated:
        for budget in quantizer.budgets:
            book = fit_codebook(values, uniform_widths(z.shape[1], budget))
            quantizer.put(budget, book.rounded())
        return
    tables = distortions(values)
    for budget in quantizer.budgets:
        book = tables.codebook(allocate(tables.table, budget * z.shape[1]))
        quantizer.put(budget, book.rounded())


@torch.no_grad()
def fold_range(link: Link, data: TrainingData) -> None:
    """Bring every output into [0, 1], where "Round" quantizes: an affine map in both FC layers.

    u = (z - mean) / (2 c sigma) + 1/2 with c = LOADING[B]; the decoder's FC undoes it, so that the
    float link does not change.
    """
    quantizer = link.quantizer
    assert isinstance(quantizer, UniformQuantizer)
    z = features(link, data)
    fc = link.encoder.fc
    mean, sigma = z.mean(0).to(fc.weight), z.std(0).to(fc.weight)
    width = 2 * LOADING[quantizer.bits] * sigma.clamp_min(1e-6 * float(sigma.max()))
    fc.weight.div_(width[:, None])
    fc.bias.copy_((fc.bias - mean) / width + 0.5)
    decoder = link.decoder.fc
    decoder.bias.add_(decoder.weight @ (mean - 0.5 * width))
    decoder.weight.mul_(width)
