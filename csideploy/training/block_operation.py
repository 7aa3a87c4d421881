"""ACRNet's convolutions on CPUs, a block as one operation, forward and backward.

Decoder block: y = prelu(x + project(m)), m = prelu(middle(v)), v = code(prelu(expand(x))), with a
bias behind each convolution, into which frozen batch norms are folded. torch keeps all 8k channels
of every step in memory and walks them once per step and direction; kernels/training/ takes one
group of two channels at a time, which stays in the caches, and computes it anew on the way back.
The encoder's blocks lack the middle; heads are one 5x5 convolution. Sums are in another order than
torch's, so results differ in rounding; they are the same bits on any number of threads.

`code` is that of `training.integers`, with the same gradients: 8 bits with a learned step a
channel; without a step v is a float.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils._python_dispatch import _get_current_dispatch_mode

from csideploy.runtime.isa import choose, instruction_sets
from csideploy.systems.acrnet import ConvolutionBlock, GroupedConvolution, Residual
from csideploy.training.integers import IntegerConvolution

try:
    from csideploy.training import _block
except ImportError:  # built for processors without wide vectors
    _BUILT = False
else:
    _BUILT = True

_LINE, _SQUARE = 9, 49
_IMAGE = (2, 32, 32)
"""What the kernels are made for."""


@cache
def instruction_set() -> str | None:
    """The instruction set that the operations run on; None where torch is all there is."""
    if not _BUILT:
        return None
    available = instruction_sets()
    allowed = available[: available.index(choose()) + 1]
    return next((name for name in reversed(_block.isas()) if name in allowed), None)


class Layer(NamedTuple):
    """A convolution and its PReLU."""

    weight: Tensor
    bias: Tensor
    """(outputs,)"""
    slope: Tensor
    """(outputs,)"""


class _Operation(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, parameters: Tensor, kind: int, isa: str) -> Tensor:
        z, y = torch.empty_like(x), torch.empty_like(x)
        _block.forward(
            isa,
            kind,
            parameters.detach().numpy(),
            x.detach().numpy(),
            z.numpy(),
            y.numpy(),
            torch.get_num_threads(),
        )
        ctx.save_for_backward(x, parameters, z)
        ctx.kind, ctx.isa = kind, isa
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x, parameters, z = ctx.saved_tensors
        dx, gradient = torch.empty_like(x), torch.empty_like(parameters)
        _block.backward(
            ctx.isa,
            ctx.kind,
            parameters.detach().numpy(),
            x.detach().numpy(),
            z.numpy(),
            dy.contiguous().numpy(),
            dx.numpy(),
            gradient.numpy(),
            torch.get_num_threads(),
        )
        return dx, gradient, None, None


def _apply(x: Tensor, parameters: Tensor, kind: int, isa: str | None) -> Tensor:
    isa = isa or instruction_set()
    assert isa is not None
    y: Tensor = _Operation.apply(x.contiguous(), parameters, kind, isa)  # type: ignore[no-untyped-call]
    return y


def block(
    x: Tensor,
    expand: Layer,
    middle: Layer | None,
    project: Layer,
    *,
    step: Tensor | None = None,
    isa: str | None = None,
) -> Tensor:
    """What a decoder block, or without `middle` an encoder block, makes of x, in float32 on a CPU.

    Args:
        x: (n, 2, 32, 32).
        expand: weight (C, 2, 1, 9), C even.
        middle: weight (C, 2, 7, 7), in groups of two channels.
        project: weight (2, C, 9, 1); its PReLU stands behind the sum with x.
        step: of v's codes, (C,), above 0: v = step * clamp(rint(p / step), -32, 223). Without it v
            stays as it is.
        isa: the instruction set to run on; None for `instruction_set`, which must not be None.

    Returns:
        (n, 2, 32, 32), contiguous, differentiable once in x and all parameters.
    """
    channels = expand.weight.shape[0]
    groups = channels // 2
    kind = _block.BLOCK if step is None else _block.CODED
    if middle is None:
        kind = _block.PAIR
        middle = Layer(*(x.new_zeros(channels, size) for size in (2 * _SQUARE, 1, 1)))
    records = torch.cat(
        [
            expand.weight.reshape(groups, 4 * _LINE),
            expand.bias.reshape(groups, 2),
            expand.slope.reshape(groups, 2),
            (x.new_ones(channels) if step is None else step).reshape(groups, 2),
            middle.weight.reshape(groups, 4 * _SQUARE),
            middle.bias.reshape(groups, 2),
            middle.slope.reshape(groups, 2),
            project.weight.reshape(2, groups, 2 * _LINE).transpose(0, 1).reshape(groups, -1),
        ],
        1,
    )
    return _apply(x, torch.cat([records.flatten(), project.bias, project.slope]), kind, isa)


def head(x: Tensor, layer: Layer, *, isa: str | None = None) -> Tensor:
    """The 5x5 convolution of two channels to two, weight (2, 2, 5, 5), as `block`."""
    return _apply(x, torch.cat([layer.weight.flatten(), layer.bias, layer.slope]), _block.HEAD, isa)


_GROUPED = (nn.Conv2d, GroupedConvolution, IntegerConvolution)

_Part = tuple[nn.Conv2d, nn.BatchNorm2d, nn.Module]
"""Convolution, norm and activation of a layer."""


def _folded(part: _Part) -> tuple[Layer, Tensor | None]:
    """A layer with frozen norm; and the steps of what it reads, where that is codes."""
    convolution, norm, activation = part
    assert norm.running_var is not None
    assert norm.running_mean is not None
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    if isinstance(activation, nn.PReLU):
        slope = activation.weight.expand(norm.num_features)
    else:
        assert isinstance(activation, nn.LeakyReLU)
        slope = scale.new_full((norm.num_features,), activation.negative_slope)
    weight, step = convolution.weight, None
    if isinstance(convolution, IntegerConvolution):
        weight, step = convolution.by_values()
    bias = norm.bias - norm.running_mean * scale
    return Layer(weight * scale[:, None, None, None], bias, slope), step


def _parts(module: Residual | ConvolutionBlock) -> list[_Part]:
    if isinstance(module, ConvolutionBlock):
        return [tuple(module)]  # type: ignore[list-item]
    return [*map(tuple, module.body), (module.last, module.norm, module.activation)]  # type: ignore[list-item, arg-type]


def _fits(module: Residual | ConvolutionBlock) -> bool:
    """Whether it is of the kinds that the kernels are made for."""
    if any(p.device.type != "cpu" or p.dtype != torch.float32 for p in module.parameters()):
        return False
    if isinstance(module, Residual) and not all(
        isinstance(part, ConvolutionBlock) for part in module.body
    ):
        return False
    parts = _parts(module)
    wide = parts[0][0].out_channels
    kernels = [(2, 2, 5, 5)]
    if isinstance(module, Residual):
        kernels = [(wide, 2, 1, 9), (wide, 2, 7, 7), (2, wide, 9, 1)]
        if len(parts) == 2:
            del kernels[1]
    # Groups of two channels are what a weight of that shape has.
    return (
        wide % 2 == 0
        and len(parts) == len(kernels)
        and all(
            type(convolution) in (_GROUPED if kernel[3] == 7 else (nn.Conv2d,))
            and convolution.weight.shape == kernel
            and convolution.bias is None
            and convolution.padding == (kernel[2] // 2, kernel[3] // 2)
            and isinstance(activation, nn.PReLU | nn.LeakyReLU)
            for (convolution, _, activation), kernel in zip(parts, kernels, strict=True)
        )
    )


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _has_listeners(module: nn.Module) -> bool:
    """Whether there are hooks inside it, which would hear nothing; its own are called."""
    return any(
        getattr(inner, hooks)
        for inner in module.modules()
        if inner is not module
        for hooks in _HOOKS
    )


def _compute(module: Residual | ConvolutionBlock, x: Tensor) -> Tensor | None:
    """What the module makes of x, or None where only torch can do it."""
    if torch.compiler.is_compiling() or _get_current_dispatch_mode() is not None:
        return None  # who traces or counts sees torch's operations
    if isinstance(module, Residual) and module.bf16:
        return None
    parts = _parts(module)
    for part in parts:
        if part[1].training:
            return None
    if _has_listeners(module):
        return None
    if x.dtype != torch.float32 or x.shape[1:] != _IMAGE:
        return None
    layers, steps = zip(*map(_folded, parts), strict=True)
    if isinstance(module, ConvolutionBlock):
        return head(x, layers[0])
    if len(layers) == 2:
        return block(x, layers[0], None, layers[1])
    return block(x, *layers, step=steps[1])


@contextmanager
def fast_blocks(network: nn.Module) -> Iterator[None]:
    """Inside it, ACRNet's blocks and heads run as one operation each, where they can.

    That is with frozen norms, in float32 on a CPU. Elsewhere, and outside of it, nothing changes;
    what exports a network sees torch's operations.
    """
    kinds = (Residual, ConvolutionBlock)
    modules = [module for module in network.modules() if isinstance(module, kinds)]
    modules = [module for module in modules if instruction_set() and _fits(module)]
    before = [module.whole for module in modules]
    for module in modules:
        module.whole = _compute
    try:
        yield
    finally:
        for module, whole in zip(modules, before, strict=True):
            module.whole = whole
