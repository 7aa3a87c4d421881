"""The type and shape of what `ResidualQuantize` and `ResidualDequantize` make."""

from __future__ import annotations

import numpy as np

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made
from csideploy.export.refusal import Inputs, given, known, refuse

MOST_BITS = 16
F32 = np.dtype(np.float32)
U8 = np.dtype(np.uint8)


def _tier(node: Node, inputs: Inputs) -> tuple[int, int]:
    """Bits of a tier, and the width D of its codewords."""
    bits = int(node.attributes.get("bits", 0))
    if not 1 <= bits <= MOST_BITS:
        refuse(node, f"{bits} bits a tier; 1 to {MOST_BITS} are possible")
    codebook = known(node, inputs, 1, "codebook")
    if codebook.dtype != F32 or codebook.ndim != 2 or len(codebook) != 1 << bits:
        refuse(node, f"codebook {codebook.dtype} {codebook.shape}; float32 ({1 << bits}, D) fits "
                     f"{bits} bits")  # fmt: skip
    if not np.isfinite(codebook).all():
        refuse(node, "a number of the codebook is not finite")
    return bits, int(codebook.shape[1])


def quantize(node: Node, inputs: Inputs) -> Made:
    """Residual (n, D), codebook (2^b, D) -> codes uint8 (n, b), rest float32 (n, D)."""
    bits, width = _tier(node, inputs)
    x = given(node, inputs, 0)
    if x.dtype != F32 or len(x.shape) != 2 or x.shape[1] != width:
        refuse(node, f"input '{x.name}' is {x.dtype} {x.shape}; float32 (n, {width}) is right")
    made: Made = [(U8, (x.shape[0], bits)), (F32, x.shape)]
    return made[: len(node.outputs)]


def dequantize(node: Node, inputs: Inputs) -> Made:
    """Codes (n, B), codebook (2^b, D) -> float32 (n, D)."""
    bits, width = _tier(node, inputs)
    codes, start = given(node, inputs, 0), int(node.attributes.get("start", -1))
    if codes.dtype != U8 or len(codes.shape) != 2:
        refuse(node, f"input '{codes.name}' is {codes.dtype} {codes.shape}; uint8 (n, B) is right")
    if start < 0 or start + bits > int(codes.shape[1]):
        refuse(node, f"bits {start} to {start + bits - 1} of {codes.shape[1]}")
    return [(F32, (codes.shape[0], width))]
