"""ACRNet-kx and BACRNet-kx (paper 002, Fig. 4).

Encoder: 5x5 head, two residual blocks of 1x9 and 9x1, 2 channels throughout; FC 2048 -> M.
Decoder: FC M -> 2048; 5x5 head, two aggregated blocks of width 8k: 1x9, grouped 7x7 with two
channels a group (4k groups, eq. 7-8), 9x1; sigmoid.
Every convolution is free of bias and followed by batch norm and a PReLU with one slope a channel
(eq. 11), which starts at 0.3; in a block's last step the identity is added before the PReLU.
At compression 1/4: encoder 1,049,362 parameters and 1,298,432 MACs; decoder
1,050,742 + 2240 k parameters and 1,150,976 + 2,195,456 k MACs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from csideploy.registry import SystemSpec
from csideploy.systems.link import Link, convolution, initialise

SLOPE = 0.3
"""First value of the PReLU slopes."""


class GroupedConvolution(nn.Conv2d):
    """A grouped convolution that in training may compute several groups as one.

    Attributes:
        merged: how many, their weights being block-diagonal; see `training.grouping`.
    """

    merged = 1

    def forward(self, x: Tensor) -> Tensor:
        """As of nn.Conv2d, up to the order of sums."""
        if self.merged == 1 or not self.training:
            return super().forward(x)
        whole, count = self.groups // self.merged, self.merged
        inner = self.in_channels // self.groups
        # [outer group, group, output, group, input, height, width], zero where groups differ.
        blocks = self.weight.reshape(whole, count, -1, 1, inner, *self.kernel_size)
        unit = torch.eye(count, dtype=blocks.dtype, device=blocks.device)
        weight = (blocks * unit.view(1, count, 1, count, 1, 1, 1)).reshape(
            self.out_channels, count * inner, *self.kernel_size
        )
        return nn.functional.conv2d(
            x, weight, self.bias, self.stride, self.padding, self.dilation, whole
        )


class ConvolutionBlock(nn.Sequential):
    """Convolution, batch norm, PReLU.

    Attributes:
        whole: while training, a faster way to the same; it may give None.
    """

    whole: Callable[[ConvolutionBlock, Tensor], Tensor | None] | None = None

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int], *, groups: int = 1
    ) -> None:
        padding = (kernel[0] // 2, kernel[1] // 2)
        super().__init__(
            convolution(inputs, outputs, kernel)
            if groups == 1
            else GroupedConvolution(
                inputs, outputs, kernel, padding=padding, groups=groups, bias=False
            ),
            nn.BatchNorm2d(outputs),
            nn.PReLU(outputs, init=SLOPE),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, angle, delay) -> (n, outputs, angle, delay)."""
        out = None if self.whole is None else self.whole(self, x)
        if out is None:
            out = super().forward(x)  # type: ignore[no-untyped-call]
        return out


class Residual(nn.Module):
    """x -> PReLU(x + batch_norm(last(body(x)))).

    Attributes:
        whole: as of a ConvolutionBlock.
        bf16: in training, the wide layers (body and last) run in bfloat16. The straight path stays
            in float32: bfloat16 keeps 8 bits of x, of which the 0.5 takes nearly all.
    """

    whole: Callable[[Residual, Tensor], Tensor | None] | None = None

    def __init__(self, body: nn.Sequential, last: nn.Conv2d) -> None:
        super().__init__()
        self.bf16 = False
        self.body = body
        self.last = last
        self.norm = nn.BatchNorm2d(2)
        self.activation = nn.PReLU(2, init=SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, angle, delay) -> the same shape."""
        whole = None if self.whole is None else self.whole(self, x)
        if whole is not None:
            return whole
        if self.bf16 and self.training:
            with torch.autocast(x.device.type, torch.bfloat16):
                change = self.last(self.body(x)).float()
        else:
            change = self.last(self.body(x))
        out: Tensor = self.activation(self.norm(change) + x)
        return out


def encoder_block() -> Residual:
    """ACREnBlock: 1x9, 9x1."""
    return Residual(nn.Sequential(ConvolutionBlock(2, 2, (1, 9))), convolution(2, 2, (9, 1)))


def decoder_block(k: int) -> Residual:
    """ACRDeBlock of expansion k: 1x9 to 8k channels, grouped 7x7, 9x1 back to 2."""
    wide = 8 * k
    body = nn.Sequential(
        ConvolutionBlock(2, wide, (1, 9)),
        ConvolutionBlock(wide, wide, (7, 7), groups=4 * k),
    )
    return Residual(body, convolution(wide, 2, (9, 1)))


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link of ACRNet-kx, k = spec.width, with the paper's first weights."""
    encoder = nn.Sequential(ConvolutionBlock(2, 2, (5, 5)), encoder_block(), encoder_block())
    decoder = nn.Sequential(
        ConvolutionBlock(2, 2, (5, 5)), decoder_block(spec.width), decoder_block(spec.width)
    )
    link = Link(spec, cr, bits, binarize, encoder, decoder)
    initialise(link)
    return link
