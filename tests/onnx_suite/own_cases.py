"""Tests where ONNX's own say nothing about the types that the executor has.

All of ONNX's tests of Cast have float64, float16 or smaller on one side. These are the executor's
types between one another, with NumPy's conversion as the oracle.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from onnx import helper

TYPES = (np.float32, np.uint8, np.int8, np.int16, np.int32, np.int64, np.bool_)


def casts() -> Iterator[tuple[str, object, NDArray[np.generic], NDArray[np.generic]]]:
    """(name, model, input, expected) for each pair of types."""
    # Inside the range of every type: what ONNX leaves open beyond is not asked.
    wide = np.array([[0.0, 1.0, 2.5, 3.999, 100.25, 127.0, 0.4, 17.0]] * 2, np.float32)
    for source in TYPES:
        x = wide.astype(source)
        for target in TYPES:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(target))
            node = helper.make_node("Cast", ["x"], ["y"], "cast", to=kind)
            given = helper.np_dtype_to_tensor_dtype(np.dtype(source))
            graph = helper.make_graph(
                [node],
                "cast",
                [helper.make_tensor_value_info("x", given, x.shape)],
                [helper.make_tensor_value_info("y", kind, x.shape)],
            )
            opsets = [helper.make_opsetid("", 13)]
            model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
            name = f"own_cast_{np.dtype(source).name}_to_{np.dtype(target).name}"
            yield name, model, x, x.astype(target)
