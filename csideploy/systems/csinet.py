"""CsiNet (Wen, Shih, Jin 2018), the first network of the field, as a baseline.

Encoder: 3x3, 2 -> 2, batch norm, LReLU(0.3); FC 2048 -> M. Decoder: FC M -> 2048; two RefineNets
(3x3: 2 -> 8 -> 16 -> 2 with batch norm, LReLU, identity added before the last LReLU); 3x3, 2 -> 2,
sigmoid. Convolutions have biases. Batch norm runs over channels, as the paper means it; the
published Keras weights have it over the delay axis.
At compression 1/4: encoder 1,049,130, decoder 1,053,986 parameters; 5,414,912 MACs in all.
"""

from __future__ import annotations

from torch import Tensor, nn

from csideploy.registry import SystemSpec
from csideploy.systems.link import Link, convolution, initialise

SLOPE = 0.3


class RefineBlock(nn.Module):
    """3x3 convolutions 2 -> 8 -> 16 -> 2, each with batch norm; identity added at the end."""

    def __init__(self, *, bias: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            convolution(2, 8, (3, 3), bias=bias),
            nn.BatchNorm2d(8),
            nn.LeakyReLU(SLOPE),
            convolution(8, 16, (3, 3), bias=bias),
            nn.BatchNorm2d(16),
            nn.LeakyReLU(SLOPE),
            convolution(16, 2, (3, 3), bias=bias),
            nn.BatchNorm2d(2),
        )
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, angle, delay) -> the same shape."""
        out: Tensor = self.activation(self.body(x) + x)
        return out


def head(*, bias: bool) -> nn.Sequential:
    """3x3 convolution 2 -> 2, batch norm, LReLU."""
    return nn.Sequential(
        convolution(2, 2, (3, 3), bias=bias), nn.BatchNorm2d(2), nn.LeakyReLU(SLOPE)
    )


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link of CsiNet."""
    decoder = nn.Sequential(
        RefineBlock(bias=True), RefineBlock(bias=True), convolution(2, 2, (3, 3), bias=True)
    )
    link = Link(spec, cr, bits, binarize, head(bias=True), decoder)
    initialise(link)
    return link
