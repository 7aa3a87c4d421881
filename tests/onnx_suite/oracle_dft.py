"""DFT in float64 NumPy, from ONNX's text; ONNX Runtime is exact for powers of two only."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

Array = NDArray[Any]


def dft(model: ModelProto, inputs: dict[str, Array]) -> Array:
    """The output of a model of one DFT node, real and imaginary part in the last axis."""
    (node,) = (node for node in model.graph.node if node.op_type == "DFT")
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    given = dict(inputs)
    for entry in model.graph.node:
        if entry.op_type == "Constant":
            from onnx import numpy_helper

            given[entry.output[0]] = numpy_helper.to_array(entry.attribute[0].t)
    names = [*node.input, "", ""][:3]
    x = given[names[0]].astype(np.float64)
    if "axis" in attributes:
        axis = attributes["axis"]
    elif names[2]:
        axis = int(given[names[2]])
    else:  # the default moved from 1 to the last signal axis with opset 20
        version = next(e.version for e in model.opset_import if e.domain in ("", "ai.onnx"))
        axis = 1 if version < 20 else -2
    length = int(given[names[1]]) if names[1] else None
    inverse, onesided = attributes.get("inverse", 0), attributes.get("onesided", 0)
    signal = x[..., 0] + 1j * x[..., 1] if x.shape[-1] == 2 else x[..., 0]
    axis = axis if axis >= 0 else axis + x.ndim
    if onesided and inverse:
        return np.fft.irfft(signal, length, axis)[..., None]
    transform = np.fft.rfft if onesided else np.fft.ifft if inverse else np.fft.fft
    result = transform(signal, length, axis)
    return np.stack([result.real, result.imag], -1)
