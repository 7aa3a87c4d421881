"""ONNX local functions: what deserves a fast path, in standard operators.

Any runtime that takes local functions runs them by their bodies; our compiler recognises them by
name and maps each to one operation of the executor. One file a function, or a family of them.
"""

from onnx import FunctionProto, ModelProto

from csideploy.export.functions import (
    binary_linear,
    codebook_dequantize,
    codebook_quantize,
    edge_attention,
    pack_bits,
    pack_widths,
    residual_dequantize,
    residual_quantize,
    table_precoder,
    uniform_dequantize,
    uniform_quantize,
    unpack_bits,
    unpack_widths,
    zero_forcing,
)

DOMAIN = "csideploy"
VERSION = 1

_MODULES = (
    binary_linear,
    uniform_quantize,
    pack_bits,
    unpack_bits,
    uniform_dequantize,
    codebook_quantize,
    pack_widths,
    unpack_widths,
    codebook_dequantize,
    edge_attention,
    residual_quantize,
    residual_dequantize,
    zero_forcing,
)
FUNCTIONS = {module.NAME: module.proto for module in _MODULES} | table_precoder.FUNCTIONS
"""Name -> what builds the function."""

QUANTIZERS = ("UniformQuantize", "CodebookQuantize")
"""Functions that make a feature the payload's codes."""


def attach_functions(model: ModelProto) -> None:
    """Append the bodies of the functions that the model calls, and import their domain.

    Bodies that are there already are replaced, so that the order and the text are always ours.
    """
    called = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    others: list[FunctionProto] = [f for f in model.functions if f.domain != DOMAIN]
    del model.functions[:]
    model.functions.extend(others)
    model.functions.extend(build() for name, build in FUNCTIONS.items() if name in called)
    imports = [entry for entry in model.opset_import if entry.domain != DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    if called:
        model.opset_import.add(domain=DOMAIN, version=VERSION)
