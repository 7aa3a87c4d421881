"""All networks by name, as modules with random weights and random batch norm statistics."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from csideploy.systems import build
from networks import clnet, csinet_plus, ds_nlcsinet, fcn, transnet

CSI = (2, 32, 32)
FEATURES = 512
"""M: compression 1/4."""

WRITTEN_HERE = {
    "csinet+": csinet_plus,
    "clnet": clnet,
    "ds-nlcsinet": ds_nlcsinet,
    "transnet": transnet,
    "fcn": fcn,
}
SYSTEMS = ("csinet", "crnet", "bcsinet-a2", "bcsinet-b3", "acrnet1x", "acrnet10x", "acrnet20x")
NAMES = (*SYSTEMS, *WRITTEN_HERE)


@functools.cache
def module(name: str, side: str) -> nn.Module:
    """The UE's or the BS's network: "ue" makes a feature (n, 512), "bs" takes one."""
    torch.manual_seed(31)
    if name in WRITTEN_HERE:
        make: dict[str, Callable[[int], nn.Module]] = {
            "ue": WRITTEN_HERE[name].encoder,
            "bs": WRITTEN_HERE[name].decoder,
        }
        made = make[side](FEATURES)
    else:
        link = build(name, bits=None)
        made = link.encoder if side == "ue" else link.decoder
    return randomise(made)


def sample_shape(name: str, side: str) -> tuple[int, ...]:
    """Shape of one sample at the input."""
    if side == "bs":
        return (FEATURES,)
    return (fcn.RECEIVED,) if name == "fcn" else CSI


def randomise(made: nn.Module, seed: int = 7) -> nn.Module:
    """Everything that an initialiser leaves at 0 or 1, drawn at random; evaluation mode."""
    torch.manual_seed(seed)
    for part in made.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
            part.running_mean.uniform_(-0.3, 0.3)
            part.running_var.uniform_(0.5, 2.0)
        elif isinstance(part, nn.LayerNorm):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.bias, -0.3, 0.3)
        elif isinstance(part, nn.PReLU):
            nn.init.uniform_(part.weight, 0.05, 0.6)
        elif isinstance(part, nn.MultiheadAttention):
            nn.init.uniform_(part.in_proj_bias, -0.3, 0.3)
            nn.init.uniform_(part.out_proj.bias, -0.3, 0.3)
    return made.eval()


def samples(shape: tuple[int, ...], count: int, seed: int = 3) -> NDArray[np.float32]:
    """(count, *shape) in (0.02, 0.98), never zero."""
    drawn = np.random.default_rng([seed, *shape]).uniform(0.02, 0.98, (count, *shape))
    return drawn.astype(np.float32)
