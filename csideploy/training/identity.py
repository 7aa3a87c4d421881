"""Convolutions that pass their input on, and wider blocks that compute the same function.

A link of the ACRNet family that starts from a linear code (`closed_form`) must not lose it in
convolutions with random weights; and a decoder of width k must not lose what one of width 1 has
learned (`widen`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csideploy.systems.acrnet import ConvolutionBlock, Residual
from csideploy.systems.link import Link

# Knees (threshold, gain) of the two decoder blocks, so that sigmoid(f2(f1(4 (x - 0.5)))) ~ x with
# f(z) = z + sum of gain (relu(z - threshold) - relu(-z - threshold)) over a block's knees. Fitted
# by least squares over the values that indoor training channels have. As NMSE on these, one knee a
# block leaves -34 dB (none -17.5), two -42, four -51.6. Two let a narrow decoder, at 4 bits, be
# 0.3 dB better after half an epoch than one does.
TWO_KNEES = (((0.513, 0.192), (1.807, 2.592)), ((1.198, 0.447), (1.696, 1.194)))
FOUR_KNEES = (
    ((0.313, 0.067), (0.693, 0.152), (1.462, 0.447), (1.651, 0.945)),
    ((1.091, 0.200), (1.397, 0.316), (2.688, 6.917), (2.384, 1.444)),
)

# One knee a block, fitted over x uniform in (0, 1): the error is at most 0.018, where none leaves
# up to 0.12. For blocks that have no room for more.
KNEES = ((0.778, 0.514), (1.942, 1.883))

# Decoder blocks end in a batch norm with this gamma, their last convolution being 1 / STEP larger.
# A pixel of the decoder's image has a standard deviation of 0.08 where the hidden channels have 1,
# so that a step of Adam in the last convolution would otherwise outweigh the signal.
STEP = 0.03


def encoder_norm(link: Link) -> nn.BatchNorm2d:
    """The batch norm in the encoder's head."""
    return _norm(_head(link.encoder.convolutions))


def knees_of(link: Link) -> tuple[tuple[tuple[float, float], ...], ...]:
    """The knees that the link's decoder starts with, a tuple of (threshold, gain) a block.

    They take four channels each: all of a narrow decoder's, half of a wide one's at most.
    """
    return FOUR_KNEES if link.spec.width >= 4 else TWO_KNEES


@torch.no_grad()
def make_identity(link: Link, x: Tensor) -> None:
    """Let the encoder standardise its input, and the decoder undo its output sigmoid.

    Args:
        link: of family acrnet.
        x: CSI in [0, 1], float32 (n, 2, angle, delay): its mean and variance a channel become the
            statistics of the encoder's first batch norm, so that the FC sees variance 1.

    Heads are Dirac kernels and the PReLUs on the straight path have slope 1. Each block's last
    convolution is zero while the batch norm after it is the identity: so gradients reach that
    convolution from the first step on, which a batch norm with gamma 0 would not allow.
    Batch norms inside the blocks are not yet measured: `calibrate` does.
    """
    for convolutions in (link.encoder.convolutions, link.decoder.convolutions):
        head = _head(convolutions)
        nn.init.dirac_(_convolution(head).weight)
        _identity_norm(_norm(head))
        _slope(head).fill_(1.0)
        for block in _blocks(convolutions):
            block.last.weight.zero_()
            _identity_norm(block.norm)
            block.activation.weight.fill_(1.0)
    norm = encoder_norm(link)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = x.mean(dim=(0, 2, 3), dtype=torch.float64).to(x)
    norm.running_mean.copy_(mean)
    norm.running_var.copy_((x - mean.view(1, 2, 1, 1)).square().mean(dim=(0, 2, 3)))
    norm.weight.fill_(1.0)
    for block, knees in zip(_blocks(link.decoder.convolutions), knees_of(link), strict=True):
        block.norm.weight.mul_(STEP)
        for place, (threshold, gain) in enumerate(knees):
            _insert_knee(block, 4 * place, threshold, gain)


