"""CsiNet-Pro, as public code reads it: the larger autoencoder of paper 001.

Encoder: 7x7 convolutions 2 -> 16 -> 8 -> 4 -> 2, each with batch norm and LReLU(0.1); FC 2048 -> M.
Decoder: FC M -> 2048; 7x7 2 -> 16 -> 8 -> 4 with batch norm and LReLU(0.1); 7x7 4 -> 2; tanh on
data in [-1, 1], which is a sigmoid on ours in [0, 1]: (1 + tanh y) / 2 = sigmoid(2 y), the 2 being
the last convolution's. The slope is not certain: the public code's author marks it so.
At compression 1/4: 22,167,552 MACs in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import nn

from csideploy.registry import SystemSpec
from csideploy.systems.link import Link, convolution, initialise

SLOPE = 0.1
KERNEL = (7, 7)


def _layers(channels: tuple[int, ...]) -> Iterator[nn.Module]:
    for inputs, outputs in pairwise(channels):
        yield convolution(inputs, outputs, KERNEL, bias=True)
        yield nn.BatchNorm2d(outputs)
        yield nn.LeakyReLU(SLOPE)


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link of CsiNet-Pro."""
    encoder = nn.Sequential(*_layers((2, 16, 8, 4, 2)))
    decoder = nn.Sequential(*_layers((2, 16, 8, 4)), convolution(4, 2, KERNEL, bias=True))
    link = Link(spec, cr, bits, binarize, encoder, decoder)
    initialise(link)
    return link
