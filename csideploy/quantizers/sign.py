"""Feedback bits as signs, and the gradients that training takes through them (paper 004).

Forward, every one of them gives +1 where u >= 0 and -1 elsewhere: sign(0) = +1.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ESTIMATORS = ("tanh", "sigmoid")


def sign(u: Tensor) -> Tensor:
    """+1 where u >= 0, -1 elsewhere, in u's shape and type; no gradient."""
    # Comparing and scaling: torch's own sign gives 0 for 0.
    return (u >= 0).to(u.dtype) * 2 - 1


class _TanhSign(torch.autograd.Function):
    """Sign with the gradient of tanh(u), eq. (8): 1 - tanh(u)^2."""

    @staticmethod
    def forward(ctx: Any, u: Tensor) -> Tensor:
        ctx.save_for_backward(u)
        return sign(u)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (u,) = ctx.saved_tensors
        return grads[0] * (1 - torch.tanh(u).square())


class _SigmoidSign(torch.autograd.Function):
    """Sign with the gradient of 2 sigmoid(a u) - 1: 2 a s (1 - s), s = sigmoid(a u)."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(u, slope)
        return sign(u)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        u, slope = ctx.saved_tensors
        s = torch.sigmoid(slope * u)
        return grads[0] * 2 * slope * s * (1 - s), None


def straight_through(u: Tensor, estimator: str, slope: Tensor) -> Tensor:
    """Sign of u with an estimator's gradient.

    Args:
        u: any shape.
        estimator: "tanh" (paper 004, eq. 8) or "sigmoid", the sigmoid-adjusted one (Sohrabi,
            Attiah, Yu, "Deep Learning for Distributed Channel Feedback and Multiuser Precoding in
            FDD Massive MIMO"), whose slope rises while training goes on.
        slope: a of "sigmoid", a scalar tensor, so that a captured step sees it change.
    """
    if estimator == "tanh":
        return _TanhSign.apply(u)  # type: ignore[no-any-return,no-untyped-call]
    return _SigmoidSign.apply(u, slope)  # type: ignore[no-any-return,no-untyped-call]
