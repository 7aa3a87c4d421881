"""The two faces of a part: what the UE sends, and what the BS receives.

A network from torch ends (or begins) with a feature of M numbers. Here the quantizer and the
payload packing are put behind it, as calls of local functions, so that the ONNX file holds all
that crosses the air.
"""

from __future__ import annotations

from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from csideploy.errors import InputError
from csideploy.export.functions import DOMAIN

BATCH = "n"


def payload_bytes(count: int, bits: int) -> int:
    """Bytes a sample of `count` codes of `bits` bits, the zero pad included."""
    return (count * bits + 7) // 8


def _info(name: str, element: int, width: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, [BATCH, width])


def _width(info: ValueInfoProto) -> int:
    dims = info.type.tensor_type.shape.dim
    if len(dims) != 2 or not dims[1].dim_value:
        raise InputError(f"tensor '{info.name}': a feature has the shape (n, M), with M fixed")
    return int(dims[1].dim_value)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 8:
        raise InputError(f"{bits} bits a code: 1 to 8 are possible")


def _rename(model: ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def _call(name: str, inputs: list[str], outputs: list[str], **attributes: int) -> NodeProto:
    node = helper.make_node(name, inputs, outputs, name=f"payload.{name}", domain=DOMAIN)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def append_quantizer(model: ModelProto, bits: int) -> None:
    """Replace the one output, a feature (n, M) in [0, 1], by `codes` and `payload`.

    codes: uint8 (n, M); payload: uint8 (n, ceil(M bits / 8)).
    """
    _check_bits(bits)
    (feature,) = model.graph.output
    count = _width(feature)
    _rename(model, feature.name, "feature")
    model.graph.node.extend(
        [
            _call("UniformQuantize", ["feature"], ["codes"], bits=bits),
            _call("PackBits", ["codes"], ["payload"], bits=bits),
        ]
    )
    del model.graph.output[:]
    model.graph.output.extend(
        [
            _info("codes", TensorProto.UINT8, count),
            _info("payload", TensorProto.UINT8, payload_bytes(count, bits)),
        ]
    )


def prepend_dequantizer(model: ModelProto, bits: int) -> None:
    """Replace the one input, a feature (n, M), by `payload` uint8 (n, ceil(M bits / 8))."""
    _check_bits(bits)
    (feature,) = model.graph.input
    count = _width(feature)
    _rename(model, feature.name, "feature")
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(
        [
            _call("UnpackBits", ["payload"], ["codes"], count=count, bits=bits),
            _call("UniformDequantize", ["codes"], ["feature"], bits=bits),
            *rest,
        ]
    )
    del model.graph.input[:]
    model.graph.input.append(_info("payload", TensorProto.UINT8, payload_bytes(count, bits)))
