"""A residual vector quantizer as parts: the UE's end of the payload, and the BS's.

B = sum b_t bits a sample: tier after tier, the index of each MSB first, zero pad at the end, as a
payload of B codes of one bit. Its layout id is the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

import csideploy
from csideploy.export.functions import DOMAIN, attach_functions
from csideploy.export.interface import (
    IR_VERSION,
    OPSET,
    function_call,
    payload_bytes,
    tensor_info,
)
from csideploy.export.plan import PayloadLayout
from csideploy.quantizers.residual import tier_bits

Codebooks = Sequence[NDArray[np.floating]]


def residual_layout(codebooks: Codebooks, layout_id: int) -> PayloadLayout:
    """The payload of both parts.

    Raises:
        InputError: codebooks that are none.
    """
    return PayloadLayout(layout_id, sum(tier_bits(codebooks)), 1)


def quantizer_model(codebooks: Codebooks, name: str = "quantizer") -> ModelProto:
    """Feature float32 (n, D) -> codes uint8 (n, B) of 0 and 1, payload uint8 (n, ceil(B / 8)).

    Args:
        codebooks: (2^b_t, D) of each tier; stored as float32.
        name: of the graph.

    Raises:
        InputError: codebooks that are none.
    """
    bits = tier_bits(codebooks)
    nodes: list[NodeProto] = []
    rest, codes = "feature", []
    for t, own in enumerate(bits, 1):
        ends = ["codes" if len(bits) == 1 else f"tier{t}.codes", f"tier{t}.rest"]
        nodes.append(_tier_call("ResidualQuantize", t, [rest, f"tier{t}.book"], ends, bits=own))
        codes.append(ends[0])
        rest = ends[1]
    if len(bits) > 1:
        nodes.append(helper.make_node("Concat", codes, ["codes"], name="payload.Concat", axis=1))
    nodes.append(function_call("PackBits", ["codes"], ["payload"], bits=1))
    total = sum(bits)
    outputs = [
        tensor_info("codes", TensorProto.UINT8, total),
        tensor_info("payload", TensorProto.UINT8, payload_bytes(total, 1)),
    ]
    feature = tensor_info("feature", TensorProto.FLOAT, codebooks[0].shape[1])
    return _model(name, nodes, [feature], outputs, codebooks)


def dequantizer_model(codebooks: Codebooks, name: str = "dequantizer") -> ModelProto:
    """Payload uint8 (n, ceil(B / 8)) -> feature float32 (n, D), the sum over the tiers in order.

    Raises:
        InputError: codebooks that are none.
    """
    bits = tier_bits(codebooks)
    total = sum(bits)
    nodes = [function_call("UnpackBits", ["payload"], ["codes"], count=total, bits=1)]
    words = ["feature" if len(bits) == 1 else f"tier{t}.word" for t in range(1, len(bits) + 1)]
    starts = np.cumsum([0, *bits]).tolist()
    for t, (own, word) in enumerate(zip(bits, words, strict=True), 1):
        about = {"start": starts[t - 1], "bits": own}
        ends = ["codes", f"tier{t}.book"]
        nodes.append(_tier_call("ResidualDequantize", t, ends, [word], **about))
    sums = [words[0], *(f"tier{t}.sum" for t in range(2, len(bits))), "feature"]
    if len(bits) > 1:
        for t, (before, after) in enumerate(pairwise(sums), 2):
            entry = helper.make_node("Add", [before, words[t - 1]], [after], name=f"tier{t}.Add")
            nodes.append(entry)
    payload = tensor_info("payload", TensorProto.UINT8, payload_bytes(total, 1))
    feature = tensor_info("feature", TensorProto.FLOAT, codebooks[0].shape[1])
    return _model(name, nodes, [payload], [feature], codebooks)


def _tier_call(
    function: str, tier: int, inputs: list[str], outputs: list[str], **about: int
) -> NodeProto:
    node = helper.make_node(function, inputs, outputs, name=f"tier{tier}.{function}", domain=DOMAIN)
    node.attribute.extend(helper.make_attribute(key, value) for key, value in about.items())
    return node


def _model(
    name: str,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    codebooks: Codebooks,
) -> ModelProto:
    stored = [
        numpy_helper.from_array(np.ascontiguousarray(book, np.float32), f"tier{t}.book")
        for t, book in enumerate(codebooks, 1)
    ]
    model = helper.make_model(
        helper.make_graph(nodes, name, inputs, outputs, stored),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="csideploy",
        producer_version=csideploy.__version__,
    )
    attach_functions(model)
    return model
