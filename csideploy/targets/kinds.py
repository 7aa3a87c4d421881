"""Kinds of layers: those of a kind keep a processor's units equally busy.

What multiplies:

| kind | what |
|---|---|
| conv | convolution, 8 or more outputs that read the same inputs |
| narrow_conv | convolution of fewer outputs, such as 80 -> 2 or 2 -> 2 channels |
| grouped_conv | convolution of groups with fewer than 8 inputs and 8 outputs each |
| block | three convolutions that run group by group |
| linear | fully connected layer |
| binary_linear | fully connected layer with 1-bit weights |
| matmul | product of two activations |
| search | everything else that multiplies: searches and solves of native parts |

What does not:

| kind | what |
|---|---|
| elementwise | sums, products, comparisons, reductions; whatever is not below |
| function | softmax, sigmoid, tanh, exponentials, logarithms, roots |
| integer | to and from integers, activations and sums of integers, codes |
| move | copies, transposes, look-ups: an operation is 4 bytes that are written |
| bits | packing and unpacking: an operation is a bit |
"""

from __future__ import annotations

CONVOLUTIONS = ("CONV2D", "QCONV2D", "CONV_TRANSPOSE2D")
MULTIPLYING = ("conv", "narrow_conv", "grouped_conv", "block", "linear", "matmul", "search")
"""Kinds with a share of the peaks of fp32 and int8."""
ELEMENTS = ("elementwise", "function", "integer", "move", "bits")
"""Kinds with a share of the element-wise rate."""
KINDS = (*MULTIPLYING, "binary_linear", *ELEMENTS)

_OPS = {
    "conv": CONVOLUTIONS,
    "block": ("CONV_BLOCK",),
    "linear": ("LINEAR", "QLINEAR", "BITS_NETWORK"),
    "binary_linear": ("BINARY_LINEAR", "QBINARY_LINEAR"),
    "matmul": ("MATMUL", "EDGE_ATTENTION"),
    "search": (
        *("RZF_PRECODER", "ZERO_FORCING", "INTERFERENCE_SCHEDULE", "TABLE_SEARCH"),
        *("TABLE_NEAREST", "GRADIENT_SEARCH", "RESIDUAL_QUANTIZE"),
    ),
    "function": ("SOFTMAX", "UNARY"),
    "integer": (
        *("QUANTIZE", "DEQUANTIZE", "QADD", "QACTIVATION", "QTABLE", "QTHRESHOLD", "QCODEBOOK"),
        *("QUANTIZE_UNIFORM", "DEQUANTIZE_UNIFORM", "QUANTIZE_CODEBOOK", "DEQUANTIZE_CODEBOOK"),
        *("INTEGER", "CAST"),
    ),
    "move": (
        *("COPY", "CONCAT", "TRANSPOSE", "SLICE", "PAD", "EXPAND", "GATHER", "TABLE_PRECODER"),
        "RESIDUAL_DEQUANTIZE",
    ),
    "bits": ("PACK_BITS", "UNPACK_BITS", "PACK_WIDTHS", "UNPACK_WIDTHS"),
}
_KIND_OF = {op: kind for kind, ops in _OPS.items() for op in ops}


def kind_by_name(op: str) -> str:
    """The kind of an operation whose shapes are not known; `elementwise` for all others."""
    return _KIND_OF.get(op, "elementwise")
