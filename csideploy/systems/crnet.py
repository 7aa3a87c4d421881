"""CRNet (Lu, Wang, Song 2020), two resolutions side by side, as a baseline.

Encoder: path 3x3, 1x9, 9x1 and path 3x3, all 2 -> 2; concatenated; 1x1, 4 -> 2; FC 2048 -> M.
Decoder: FC M -> 2048; 5x5; two CRBlocks: path 3x3, 1x9, 9x1 and path 1x5, 5x1, both 2 -> 7;
concatenated; 1x1, 14 -> 2; identity added; LReLU(0.3); sigmoid at the end.
At compression 1/4: encoder 1,049,260, decoder 1,053,578 parameters; 5,122,048 MACs in all.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csideploy.registry import SystemSpec
from csideploy.systems.link import Link, convolution, initialise

SLOPE = 0.3
Kernel = tuple[int, int]


def _path(channels: list[int], kernels: list[Kernel]) -> nn.Sequential:
    """Convolutions with batch norm, LReLU between them and none after the last."""
    layers: list[nn.Module] = []
    for index, kernel in enumerate(kernels):
        if index:
            layers.append(nn.LeakyReLU(SLOPE))
        outputs = channels[index + 1]
        layers += [convolution(channels[index], outputs, kernel), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers)


class MultiResolution(nn.Module):
    """Two paths, concatenated, LReLU, merged by 1x1; `residual` adds the input back."""

    def __init__(self, first: nn.Sequential, second: nn.Sequential, channels: int) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.merge = _path([channels, 2], [(1, 1)])
        self.inner = nn.LeakyReLU(SLOPE)
        self.outer = nn.LeakyReLU(SLOPE)
        self.residual = channels > 4

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, angle, delay) -> the same shape."""
        merged = self.merge(self.inner(torch.cat([self.first(x), self.second(x)], dim=1)))
        out: Tensor = self.outer(merged + x if self.residual else merged)
        return out


def _encoder() -> MultiResolution:
    wide = _path([2, 2, 2, 2], [(3, 3), (1, 9), (9, 1)])
    return MultiResolution(wide, _path([2, 2], [(3, 3)]), 4)


def _block() -> MultiResolution:
    wide = _path([2, 7, 7, 7], [(3, 3), (1, 9), (9, 1)])
    return MultiResolution(wide, _path([2, 7, 7], [(1, 5), (5, 1)]), 14)


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link of CRNet."""
    decoder = nn.Sequential(_path([2, 2], [(5, 5)]), nn.LeakyReLU(SLOPE), _block(), _block())
    link = Link(spec, cr, bits, binarize, _encoder(), decoder)
    initialise(link)
    return link
