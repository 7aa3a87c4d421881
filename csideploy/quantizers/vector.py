"""Vector quantization with one shared codebook: the baseline "Vector" of paper 001.

The M outputs are cut into M / L neighbouring groups of L; all groups share one codebook of 2^(L B)
vectors. At most 8 bits a group, so that a code is a byte: L B <= 8.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from csideploy.errors import InputError

LENGTHS = (1, 2, 4)
MOST_BITS = 8
_ROUNDS = 20


class VectorQuantizer(nn.Module):
    """z (n, M) -> the nearest vector of each group, with a straight-through gradient.

    Attributes:
        penalty: beta ||z^q - z||^2 in units of the squared mean spread (eq. 4), for the encoder.
        error: the quantization loss in the same unit, for the vectors.

    Args:
        outputs: M, a multiple of `length`.
        length: L, 1, 2 or 4.
        bits: B an output; L B <= 8.
    """

    spread: Tensor

    def __init__(self, outputs: int, length: int, bits: int) -> None:
        super().__init__()
        if length not in LENGTHS or outputs % length:
            raise InputError(f"vector quantizer: length {length} is not 1, 2 or 4 dividing M")
        if not 1 <= bits * length <= MOST_BITS:
            raise InputError(
                f"vector quantizer: {length} outputs of {bits} bits need {bits * length} bits a "
                f"code; at most {MOST_BITS} are possible"
            )
        self.outputs, self.length, self.bits = outputs, length, bits
        self.beta = 0.0
        self.penalty: Tensor | None = None
        self.error: Tensor | None = None
        self.register_buffer("spread", torch.ones(()))
        self.vectors = nn.Parameter(torch.zeros(1 << (bits * length), length))

    def forward(self, z: Tensor) -> Tensor:
        """Quantize, in float32; in training, note `penalty` and `error`."""
        with torch.autocast(z.device.type, enabled=False):
            return self._quantized(z.float())

    def _quantized(self, z: Tensor) -> Tensor:
        chosen = self.vectors[self._codes(z)].flatten(1)
        if self.training:
            scale = self.spread.square()
            self.error = (chosen - z.detach()).square().sum(1).mean() / scale
            self.penalty = self.beta * (chosen.detach() - z).square().sum(1).mean() / scale
        return z + (chosen - z).detach()

    @torch.no_grad()
    def codes(self, z: Tensor) -> Tensor:
        """uint8 (n, M / L): the nearest vector, ties to the lowest index."""
        return self._codes(z).to(torch.uint8)

    @torch.no_grad()
    def _codes(self, z: Tensor) -> Tensor:
        groups = z.reshape(len(z), -1, self.length)
        # ||v||^2 - 2 z.v: the distance but for ||z||^2, which all vectors share.
        score = self.vectors.square().sum(1) - 2 * groups @ self.vectors.T
        return score.argmin(-1)

    @torch.no_grad()
    def fit(self, z: Tensor, *, seed: int) -> None:
        """k-means on the groups of z (n, M); vectors that nobody takes go to random groups."""
        generator = torch.Generator().manual_seed(seed)
        groups = z.reshape(-1, self.length)
        some = torch.randperm(len(groups), generator=generator)[:200_000]
        groups = groups[some]
        if not self.vectors.any():
            # A start that covers the tails: random groups, spread by their norm.
            self.vectors.copy_(_spread_start(groups, len(self.vectors), generator))
        for _ in range(_ROUNDS):
            code = torch.cat([self._codes(part).flatten() for part in torch.split(groups, 20_000)])
            count = torch.bincount(code, minlength=len(self.vectors))
            total = torch.zeros_like(self.vectors).index_add_(0, code, groups)
            empty = count == 0
            means = total / count.clamp_min(1)[:, None]
            lost = int(empty.sum())
            if lost:
                means[empty] = groups[torch.randint(len(groups), (lost,), generator=generator)]
            self.vectors.copy_(means)

    def book(self) -> NDArray[np.float32]:
        """The vectors, float32 (2^(L B), L)."""
        return self.vectors.detach().cpu().numpy().astype(np.float32)


def _spread_start(groups: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Groups drawn with a chance that rises with their norm (half of k-means++'s exponent)."""
    # On the CPU, where the generator is, so that every device draws the same.
    norm = groups.norm(dim=1).cpu()
    weight = norm + 1e-3 * norm.mean()
    chosen = torch.multinomial(weight, count, replacement=len(groups) < count, generator=generator)
    return groups[chosen.to(groups.device)]
