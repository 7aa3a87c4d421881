"""QuantizeLinear and DequantizeLinear of activations.

One scale a tensor is a step of its own; what a pass for integer networks does not take up stays
as that. One scale a channel is written in float32 arithmetic, in the order of the definition.
uint16 is stored as int16 with a zero point smaller by 32768: the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from csideploy.export.operations import Binary, Unary
from csideploy.export.plan import Op
from csideploy.export.steps.site import F32, I8, I16, I32, U8, U16, Site

_OFFSET = 1 << 15
_LEVELS: dict[np.dtype[Any], tuple[int, int]] = {
    U8: (0, 255),
    I8: (-128, 127),
    I16: (-32768, 32767),
    U16: (0, 65535),
}


def _parameters(site: Site, codes: np.dtype[Any]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Scale and zero point: single numbers, or one a channel in the shape that broadcasts."""
    scale = site.floats(1, "scale")
    zero = site.data(2, "zero point") if site.has(2) else np.zeros(scale.shape, np.int32)
    if site.attribute("block_size", 0):
        site.refuse("scales by block are not supported for activations")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        site.refuse("a scale that is not positive")
    zero = zero.astype(np.int32) - (_OFFSET if codes == U16 else 0)
    if scale.size == 1:
        return scale.reshape(1), zero.reshape(1)
    x = site.value(0)
    where = site.axis(x, int(site.attribute("axis", 1)))
    along = [1] * len(site.shape(x.name))
    along[where] = -1
    return scale.reshape(along), np.broadcast_to(zero, scale.shape).reshape(along)


def quantize(site: Site) -> None:
    """Y = saturate(rint(x / scale) + zero)."""
    site.need(F32, 0)
    dtype = site.out.dtype
    if dtype not in _LEVELS:
        site.refuse(f"to {dtype}; uint8, int8, int16 and uint16 are supported")
    x, (scale, zero) = site.x(0), _parameters(site, dtype)
    kind = I16 if dtype == U16 else dtype
    if scale.size == 1:
        numbers = {"scale": float(scale[0]), "zero": int(zero[0])}
        site.result(site.step(Op.QUANTIZE, [x], site.shape(x), kind, numbers))
        return
    steps = site.unary(site.binary(x, site.constant(scale), Binary.DIV), Unary.ROUND)
    moved = site.binary(steps, site.constant(zero.astype(np.float32)), Binary.ADD)
    low, high = _LEVELS[kind]
    site.result(site.cast(site.unary(moved, Unary.CLIP, low, high), kind))


def dequantize(site: Site) -> None:
    """Y = (x - zero) scale."""
    dtype = site.value(0).dtype
    if dtype not in (*_LEVELS, I32) or site.out.dtype != F32:
        site.refuse(f"{dtype} to {site.out.dtype}; integers of 8 to 32 bits to float32 are taken")
    x, (scale, zero) = site.x(0), _parameters(site, dtype)
    if scale.size == 1:
        numbers = {"scale": float(scale[0]), "zero": int(zero[0])}
        site.result(site.step(Op.DEQUANTIZE, [x], site.shape(x), F32, numbers))
        return
    moved = site.cast(x, F32)
    if zero.any():
        moved = site.binary(moved, site.constant(zero.astype(np.float32)), Binary.SUB)
    site.result(site.binary(moved, site.constant(scale), Binary.MUL))
