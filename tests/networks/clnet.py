"""CLNet (Ji, Li 2021): CRNet with attention in the encoder and a hard sigmoid at the end.

Encoder: a path of 3x3, 1x9, 9x1, 2 -> 2, weighted by spatial attention (maximum and mean over the
channels, 3x3 to one map, sigmoid), beside a 1x1, 2 -> 32, which takes real and imaginary part of
one element together and is weighted by channel attention (global mean, FC 32 -> 2 -> 32, sigmoid);
concatenated to 34; 1x1 to 2. The FCs are 1-D convolutions of kernel 1, as in the published network.
Decoder: 5x5; two blocks of 3x3, 1x3, 3x1 beside 1x5, 5x1, both 2 -> 7, 1x1, 14 -> 2, identity
added; hard sigmoid relu6(x + 3) / 6.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.3
Kernel = tuple[int, int]


def _norm_convolution(inputs: int, outputs: int, kernel: Kernel) -> nn.Sequential:
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False), nn.BatchNorm2d(outputs)
    )


def _chain(widths: list[int], kernels: list[Kernel]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs, kernel in zip(widths, widths[1:], kernels, strict=False):
        if layers:
            layers.append(nn.LeakyReLU(SLOPE))
        layers.append(_norm_convolution(inputs, outputs, kernel))
    return nn.Sequential(*layers)


class SpatialAttention(nn.Module):
    """One weight a position."""

    def __init__(self) -> None:
        super().__init__()
        self.score = _norm_convolution(2, 1, (3, 3))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 32, 32) -> the same shape."""
        strongest = x.amax(dim=1, keepdim=True)
        summary = torch.cat([strongest, x.mean(dim=1, keepdim=True)], dim=1)
        return x * torch.sigmoid(self.score(summary))


class ChannelAttention(nn.Module):
    """One weight a channel."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.squeeze = nn.Linear(channels, squeezed, bias=False)
        self.excite = nn.Linear(squeezed, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 32, 32) -> the same shape."""
        weights = self.excite(F.relu(self.squeeze(self.mean(x).flatten(1))))
        return x * torch.sigmoid(weights)[:, :, None, None].expand_as(x)


class Encoder(nn.Module):
    """(n, 2, 32, 32) -> (n, M)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.real_path = _chain([2, 2, 2, 2], [(3, 3), (1, 9), (9, 1)])
        self.where = SpatialAttention()
        self.complex_path = _norm_convolution(2, 32, (1, 1))
        self.which = ChannelAttention(32, 2)
        self.merge = _norm_convolution(34, 2, (1, 1))
        self.fc = nn.Conv1d(2048, features, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The feature."""
        paths = [self.where(self.real_path(x)), self.which(self.complex_path(x))]
        joined = F.leaky_relu(torch.cat(paths, dim=1), SLOPE)
        merged = F.leaky_relu(self.merge(joined), SLOPE)
        return self.fc(merged.flatten(1).unsqueeze(2)).squeeze(2)


class Block(nn.Module):
    """Two resolutions side by side, identity added."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _chain([2, 7, 7, 7], [(3, 3), (1, 3), (3, 1)])
        self.second = _chain([2, 7, 7], [(1, 5), (5, 1)])
        self.merge = _norm_convolution(14, 2, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, 32, 32) -> the same shape."""
        paths = F.leaky_relu(torch.cat([self.first(x), self.second(x)], dim=1), SLOPE)
        return F.leaky_relu(self.merge(paths) + x, SLOPE)


class Decoder(nn.Module):
    """(n, M) -> (n, 2, 32, 32)."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.fc = nn.ConvTranspose1d(features, 2048, 1)
        self.head = _norm_convolution(2, 2, (5, 5))
        self.blocks = nn.Sequential(Block(), Block())

    def forward(self, feature: Tensor) -> Tensor:
        """The reconstructed CSI matrix."""
        image = self.fc(feature.unsqueeze(2)).view(-1, 2, 32, 32)
        refined = self.blocks(F.leaky_relu(self.head(image), SLOPE))
        return F.relu6(refined + 3) / 6


encoder = Encoder
decoder = Decoder
