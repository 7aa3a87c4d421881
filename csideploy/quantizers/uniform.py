"""The uniform B-bit feature quantizer of paper 002, eq. (12), with a mid-point dequantizer.

The paper gives the quantizer, code = floor(x 2^B), and leaves the dequantizer open; the middle of
the cell, (code + 0.5) / 2^B, is the value with the least largest error.
"""

from __future__ import annotations

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


class UniformQuantizer(nn.Module):
    """x in [0, 1] -> the middle of its cell, with a straight-through gradient.

    Args:
        bits: B, 1 to 8.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        if not 1 <= bits <= 8:
            raise InputError(f"uniform quantizer: {bits} bits is not in 1..8")
        self.bits = bits

    @property
    def levels(self) -> int:
        """Number of cells, 2^B."""
        return 1 << self.bits

    def forward(self, x: Tensor) -> Tensor:
        """The dequantized value of every element."""
        quantized: Tensor = _StraightThrough.apply(x, self.levels)  # type: ignore[no-untyped-call]
        return quantized

    def codes(self, x: Tensor) -> Tensor:
        """uint8 codes: min(floor(x 2^B), 2^B - 1), never below 0."""
        return torch.clamp(torch.floor(x * self.levels), 0, self.levels - 1).to(torch.uint8)

    def values(self, codes: Tensor) -> Tensor:
        """Mid-points (code + 0.5) / 2^B of uint8 codes, float32."""
        return (codes.to(torch.float32) + 0.5) / self.levels
