"""QuantizeLinear and DequantizeLinear of activations, one scale and zero point a tensor.

What a pass for integer networks does not take up stays as these steps.
"""

from __future__ import annotations

import numpy as np

from csideploy.export.plan import Op
from csideploy.export.steps.site import F32, I8, I16, I32, U8, Site


def _parameters(site: Site) -> dict[str, int | float]:
    scale = site.floats(1, "scale")
    if scale.size != 1 or site.attribute("block_size", 0):
        site.refuse(f"scale of shape {scale.shape}; activations take one scale a tensor")
    number = float(scale.reshape(-1)[0])
    if not (np.isfinite(number) and number > 0):
        site.refuse(f"scale {number}; a positive one is right")
    zero = int(site.data(2, "zero point").reshape(-1)[0]) if site.has(2) else 0
    return {"scale": number, "zero": zero}


def quantize(site: Site) -> None:
    """Y = saturate(rint(x / scale) + zero)."""
    site.need(F32, 0)
    dtype = site.out.dtype
    if dtype not in (U8, I8, I16):
        site.refuse(f"to {dtype}; uint8, int8 and int16 are supported")
    x = site.x(0)
    site.result(site.step(Op.QUANTIZE, [x], site.shape(x), dtype, **_parameters(site)))


def dequantize(site: Site) -> None:
    """Y = (x - zero) scale."""
    x = site.x(0)
    if site.value(0).dtype not in (U8, I8, I16, I32) or site.out.dtype != F32:
        site.refuse(f"{site.value(0).dtype} to {site.out.dtype}; 8 to 32 bits to float32 are taken")
    site.result(site.step(Op.DEQUANTIZE, [x], site.shape(x), **_parameters(site)))
