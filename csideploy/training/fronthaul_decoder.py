"""The networks of neural-MQ and neural-VQ in torch, and the real form of channels and signals.

Shapes: c blocks of R channel uses; real forms: bits (c, R, B_m), signals (c, R, 2 N_m) with the
real parts first, what users hear (c, R, 2 L) likewise.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from csideploy.fronthaul.networks import Network
from csideploy.fronthaul.setup import Setup

START_POWER = 0.15
"""Power of random bits' signals at the start, in parts of P_m: what the descent chooses is about
six times as strong, so that RUs begin near their power."""


class Decoder(nn.Module):
    """f_m: bits (..., B) -> (..., 2 N_m), K hidden layers of ReLU units (paper 003, Fig. 4)."""

    def __init__(self, bits: int, antennas: int, layers: int, hidden: int) -> None:
        super().__init__()
        sizes = [bits, *[hidden] * layers, 2 * antennas]
        self.linear = [nn.Linear(a, b) for a, b in itertools.pairwise(sizes)]
        self.held = nn.ModuleList(self.linear)
        with torch.no_grad():
            for k, layer in enumerate(self.linear):
                gain = 2.0 if k < layers else 1.0
                layer.weight.normal_(0, math.sqrt(gain / layer.in_features))
                layer.bias.zero_()
            # Undecided bits, 1/2 each, give 0 before the first ReLU: every unit starts undecided.
            first = self.linear[0]
            first.bias.copy_(-0.5 * first.weight.sum(dim=1))
            power = self(torch.randint(2, (1024, bits)).float()).square().sum(dim=1).mean()
            scale = torch.sqrt(START_POWER / power.clamp(min=1e-6))
            self.linear[-1].weight.mul_(scale)
            self.linear[-1].bias.mul_(scale)

    def forward(self, bits: Tensor) -> Tensor:
        """(..., B) -> (..., 2 N_m)."""
        values = bits
        for layer in self.linear[:-1]:
            values = torch.relu(layer(values))
        signal: Tensor = self.linear[-1](values)
        return signal

    def numbers(self) -> Network:
        """Weights and biases in NumPy."""
        arrays = [
            (layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy())
            for layer in self.linear
        ]
        return Network(tuple(w for w, _ in arrays), tuple(b for _, b in arrays))


def real_channel(setup: Setup, channel: NDArray[np.complexfloating]) -> list[Tensor]:
    """C (c, L, N_tx) as one real matrix (c, 2 N_m, 2 L) for each RU: heard = signal @ matrix."""
    matrices = []
    for span in setup.spans:
        own = np.swapaxes(channel[:, :, span], 1, 2)
        upper = np.concatenate([own.real, own.imag], axis=2)
        lower = np.concatenate([-own.imag, own.real], axis=2)
        matrices.append(torch.from_numpy(np.concatenate([upper, lower], axis=1)).float())
    return matrices


def real_signal(values: NDArray[np.complexfloating]) -> Tensor:
    """(..., k) complex to (..., 2 k), real parts first."""
    return torch.from_numpy(np.concatenate([values.real, values.imag], axis=-1)).float()
