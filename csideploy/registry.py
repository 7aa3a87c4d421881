"""The systems that csideploy knows, and their sizes by closed formula.

Needs no torch, so that `csideploy systems` and `plan` answer in an instant. The counting rule is
that of the ACRNet paper (Lu et al., "Binarized Aggregated Network with Quantization", Tables I and
IV): parameters are weights, biases, batch-norm gamma and beta, and PReLU slopes; a binarized fully
connected layer counts its weights / 32, its scale factor not at all. MACs are those of convolutions
and fully connected layers alone (the paper prints them as "FLOPs").
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any, Literal

from csideploy.errors import InputError

Binarize = Literal["none", "encoder", "both"]
Quantizer = Literal["uniform", "codebook", "vector", "round"]

BINARIZE: tuple[Binarize, ...] = ("none", "encoder", "both")
QUANTIZERS: tuple[Quantizer, ...] = ("uniform", "codebook", "vector", "round")
COMPRESSIONS = (4, 8, 16, 32, 64)
BITS = tuple(range(1, 9))
ANGLES = DELAYS = 32
ELEMENTS = 2 * ANGLES * DELAYS
"""Real numbers in one CSI matrix: re/im x angle x delay."""

_ACRNET = 'Lu et al., "Binarized Aggregated Network with Quantization" (ACRNet, BACRNet)'
_CSINET = 'Wen, Shih, Jin, "Deep Learning for Massive MIMO CSI Feedback" (CsiNet)'
_CRNET = 'Lu, Wang, Song, "Multi-resolution CSI Feedback with Deep Learning" (CRNet)'
_QUANTIZATION = 'Yin, Han, Yang, "Quantization Design for Deep Learning-Based CSI Feedback"'
_CSINET_PRO = (
    'Liang et al., "Changeable Rate and Novel Quantization for CSI Feedback" (CsiNet-Pro), as '
    "public code reads it"
)
_TRANSNET = 'Cui, Guo, Song, "TransNet: Full Attention Network for CSI Feedback" (TransNet)'
_BCSINET = 'Lu, Wang, Song, "Binary Neural Network Aided CSI Feedback" (BCsiNet)'


@dataclass(frozen=True)
class Feature:
    """How the encoder's outputs become bits.

    Attributes:
        quantizer: "uniform": a sigmoid and 2^B equal cells (paper 002). "codebook": a codebook and
            a number of bits an output (paper 001). "vector": groups of outputs with one shared
            codebook, "round": equal cells without a sigmoid (both baselines of paper 001).
        length: L, outputs a group of "vector".
        budgets: of "codebook": bits an output on average; empty: the link's own B alone.
    """

    quantizer: Quantizer = "uniform"
    length: int = 1
    budgets: tuple[int, ...] = ()

    def describe(self) -> dict[str, Any]:
        """For checkpoints and metadata: plain values."""
        return {"quantizer": self.quantizer, "length": self.length, "budgets": list(self.budgets)}


@dataclass(frozen=True)
class SystemSpec:
    """One paper's link, end to end.

    `width` is the expansion k of ACRNet-kx and the number of refine blocks of BCsiNet; it is 1
    where a family has one size only.
    """

    name: str
    family: str
    width: int
    paper: str
    default_binarize: Binarize = "none"
    default_cr: int = 4
    default_bits: int | None = 4
    default_quantizer: Quantizer = "uniform"
    parts: tuple[tuple[str, str], ...] = (("encoder", "ue"), ("decoder", "bs"))


def _systems() -> dict[str, SystemSpec]:
    specs = []
    for k in range(1, 21):
        specs.append(SystemSpec(f"acrnet{k}x", "acrnet", k, _ACRNET))
        specs.append(SystemSpec(f"bacrnet{k}x", "acrnet", k, _ACRNET, "encoder"))
    specs.append(SystemSpec("csinet", "csinet", 1, _CSINET))
    specs.append(SystemSpec("crnet", "crnet", 1, _CRNET))
    specs.append(SystemSpec("bcsinet-a2", "bcsinet", 2, _BCSINET, "encoder"))
    specs.append(SystemSpec("bcsinet-b3", "bcsinet", 3, _BCSINET, "encoder"))
    specs.append(SystemSpec("csinetpro", "csinetpro", 1, _CSINET_PRO))
    specs.append(SystemSpec("transnet", "transnet", 1, _TRANSNET))
    specs.append(SystemSpec("pca", "pca", 1, _QUANTIZATION, default_quantizer="codebook"))
    return {spec.name: spec for spec in specs}


SYSTEMS: dict[str, SystemSpec] = _systems()


def get(name: str) -> SystemSpec:
    """The system of that name.

    Raises:
        InputError: no such system; the message lists near names.
    """
    spec = SYSTEMS.get(name)
    if spec is not None:
        return spec
    near = difflib.get_close_matches(name.lower(), SYSTEMS, n=4, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else "`csideploy systems` lists them"
    raise InputError(f"unknown system {name!r}: {hint}")


def check_options(
    spec: SystemSpec, cr: int, bits: int | None, binarize: str | None
) -> tuple[int, int | None, Binarize]:
    """The three options of a system, checked; `binarize=None` means the system's own.

    Raises:
        InputError: a value outside the system's range; the message names the range.
    """
    if cr not in COMPRESSIONS:
        raise InputError(
            f"{spec.name}: compression 1/{cr} is not one of 1/4, 1/8, 1/16, 1/32, 1/64"
        )
    if bits is not None and bits not in BITS:
        raise InputError(f"{spec.name}: {bits} bits a feature is not in 1..8")
    chosen = spec.default_binarize if binarize is None else binarize
    if chosen not in BINARIZE:
        raise InputError(f"{spec.name}: binarize {chosen!r} is not none, encoder or both")
    return cr, bits, chosen


def features(cr: int) -> int:
    """Length M of the feature vector at compression 1/cr: 2048 / cr."""
    return ELEMENTS // cr


def payload_bits(cr: int, bits: int) -> int:
    """Payload bits of one CSI matrix: M B (paper 002, eq. 13)."""
    return features(cr) * bits


def entry_name(
    spec: SystemSpec, cr: int, bits: int | None, binarize: str, quantizer: str | None = None
) -> str:
    """Name of a zoo entry: SYSTEM[-crR][-bB][-none|-enc|-both][-QUANTIZER].

    `-bfloat` says a float feature. What equals the system's default is left out, so `bacrnet10x`
    names the default entry.
    """
    name = spec.name
    if cr != spec.default_cr:
        name += f"-cr{cr}"
    if bits is None:
        name += "-bfloat"
    elif bits != spec.default_bits:
        name += f"-b{bits}"
    if binarize != spec.default_binarize:
        name += {"none": "-none", "encoder": "-enc", "both": "-both"}[binarize]
    if bits is not None and quantizer not in (None, spec.default_quantizer):
        name += f"-{quantizer}"
    return name


def parameters(spec: SystemSpec, cr: int, binarize: str) -> dict[str, int]:
    """Parameters of each part, by closed formula (counting rule: see the module's docstring)."""
    m = features(cr)
    encoder_weights = ELEMENTS * m // (32 if binarize in ("encoder", "both") else 1)
    decoder_weights = ELEMENTS * m // (32 if binarize == "both" else 1)
    head, tail = _convolution_parameters(spec)
    return {"encoder": encoder_weights + m + head, "decoder": decoder_weights + ELEMENTS + tail}


def macs(spec: SystemSpec, cr: int, binarize: str = "none") -> dict[str, int]:
    """Multiply-accumulates of each part for one CSI matrix, by closed formula.

    A binarized layer counts like the float layer that it replaces, as in the papers.
    """
    del binarize
    fully_connected = ELEMENTS * features(cr)
    if spec.family == "transnet":
        encoder, decoder = _transformer_macs()
    else:
        head, tail = _weights_a_pixel(spec)
        encoder, decoder = ANGLES * DELAYS * head, ANGLES * DELAYS * tail
    return {"encoder": fully_connected + encoder, "decoder": fully_connected + decoder}


TOKENS, TOKEN_WIDTH, TRANSFORMER_LAYERS, FEED_FORWARD = 32, 64, 2, 2048
"""TransNet reads a CSI matrix as 32 tokens of 64; each side has two layers of hidden size 2048."""


def _transformer_macs() -> tuple[int, int]:
    """TransNet's layers: projections, attention among all pairs of tokens, feed-forward."""
    projections = 4 * TOKENS * TOKEN_WIDTH**2
    pairs = 2 * TOKENS**2 * TOKEN_WIDTH
    feed_forward = 2 * TOKENS * TOKEN_WIDTH * FEED_FORWARD
    attention = projections + pairs
    layers = TRANSFORMER_LAYERS
    return layers * (attention + feed_forward), layers * (2 * attention + feed_forward)


def _transformer_parameters() -> tuple[int, int]:
    """The same layers: weights, biases, and the scale and bias of each layer norm."""
    width = TOKEN_WIDTH
    attention = 4 * (width**2 + width)
    feed_forward = 2 * width * FEED_FORWARD + width + FEED_FORWARD
    layers = TRANSFORMER_LAYERS
    encoder = layers * (attention + feed_forward + 2 * 2 * width)
    decoder = layers * (2 * attention + feed_forward + 3 * 2 * width) + 2 * width
    return encoder, decoder


def _weights_a_pixel(spec: SystemSpec) -> tuple[int, int]:
    """Convolution weights of encoder and decoder: every one is used once a pixel."""
    match spec.family:
        case "acrnet":
            # Encoder: 5x5 head, two blocks of 1x9 and 9x1, all 2 -> 2.
            # Decoder: 5x5 head, two blocks 2 -> 8k (1x9), 2 a group (7x7), 8k -> 2 (9x1).
            wide = 8 * spec.width
            return 100 + 2 * (36 + 36), 100 + 2 * (18 * wide + 98 * wide + 18 * wide)
        case "csinet":
            return 36, 2 * (9 * 2 * 8 + 9 * 8 * 16 + 9 * 16 * 2) + 36
        case "crnet":
            block = 9 * 2 * 7 + 9 * 49 + 9 * 49 + 5 * 2 * 7 + 5 * 49 + 14 * 2
            return 36 * 4 + 8, 100 + 2 * block
        case "csinetpro":
            # 7x7: encoder 2 -> 16 -> 8 -> 4 -> 2, decoder 2 -> 16 -> 8 -> 4 -> 2.
            chain = 49 * (2 * 16 + 16 * 8 + 8 * 4 + 4 * 2)
            return chain, chain
        case "pca":
            return 0, 0
        case "bcsinet":
            heads = 1 if spec.width == 2 else 2
            return 36 * heads, spec.width * (9 * 2 * 8 + 9 * 8 * 16 + 9 * 16 * 2) + 36
    raise InputError(f"{spec.name}: no size formula for family {spec.family!r}")


def _convolution_parameters(spec: SystemSpec) -> tuple[int, int]:
    """Parameters outside the fully connected layers: convolutions, batch norm, PReLU."""
    if spec.family == "transnet":
        return _transformer_parameters()
    head, tail = _weights_a_pixel(spec)
    match spec.family:
        case "acrnet":
            # Batch norm has 2 a channel, PReLU 1 a channel, both after every convolution.
            wide = 8 * spec.width
            return head + 5 * (4 + 2), tail + (4 + 2) + 2 * (2 * 3 * wide + (4 + 2))
        case "csinet":
            # Convolutions carry a bias; the last one has no batch norm.
            return head + 2 + 4, tail + 2 * (8 + 16 + 2) * 3 + 2
        case "crnet":
            return head + 5 * 4, tail + 4 + 2 * (5 * 14 + 4)
        case "csinetpro":
            # Every convolution has a bias; all but the decoder's last a batch norm.
            return head + 30 + 2 * 30, tail + 30 + 2 * 28
        case "pca":
            return 0, 0
        case "bcsinet":
            return head + 4 * (head // 36), tail + spec.width * 2 * (8 + 16 + 2) + 4
    raise InputError(f"{spec.name}: no size formula for family {spec.family!r}")
