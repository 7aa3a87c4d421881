"""Kinds of layers: those of a kind keep a processor's units equally busy.

| kind | what |
|---|---|
| conv | convolution, 8 or more outputs that read the same inputs |
| narrow_conv | convolution of fewer outputs, such as 80 -> 2 or 2 -> 2 channels |
| grouped_conv | convolution of groups with fewer than 8 inputs and 8 outputs each |
| linear | fully connected layer |
| binary_linear | fully connected layer with 1-bit weights |
| matmul | product of two activations |
| elementwise | activation, residual, norm, quantizer: operations an element, no MACs |
| move | copies, transposes, packing of bits: bytes alone |
| search | everything else that multiplies: searches and solves of native parts |
"""

from __future__ import annotations

KINDS = (
    "conv",
    "narrow_conv",
    "grouped_conv",
    "linear",
    "binary_linear",
    "matmul",
    "elementwise",
    "move",
    "search",
)

CONVOLUTIONS = ("CONV2D", "QCONV2D", "CONV_TRANSPOSE2D")
_BY_OP = {
    **dict.fromkeys(CONVOLUTIONS, "conv"),
    "LINEAR": "linear",
    "QLINEAR": "linear",
    "BINARY_LINEAR": "binary_linear",
    "QBINARY_LINEAR": "binary_linear",
    "MATMUL": "matmul",
    "EDGE_ATTENTION": "matmul",
    **dict.fromkeys(
        (
            *("COPY", "CONCAT", "TRANSPOSE", "SLICE", "PAD", "EXPAND", "GATHER", "CAST"),
            *("PACK_BITS", "UNPACK_BITS", "PACK_WIDTHS", "UNPACK_WIDTHS", "TABLE_PRECODER"),
            *("RESIDUAL_DEQUANTIZE", "DEQUANTIZE_CODEBOOK"),
        ),
        "move",
    ),
    **dict.fromkeys(
        (
            *("RZF_PRECODER", "ZERO_FORCING", "INTERFERENCE_SCHEDULE", "TABLE_SEARCH"),
            *("TABLE_NEAREST", "GRADIENT_SEARCH", "RESIDUAL_QUANTIZE"),
        ),
        "search",
    ),
}


def kind_by_name(op: str) -> str:
    """The kind of an operation whose shapes are not known; `elementwise` for all others."""
    return _BY_OP.get(op, "elementwise")