def _insert_knee(block: Residual, channel: int, threshold: float, gain: float) -> None:
    """Add gain (relu(z - threshold) - relu(-z - threshold)) a pixel, in four channels from this on.

    The first two, one group of the 7x7 convolution, serve the real part; the others the imaginary.
    """
    first, second = block.body
    own = slice(channel, channel + 4)
    for layer in (first, second):
        reset_norm(_norm(layer), own)
    _norm(first).bias[own] = -threshold
    _slope(first)[own] = 0.0
    _slope(second)[own] = 1.0
    rise, square = _convolution(first).weight, _convolution(second).weight
    rise[own] = 0.0
    square[own] = 0.0
    for place in range(4):
        part, side = divmod(place, 2)
        sign = 1.0 - 2.0 * side
        rise[channel + place, part, 0, 4] = sign
        square[channel + place, side, 3, 3] = 1.0
        block.last.weight[part, channel + place, 4, 0] = sign * gain / STEP


@torch.no_grad()
def calibrate(link: Link, x: Tensor, *, skip: int | None = None) -> None:
    """Measure the batch norms inside the blocks on x, in one forward pass.

    Heads and the norms that end a block keep their statistics, and so do the decoder's first
    `skip` channels: those of a narrower network that was widened; None: those of the knees.
    """
    if skip is None:
        skip = 4 * len(knees_of(link)[0])
    kept = []
    for part, first in ((link.encoder, 0), (link.decoder, skip)):
        for block in _blocks(part.convolutions):
            for layer in block.body:
                norm = _norm(layer)
                kept.append((norm, first, _copy(norm, first)))
    link.eval()
    for norm, _, _ in kept:
        norm.train()
        norm.momentum = 1.0
    link(x)
    for norm, first, (mean, variance) in kept:
        norm.eval()
        norm.momentum = 0.1
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean[:first] = mean
        norm.running_var[:first] = variance


@torch.no_grad()
def measure_norm(link: Link, x: Tensor, norm: nn.BatchNorm2d, keep: int) -> None:
    """One batch norm of a link in evaluation mode takes the statistics of what it sees for x.

    Args:
        link: the norm's own.
        x: float32 (n, 2, angle, delay).
        norm: which one.
        keep: its first channels that stay as they are.
    """
    mean, variance = _copy(norm, keep)
    norm.train()
    norm.momentum = 1.0
    link(x)
    norm.eval()
    norm.momentum = 0.1
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean[:keep], norm.running_var[:keep] = mean, variance


@torch.no_grad()
def widen(narrow: Link, wide: Link) -> None:
    """Copy a trained link into one with a wider decoder, which then computes the same function.

    The new channels of each block keep the first weights that `wide` was built with, except that
    nothing leads out of them: their part of the last convolution is zero.
    """
    target = wide.state_dict()
    for name, value in narrow.state_dict().items():
        if target[name].shape == value.shape:
            target[name].copy_(value)
            continue
        if name.endswith("last.weight"):
            target[name].zero_()
            target[name][:, : value.shape[1]] = value
        else:
            target[name][: value.shape[0]] = value


def _head(convolutions: nn.Module) -> ConvolutionBlock:
    head = next(convolutions.children())
    assert isinstance(head, ConvolutionBlock)
    return head


def _blocks(convolutions: nn.Module) -> list[Residual]:
    return [block for block in convolutions.children() if isinstance(block, Residual)]


def _convolution(layer: nn.Module) -> nn.Conv2d:
    convolution = next(layer.children())
    assert isinstance(convolution, nn.Conv2d)
    return convolution


def _norm(layer: nn.Module) -> nn.BatchNorm2d:
    norm = list(layer.children())[1]
    assert isinstance(norm, nn.BatchNorm2d)
    return norm


def _slope(layer: nn.Module) -> Tensor:
    activation = list(layer.children())[2]
    assert isinstance(activation, nn.PReLU)
    return activation.weight


def _copy(norm: nn.BatchNorm2d, first: int) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean[:first].clone(), norm.running_var[:first].clone()


def _identity_norm(norm: nn.BatchNorm2d) -> None:
    reset_norm(norm, slice(None))


def reset_norm(norm: nn.BatchNorm2d, channels: slice) -> None:
    """Identity on some channels: gamma makes up for eps."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean[channels] = 0.0
    norm.running_var[channels] = 1.0
    norm.weight[channels] = (1.0 + norm.eps) ** 0.5
    norm.bias[channels] = 0.0
