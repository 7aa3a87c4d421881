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
# f(z) = z + gain (relu(z - threshold) - relu(-z - threshold)). Fitted by least squares over x
# uniform in (0, 1): the error is at most 0.018, where no knee at all leaves up to 0.12.
KNEES = ((0.778, 0.514), (1.942, 1.883))

# Decoder blocks end in a batch norm with this gamma, their last convolution being 1 / STEP larger.
# A pixel of the decoder's image has a standard deviation of 0.08 where the hidden channels have 1,
# so that a step of Adam in the last convolution would otherwise outweigh the signal.
STEP = 0.03


def encoder_norm(link: Link) -> nn.BatchNorm2d:
    """The batch norm in the encoder's head."""
    return _norm(_head(link.encoder.convolutions))


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
    for block, (threshold, gain) in zip(_blocks(link.decoder.convolutions), KNEES, strict=True):
        block.norm.weight.mul_(STEP)
        _insert_knee(block, threshold, gain)


def _insert_knee(block: Residual, threshold: float, gain: float) -> None:
    """Z + gain (relu(z - threshold) - relu(-z - threshold)) a pixel, in the first four channels.

    Channels 0 and 1, one group of the 7x7 convolution, serve the real part; 2 and 3 the imaginary.
    """
    first, second = block.body
    for layer in (first, second):
        reset_norm(_norm(layer), slice(0, 4))
    _norm(first).bias[:4] = -threshold
    _slope(first)[:4] = 0.0
    _slope(second)[:4] = 1.0
    rise, square = _convolution(first).weight, _convolution(second).weight
    rise[:4] = 0.0
    square[:4] = 0.0
    for channel in range(4):
        part, side = divmod(channel, 2)
        sign = 1.0 - 2.0 * side
        rise[channel, part, 0, 4] = sign
        square[channel, side, 3, 3] = 1.0
        block.last.weight[part, channel, 4, 0] = sign * gain / STEP


@torch.no_grad()
def calibrate(link: Link, x: Tensor, *, skip: int = 4) -> None:
    """Measure the batch norms inside the blocks on x, in one forward pass.

    Heads and the norms that end a block keep their statistics, and so do the decoder's first
    `skip` channels: those of the knees, or those of a narrower network that was widened.
    """
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
