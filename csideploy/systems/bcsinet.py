"""BCsiNet (Lu, Wang, Song 2021): CsiNet with a 1-bit encoder FC, as a baseline.

A2: one 3x3 encoder head and two refine blocks; B3: two heads and three blocks. Convolutions have
no bias; the decoder ends in 3x3, batch norm, sigmoid.
UE parameters at compression 1/4: A2 33,320, B3 33,360.
"""

from __future__ import annotations

from torch import nn

from csideploy.registry import SystemSpec
from csideploy.systems.csinet import RefineBlock, head
from csideploy.systems.link import Link, convolution, initialise


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link of BCsiNet-A2 (spec.width 2) or -B3 (spec.width 3)."""
    heads = 1 if spec.width == 2 else 2
    encoder = nn.Sequential(*(head(bias=False) for _ in range(heads)))
    decoder = nn.Sequential(
        *(RefineBlock(bias=False) for _ in range(spec.width)),
        convolution(2, 2, (3, 3)),
        nn.BatchNorm2d(2),
    )
    link = Link(spec, cr, bits, binarize, encoder, decoder)
    initialise(link)
    return link
