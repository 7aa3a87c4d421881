"""A fully connected network of four layers with batch norm and Mish, tanh at the end.

The shape of the encoders of limited-feedback precoding: pilots received on L antennas' worth of
beams, 2 L real numbers, to a feature; and back.
"""

import itertools

from torch import nn

RECEIVED = 64


def _network(widths: list[int]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.Mish()]
    layers[-1] = nn.Tanh()
    return nn.Sequential(*layers)


def encoder(features: int) -> nn.Module:
    """(n, 64) -> (n, M)."""
    return _network([RECEIVED, 1024, 512, 256, features])


def decoder(features: int) -> nn.Module:
    """(n, M) -> (n, 64)."""
    return _network([features, 256, 512, 1024, RECEIVED])
