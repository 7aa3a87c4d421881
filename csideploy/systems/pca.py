"""Principal components: the linear coder that every learned one must beat (PCA of paper 001).

The encoder is one matrix, the M strongest principal components of x (rows, orthonormal), the
decoder its transpose; `training.components` computes both, no gradient involved. A codebook and a
number of bits an output make the payload.
At compression 1/8: encoder 524,544 parameters (2 MiB in float), 524,288 MACs.
"""

from __future__ import annotations

from torch import nn

from csideploy.registry import SystemSpec
from csideploy.systems.link import Link, initialise


def build(spec: SystemSpec, cr: int, bits: int | None, binarize: str | None) -> Link:
    """The link, with random matrices until `training.components` sets them."""
    link = Link(spec, cr, bits, binarize, nn.Identity(), nn.Identity(), linear=True)
    initialise(link)
    return link
