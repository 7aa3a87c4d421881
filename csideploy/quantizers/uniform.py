"""The uniform B-bit feature quantizer of paper 002, eq. (12), with a mid-point dequantizer.

The paper gives the quantizer, code = floor(x 2^B), and leaves the dequantizer open; the middle of
the cell, (code + 0.5) / 2^B, is the value with the least largest error.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from csideploy.errors import InputError


class _StraightThrough(torch.autograd.Function):
    """Quantize and dequantize; the gradient of the pair is 1 (paper 002, below eq. 12)."""

    @staticmethod
    def forward(ctx: object, x: Tensor, levels: int) -> Tensor:
        code = torch.clamp(torch.floor(x * levels), 0, levels - 1)
        return (code + 0.5) / levels

    @staticmethod
    def backward(ctx: object, *grads: Tensor) -> tuple[Tensor, None]:
        return grads[0], None


class _SmoothStairs(torch.autograd.Function):
    """The same, with the gradient of a smooth staircase in place of the pair's.

    t + sin(2 pi t) / (2 pi), t = x 2^B, is steepest where the code steps, at whole t, flat in the
    middle of each cell, and meets the stairs there; its slope is 1 + cos(2 pi t), 1 on average.
    Beyond the first and the last cell the code does not move: slope 0.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.levels = levels
        code = torch.clamp(torch.floor(x * levels), 0, levels - 1)
        return (code + 0.5) / levels

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        slope = 1 + torch.cos(2 * math.pi * ctx.levels * x)
        return grads[0] * slope * ((x >= 0) & (x <= 1)), None


class UniformQuantizer(nn.Module):
    """x in [0, 1] -> the middle of its cell, with a straight-through gradient.

    Args:
        bits: B, 1 to 8.
        smooth: take the gradient of a smooth staircase instead (the baseline "Round" of paper 001,
            which leaves the function open).
    """

    def __init__(self, bits: int, *, smooth: bool = False) -> None:
        super().__init__()
        if not 1 <= bits <= 8:
            raise InputError(f"uniform quantizer: {bits} bits is not in 1..8")
        self.bits = bits
        self.smooth = smooth

    @property
    def levels(self) -> int:
        """Number of cells, 2^B."""
        return 1 << self.bits

    def forward(self, x: Tensor) -> Tensor:
        """The dequantized value of every element."""
        gradient = _SmoothStairs if self.smooth else _StraightThrough
        quantized: Tensor = gradient.apply(x, self.levels)  # type: ignore[no-untyped-call]
        return quantized

    def codes(self, x: Tensor) -> Tensor:
        """uint8 codes: min(floor(x 2^B), 2^B - 1), never below 0."""
        return torch.clamp(torch.floor(x * self.levels), 0, self.levels - 1).to(torch.uint8)

    def values(self, codes: Tensor) -> Tensor:
        """Mid-points (code + 0.5) / 2^B of uint8 codes, float32."""
        return (codes.to(torch.float32) + 0.5) / self.levels
