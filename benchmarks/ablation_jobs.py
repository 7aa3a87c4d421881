"""The runs of `ablations`: what each is, and what paper 002 measured in its place.

Two kinds. A *link* is a system as `csideploy train` trains it, from the closed-form start. A
*variant* is a network that the paper only compares with (another activation, another number of
decoder blocks); it starts from `ablation_start`, which is the same function for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from csideploy import registry
from csideploy.registry import Binarize

Activation = Literal["prelu", "sprelu", "lrelu"]

GROUPS = ("product", "grid", "activation", "width")
"""In the order in which they are run."""


@dataclass(frozen=True)
class LinkJob:
    """A quantized link of ACRNet-kx: all that `csideploy train` needs."""

    k: int
    cr: int
    bits: int | None
    binarize: Binarize
    seed: int = 0

    @property
    def system(self) -> str:
        """ACRNet where nothing is binarized, else BACRNet."""
        return f"{'acrnet' if self.binarize == 'none' else 'bacrnet'}{self.k}x"

    @property
    def name(self) -> str:
        """Of its folder: the name that a zoo entry would have."""
        entry = registry.entry_name(
            registry.get(self.system), self.cr, self.bits, self.binarize, "uniform"
        )
        return entry if self.seed == 0 else f"{entry}-seed{self.seed}"


@dataclass(frozen=True)
class VariantJob:
    """ACRNet with a float feature: an activation, an expansion k, a number of decoder blocks."""

    cr: int
    activation: Activation = "prelu"
    k: int = 1
    blocks: int = 2
    seed: int = 0

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.activation}-k{self.k}-blocks{self.blocks}-cr{self.cr}-seed{self.seed}"


Job = LinkJob | VariantJob

PRODUCTS: dict[int, tuple[tuple[int, int], ...]] = {
    2048: ((4, 4), (8, 8)),
    1024: ((4, 2), (8, 4), (16, 8)),
    512: ((4, 1), (8, 2), (16, 4), (32, 8)),
}
"""Payload bits -> the (1/eta, B) with that product. Fig. 15 has 2048 bits alone."""

PRECISIONS = (1, 2, 4, 8, None)
"""B of Fig. 14, at eta = 1/4; None: the feature as floats."""

SHAPES = ((1, 2), (2, 2), (4, 2), (1, 4), (1, 8))
"""(k, decoder blocks). k = 2 has the operations of 4 blocks, k = 4 those of 8."""

PAPER_ACTIVATION: dict[int, dict[Activation, float]] = {
    4: {"prelu": -27.16, "sprelu": -25.88, "lrelu": -24.25},
    8: {"prelu": -15.34, "sprelu": -14.17, "lrelu": -14.24},
    16: {"prelu": -10.36, "sprelu": -10.02, "lrelu": -9.83},
    32: {"prelu": -8.60, "sprelu": -8.49, "lrelu": -8.37},
    64: {"prelu": -6.51, "sprelu": -6.29, "lrelu": -5.67},
}
"""NMSE in dB of ACRNet-1x, indoor (Table II)."""

PAPER_QUANTIZED: dict[tuple[int, int | None], tuple[float, float]] = {
    (4, None): (-20.46, -23.36),
    (4, 8): (-16.10, -19.22),
    (4, 4): (-16.49, -19.38),
    (4, 2): (-12.93, -15.68),
    (8, None): (-14.09, -17.47),
    (8, 8): (-10.07, -15.48),
    (8, 4): (-12.38, -15.44),
    (8, 2): (-10.59, -13.26),
}
"""(1/eta, B) -> NMSE in dB of BACRNet-1x and -10x, encoder FC in 1 bit, indoor (Table V)."""


def product_jobs(seeds: list[int]) -> list[LinkJob]:
    """Figs 14 and 15: encoder FC in 1 bit first, then in float."""
    cells: list[tuple[int, int | None]] = [cell for row in PRODUCTS.values() for cell in row]
    cells += [(4, bits) for bits in PRECISIONS]
    kinds: tuple[Binarize, ...] = ("encoder", "none")
    return [
        LinkJob(1, cr, bits, binarize, seed)
        for seed in seeds
        for binarize in kinds
        for cr, bits in dict.fromkeys(cells)
    ]


def grid_jobs() -> list[LinkJob]:
    """What a plan also wants to know: both layers in 1 bit, wider decoders, the corners."""
    jobs = [LinkJob(1, cr, 4, "both") for cr in (4, 8, 16)]
    jobs += [LinkJob(k, cr, 4, "encoder") for k in (2, 4) for cr in (4, 8, 16)]
    jobs += [LinkJob(k, 4, 4, "both") for k in (2, 4)]
    jobs += [LinkJob(1, 4, 2, "both"), LinkJob(1, 8, 2, "both")]
    jobs += [LinkJob(1, cr, bits, "encoder") for cr, bits in ((8, 1), (16, 2), (16, 1))]
    return jobs


def activation_jobs(seeds: list[int], compressions: tuple[int, ...] = (4, 16)) -> list[VariantJob]:
    """Table II."""
    kinds: tuple[Activation, ...] = ("prelu", "sprelu", "lrelu")
    return [
        VariantJob(cr, activation, seed=seed)
        for seed in seeds
        for cr in compressions
        for activation in kinds
    ]


def width_jobs(seeds: list[int]) -> list[VariantJob]:
    """Fig. 12, at its eta = 1/8: aggregated blocks, wider or more of them."""
    return [VariantJob(8, k=k, blocks=blocks, seed=seed) for seed in seeds for k, blocks in SHAPES]
