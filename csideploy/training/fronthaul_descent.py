"""The descent of neural-MQ over a batch of blocks, in torch, for training.

The same steps as the native part (`export.gradient_models`), written by hand: no graph is kept of
the I iterations, since only the bits that come out are needed. Float32; an annealed descent
amplifies rounding, so a bit may differ from the native part's.

Shapes: c blocks of R channel uses; real forms: bits (c, R, B_m), signals (c, R, 2 N_m) with the
real parts first, what users hear (c, R, 2 L) likewise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

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
            scale = torch.sqrt(START_POWER / power)
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


@torch.no_grad()
def descend(
    decoders: Sequence[Decoder],
    matrices: Sequence[Tensor] | None,
    wanted: Tensor | Sequence[Tensor],
    step: Tensor,
    iterations: int,
) -> list[Tensor]:
    """Bits after Algorithm 2 or 3 of paper 003: one (c, R, B_m) of 0 and 1 for each RU.

    Args:
        decoders: of all RUs.
        matrices: `real_channel`, neural-MQ; None: neural-VQ.
        wanted: (c, R, 2 L); for neural-VQ of each RU (c, R, 2 N_m).
        step: (c,).
        iterations: I.
    """
    first = wanted if isinstance(wanted, Tensor) else wanted[0]
    count, uses = first.shape[:2]
    last = [decoder.linear[-1] for decoder in decoders]
    # Output layer and channel are both linear: one matrix (c, D, 2 L) a block takes both.
    if matrices is not None and isinstance(wanted, Tensor):
        ends = [layer.weight.T @ matrix for layer, matrix in zip(last, matrices, strict=True)]
        offsets = [layer.bias @ matrix for layer, matrix in zip(last, matrices, strict=True)]
        rest = [torch.stack(offsets).sum(dim=0)[:, None] - wanted]
    else:
        ends = [layer.weight.T.expand(count, -1, -1) for layer in last]
        rest = [layer.bias - own for layer, own in zip(last, wanted, strict=True)]
    logits = [torch.zeros(count, uses, d.linear[0].in_features) for d in decoders]
    scale = 2 * step[:, None, None]
    for i in range(iterations):
        temperature = math.exp(-5 * i / iterations)
        soft = [torch.sigmoid(r / temperature) for r in logits]
        traces = [_hidden(d, q) for d, q in zip(decoders, soft, strict=True)]
        heard = [t[-1] @ end for t, end in zip(traces, ends, strict=True)]
        if matrices is not None:
            errors = [torch.stack(heard).sum(dim=0) + rest[0]] * len(decoders)
        else:
            errors = [a + b for a, b in zip(heard, rest, strict=True)]
        for m, decoder in enumerate(decoders):
            slope = _backward(decoder, traces[m], errors[m] @ ends[m].transpose(1, 2))
            logits[m] -= scale / temperature * slope * soft[m] * (1 - soft[m])
    return [(r > 0).float() for r in logits]


def _hidden(decoder: Decoder, bits: Tensor) -> list[Tensor]:
    """Bits and the values of every hidden layer."""
    trace = [bits]
    for layer in decoder.linear[:-1]:
        trace.append(torch.relu(layer(trace[-1])))
    return trace


def _backward(decoder: Decoder, trace: list[Tensor], slope: Tensor) -> Tensor:
    """Gradient of the bits from that of the last hidden layer."""
    for k in range(len(trace) - 1, 0, -1):
        slope = (slope * (trace[k] > 0)) @ decoder.linear[k - 1].weight
    return slope
