"""The type and shape of what each of our local functions makes; they are in `functions/`."""

from __future__ import annotations

import numpy as np

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made
from csideploy.export.refusal import Inputs, given, known, refuse

F32 = np.dtype(np.float32)
U8 = np.dtype(np.uint8)


def _bits(node: Node) -> int:
    bits = int(node.attributes.get("bits", 0))
    if not 1 <= bits <= 8:
        refuse(node, f"{bits} bits a code; 1 to 8 are possible")
    return bits


def _row(node: Node, inputs: Inputs, dtype: np.dtype[np.generic]) -> tuple[int, int]:
    x = given(node, inputs, 0)
    if x.dtype != dtype or len(x.shape) != 2:
        refuse(node, f"input '{x.name}' is {x.dtype} {x.shape}; {dtype} (n, M) is right")
    return int(x.shape[0]), int(x.shape[1])


def binary_linear(node: Node, inputs: Inputs) -> Made:
    """X (n, K), packed (M, ceil(K / 8)), scale (1,) or (M,), bias (M,) -> (n, M)."""
    samples, columns = _row(node, inputs, F32)
    width = int(node.attributes.get("in_features", 0))
    packed = known(node, inputs, 1, "packed weight")
    if width != columns or packed.dtype != U8 or packed.ndim != 2:
        refuse(node, f"in_features {width} on {columns}, packed {packed.dtype} {packed.shape}")
    if packed.shape[1] != -(-width // 8):
        refuse(node, f"rows of {packed.shape[1]} bytes; {width} inputs need {-(-width // 8)}")
    outputs = packed.shape[0]
    scale, bias = known(node, inputs, 2, "scale"), known(node, inputs, 3, "bias")
    if scale.dtype != F32 or scale.shape not in ((1,), (outputs,)):
        refuse(node, f"scale {scale.dtype} {scale.shape}; float32 (1,) or ({outputs},) is right")
    if bias.dtype != F32 or bias.shape != (outputs,):
        refuse(node, f"bias {bias.dtype} {bias.shape}; float32 ({outputs},) is right")
    return [(F32, (samples, outputs))]


def uniform_quantize(node: Node, inputs: Inputs) -> Made:
    """float32 (n, M) -> uint8 (n, M)."""
    _bits(node)
    return [(U8, _row(node, inputs, F32))]


def pack_bits(node: Node, inputs: Inputs) -> Made:
    """Codes (n, M) -> payload (n, ceil(M B / 8))."""
    samples, count = _row(node, inputs, U8)
    return [(U8, (samples, -(-count * _bits(node) // 8)))]


def unpack_bits(node: Node, inputs: Inputs) -> Made:
    """Payload (n, ceil(M B / 8)) -> codes (n, M)."""
    samples, length = _row(node, inputs, U8)
    count, bits = int(node.attributes.get("count", 0)), _bits(node)
    if count < 1 or length != -(-count * bits // 8):
        refuse(node, f"{count} codes of {bits} bits in {length} bytes")
    return [(U8, (samples, count))]


def uniform_dequantize(node: Node, inputs: Inputs) -> Made:
    """uint8 (n, M) -> float32 (n, M)."""
    _bits(node)
    return [(F32, _row(node, inputs, U8))]
