"""Training with the integers that the decoder will run in.

`--precision mixed` gives int8 weights to the decoder's grouped 7x7 convolutions and to its fully
connected layer, and codes of 8 bits, with a step for every channel, to what those convolutions
read (`export.quantize.channel_steps`). A stage with `integers` rounds in the same places on the way
forward, so that the weights learn to stand it.

On the way back rounding is the identity inside the range of the codes and 0 outside. A step s is
learned with it: v becomes s r(c(v / s)), r rounding and c cutting off at the ends, so that

    d / ds = r(q) - q  inside, q = v / s;   -zero or 255 - zero  at the ends

(learned step size quantization, Esser et al. 2020). Its logarithm is what the optimizer moves:
steps of different channels differ by orders of magnitude, and none may become negative.

A weight's scale is the largest magnitude of its output over 127. Batch norm behind a convolution
multiplies a whole output, so that rounding before or after folding is the same.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from csideploy.errors import InputError
from csideploy.export.quantize.channel_steps import ZERO, choose_steps
from csideploy.systems.acrnet import Residual
from csideploy.systems.link import Link

LARGEST = 127
"""Magnitude of an int8 weight."""


def _nearest(x: Tensor) -> Tensor:
    """The nearest integer, ties to even; the gradient is that of x."""
    return x + (x.round() - x).detach()


def _rounded(weight: Tensor) -> Tensor:
    """int8 weights with a scale an output, as floats."""
    scale = weight.detach().abs().flatten(1).amax(1).clamp_min(1e-30) / LARGEST
    scale = scale.view(-1, *[1] * (weight.dim() - 1))
    return weight + ((weight / scale).round() * scale - weight).detach()


class IntegerConvolution(nn.Conv2d):
    """A grouped convolution with int8 weights that reads codes of 8 bits.

    Args:
        of: the convolution whose weight it takes over.
        steps: of the codes of each channel that it reads, (C,).
    """

    def __init__(self, of: nn.Conv2d, steps: Tensor) -> None:
        super().__init__(
            of.in_channels, of.out_channels, of.kernel_size, padding=of.padding,  # type: ignore[arg-type]
            groups=of.groups, bias=False,
        )  # fmt: skip
        self.weight = of.weight
        self.log_step = nn.Parameter(steps.log())

    def forward(self, x: Tensor) -> Tensor:
        """(n, C, angle, delay) -> the same shape."""
        step = self.log_step.exp()
        codes = _nearest((x / step.view(1, -1, 1, 1)).clamp(-ZERO, 255 - ZERO))
        weight = _rounded(self.weight * _by_output(step, self))
        return F.conv2d(codes, weight, padding=self.padding, groups=self.groups)

    def by_values(self) -> tuple[Tensor, Tensor]:
        """Weight, and the codes' steps (C,), of the same sums over codes times steps."""
        step = self.log_step.exp()
        steps = _by_output(step, self)
        return _rounded(self.weight * steps) / steps, step


