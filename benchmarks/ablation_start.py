"""A start that is the same function for every activation and every depth.

From random weights, budgets that a laptop has end near 0 dB. So the fully connected layers start as
principal components, the convolutions so that they pass on what they get: with the image that runs
through the decoder on a pedestal, where PReLU, SPReLU and LReLU are the identity alike. (The closed
form of recipe zoo-cpu sets slopes to 0 and 1, which LReLU cannot do, nor SPReLU both in one layer.)
The batch norm of the decoder's head puts the pedestal there, a constant before the sigmoid takes it
away again (`Lowered`); without it the last activation would bend every weak pixel.

The decoder's first and last block bend their image so that the sigmoid does little harm, with the
knees of `training.identity`, which a leaky relu L of slope s gives as well as relu:

    relu(u - t) - relu(-u - t) = (L(u - t) - L(-u - t) - 2 s u) / (1 - s)

Any further block in between adds nothing at first.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csideploy.systems.acrnet import SLOPE, ConvolutionBlock, Residual
from csideploy.systems.link import Link
from csideploy.training.identity import KNEES, STEP, measure_norm, reset_norm

GAIN, PEDESTAL = 4.0, 6.0
"""The decoder's image: 4 (x - 0.5) + 6; 4 is 1 over the sigmoid's slope at its middle. Behind the
knees it is at most 4 from the pedestal where x is in [0, 1]."""

LIFT = 3.0
"""Lifts bent channels into the positive part of the next activation: L(-u - t) is above -2.1."""

CALIBRATION = 1000
"""Samples that batch norms are measured on."""


class Lowered(nn.Module):
    """The sigmoid that ends a decoder, PEDESTAL lower."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return torch.sigmoid(x - PEDESTAL)


@torch.no_grad()
def start(link: Link, x: Tensor, code: tuple[Tensor, Tensor]) -> None:
    """Put the start into a link with float features.

    Args:
        link: of `build_variant`: at least two decoder blocks, activations of slope SLOPE.
        x: training CSI in [0, 1], float32 (n, 2, angle, delay); batch norms are measured on it.
        code: mean (2048,) and components (at least M, 2048), the strongest first, of training CSI
            (`training.components.principal`).
    """
    for part in (link.encoder, link.decoder):
        for block in _pass_on(part.convolutions):
            block.last.weight.zero_()
            reset_norm(block.norm, slice(None))
            block.norm.weight.mul_(STEP)
    _norm(next(link.decoder.convolutions.children())).bias.fill_(PEDESTAL)
    blocks = _blocks(link.decoder.convolutions)
    for block, (threshold, gain) in zip((blocks[0], blocks[-1]), KNEES, strict=True):
        _knee(block, threshold, gain)
    mean, components = code[0], code[1][: link.features]
    link.encoder.fc.weight.copy_(components)
    link.encoder.fc.bias.copy_(-components @ mean)
    link.decoder.fc.weight.copy_(GAIN * components.T)
    link.decoder.fc.bias.copy_(GAIN * (mean - 0.5))
    _measure(link, x[:CALIBRATION], {blocks[0]: 6, blocks[-1]: 6})


def _pass_on(convolutions: nn.Module) -> list[Residual]:
    """The head as a Dirac kernel; the blocks behind it."""
    head = next(convolutions.children())
    nn.init.dirac_(_layer(head).weight)
    reset_norm(_norm(head), slice(None))
    return _blocks(convolutions)


def _knee(block: Residual, threshold: float, gain: float) -> None:
    """Image u + PEDESTAL -> f(u) + PEDESTAL, f(u) = u + gain (relu(u - t) - relu(-u - t)).

    Channels 2 p and 2 p + 1, one group of the 7x7 convolution, bend part p; 4 + p carries u.
    """
    first, second = _carry(block, 6)
    factor = gain / (1 - SLOPE)
    for part in (0, 1):
        for side, sign in enumerate((1.0, -1.0)):
            _bend(first, second, 2 * part + side, part, sign, threshold)
            block.last.weight[part, 2 * part + side, 4, 0] = sign * factor / STEP
        _layer(first).weight[4 + part, part, 0, 4] = 1.0
        block.last.weight[part, 4 + part, 4, 0] = -2 * SLOPE * factor / STEP
        # The two lifts cancel; the third channel carries u + PEDESTAL.
        block.norm.bias[part] = 2 * SLOPE * factor * PEDESTAL


def _bend(
    first: nn.Module, second: nn.Module, channel: int, part: int, sign: float, threshold: float
) -> None:
    """Channel = L(sign u - threshold) + LIFT."""
    _layer(first).weight[channel, part, 0, 4] = sign
    _norm(first).bias[channel] = -sign * PEDESTAL - threshold
    _norm(second).bias[channel] = LIFT


def _carry(block: Residual, channels: int) -> tuple[nn.Module, nn.Module]:
    """Clear the first channels of a block's two layers; the 7x7 passes each on to itself."""
    first, second = block.body
    for layer in (first, second):
        _layer(layer).weight[:channels] = 0.0
        reset_norm(_norm(layer), slice(0, channels))
    for channel in range(channels):
        _layer(second).weight[channel, channel % 2, 3, 3] = 1.0
    return first, second


def _measure(link: Link, x: Tensor, kept: dict[Residual, int]) -> None:
    """Batch norms inside the blocks take the statistics of what they see, but for kept channels."""
    link.eval()
    found = [
        (_norm(layer), kept.get(block, 0))
        for part in (link.encoder, link.decoder)
        for block in _blocks(part.convolutions)
        for layer in block.body
    ]
    # Front to back: what a norm sees depends on the ones before it.
    for norm, channels in found:
        measure_norm(link, x, norm, channels)


def _blocks(convolutions: nn.Module) -> list[Residual]:
    return [block for block in convolutions.children() if isinstance(block, Residual)]


def _layer(block: nn.Module) -> nn.Conv2d:
    assert isinstance(block, ConvolutionBlock)
    layer = block[0]
    assert isinstance(layer, nn.Conv2d)
    return layer


def _norm(block: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(block, ConvolutionBlock)
    norm = block[1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm
