"""What each of our local functions accepts, and the type and shape of what it makes.

The same form as `shape_rules`; the functions themselves are in `functions/`.
"""

from __future__ import annotations

from csideploy.export.graph import BATCH, Node
from csideploy.export.shape_rules import (
    F32,
    U8,
    Inputs,
    Made,
    activation_input,
    given,
    known,
    refuse,
)


def _bits(node: Node) -> int:
    bits = int(node.attributes.get("bits", 0))
    if not 1 <= bits <= 8:
        refuse(node, f"{bits} bits a code; 1 to 8 are possible")
    return bits


def _codes(node: Node, inputs: Inputs) -> int:
    x = given(node, inputs, 0)
    if x.dtype != U8 or len(x.shape) != 2 or x.shape[0] != BATCH or not isinstance(x.shape[1], int):
        refuse(node, f"input '{x.name}' is {x.dtype} {x.shape}; uint8 (n, M) is right")
    return x.shape[1]


def binary_linear(node: Node, inputs: Inputs) -> Made:
    """X (n, K), packed (M, ceil(K / 8)), scale (1,) or (M,), bias (M,) -> (n, M)."""
    x = activation_input(node, inputs, 2)
    width = int(node.attributes.get("in_features", 0))
    packed = known(node, inputs, 1, "packed weight")
    if width != x.shape[1] or packed.dtype != U8 or packed.ndim != 2:
        refuse(node, f"in_features {width} on {x.shape}, packed {packed.dtype} {packed.shape}")
    if packed.shape[1] != -(-width // 8):
        refuse(node, f"rows of {packed.shape[1]} bytes; {width} inputs need {-(-width // 8)}")
    outputs = packed.shape[0]
    scale, bias = known(node, inputs, 2, "scale"), known(node, inputs, 3, "bias")
    if scale.dtype != F32 or scale.shape not in ((1,), (outputs,)):
        refuse(node, f"scale {scale.dtype} {scale.shape}; float32 (1,) or ({outputs},) is right")
    if bias.dtype != F32 or bias.shape != (outputs,):
        refuse(node, f"bias {bias.dtype} {bias.shape}; float32 ({outputs},) is right")
    return [(F32, (BATCH, outputs))]


def uniform_quantize(node: Node, inputs: Inputs) -> Made:
    """float32 (n, M) -> uint8 (n, M)."""
    x = activation_input(node, inputs, 2)
    _bits(node)
    return [(U8, x.shape)]


def pack_bits(node: Node, inputs: Inputs) -> Made:
    """Codes (n, M) -> payload (n, ceil(M B / 8))."""
    return [(U8, (BATCH, -(-_codes(node, inputs) * _bits(node) // 8)))]


def unpack_bits(node: Node, inputs: Inputs) -> Made:
    """Payload (n, ceil(M B / 8)) -> codes (n, M)."""
    count, bits, length = int(node.attributes.get("count", 0)), _bits(node), _codes(node, inputs)
    if count < 1 or length != -(-count * bits // 8):
        refuse(node, f"{count} codes of {bits} bits in {length} bytes")
    return [(U8, (BATCH, count))]


def uniform_dequantize(node: Node, inputs: Inputs) -> Made:
    """uint8 (n, M) -> float32 (n, M)."""
    _bits(node)
    return [(F32, (BATCH, _codes(node, inputs)))]
