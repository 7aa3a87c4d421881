"""A start from principal components: the fully connected layers are the best linear code.

The encoder's outputs are then the coefficients of the M strongest principal components of x, whose
standard deviations differ by orders of magnitude: the case in which a share of the bits for each
output pays (paper 001, Fig. 2). The convolutions start so that they do not disturb it.

Components are those of x - 0.5 with the mean removed, every sample weighing the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from csideploy.errors import InputError
from csideploy.registry import ELEMENTS
from csideploy.systems.link import Link
from csideploy.training import identity, straight

SAMPLES = 40_000
"""Rows that the components are computed from, at most."""

FAMILIES = ("acrnet", "csinet", "csinetpro", "pca")
_CALIBRATION = 1000


@dataclass(frozen=True)
class _Straight:
    """What convolutions that pass their input on make of it.

    The encoder's FC sees scale x + shift, one of each a channel; the decoder's convolutions expect
    the image gain (x - 0.5) + pedestal.
    """

    scale: Tensor
    shift: Tensor
    gain: float
    pedestal: float


@torch.no_grad()
def start(link: Link, x: Tensor) -> None:
    """Put the components into the link.

    Args:
        link: of a family in FAMILIES, without 1-bit layers.
        x: training CSI in [0, 1], float32 (n, 2, angle, delay).

    Raises:
        InputError: another family, or 1-bit layers.
    """
    if link.spec.family not in FAMILIES or link.binarize != "none":
        raise InputError(
            f"{link.spec.name}, binarize {link.binarize}: a start from principal components is "
            f"there for {', '.join(FAMILIES)}, without 1-bit layers"
        )
    path = _pass_on(link, x)
    mean, components = principal(x, link.features)
    pixels = ELEMENTS // 2
    scale, shift = path.scale.repeat_interleave(pixels), path.shift.repeat_interleave(pixels)
    link.encoder.fc.weight.copy_(components / scale)
    link.encoder.fc.bias.copy_(-(components / scale) @ (scale * mean + shift))
    link.decoder.fc.weight.copy_(path.gain * components.T)
    link.decoder.fc.bias.copy_(path.gain * (mean - 0.5) + path.pedestal)
    # Batch norms see what the float link makes: no codebook is fitted yet.
    bypass, link.bypass = link.bypass, True
    if link.spec.family == "acrnet":
        identity.calibrate(link, x[:_CALIBRATION])
    elif link.spec.family != "pca":
        straight.measure(link, x[:_CALIBRATION])
    link.bypass = bypass


def principal(x: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (2048,) and the strongest components (count, 2048), orthonormal rows, of x."""
    flat = x.flatten(1)
    mean = flat.mean(0, dtype=torch.float64)
    covariance = torch.zeros(ELEMENTS, ELEMENTS, dtype=torch.float64, device=x.device)
    for part in torch.split(flat, 5000):
        deviation = part - mean.to(part)
        covariance += (deviation.T @ deviation).double()
    _, vectors = torch.linalg.eigh(covariance)
    return mean.to(x), vectors[:, -count:].flip(1).T.to(x).contiguous()


def _pass_on(link: Link, x: Tensor) -> _Straight:
    ones, zeros = torch.ones(2).to(x), torch.zeros(2).to(x)
    match link.spec.family:
        case "acrnet":
            identity.make_identity(link, x)
            norm = identity.encoder_norm(link)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
            return _Straight(scale, -scale * norm.running_mean, 4.0, 0.0)
        case "pca":
            return _Straight(ones, zeros, 1.0, 0.5)
    straight.pass_on(link)
    return _Straight(ones, zeros, straight.GAIN, straight.PEDESTAL)
