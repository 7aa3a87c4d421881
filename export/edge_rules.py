"""The type and shape of what `EdgeAttention` makes."""

from __future__ import annotations

import numpy as np

from csideploy.export.graph import Node
from csideploy.export.onnx_shapes import Made
from csideploy.export.refusal import Inputs, given, refuse

F32 = np.dtype(np.float32)


def attention(node: Node, inputs: Inputs) -> Made:
    """Values, queries, keys (n, k, M, C), all alike -> (n, k, M, C)."""
    if node.attributes.get("average") not in (0, 1):
        refuse(node, f"average {node.attributes.get('average')}; 0 or 1 is right")
    values = given(node, inputs, 0)
    for index in range(3):
        x = given(node, inputs, index)
        if x.dtype != F32 or len(x.shape) != 4 or x.shape != values.shape:
            refuse(node, f"input '{x.name}' is {x.dtype} {x.shape}; float32 (n, users, antennas, "
                         "channels), all three alike, is right")  # fmt: skip
    return [(F32, values.shape)]
