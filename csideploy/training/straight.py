"""Convolutions of CsiNet and CsiNet-Pro that pass their input on.

As `identity` does for ACRNet: a link that starts from a linear code (`components`) must not lose it
in convolutions with random weights. LReLU is linear where its input is positive, so the image that
runs through the decoder stands on a pedestal, which the last convolution takes away.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csideploy.systems.csinet import SLOPE, RefineBlock
from csideploy.systems.link import Link
from csideploy.training.identity import KNEES, STEP, measure_norm, reset_norm

GAIN, PEDESTAL = 4.0, 2.5
"""The decoder's image is 4 (x - 0.5) + 2.5: at most +-2 from the pedestal where x is in [0, 1].

A higher one would make the link more sensitive to every step of the weights that see it."""

_HIGH = 3.0
"""Lifts what a hidden channel carries into the linear part of its LReLU."""


@torch.no_grad()
def pass_on(link: Link) -> None:
    """Set the convolutions of a CsiNet or CsiNet-Pro link.

    The encoder passes x on as it is; the decoder turns its image GAIN (x - 0.5) + PEDESTAL into x,
    CsiNet's up to the error of the knees (and of the pedestal's end: 0 becomes 0.05, from 0.05 on
    nothing is left of it), CsiNet-Pro's up to that of the sigmoid. Batch norms are
    the identity on the straight path; `measure` sets the others.
    """
    if link.spec.family == "csinet":
        head = link.encoder.convolutions
        assert isinstance(head, nn.Sequential)
        _dirac(_convolution(head[0]), 2)
        reset_norm(_norm(head[1]), slice(None))
    else:
        _chain(link.encoder.convolutions, 2)
    convolutions = link.decoder.convolutions
    assert isinstance(convolutions, nn.Sequential)
    blocks = [block for block in convolutions if isinstance(block, RefineBlock)]
    for block, (threshold, gain) in zip(blocks, KNEES, strict=False):
        _knee(block, threshold, gain)
    if not blocks:
        _chain(convolutions[:-1], 2)
    last = _convolution(convolutions[-1])
    _dirac(last, 2)
    assert last.bias is not None
    last.bias.fill_(-PEDESTAL)


def _knee(block: RefineBlock, threshold: float, gain: float) -> None:
    """Z + gain (relu(z - t) - relu(-z - t)) for z = image - PEDESTAL (the knees of `identity`).

    relu(u) = (LReLU(u) - s u) / (1 - s) with the slope s, so that the difference is

        (LReLU(z - t) - LReLU(-z - t) - 2 s z) / (1 - s).

    Hidden channels 0 to 3 bend: z - t and -z - t of the real part, then of the imaginary one;
    4 and 5 carry z. The second layer passes all six on, lifted by _HIGH; the third mixes them,
    with weights that are 1 / STEP larger than the batch norm behind it lets through.
    """
    first, second, third = (_convolution(block.body[i]) for i in (0, 3, 6))
    for layer, norm in ((first, block.body[1]), (second, block.body[4])):
        layer.weight[:6] = 0.0
        assert layer.bias is not None
        layer.bias.zero_()
        reset_norm(_norm(norm), slice(0, 6))
    third.weight.zero_()
    assert first.bias is not None
    assert second.bias is not None
    assert third.bias is not None
    third.bias.zero_()
    for part in (0, 1):
        for side, sign in enumerate((1.0, -1.0)):
            bent = 2 * part + side
            first.weight[bent, part, 1, 1] = sign
            first.bias[bent] = -sign * PEDESTAL - threshold
            second.weight[bent, bent, 1, 1] = 1.0
            third.weight[part, bent, 1, 1] = sign * gain / (1 - SLOPE) / STEP
        # Channel 4 + part carries z + _HIGH, which every LReLU passes on as it is.
        first.weight[4 + part, part, 1, 1] = 1.0
        first.bias[4 + part] = _HIGH - PEDESTAL
        second.weight[4 + part, 4 + part, 1, 1] = 1.0
        third.weight[part, 4 + part, 1, 1] = -2 * SLOPE * gain / (1 - SLOPE) / STEP
    second.bias[:4] = _HIGH
    # What the lifts add: the two bent ones cancel, that of z does not.
    third.bias += 2 * SLOPE * gain / (1 - SLOPE) / STEP * _HIGH
    norm = _norm(block.body[7])
    reset_norm(norm, slice(None))
    norm.weight.mul_(STEP)


def _chain(convolutions: nn.Module, straight: int) -> None:
    """Convolution, batch norm, LReLU in turn: the first channels pass the image on unchanged."""
    for layer in convolutions.children():
        if isinstance(layer, nn.Conv2d):
            _dirac(layer, straight)
        elif isinstance(layer, nn.BatchNorm2d):
            reset_norm(layer, slice(0, straight))


def _dirac(layer: nn.Conv2d, straight: int) -> None:
    """Output channel c of the first ones is input channel c; the others keep their weights."""
    row, column = (size // 2 for size in layer.kernel_size)
    layer.weight[:straight] = 0.0
    for channel in range(straight):
        layer.weight[channel, channel, row, column] = 1.0
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def measure(link: Link, x: Tensor) -> None:
    """Batch norms off the straight path take the statistics of what they see for x.

    Args:
        link: that `pass_on` has set, its fully connected layers too; its quantizer bypassed.
        x: float32 (n, 2, angle, delay).
    """
    hidden = {
        id(block.body[i]): 6
        for block in link.decoder.convolutions.children()
        if isinstance(block, RefineBlock)
        for i in (1, 4)
    }
    link.eval()
    # Front to back: what a norm sees depends on the ones before it.
    for norm in [module for module in link.modules() if isinstance(module, nn.BatchNorm2d)]:
        straight = hidden.get(id(norm), 2)
        if straight == norm.num_features:
            continue
        measure_norm(link, x, norm, straight)


def _convolution(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer


def _norm(layer: nn.Module) -> nn.BatchNorm2d:
    assert isinstance(layer, nn.BatchNorm2d)
    return layer
