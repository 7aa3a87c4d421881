"""A moving average of the weights (EMA): what a stage ends in, if it is asked for.

    average += (1 - d_t) (weights - average),  d_t = min(d, (1 + t) / (10 + t)),  after step t,

so that a short stage does not end in the weights that it began with. Latent weights of a 1-bit
layer are averaged as the others are: their signs are taken behind it. Buffers, batch norms' among
them, are those of the last step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The average of a module's parameters; its tensors stay where they are.

    Attributes:
        values: one tensor a parameter.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._weights = [parameter.detach() for parameter in module.parameters()]
        self.values = [weight.clone() for weight in self._weights]
        self.decay = decay
        self._share = torch.zeros((), device=self._weights[0].device)

    def at(self, step: int) -> None:
        """Set the share of the weights after this step of the stage."""
        self._share.fill_(1 - min(self.decay, (1 + step) / (10 + step)))

    @torch.no_grad()
    def follow(self) -> None:
        """Take the weights in, with the share that `at` has set. No number passes the host."""
        change = torch._foreach_sub(self._weights, self.values)
        torch._foreach_mul_(change, self._share)
        torch._foreach_add_(self.values, change)

    @torch.no_grad()
    def load(self, values: list[Tensor]) -> None:
        """Take up the values that were kept."""
        for value, kept in zip(self.values, values, strict=True):
            value.copy_(kept)

    @torch.no_grad()
    def hand_over(self) -> None:
        """The module gets the average."""
        torch._foreach_copy_(self._weights, self.values)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it, the module has the average; behind it, its own weights again."""
        own = [weight.clone() for weight in self._weights]
        self.hand_over()
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self._weights, own)
