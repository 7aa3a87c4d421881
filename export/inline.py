"""The same network without local functions, for runtimes that do not take them.

Each call is replaced by the function's body. The 1-bit weights stay packed in the file.
"""

from __future__ import annotations

import onnx
from onnx import ModelProto
from onnx.inliner import inline_local_functions

from csideploy.export.functions import DOMAIN


def inline_functions(model: ModelProto) -> ModelProto:
    """A copy with every call of a local function written out in standard operators."""
    inlined: ModelProto = inline_local_functions(model)
    kept = [entry for entry in inlined.opset_import if entry.domain != DOMAIN]
    del inlined.opset_import[:]
    inlined.opset_import.extend(kept)
    onnx.checker.check_model(inlined)
    return inlined


def inlined_bytes(model: bytes, *, inline: bool) -> bytes:
    """The bytes of a network's file, its local functions inlined if asked for."""
    if not inline:
        return model
    inlined: bytes = inline_functions(onnx.load_model_from_string(model)).SerializeToString()
    return inlined
