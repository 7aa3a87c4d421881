"""The 1-bit fully connected layer of BCsiNet and BACRNet.

W_b = alpha sign(W) with one alpha = mean |W| for the whole matrix (XNOR-Net's scale, Rastegari et
al. 2016, as BCsiNet uses it), sign(0) = +1, activations in float. Trained through the identity
straight-through estimator on the latent weights W.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from csideploy.errors import MissingDependencyError

try:
    from brevitas.core.quant import BinaryQuant
except ModuleNotFoundError as missing:
    raise MissingDependencyError(
        f"binarized layers need {missing.name}: pip install 'csideploy[train]'"
    ) from missing


class MeanMagnitude(nn.Module):
    """alpha = mean |W| over the whole matrix."""

    def forward(self, weight: Tensor) -> Tensor:
        """One number, shape ()."""
        return weight.abs().mean()


class BinaryLinear(nn.Linear):
    """nn.Linear whose weights act as alpha sign(W); the bias stays in float.

    `weight` holds the latent float weights. brevitas' BinaryQuant and not its clamped sibling:
    clamping to +-alpha would cut the gradient of every latent weight above the mean magnitude.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=True)
        self.binarizer: Any = BinaryQuant(MeanMagnitude())

    def binarized(self) -> Tensor:
        """Alpha sign(W), shape (outputs, inputs), differentiable."""
        weight: Tensor = self.binarizer(self.weight)[0]
        return weight

    def forward(self, x: Tensor) -> Tensor:
        """X (n, inputs) -> (n, outputs)."""
        return F.linear(x, self.binarized(), self.bias)

    def packed(self) -> tuple[NDArray[np.uint8], float, NDArray[np.float32]]:
        """Bits uint8 (outputs, ceil(inputs / 8)), alpha, bias float32 (outputs,).

        Bit 1 is +1; MSB first along the inputs; the tail bits of a row are zero.
        """
        with torch.no_grad():
            weight = self.weight.detach().cpu()
            # In float64 the order of summation, which differs between machines, does not show.
            alpha = float(weight.double().abs().mean())
            bits = np.packbits((weight >= 0).numpy(), axis=1)
        return bits, alpha, self.bias.detach().cpu().numpy().astype(np.float32)
