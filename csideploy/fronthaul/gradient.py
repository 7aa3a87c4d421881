"""Neural multivariate quantization by gradient descent in PyTorch, and its payload.

Paper 003, Sec. V, Algorithm 2 (neural-MQ): the bits are relaxed to sigmoid(r / tau), r follows the
gradient of the effective interference while tau falls from 1 towards e^-5, and b = 1 where r > 0 at
the end. This is the plain form, which the native operation GRADIENT_SEARCH is measured against.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from csideploy.errors import InputError
from csideploy.fronthaul.networks import Network


class _Codebooks(torch.nn.Module):
    """The codebooks of M units: those of one size are one batch."""

    def __init__(self, networks: Sequence[Network], dtype: torch.dtype) -> None:
        super().__init__()
        shapes: dict[tuple[int, int, int, int], list[int]] = {}
        for m, net in enumerate(networks):
            shapes.setdefault((net.bits, net.hidden, net.layers, net.antennas), []).append(m)
        self.groups = list(shapes.values())
        self.bits = [networks[group[0]].bits for group in self.groups]
        self.weights: list[list[tuple[Tensor, Tensor]]] = []
        for group in self.groups:
            layers = []
            for k in range(len(networks[group[0]].weights)):
                w = np.stack([networks[m].weights[k].T for m in group])
                b = np.stack([networks[m].biases[k][None] for m in group])
                layers.append((torch.tensor(w, dtype=dtype), torch.tensor(b, dtype=dtype)))
            self.weights.append(layers)
        self.order = [group.index(m) + sum(map(len, self.groups[:g]))
                      for m in range(len(networks))
                      for g, group in enumerate(self.groups) if m in group]  # fmt: skip

    def forward(self, q: Sequence[Tensor]) -> Tensor:
        """q: for each group (units, R, B) -> complex (R, N), the units in their order."""
        parts: list[Tensor] = []
        for values, layers in zip(q, self.weights, strict=True):
            for k, (w, b) in enumerate(layers):
                values = torch.baddbmm(b, values, w)
                if k + 1 < len(layers):
                    values = torch.relu(values)
            half = values.shape[-1] // 2
            parts += torch.complex(values[..., :half], values[..., half:]).unbind(0)
        return torch.cat([parts[i] for i in self.order], dim=1)


def gradient_search(
    networks: Sequence[Network],
    effective: Tensor,
    targets: Tensor,
    step: float,
    iterations: int,
) -> Tensor:
    """Bits that make |C f(b) - d|^2 small, channel use by channel use.

    Args:
        networks: the codebooks of M radio units, N = sum of their antennas.
        effective: C, complex (L, N); complex64 or complex128, and all follows its precision.
        targets: d, complex (R, L).
        step: of the descent; eta / (scale^2 lambda_max(C^H C)) where the codebooks' outputs have
            the size `scale`.
        iterations: I; tau of step i (from 0) is e^(-5 i / I).

    Returns:
        uint8 (R, sum B_m), the bits of unit 1, then of unit 2, ...

    Raises:
        InputError: shapes that do not fit.
    """
    antennas = sum(net.antennas for net in networks)
    if effective.ndim != 2 or effective.shape[1] != antennas:
        raise InputError(f"effective {tuple(effective.shape)}; (streams, {antennas}) is right")
    if targets.ndim != 2 or targets.shape[1] != effective.shape[0]:
        raise InputError(f"targets {tuple(targets.shape)}; (R, {effective.shape[0]}) is right")
    model = _Codebooks(networks, effective.real.dtype)
    return search(model, effective, targets, step, iterations)


def search(
    model: _Codebooks, effective: Tensor, targets: Tensor, step: float, iterations: int
) -> Tensor:
    """`gradient_search` with the codebooks already laid out, as a loop over channels has them."""
    uses = targets.shape[0]
    r = [
        torch.zeros(len(group), uses, bits, dtype=effective.real.dtype, requires_grad=True)
        for group, bits in zip(model.groups, model.bits, strict=True)
    ]
    for i in range(iterations):
        tau = math.exp(-5 * i / iterations)
        x = model([torch.sigmoid(values / tau) for values in r])
        error = torch.view_as_real(x @ effective.T - targets).square().sum()
        gradients = torch.autograd.grad(error, r)
        with torch.no_grad():
            for values, gradient in zip(r, gradients, strict=True):
                values -= step * gradient
    units = [bits for values in r for bits in (values > 0).unbind(0)]
    return torch.cat([units[i] for i in model.order], dim=1).to(torch.uint8)


def pack_bits(bits: NDArray[np.uint8], sizes: Sequence[int]) -> NDArray[np.uint8]:
    """Bits (R, sum B_m) -> payload: unit by unit the bits of R channel uses, MSB first.

    Args:
        bits: 0 or 1; those of a unit side by side.
        sizes: B_m of each unit.

    Returns:
        uint8 (sum of ceil(R B_m / 8),); each unit's stream ends in a zero pad.

    Raises:
        InputError: the sizes are not those of the bits.
    """
    if bits.ndim != 2 or bits.shape[1] != sum(sizes):
        raise InputError(f"bits {bits.shape}; (uses, {sum(sizes)}) is right")
    columns = np.split(bits, np.cumsum(sizes)[:-1], axis=1)
    return np.concatenate([np.packbits(column.reshape(-1)) for column in columns])


def unpack_bits(payload: NDArray[np.uint8], sizes: Sequence[int], uses: int) -> NDArray[np.uint8]:
    """The inverse of `pack_bits`: uint8 (R, sum B_m).

    Raises:
        InputError: the payload has another length.
    """
    lengths = [-(-uses * bits // 8) for bits in sizes]
    if payload.shape != (sum(lengths),):
        raise InputError(f"payload {payload.shape}; ({sum(lengths)},) is right")
    streams = np.split(payload, np.cumsum(lengths)[:-1])
    columns = [
        np.unpackbits(stream, count=uses * bits).reshape(uses, bits)
        for stream, bits in zip(streams, sizes, strict=True)
    ]
    return np.concatenate(columns, axis=1)
