"""The type and shape of what each of our local functions makes; they are in `functions/`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made
from csideploy.export.refusal import Inputs, given, known, refuse
from csideploy.export.widths import fault, message_bytes
from csideploy.export.widths import unpack_widths as widths_of

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


def _widths(node: Node, inputs: Inputs, index: int, outputs: int) -> NDArray[np.uint8]:
    """B_m of so many outputs, (M,)."""
    table = known(node, inputs, index, "widths")
    wrong = fault(table, outputs)
    if wrong:
        refuse(node, wrong)
    return widths_of(table, outputs)


def codebook_quantize(node: Node, inputs: Inputs) -> Made:
    """float32 (n, M), thresholds (sum (2^B_m - 1),), widths -> uint8 (n, M)."""
    samples, count = _row(node, inputs, F32)
    widths = _widths(node, inputs, 2, count)
    thresholds = known(node, inputs, 1, "thresholds")
    sizes = (1 << widths.astype(np.int64)) - 1
    wanted = (int(sizes.sum()),)
    if thresholds.dtype != F32 or thresholds.shape != wanted:
        refuse(
            node, f"thresholds {thresholds.dtype} {thresholds.shape}; float32 {wanted} fit widths"
        )
    if not np.isfinite(thresholds).all():
        refuse(node, "a threshold is not finite")
    falls = np.diff(thresholds) < 0
    ends = np.cumsum(sizes)
    borders = ends[(ends > 0) & (ends < wanted[0])]
    falls[borders - 1] = False
    if falls.any():
        place = int(np.flatnonzero(falls)[0])
        output = int(np.searchsorted(ends, place, side="right"))
        refuse(node, f"the thresholds of output {output} fall")
    return [(U8, (samples, count))]


def pack_widths(node: Node, inputs: Inputs) -> Made:
    """Codes (n, M), widths -> payload (n, ceil(sum B_m / 8))."""
    samples, count = _row(node, inputs, U8)
    return [(U8, (samples, message_bytes(_widths(node, inputs, 1, count))))]


def unpack_widths(node: Node, inputs: Inputs) -> Made:
    """Payload (n, ceil(sum B_m / 8)), widths -> codes (n, M)."""
    samples, length = _row(node, inputs, U8)
    count = int(node.attributes.get("count", 0))
    if count < 1:
        refuse(node, f"{count} codes; at least 1 is needed")
    wanted = message_bytes(_widths(node, inputs, 1, count))
    if length != wanted:
        refuse(node, f"a payload of {length} bytes; the widths make {wanted}")
    return [(U8, (samples, count))]


def codebook_dequantize(node: Node, inputs: Inputs) -> Made:
    """Codes (n, M), book (sum 2^B_m,), widths -> float32 (n, M)."""
    samples, count = _row(node, inputs, U8)
    widths = _widths(node, inputs, 2, count)
    book = known(node, inputs, 1, "book")
    wanted = (int((1 << widths.astype(np.int64)).sum()),)
    if book.dtype not in (F32, np.dtype(np.float16)) or book.shape != wanted:
        refuse(node, f"book {book.dtype} {book.shape}; float32 or float16 {wanted} fit the widths")
    if not np.isfinite(book).all():
        refuse(node, "a value of the book is not finite")
    return [(F32, (samples, count))]
