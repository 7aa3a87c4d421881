"""What all CSI feedback autoencoders share: convolutions and a fully connected layer a side.

Everything that differs between the papers is in the convolutions, one file a system.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csideploy import registry
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.registry import ANGLES, DELAYS, ELEMENTS, SystemSpec


def fully_connected(inputs: int, outputs: int, *, binary: bool) -> nn.Linear:
    """A linear layer with bias, its weights in one bit if `binary`."""
    if not binary:
        return nn.Linear(inputs, outputs)
    # Imported here because brevitas takes seconds to load and float links do not need it.
    from csideploy.quantizers.binary import BinaryLinear

    return BinaryLinear(inputs, outputs)


class Encoder(nn.Module):
    """x (n, 2, angle, delay) in [0, 1] -> feature (n, M).

    With `bounded`, the feature passes a sigmoid, as the quantizer of eq. (12) asks.
    """

    def __init__(self, convolutions: nn.Module, fc: nn.Linear, *, bounded: bool) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.fc = fc
        self.bound: nn.Module = nn.Sigmoid() if bounded else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The feature, before quantization."""
        feature: Tensor = self.bound(self.fc(self.convolutions(x).flatten(1)))
        return feature


class Decoder(nn.Module):
    """Feature (n, M) -> x (n, 2, angle, delay) in (0, 1)."""

    def __init__(self, fc: nn.Linear, convolutions: nn.Module) -> None:
        super().__init__()
        self.fc = fc
        self.convolutions = convolutions
        self.output = nn.Sigmoid()

    def forward(self, feature: Tensor) -> Tensor:
        """The reconstructed CSI matrix."""
        image = self.fc(feature).view(-1, 2, ANGLES, DELAYS)
        x: Tensor = self.output(self.convolutions(image))
        return x


class Link(nn.Module):
    """UE encoder, feature quantizer and BS decoder of one system.

    `quantizer` is None where the feature travels as floats (bits=None).
    """

    def __init__(
        self,
        spec: SystemSpec,
        cr: int,
        bits: int | None,
        binarize: str | None,
        encoder_convolutions: nn.Module,
        decoder_convolutions: nn.Module,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.cr, self.bits, self.binarize = registry.check_options(spec, cr, bits, binarize)
        m = registry.features(cr)
        encoder_fc = fully_connected(ELEMENTS, m, binary=self.binarize != "none")
        decoder_fc = fully_connected(m, ELEMENTS, binary=self.binarize == "both")
        self.encoder = Encoder(encoder_convolutions, encoder_fc, bounded=bits is not None)
        self.decoder = Decoder(decoder_fc, decoder_convolutions)
        self.quantizer = None if bits is None else UniformQuantizer(bits)

    def forward(self, x: Tensor) -> Tensor:
        """X -> the decoder's x, through the quantizer (straight-through gradient)."""
        feature = self.encoder(x)
        if self.quantizer is not None:
            feature = self.quantizer(feature)
        reconstructed: Tensor = self.decoder(feature)
        return reconstructed


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights of every convolution and fully connected layer (paper 002's code)."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(part.weight)


def convolution(
    inputs: int, outputs: int, kernel: tuple[int, int], *, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """A convolution that keeps the 32 x 32 size."""
    padding = (kernel[0] // 2, kernel[1] // 2)
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, groups=groups, bias=bias)


def count_parameters(module: nn.Module) -> int:
    """Parameters by the papers' rule: a 1-bit layer counts its weights / 32."""
    total = 0
    for part in module.modules():
        own = sum(p.numel() for p in part.parameters(recurse=False))
        # By name, so that counting a float link does not load brevitas.
        if type(part).__name__ == "BinaryLinear":
            weight = part.get_parameter("weight").numel()
            own += weight // 32 - weight
        total += own
    return total


def count_macs(module: nn.Module, sample: Tensor) -> int:
    """MACs of convolutions and matrix products for one sample, counted by torch as it runs."""
    from torch.utils.flop_counter import FlopCounterMode

    module.eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(sample)
    return int(counter.get_total_flops()) // 2
