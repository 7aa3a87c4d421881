"""Per-output codebooks that training runs through (paper 001, section III).

A link may have several bit budgets: one codebook each over the same encoder outputs, of which one
is active at a time. `penalty` is what the last forward pass adds to the loss; after the optimizer's
step, `follow` moves the codebook.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from csideploy.errors import InputError
from csideploy.quantizers.scalar import MOST_BITS, Codebook

_MOST_VALUES = 1 << MOST_BITS


class CodebookQuantizer(nn.Module):
    """z (n, M) -> the nearest value of each output's codebook, with a straight-through gradient.

    Values are kept as (M, 256), ascending, infinity behind the 2^B_m in use, so that their shape
    does not change with the widths. They are buffers: no optimizer moves them.

    Attributes:
        active: the budget that `forward` uses, bits an output on average.
        spread: mean over the outputs of their standard deviation, the unit of all losses here.
        penalty: sum over m of beta'_m (z^q_m - z_m)^2 / spread^2, mean over samples: the second
            term of eq. (8), for the encoder.

    Args:
        outputs: M.
        budgets: bits an output on average, 1 to 8 each.
    """

    spread: Tensor

    def __init__(self, outputs: int, budgets: Iterable[int]) -> None:
        super().__init__()
        self.outputs = outputs
        self.budgets = tuple(sorted(set(budgets)))
        if not self.budgets or not 1 <= self.budgets[0] <= self.budgets[-1] <= MOST_BITS:
            raise InputError(f"codebook quantizer: budgets {self.budgets} are not in 1..8")
        self.active = self.budgets[-1]
        self.beta = 0.0
        self.adaptive = True
        self.penalty: Tensor | None = None
        self._last: tuple[Tensor, Tensor] | None = None
        self.register_buffer("spread", torch.ones(()))
        for budget in self.budgets:
            values = torch.full((outputs, _MOST_VALUES), torch.inf)
            values[:, 0] = 0.0
            self.register_buffer(f"values_{budget}", values)
            self.register_buffer(f"widths_{budget}", torch.zeros(outputs, dtype=torch.uint8))

    def values(self, budget: int) -> Tensor:
        """Codebook values (M, 256), infinity behind those in use."""
        return self.get_buffer(f"values_{budget}")

    def widths(self, budget: int) -> Tensor:
        """B_m, uint8 (M,)."""
        return self.get_buffer(f"widths_{budget}")

    def forward(self, z: Tensor) -> Tensor:
        """Quantize by the active budget (eq. 1), in float32; in training, note `penalty`."""
        with torch.autocast(z.device.type, enabled=False):
            return self._quantized(z.float())

    def _quantized(self, z: Tensor) -> Tensor:
        values = self.values(self.active)
        code = self._codes(z, self.active)
        chosen = values.gather(1, code).T
        if self.training:
            self._last = (z.detach(), code)
            weight = self._weights(code) if self.adaptive else self.beta
            self.penalty = (weight * (chosen - z).square()).sum(1).mean() / self.spread.square()
        # What is not sent has no gradient: a straight one would let its encoder drift.
        sent = torch.where(self.widths(self.active) > 0, z, 0.0)
        return sent + (chosen - sent).detach()

    @torch.no_grad()
    def codes(self, z: Tensor, budget: int | None = None) -> Tensor:
        """uint8 (n, M): the number of midpoints below z, so a midpoint goes to the lower code."""
        return self._codes(z, budget or self.active).T.to(torch.uint8)

    @torch.no_grad()
    def _codes(self, z: Tensor, budget: int) -> Tensor:
        """(M, n)."""
        values = self.values(budget).double()
        # Rounded once, as `Codebook.thresholds` is; infinity between unused values.
        middle = ((values[:, :-1] + values[:, 1:]) / 2).float()
        found = torch.searchsorted(middle, z.T.contiguous(), right=False)
        # A NaN is above no midpoint, here as everywhere.
        return torch.where(z.T.isnan(), 0, found)

    @torch.no_grad()
    def _weights(self, code: Tensor) -> Tensor:
        """beta'_m = beta (w^L - w^R) / spread of each sample (eq. 7), (n, M).

        w^L and w^R are the neighbours of the chosen value; the first and the last value count
        their one neighbour twice, and an output of 0 bits has none: 0.
        """
        values = self.values(self.active)
        last = (torch.bitwise_left_shift(1, self.widths(self.active).long()) - 1)[:, None]
        above = values.gather(1, torch.minimum(code + 1, last))
        below = values.gather(1, (code - 1).clamp_min(0))
        gap = (above - below) * torch.where((code == 0) | (code == last), 2.0, 1.0)
        weights: Tensor = (self.beta / self.spread) * gap.T
        return weights

    @torch.no_grad()
    def follow(self, rate: float) -> None:
        """Move the values of the active codebook towards what they stood for in the last batch.

        A step down the gradient of the quantization loss, the paper's loss for the codebook, with
        a length that suits outputs of any spread: w_j += rate (sum of z - w_j over its samples) /
        (n / 2^B_m). Sorted afterwards, since every look-up of neighbours counts on the order.

        Args:
            rate: at most 0.1 or so; 1 / n of it is the weight of one sample at 0 bits.
        """
        assert self._last is not None
        z, code = self._last
        values = self.values(self.active)
        residual = z.T - values.gather(1, code)
        pull = torch.zeros_like(values).scatter_add_(1, code, residual)
        samples = len(z)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            # Each process has a share of the batch, and all must make the same step.
            torch.distributed.all_reduce(pull)
            samples *= torch.distributed.get_world_size()
        share = torch.bitwise_left_shift(1, self.widths(self.active).long())[:, None] / samples
        values.add_(pull * share * rate)
        values.copy_(values.sort(dim=1).values)

    @torch.no_grad()
    def put(self, budget: int, book: Codebook) -> None:
        """Take over a codebook as a budget's."""
        values = torch.full((self.outputs, _MOST_VALUES), torch.inf)
        rows = np.repeat(np.arange(self.outputs), book.sizes)
        columns = np.arange(len(book.values)) - np.repeat(book.ends - book.sizes, book.sizes)
        values[torch.from_numpy(rows), torch.from_numpy(columns)] = torch.from_numpy(book.values)
        self.values(budget).copy_(values)
        self.widths(budget).copy_(torch.from_numpy(book.widths))

    def book(self, budget: int | None = None) -> Codebook:
        """The codebook of a budget, as the exporter takes it."""
        chosen = budget or self.active
        values = self.values(chosen).cpu().numpy()
        widths = self.widths(chosen).cpu().numpy()
        kept = [row[: 1 << int(width)] for row, width in zip(values, widths, strict=True)]
        return Codebook(widths.copy(), np.concatenate(kept))
