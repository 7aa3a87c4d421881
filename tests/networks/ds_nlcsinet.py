"""DS-NLCsiNet (Yu, Li, Wu, Bai 2020): CsiNet with non-local blocks and dense refinement.

Non-local block (Wang et al. 2018, embedded Gaussian): of all 1,024 positions of the image, each
takes softmax(theta(x)^T phi(x)) g(x) from every other one; theta, phi and g are 1x1 convolutions to
half of the channels, a fourth one leads back; identity added. Encoder: 3x3, non-local block, FC.
Decoder: FC, non-local block, two refinements in which every 3x3 sees all that came before it
(2 -> 8, 10 -> 16, 26 -> 2), identity added; 3x3, sigmoid.
"""

import torch
from torch import Tensor, nn

SLOPE = 0.3


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.LeakyReLU(SLOPE)
    )


class NonLocal(nn.Module):
    """x -> x + back(softmax(theta(x)^T phi(x)) g(x))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.back = nn.Sequential(nn.Conv2d(inner, channels, 1), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, 32, 32) -> the same shape."""
        query = self.theta(x).flatten(2).transpose(1, 2)
        weights = torch.softmax(query @ self.phi(x).flatten(2), dim=-1)
        taken = weights @ self.g(x).flatten(2).transpose(1, 2)
        return x + self.back(taken.transpose(1, 2).reshape(-1, taken.shape[2], 32, 32))


class DenseRefinement(nn.Module):
    """Three 3x3 layers with dense connections, identity added."""

    def __init__(self) -> None:
        super().__init__()
        self.first = _layer(2, 8)
        self.second = _layer(10, 16)
        self.third = nn.Sequential(nn.Conv2d(26, 2, 3, padding=1), nn.BatchNorm2d(2))
        self.activation = nn.LeakyReLU(SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, 32, 32) -> the same shape."""
        a = self.first(x)
        b = self.second(torch.cat([x, a], dim=1))
        return self.activation(x + self.third(torch.cat([x, a, b], dim=1)))


def encoder(features: int) -> nn.Module:
    """(n, 2, 32, 32) -> (n, M)."""
    return nn.Sequential(_layer(2, 2), NonLocal(2), nn.Flatten(), nn.Linear(2048, features))


def decoder(features: int) -> nn.Module:
    """(n, M) -> (n, 2, 32, 32)."""
    return nn.Sequential(
        nn.Linear(features, 2048),
        nn.Unflatten(1, (2, 32, 32)),
        NonLocal(2),
        DenseRefinement(),
        DenseRefinement(),
        nn.Conv2d(2, 2, 3, padding=1),
        nn.Sigmoid(),
    )
