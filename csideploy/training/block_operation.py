"""The decoder block of ACRNet as one operation on CPUs, forward and backward.

    y = x + project(m)    m = prelu(middle(v))    v = code(prelu(expand(x)))

with a bias behind each convolution, into which frozen batch norms are folded. torch keeps all
8k channels of every step in memory and walks them once per step and direction; kernels/training/
takes one group of two channels at a time, which stays in the caches, and computes it anew on the
way back. Sums are in another order than torch's, so results differ in rounding; they are the same
bits on any number of threads.

`code` is for training with integers in mind: codes of a learned step a channel, with the gradients
of LSQ (Esser et al., 2020); without a step v is a float.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from csideploy.runtime.isa import choose, instruction_sets
from csideploy.systems.acrnet import ConvolutionBlock, Residual

try:
    from csideploy.training import _block
except ImportError:  # built without wide vectors
    _block = None  # type: ignore[assignment, unused-ignore]

_LINE, _SQUARE = 9, 49
_SIDE = 32
"""Of the images that the kernels are made for."""


@cache
def instruction_set() -> str | None:
    """The instruction set that the operation runs on; None where torch is all there is."""
    if _block is None:
        return None
    available = instruction_sets()
    allowed = available[: available.index(choose()) + 1]
    return next((name for name in reversed(_block.isas()) if name in allowed), None)


class _Block(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, coded: bool, isa: str) -> Tensor:
        ctx.save_for_backward(x, parameters)
        ctx.coded, ctx.isa = coded, isa
        y = torch.empty_like(x)
        _block.forward(
            isa,
            parameters.detach().numpy(),
            x.detach().numpy(),
            y.numpy(),
            coded,
            torch.get_num_threads(),
        )
        return y

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, parameters = ctx.saved_tensors
        dx, gradient = torch.empty_like(x), torch.empty_like(parameters)
        _block.backward(
            ctx.isa,
            parameters.detach().numpy(),
            x.detach().numpy(),
            dy.contiguous().numpy(),
            dx.numpy(),
            gradient.numpy(),
            ctx.coded,
            torch.get_num_threads(),
        )
        return dx, gradient, None, None


def decoder_block(
    x: Tensor,
    expand: tuple[Tensor, Tensor, Tensor],
    middle: tuple[Tensor, Tensor, Tensor],
    project: tuple[Tensor, Tensor],
    *,
    step: Tensor | None = None,
    isa: str | None = None,
) -> Tensor:
    """y of the block, on CPU tensors of float32.

    Args:
        x: (n, 2, 32, 32).
        expand: weight (C, 2, 1, 9), bias (C,) and slope (C,), C even.
        middle: weight (C, 2, 7, 7) in groups of two channels, bias (C,) and slope (C,).
        project: weight (2, C, 9, 1) and bias (2,).
        step: of v's codes, (C,), above 0: v = step * clamp(rint(p / step), -32, 223). Without it v
            stays as it is.
        isa: the instruction set to run on; None for `instruction_set`, which must not be None.

    Returns:
        (n, 2, 32, 32), contiguous, differentiable once in x and all parameters.
    """
    isa = isa or instruction_set()
    assert isa is not None
    groups = expand[0].shape[0] // 2
    records = torch.cat(
        [
            expand[0].reshape(groups, 4 * _LINE),
            expand[1].reshape(groups, 2),
            expand[2].reshape(groups, 2),
            (torch.ones_like(expand[1]) if step is None else step).reshape(groups, 2),
            middle[0].reshape(groups, 4 * _SQUARE),
            middle[1].reshape(groups, 2),
            middle[2].reshape(groups, 2),
            project[0].reshape(2, groups, 2 * _LINE).transpose(0, 1).reshape(groups, 4 * _LINE),
        ],
        1,
    )
    parameters = torch.cat([records.flatten(), project[1]])
    y: Tensor = _Block.apply(x.contiguous(), parameters, step is not None, isa)  # type: ignore[no-untyped-call]
    return y


def fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution without bias and the frozen batch norm behind it."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    weight = convolution.weight * scale[:, None, None, None]
    return weight, norm.bias - norm.running_mean * scale


def _fits(block: Residual) -> bool:
    """Whether a block is of the kind that the kernels are made for."""
    parts = list(block.body)
    if len(parts) != 2 or not all(isinstance(part, ConvolutionBlock) for part in parts):
        return False
    (expand, _, slopes), (middle, _, _) = parts
    wide = slopes.num_parameters
    return (
        expand.weight.shape == (wide, 2, 1, 9)
        and wide % 2 == 0
        and middle.weight.shape == (wide, 2, 7, 7)
        and middle.groups == wide // 2
        and block.last.weight.shape == (2, wide, 9, 1)
        and all(c.bias is None for c in (expand, middle, block.last))
        and all(p.device.type == "cpu" and p.dtype == torch.float32 for p in block.parameters())
    )


def _compute(block: Residual, x: Tensor) -> Tensor | None:
    """X plus what the block adds to it, or None where only torch can do it."""
    (expand, first, inner), (middle, second, outer) = block.body
    frozen = not (first.training or second.training or block.norm.training)
    if x.dtype != torch.float32 or x.shape[1:] != (2, _SIDE, _SIDE) or not frozen:
        return None
    return decoder_block(
        x,
        (*fold(expand, first), inner.weight),
        (*fold(middle, second), outer.weight),
        fold(block.last, block.norm),
    )


@contextmanager
def fast_blocks(network: nn.Module) -> Iterator[None]:
    """Inside it, decoder blocks run as one operation where they can: frozen norms, float32, CPU.

    Elsewhere, and outside of it, nothing changes; what exports a network sees torch's operations.
    """
    blocks = [block for block in network.modules() if isinstance(block, Residual) and _fits(block)]
    if instruction_set() is None:
        blocks = []
    before = [block.whole for block in blocks]
    for block in blocks:
        block.whole = _compute
    try:
        yield
    finally:
        for block, whole in zip(blocks, before, strict=True):
            block.whole = whole
