"""How a grouped convolution is computed in training: as it is, or with groups put together.

The 7x7 convolution of a decoder block has groups of two channels, a shape that libraries for
accelerators serve badly: their matrix units take 8 or 16 channels at once, and what they have for
less may be slower by far. With m groups as one, block-diagonal weights, the products are m times
as many, nearly all of them with zero, and may yet take less time. Which m is the fastest depends on
device, type and library, so it is measured once a process, as cuDNN does with its own ways.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from csideploy.registry import ANGLES, DELAYS
from csideploy.systems.acrnet import GroupedConvolution
from csideploy.systems.link import Link

_WARM_UPS, _REPEATS = 2, 4
_UNIT = 8

_measured: dict[tuple[object, ...], int] = {}
"""The fastest by device, channels, groups, samples and type."""


def ways(layer: GroupedConvolution) -> list[int]:
    """Numbers of groups that may be put together: 1, all, and those of whole units of channels."""
    inputs = layer.in_channels // layer.groups
    divisors = [m for m in range(1, layer.groups + 1) if layer.groups % m == 0]
    return [m for m in divisors if m in (1, layer.groups) or m * inputs % _UNIT == 0]


def choose(link: Link, batch: int, *, low: bool, wait: Callable[[], None]) -> None:
    """Give each grouped convolution of a link its fastest way.

    Args:
        link: on the device that counts.
        batch: samples a step.
        low: whether it will run in bfloat16.
        wait: until the device has done all.
    """
    for layer in link.modules():
        if isinstance(layer, GroupedConvolution):
            kind = (layer.weight.device, layer.in_channels, layer.groups, batch, low)
            if kind not in _measured:
                _measured[kind] = _fastest(layer, batch, low=low, wait=wait)
            layer.merged = _measured[kind]


def _fastest(layer: GroupedConvolution, batch: int, *, low: bool, wait: Callable[[], None]) -> int:
    device = layer.weight.device
    kind = torch.bfloat16 if low else torch.float32
    x = torch.zeros(batch, layer.in_channels, ANGLES, DELAYS, device=device, dtype=kind)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    before, training = layer.merged, layer.training
    layer.train()

    def once() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            out: Tensor = layer(x)
        torch.autograd.grad(out, (x, layer.weight), out.detach())

    spent = {}
    for merged in ways(layer):
        layer.merged = merged
        for _ in range(_WARM_UPS):
            once()
        wait()
        begun = time.perf_counter()
        for _ in range(_REPEATS):
            once()
        wait()
        spent[merged] = time.perf_counter() - begun
    layer.merged = before
    layer.train(training)
    return min(spent, key=lambda merged: spent[merged])