def _by_output(step: Tensor, of: nn.Conv2d) -> Tensor:
    """(C,) -> (outputs, channels of a group, 1, 1).

    Channel j of a group meets column j of each of the group's outputs.
    """
    each = of.weight.shape[1]
    rows = step.view(of.groups, 1, each).expand(-1, of.out_channels // of.groups, -1)
    return rows.reshape(of.out_channels, each, 1, 1)


class IntegerLinear(nn.Linear):
    """A fully connected layer with int8 weights; what it reads are the payload's exact codes."""

    def __init__(self, of: nn.Linear) -> None:
        super().__init__(of.in_features, of.out_features)
        self.weight, self.bias = of.weight, of.bias

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        return F.linear(x, _rounded(self.weight), self.bias)


def put(link: Link, x: Tensor, *, seed: int) -> None:
    """Round the decoder's weights and codes from now on.

    Args:
        link: of family acrnet.
        x: training CSI (n, 2, angle, delay) that the first steps are chosen by.
        seed: of the values that are looked at.

    Raises:
        InputError: a link of another family.
    """
    if link.spec.family != "acrnet":
        raise InputError(f"training with integers is for ACRNet and BACRNet, not {link.spec.name}")
    if type(link.decoder.fc) is nn.Linear:
        link.decoder.fc = IntegerLinear(link.decoder.fc)
    weight = 1 / (x - 0.5).square().sum((1, 2, 3))
    for layer in _layers(link):
        convolution = layer[0]
        assert isinstance(convolution, nn.Conv2d)
        steps = _first_steps(link, convolution, x, weight, seed)
        layer[0] = IntegerConvolution(convolution, steps).to(x.device)


def put_empty(link: Link) -> None:
    """As `put`, with steps that are still to be loaded."""
    link.decoder.fc = IntegerLinear(link.decoder.fc) if _is_float(link) else link.decoder.fc
    for layer in _layers(link):
        convolution = layer[0]
        assert isinstance(convolution, nn.Conv2d)
        ones = torch.ones(convolution.in_channels, device=convolution.weight.device)
        layer[0] = IntegerConvolution(convolution, ones)


@torch.no_grad()
def take_out(link: Link) -> None:
    """The link as it was built, with what the weights have learned.

    What a grouped convolution reads is then in units of the learned steps: the batch norm in front
    is divided by them, a PReLU keeps a factor, and the weights behind are multiplied. So the
    function is the same, and the exporter need not be told the steps.
    """
    if isinstance(link.decoder.fc, IntegerLinear):
        link.decoder.fc = _plain_linear(link.decoder.fc)
    for before, layer in _pairs(link):
        convolution = layer[0]
        if isinstance(convolution, IntegerConvolution):
            step = convolution.log_step.exp()
            norm = before[1]
            assert isinstance(norm, nn.BatchNorm2d)
            norm.weight.div_(step)
            norm.bias.div_(step)
            convolution.weight.mul_(_by_output(step, convolution))
            layer[0] = _plain_convolution(convolution)
            link.unit_steps = True


_RATIO = 4.0
"""Root mean square of a channel's folded 1x9 weights over that of the 7x7 weights that read it.

It is 1 to 17 in links trained in floats, so that a channel's factor, a square root, is off by 2 at
most.
"""


@torch.no_grad()
def plain_units(link: Link, *, folded: bool) -> None:
    """Undo what `take_out` does to the sizes of weights; the function stays.

    In units of steps a norm is a hundred times larger than in a fresh link and the weights behind
    are as much smaller, so that Adam, whose steps have a length of their own, would destroy them.

    Args:
        link: of family acrnet, as `take_out` leaves it.
        folded: its norms are folded into the convolutions in front, as in a zoo entry. Then what a
            channel's weights once were is unknown, and both sides become about as large.
    """
    for before, layer in _pairs(link):
        front, norm, convolution = before[0], before[1], layer[0]
        assert isinstance(front, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(convolution, nn.Conv2d)
        scaled = front.weight if folded else norm.weight
        made = scaled.square().flatten(1).mean(1).sqrt() if folded else scaled.abs()
        factor = (made / (_RATIO * _read(convolution))).sqrt() if folded else made
        # What is 0 on one side has any factor.
        factor = torch.where(factor.isfinite() & (factor > 0), factor, 1.0)
        scaled.div_(factor.view(-1, *[1] * (scaled.dim() - 1)))
        norm.bias.div_(factor)
        convolution.weight.mul_(_by_output(factor, convolution))


def _read(of: nn.Conv2d) -> Tensor:
    """Root mean square of the weights that read each channel, (C,)."""
    each = of.weight.view(of.groups, -1, *of.weight.shape[1:]).square().mean((1, 3, 4))
    return each.flatten().sqrt()


def _is_float(link: Link) -> bool:
    return type(link.decoder.fc) is nn.Linear


def _plain_linear(of: nn.Linear) -> nn.Linear:
    plain = nn.Linear(of.in_features, of.out_features)
    plain.weight, plain.bias = of.weight, of.bias
    return plain


def _plain_convolution(of: nn.Conv2d) -> nn.Conv2d:
    plain = nn.Conv2d(
        of.in_channels, of.out_channels, of.kernel_size, padding=of.padding,  # type: ignore[arg-type]
        groups=of.groups, bias=False,
    )  # fmt: skip
    plain.weight = of.weight
    return plain


def _pairs(link: Link) -> list[tuple[nn.Sequential, nn.Sequential]]:
    """Of each block of the decoder: the layer with the grouped convolution, and that in front."""
    found = []
    for block in link.decoder.convolutions.children():
        if isinstance(block, Residual):
            before, layer = block.body
            assert isinstance(before, nn.Sequential)
            assert isinstance(layer, nn.Sequential)
            found.append((before, layer))
    return found


def _layers(link: Link) -> list[nn.Sequential]:
    return [layer for _, layer in _pairs(link)]


@torch.no_grad()
def _first_steps(
    link: Link, convolution: nn.Conv2d, x: Tensor, weight: Tensor, seed: int
) -> Tensor:
    """Steps (C,) of least square error, as the exporter chooses them."""
    random = np.random.default_rng(seed)
    seen: list[Tensor] = []
    handle = convolution.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    link.eval()
    link(x)
    handle.remove()
    flat = seen[0].flatten(2).cpu().numpy()
    rows, columns = random.integers(len(flat), size=1 << 16), random.integers(1024, size=1 << 16)
    steps, _ = choose_steps(
        np.ascontiguousarray(flat[rows, :, columns].T),
        (weight / weight.mean()).cpu().numpy()[rows],
        # A PReLU leaves something below 0, so that the exporter's zero point is never 0.
        np.minimum(flat.min((0, 2)), -np.finfo(np.float32).tiny),
        np.maximum(flat.max((0, 2)), 0),
    )
    return torch.from_numpy(steps).to(x.device)
