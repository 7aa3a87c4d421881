"""The two faces of a part: what the UE sends, and what the BS receives.

A network from torch ends (or begins) with a feature of M numbers. Here the quantizer and the
payload packing are put behind it, as calls of local functions, so that the ONNX file holds all
that crosses the air.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

import csideploy
from csideploy.errors import InputError
from csideploy.export.functions import DOMAIN, attach_functions
from csideploy.export.widths import message_bytes, pack_widths
from csideploy.quantizers.scalar import Codebook

BATCH = "n"
OPSET = 21
IR_VERSION = 10


def payload_bytes(count: int, bits: int) -> int:
    """Bytes a sample of `count` codes of `bits` bits, the zero pad included."""
    return (count * bits + 7) // 8


def tensor_info(name: str, element: int, width: int) -> ValueInfoProto:
    """A tensor (n, width)."""
    return helper.make_tensor_value_info(name, element, [BATCH, width])


def feature_width(info: ValueInfoProto) -> int:
    """M of a feature (n, M).

    Raises:
        InputError: it has another shape.
    """
    dims = info.type.tensor_type.shape.dim
    if len(dims) != 2 or not dims[1].dim_value:
        raise InputError(f"tensor '{info.name}': a feature has the shape (n, M), with M fixed")
    return int(dims[1].dim_value)


def _check_bits(bits: int) -> None:
    if not 1 <= bits <= 8:
        raise InputError(f"{bits} bits a code: 1 to 8 are possible")


def rename(model: ModelProto, old: str, new: str) -> None:
    """Give a tensor another name, wherever a node reads or makes it."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]


def function_call(name: str, inputs: list[str], outputs: list[str], **attributes: int) -> NodeProto:
    """A call of one of our functions, called payload.NAME."""
    node = helper.make_node(name, inputs, outputs, name=f"payload.{name}", domain=DOMAIN)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node


def append_quantizer(model: ModelProto, bits: int) -> None:
    """Replace the one output, a feature (n, M) in [0, 1], by `codes` and `payload`.

    codes: uint8 (n, M); payload: uint8 (n, ceil(M bits / 8)).
    """
    _check_bits(bits)
    (feature,) = model.graph.output
    count = feature_width(feature)
    rename(model, feature.name, "feature")
    model.graph.node.extend(
        [
            function_call("UniformQuantize", ["feature"], ["codes"], bits=bits),
            function_call("PackBits", ["codes"], ["payload"], bits=bits),
        ]
    )
    del model.graph.output[:]
    model.graph.output.extend(
        [
            tensor_info("codes", TensorProto.UINT8, count),
            tensor_info("payload", TensorProto.UINT8, payload_bytes(count, bits)),
        ]
    )


def prepend_dequantizer(model: ModelProto, bits: int) -> None:
    """Replace the one input, a feature (n, M), by `payload` uint8 (n, ceil(M bits / 8))."""
    _check_bits(bits)
    (feature,) = model.graph.input
    count = feature_width(feature)
    rename(model, feature.name, "feature")
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(
        [
            function_call("UnpackBits", ["payload"], ["codes"], count=count, bits=bits),
            function_call("UniformDequantize", ["codes"], ["feature"], bits=bits),
            *rest,
        ]
    )
    del model.graph.input[:]
    model.graph.input.append(tensor_info("payload", TensorProto.UINT8, payload_bytes(count, bits)))


def store(model: ModelProto, wanted: str, data: NDArray[np.generic]) -> str:
    """Add an initializer under a free name."""
    taken = {tensor.name for tensor in model.graph.initializer}
    taken.update(name for node in model.graph.node for name in (*node.input, *node.output))
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    model.graph.initializer.append(numpy_helper.from_array(data, name))
    return name


def _check_sent(codebook: Codebook, count: int) -> None:
    if codebook.outputs != count:
        raise InputError(f"a codebook of {codebook.outputs} outputs; the feature has {count}")
    if codebook.bits == 0:
        raise InputError("a codebook that sends no bits: at least one output needs some")


def append_codebook(model: ModelProto, codebook: Codebook) -> None:
    """Replace the one output, a feature (n, M), by `codes` and `payload`.

    codes: uint8 (n, M); payload: uint8 (n, ceil(sum B_m / 8)). The thresholds are those of the
    values that the BS has, which are rounded to float16.

    Raises:
        InputError: the codebook has another number of outputs, or no bits.
    """
    (feature,) = model.graph.output
    count = feature_width(feature)
    _check_sent(codebook, count)
    rename(model, feature.name, "feature")
    widths = store(model, "payload.widths", pack_widths(codebook.widths))
    thresholds = store(model, "payload.thresholds", codebook.rounded().thresholds)
    model.graph.node.extend(
        [
            function_call("CodebookQuantize", ["feature", thresholds, widths], ["codes"]),
            function_call("PackWidths", ["codes", widths], ["payload"]),
        ]
    )
    del model.graph.output[:]
    model.graph.output.extend(
        [
            tensor_info("codes", TensorProto.UINT8, count),
            tensor_info("payload", TensorProto.UINT8, message_bytes(codebook.widths)),
        ]
    )


def prepend_codebook(model: ModelProto, codebook: Codebook) -> None:
    """Replace the one input, a feature (n, M), by `payload` uint8 (n, ceil(sum B_m / 8)).

    The values are stored as float16.

    Raises:
        InputError: the codebook has another number of outputs, or no bits.
    """
    (feature,) = model.graph.input
    count = feature_width(feature)
    _check_sent(codebook, count)
    rename(model, feature.name, "feature")
    widths = store(model, "payload.widths", pack_widths(codebook.widths))
    book = store(model, "payload.book", codebook.rounded().values.astype(np.float16))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(
        [
            function_call("UnpackWidths", ["payload", widths], ["codes"], count=count),
            function_call("CodebookDequantize", ["codes", book, widths], ["feature"]),
            *rest,
        ]
    )
    del model.graph.input[:]
    model.graph.input.append(
        tensor_info("payload", TensorProto.UINT8, message_bytes(codebook.widths))
    )


def quantizer_model(codebook: Codebook) -> ModelProto:
    """The UE's quantizer as a part: feature float32 (n, M) -> codes, payload.

    Raises:
        InputError: the codebook has no bits.
    """
    model = _feature_model("quantizer", codebook)
    append_codebook(model, codebook)
    attach_functions(model)
    return model


def dequantizer_model(codebook: Codebook) -> ModelProto:
    """The BS's dequantizer as a part: payload -> feature float32 (n, M).

    Raises:
        InputError: the codebook has no bits.
    """
    model = _feature_model("dequantizer", codebook)
    prepend_codebook(model, codebook)
    attach_functions(model)
    return model


def _feature_model(name: str, codebook: Codebook) -> ModelProto:
    """A feature that comes in and goes out."""
    ends = [tensor_info("feature", TensorProto.FLOAT, codebook.outputs)]
    return helper.make_model(
        helper.make_graph([], name, ends, ends),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="csideploy",
        producer_version=csideploy.__version__,
    )
