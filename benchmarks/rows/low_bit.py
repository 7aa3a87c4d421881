"""The UE's encoder with ONNX Runtime's own low-bit fully connected layers.

It has no 1-bit weights. What comes nearest: a Gemm whose input it quantizes to 8 bits as it runs
(DynamicQuantizeMatMul), and MatMulNBits with 2 or 4 bits and one scale for 128 or 256 inputs. Signs
are exact in all of them; the inputs are rounded to 8 bits. The rest of the network stays fp32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[Any]
MICROSOFT = "com.microsoft"


def low_bit_forms(ue: bytes) -> dict[str, tuple[bytes, dict[str, str]]]:
    """Name -> (model, session settings) of each form of an fp32 encoder."""
    forms: dict[str, tuple[bytes, dict[str, str]]] = {
        "8 bit dynamic Gemm": (_with(ue, _dynamic), {})
    }
    for bits in (2, 4):
        for block in (128, 256):
            model = _with(ue, lambda *given, b=bits, k=block: _n_bits(*given, bits=b, block=k))
            forms[f"MatMulNBits {bits} bit / {block}"] = (model, {})
            if bits == 2:
                name = f"MatMulNBits {bits} bit / {block}, look-ups"
                forms[name] = (model, {"mlas.use_lut_gemm": "1"})
    return forms


def _with(ue: bytes, write: Any) -> bytes:
    model = onnx.load_model_from_string(ue)
    graph = model.graph
    stored = {entry.name: numpy_helper.to_array(entry) for entry in graph.initializer}
    place = next(i for i, node in enumerate(graph.node) if node.op_type == "BinaryLinear")
    node = graph.node[place]
    x, packed, scale, bias = node.input
    inputs = next(a.i for a in node.attribute if a.name == "in_features")
    bits = np.unpackbits(stored[packed], axis=1)[:, :inputs].astype(np.int8)
    nodes, constants = write(x, node.output[0], bits * 2 - 1, stored[scale], stored[bias])
    del graph.node[place]
    for offset, one in enumerate(nodes):
        graph.node.insert(place + offset, one)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants)
    model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return model.SerializeToString()


def _dynamic(x: str, y: str, signs: Array, scale: Array, bias: Array) -> tuple[Any, Any]:
    names = [x, "low.weight", "low.scale", "", "low.bias"]
    node = helper.make_node("DynamicQuantizeMatMul", names, [y], domain=MICROSOFT)
    weight = np.ascontiguousarray(signs.T)
    return [node], [
        ("low.weight", weight),
        ("low.scale", scale.reshape(-1)[:1].astype(np.float32)),
        ("low.bias", bias.astype(np.float32)),
    ]


def _n_bits(
    x: str, y: str, signs: Array, scale: Array, bias: Array, *, bits: int, block: int
) -> tuple[Any, Any]:
    outputs, inputs = signs.shape
    blocks = inputs // block
    values = (signs + (1 << bits - 1)).astype(np.uint8).reshape(outputs, blocks, -1, 8 // bits)
    shifts = (np.arange(8 // bits) * bits).astype(np.uint8)
    packed = np.bitwise_or.reduce(values << shifts, axis=-1).astype(np.uint8)
    scales = np.broadcast_to(scale.reshape(-1, 1), (outputs, blocks)).astype(np.float32)
    names = [x, "low.weight", "low.scale", "", "", "low.bias"]
    node = helper.make_node(
        "MatMulNBits", names, [y], domain=MICROSOFT, K=inputs, N=outputs, bits=bits,
        block_size=block, accuracy_level=4,
    )  # fmt: skip
    constants = [("low.weight", packed), ("low.scale", scales.reshape(-1).copy())]
    return [node], [*constants, ("low.bias", bias.astype(np.float32))]
