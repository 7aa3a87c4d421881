"""CsiNet+ (Guo, Wen, Jin, Li 2020): CsiNet with large kernels and five refinements.

Encoder: two 7x7, 2 -> 2, with batch norm and LReLU(0.3); FC 2048 -> M. Decoder: FC M -> 2048;
7x7, 2 -> 2, batch norm, sigmoid, a first estimate in (0, 1); five blocks of 7x7, 2 -> 8, 5x5,
8 -> 16, and 3x3, 16 -> 2, whose last activation is tanh, because a correction has a sign; identity
added.
At compression 1/4: 24.57 M multiply-accumulates of convolutions and FCs, as published.
"""

from torch import Tensor, nn

SLOPE = 0.3


def _layer(inputs: int, outputs: int, kernel: int, activation: nn.Module) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        activation,
    )


class Correction(nn.Module):
    """x -> x + tanh(batch norm(3x3(5x5(7x7 x))))."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _layer(2, 8, 7, nn.LeakyReLU(SLOPE)),
            _layer(8, 16, 5, nn.LeakyReLU(SLOPE)),
            _layer(16, 2, 3, nn.Tanh()),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, 2, 32, 32) -> the same shape."""
        return x + self.body(x)


def encoder(features: int) -> nn.Module:
    """(n, 2, 32, 32) -> (n, M)."""
    heads = [_layer(2, 2, 7, nn.LeakyReLU(SLOPE)) for _ in range(2)]
    return nn.Sequential(*heads, nn.Flatten(), nn.Linear(2048, features))


def decoder(features: int) -> nn.Module:
    """(n, M) -> (n, 2, 32, 32)."""
    return nn.Sequential(
        nn.Linear(features, 2048),
        nn.Unflatten(1, (2, 32, 32)),
        _layer(2, 2, 7, nn.Sigmoid()),
        *(Correction() for _ in range(5)),
    )
