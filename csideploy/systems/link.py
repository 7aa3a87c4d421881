"""What all CSI feedback autoencoders share: convolutions and a fully connected layer a side.

Everything that differs between the papers is in the convolutions, one file a system.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from csideploy import registry
from csideploy.errors import InputError
from csideploy.quantizers.learned import CodebookQuantizer
from csideploy.quantizers.uniform import UniformQuantizer
from csideploy.quantizers.vector import VectorQuantizer
from csideploy.registry import ANGLES, DELAYS, ELEMENTS, Feature, SystemSpec


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
    """Feature (n, M) -> x (n, 2, angle, delay), in (0, 1) unless `linear`."""

    def __init__(self, fc: nn.Linear, convolutions: nn.Module, *, linear: bool = False) -> None:
        super().__init__()
        self.fc = fc
        self.convolutions = convolutions
        self.output: nn.Module = nn.Identity() if linear else nn.Sigmoid()

    def forward(self, feature: Tensor) -> Tensor:
        """The reconstructed CSI matrix."""
        image = self.fc(feature).view(-1, 2, ANGLES, DELAYS)
        x: Tensor = self.output(self.convolutions(image))
        return x


Quantizer = UniformQuantizer | CodebookQuantizer | VectorQuantizer


class Link(nn.Module):
    """UE encoder, feature quantizer and BS decoder of one system.

    Attributes:
        feature: how the feature is quantized.
        quantizer: None where the feature travels as floats (bits=None).
        bypass: let the feature through unquantized, for stages that train the float link first.
        unit_steps: the decoder was trained with integers: `training.integers.take_out`.
    """

    def __init__(
        self,
        spec: SystemSpec,
        cr: int,
        bits: int | None,
        binarize: str | None,
        encoder_convolutions: nn.Module,
        decoder_convolutions: nn.Module,
        *,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.cr, self.bits, self.binarize = registry.check_options(spec, cr, bits, binarize)
        self.features = registry.features(cr)
        encoder_fc = fully_connected(ELEMENTS, self.features, binary=self.binarize != "none")
        decoder_fc = fully_connected(self.features, ELEMENTS, binary=self.binarize == "both")
        self.encoder = Encoder(encoder_convolutions, encoder_fc, bounded=bits is not None)
        self.decoder = Decoder(decoder_fc, decoder_convolutions, linear=linear)
        self.feature = Feature()
        self.quantizer: Quantizer | None = None if bits is None else UniformQuantizer(bits)
        self.bypass = False
        self.unit_steps = False

    def quantize_by(self, feature: Feature) -> None:
        """Take another quantizer than the uniform one behind a sigmoid; float features need none.

        Raises:
            InputError: the quantizer does not fit M and B, or B is none of the budgets.
        """
        if self.bits is None:
            return
        self.feature = feature
        if feature.quantizer == "uniform":
            return
        self.encoder.bound = nn.Identity()
        match feature.quantizer:
            case "codebook":
                self.quantizer = CodebookQuantizer(self.features, feature.budgets or (self.bits,))
                if self.bits not in self.quantizer.budgets:
                    raise InputError(f"{self.bits} bits are none of {self.quantizer.budgets}")
                self.quantizer.active = self.bits
            case "vector":
                self.quantizer = VectorQuantizer(self.features, feature.length, self.bits)
            case "round":
                self.quantizer = UniformQuantizer(self.bits, smooth=True)

    def at(self, budget: int | None) -> Link:
        """The same link, with that budget's codebook active where it has codebooks."""
        if isinstance(self.quantizer, CodebookQuantizer) and budget is not None:
            self.quantizer.active = budget
        return self

    def forward(self, x: Tensor) -> Tensor:
        """X -> the decoder's x, through the quantizer (straight-through gradient)."""
        feature = self.encoder(x)
        if self.quantizer is not None and not self.bypass:
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
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    module.eval()
    fused = torch.backends.mha.get_fastpath_enabled()
    # The counter knows matrix products; torch's fused attention on CPUs hides them from it.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            FlopCounterMode(display=False) as counter,
            sdpa_kernel(SDPBackend.MATH),
            torch.no_grad(),
        ):
            module(sample)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops()) // 2
